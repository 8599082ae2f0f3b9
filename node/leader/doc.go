// Package leader is what only the leader does: grants and leases, probing, placing, and batching what it proposes
// (L1–L6, R1, P2, P3).
//
// Machine is pure, (events, now, state) → actions: it knows no clock, goroutine, network or log. Driver owns all of that for
// one leadership. A leadership begins after its Establish is applied and ends for good with the first outcome that is
// unknown (L4); all that it holds is a cache of the replicated state, and leases.
//
// What it promises:
//
//   - A grant answers a renewal after an entry that was proposed later than it came is committed, and only for a session that
//     is live in the state and whose end this leader has not proposed (L1, L4).
//   - A session is declared dead after a refused connection (P2), or W after the last grant, and W after the establishment
//     at the earliest (L2, L3).
//   - What waits together is decided in one entry: commands first, with the placements for what they will start. At most
//     MaxInFlight entries are under way, each within MaxCommands, MaxPlacements and MaxEntryBytes.
//   - Every order is repeated until the state shows that it was carried out; every slot that wants a node is looked at again
//     when something changed that it depends on. An event only wakes, the state decides.
//   - Children that are to leave their node move some at a time, and only those that another node can take.
//
// Files: machine.go (the step), log.go and batch.go (entries and their outcomes), member.go (streams and registration),
// grant.go, death.go, goodbye.go, generation.go (restore, lowered TTL), placer.go, choice.go and custom.go (S28, S29), moves.go
// (drain, goodbye and rebalance, some children at a time), handover.go (a drained node does not lead), assign.go (orders),
// driver*.go (the shell).
package leader
