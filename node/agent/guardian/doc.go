// Package guardian runs commands (the built-in behavior exec) so that none of them outlives the lease or the supnode process
// that answers for it (A6, P0, P1).
//
// There are two processes. The guardian is the same binary started again: it alone forks commands, holds the lease's
// deadline in a timer that it shares with supnode, and kills everything when the timer fires or when supnode ends. The
// [Runner] is its client inside supnode: it resolves commands, keeps their logs, says what came of them, and is the second
// fence should the guardian not do its duty.
//
// The invariant: a command whose end was reported has no living descendant, and no command lives later than the deadline
// that supnode set last, nor later than the moment at which the listening socket and the lock file that the guardian
// inherited are closed.
//
// What a program that embeds this must know:
//
//   - main calls [RunIfGuardian] before anything else; [Start] refuses to work without it.
//   - The process becomes a subreaper. When a guardian is lost, children of the process that carry this node's tag, or that
//     left the process's own session, are killed.
//   - A command's descendants are known by descent, and once orphaned by the tag in their environment. An orphan without one
//     (env -i in front of a daemon) may be anybody's: it dies with whichever command ends next, not only with its own.
//   - It needs Linux 5.11 (close_range, pidfd) and a /proc.
//
// Beside them: a liveness probe of a command is a second program under the guardian, bound to the first: it ends with it, and the
// first one's end is not told before the probe's. Limits are kept by a cgroup v2 of each incarnation's own ([Config].Cgroup). [Logs] keep
// and read output; they have no part in what a command does.
//
// This package knows nothing of Raft, leaders and slots; it knows sessions and incarnations as names.
//
//	func main() {
//		guardian.RunIfGuardian()
//		lock, err := guardian.Acquire(ctx, "data/guardian.lock", 10*time.Second)
//		...
//		guardian.KillLeftovers(ctx, nodeID)
//		runner, err := guardian.Start(guardian.Config{Lock: lock, ...}, sink)
//	}
package guardian
