// Package agent is what every node does: hold a lease, run what the leader assigns, and stop all of it in time when the
// lease ends (A1–A7). The machine is pure, (event, now) → actions; the driver owns its goroutine, clock and connections.
package agent
