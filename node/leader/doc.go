// Package leader is what only the leader does: grants and leases, probing, placing, and batching what it proposes
// (L1–L6, R1, P2, P3). The machine is pure, (event, now, state) → actions; the driver owns its goroutine and clock.
package leader
