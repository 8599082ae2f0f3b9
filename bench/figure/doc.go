// Package figure is what the benchmark says: measured spreads, with what they are compared to beside them, as a table for
// people and as JSON.
//
// Invariant: a percentile is a value that was measured, never one between two of them. It must not know how anything is
// measured.
//
//	s := figure.Of(durations)
//	report.Add(figure.Figure{What: "bare commit, 1 applier", Lease: "500ms/3s", Spread: s})
//	report.Table(os.Stdout)
package figure
