// Package agent is what every node does: hold a lease, run what the leader assigns, and stop all of it in time when the
// lease ends (A1–A5, A7, P3).
//
// The invariant: a child runs here only under an unexpired lease of the one session that the cluster knows for this node,
// and of each child at most one incarnation, never one that is not newer than all that were started or stopped in that
// session. Whatever has not stopped by the lease's deadline + F ends with the process.
//
// There are two halves. The [Machine] is pure, (event, now) → actions: it knows sessions, deadlines, incarnations and
// reports, and neither clock, goroutine nor connection; the simulation drives it as it is. The [Driver] owns its goroutine,
// its clock, the stream to the leader and the runners. Between machine and runners stands a gate with a goroutine of its own,
// which fences at the deadline though the machine hang.
//
// What a [Runner] must know: every Spawn is followed by exactly one Ended, and by one Started before it if its init
// returned; one that ends without Started, and was not asked to stop, has failed its init. What a [Connector] must know: a
// stream that leads to somebody who does not lead costs the lease time; it should fail instead.
//
// A process that is paused past its deadline fences before it takes anything that waited for it. It then has half of F to
// learn what its guardian confirmed meanwhile, before it ends itself.
//
// This package knows nothing of Raft, of slots, and of how a command is run.
package agent
