// Package check judges a history. Each checker reads the evidence for one invariant (testing.md, Invariants) and says how
// many things it checked, how many it could not decide, and which ones were wrong. A checker that found nothing to check
// has failed: silence proves nothing.
//
// What is excused is derived from the log of what was done to processes, never from the name of a fault:
//
//   - while a guardian was paused and its supnode paused or dead, nobody could keep the promise on that node (protocol.md,
//     What is not promised); records from then until F + δ after it went on are ambiguous;
//   - a command that was itself stopped may have one record later than it should, the effect it was about to have.
//
// Invariant: a checker is a pure function of the history. It must not know how the evidence was gathered.
//
//	report := check.All(h)
//	if !report.OK() { fmt.Print(report) }
package check
