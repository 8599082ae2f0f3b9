// Package fsm is the replicated state of a supnode cluster and its only way to change: Apply.
//
// It is a pure function from (state, entry) to (state, results): it knows no clock, no random number, no goroutine, no
// disk and no network (raft.go alone, which gives a State to Raft, has locks and channels). The OTP rules of package
// supervisor run inside Apply, on the exact committed state, so that every replica and every later leader comes to the
// same decision. Placement is data in the entry (S30).
//
// # The log
//
// An Entry batches Commands: facts that nodes report, and requests of clients. Each has preconditions that Apply checks and
// a Result of its own: OK, Stale (the precondition does not hold, nothing changed), Pending (its outcome follows under the
// request's key) or Refused. After the commands an entry's Placements give nodes to slots that want one, and its Unplaced
// say for which there is none. Encode and Decode put an entry into an envelope with a version and a checksum; an entry
// that does not check out stops the node.
//
// # The slot guard
//
// A child's slot goes Unplaced → Placed → Running → Stopping → Unplaced. It is freed only by a report of the very
// incarnation that it holds, or by the end of its node's session; so there is never a second copy that the state knows of.
// An incarnation is (generation, index of the entry that placed the child): it rises with every placement.
//
// # Operations
//
// A supervisor has at most one operation in the state, so a start, a stop, a group restart or a change of its manifest
// survives its leader. Requests that have to wait for it wait in the supervisor's queue. Whatever changed a supervisor,
// advance then takes the next step: it looks at levels only (what is to go down, what is due, what is on its way), never at
// what happened. After a Bump the state is Held: until Released nothing is placed and no stop is acknowledged.
//
// # Reading
//
// Records (Node, Supervisor, Child) are immutable: readers may keep them. Capture copies pointers only, so a snapshot is
// taken between two entries and encoded beside Apply; equal states have equal bytes. Check verifies all invariants.
package fsm
