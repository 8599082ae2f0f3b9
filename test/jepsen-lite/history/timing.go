package history

import "time"

// Timing is the lease arithmetic of protocol.md, computed here again from the two knobs of the config file, so that a
// mistake in the product's arithmetic shows as a broken bound.
type Timing struct {
	H   time.Duration `json:"h"`   // heartbeat_interval
	TTL time.Duration `json:"ttl"` // lease_ttl
}

// Fence is F = TTL/6: how long after its deadline a node may take to stop everything.
func (t Timing) Fence() time.Duration { return t.TTL / 6 }

// TimerDelay is δ = TTL/12: the worst delay of the fence timer.
func (t Timing) TimerDelay() time.Duration { return t.TTL / 12 }

// RaftTimeout is Raft's heartbeat, election and leader lease time-out.
func (t Timing) RaftTimeout() time.Duration { return t.TTL / 10 }

// Election is E = 5·HB + 50 ms: the worst election, with one split vote, and the barrier.
func (t Timing) Election() time.Duration { return 5*t.RaftTimeout() + 50*time.Millisecond }

// Wait is W = (TTL+F+δ)(1+ρ)², ρ = 1 %.
func (t Timing) Wait() time.Duration {
	return (t.TTL + t.Fence() + t.TimerDelay()) * 10201 / 10000
}

// Stopped is how long after the last grant a node may still run something: TTL, then F, then the worst timer.
func (t Timing) Stopped() time.Duration { return t.TTL + t.Fence() + t.TimerDelay() }

// Boot is what a process gets to start on a busy machine of two cores: its guardian, its disk, its listeners.
const Boot = 2 * time.Second

// Commits is what the few commits, round trips and process starts at the end of a takeover get.
const Commits = time.Second

// Takeover bounds the time from a fault that leaves a quorum to the wanted set running without the victims: an election
// with a second split vote, the new leader's W (L3), a renewal that was under way, and the commits.
func (t Timing) Takeover() time.Duration { return 2*t.Election() + t.Wait() + 2*t.H + Commits }

// Recovery is T of I4: from the end of the last fault to the wanted set running and nothing starting any more. It is a
// takeover that begins with the boot of the processes that were down; a node that lost its lease meanwhile also fences.
func (t Timing) Recovery() time.Duration { return Boot + t.Takeover() + t.Fence() + t.TimerDelay() }

// Quiet is how long nothing may start once T has come: longer than W, so that a takeover under way would show.
func (t Timing) Quiet() time.Duration { return t.Wait() + 2*t.H }
