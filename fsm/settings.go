package fsm

// Settings are the cluster settings that are replicated: seeded at bootstrap, the same for every node (protocol.md).
type Settings struct {
	HeartbeatInterval int64  `cbor:"1,keyasint"` // H, ns
	LeaseTTL          int64  `cbor:"2,keyasint"` // TTL, ns
	FastFailover      string `cbor:"3,keyasint"` // loopback | refused | off
	EventHistory      int64  `cbor:"4,keyasint"` // bytes of events kept
}

// Lease is what follows from a TTL; all in nanoseconds (protocol.md, Names).
type Lease struct{ TTL, H int64 }

// Lease is the arithmetic of the current TTL.
func (s Settings) Lease() Lease { return Lease{TTL: s.LeaseTTL, H: s.HeartbeatInterval} }

// Fence is F: how long after its deadline an agent may take to stop everything.
func (l Lease) Fence() int64 { return l.TTL / 6 }

// TimerDelay is δ: the worst delay of the fence timer.
func (l Lease) TimerDelay() int64 { return l.TTL / 12 }

// Stall is T_stall: a leader that commits no Tick for this long gives up (L6).
func (l Lease) Stall() int64 { return l.TTL / 3 }

// RaftTimeout is Raft's heartbeat, election and leader lease time-out.
func (l Lease) RaftTimeout() int64 { return l.TTL / 10 }

// Election is E: the worst election with one split vote, and the barrier.
func (l Lease) Election() int64 { return 5*l.RaftTimeout() + 50e6 }

// Wait is W = (TTL+F+δ)(1+ρ)², ρ = 1 % (L2), rounded up.
func (l Lease) Wait() int64 {
	sum := l.TTL + l.Fence() + l.TimerDelay()
	return (sum*10201 + 9999) / 10000
}

// Survives is what a lease must outlast so that an election alone fences nobody (L5): E + 2H, or, when that is longer,
// the time in which an agent finds out by itself that its leader's host is gone, a renewal after the last answer, with H +
// T_stall of silence, and 2H; and D + 2(RTT + commit). D, the time for agents to find a new leader, is taken as 50 ms; RTT
// and commit together as 25 ms.
func (l Lease) Survives() int64 {
	return max(l.Election()+2*l.H, l.Stall()+3*l.H) + 50e6 + 2*25e6
}
