package agent

import (
	"slices"

	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// renewal is one Renew that was sent and not answered.
type renewal struct {
	seq  uint64
	sent Instant // s of A1: read before it was sent
}

// renew asks for a grant once every H, and at once after a registration and on a new stream (A1).
func (m *Machine) renew() {
	if m.session.IsZero() || !m.usable() {
		return
	}
	if m.now >= m.renewAt {
		m.seq++
		if len(m.pending) == maxPending {
			m.pending = slices.Delete(m.pending, 0, 1)
		}
		m.pending = append(m.pending, renewal{seq: m.seq, sent: m.now})
		m.renewAt = m.now + m.period()
		m.ask(rpc.FromAgent{Renew: &rpc.Renew{Session: m.session, Seq: m.seq, Left: m.left()}})
	}
	m.due(m.renewAt)
}

// grant raises the deadline to s + TTL of the renewal that it answers, never by when it came (A1).
func (m *Machine) grant(g rpc.Grant) {
	if m.session.IsZero() || g.Session != m.session || g.TTL <= 0 || g.Fence < 0 {
		return
	}
	i := slices.IndexFunc(m.pending, func(r renewal) bool { return r.seq == g.Seq })
	if i < 0 {
		return
	}
	until := m.pending[i].sent + g.TTL
	if m.mutant(LeaseFromAnswer) {
		until = m.now + g.TTL
	}
	m.pending = slices.Delete(m.pending, 0, i+1) // an older one could only give less
	m.ttl, m.h, m.budget = g.TTL, g.H, g.Fence
	if until <= m.deadline || until <= m.now {
		return
	}
	first := m.deadline == 0
	if !first {
		m.minLeft = min(m.minLeft, m.deadline-m.now)
	}
	m.deadline = until
	m.emit(Lease{Session: m.session, Deadline: until, Fence: m.budget})
	if first {
		early := m.early
		m.early = nil
		for _, sp := range early {
			m.spawn(sp)
		}
	}
}

// left is how long the lease still lasts; 0 = there is none.
func (m *Machine) left() int64 {
	if m.session.IsZero() {
		return 0
	}
	return max(0, m.deadline-m.now)
}

// live reports whether children may run and be started now (A2).
func (m *Machine) live() bool {
	if m.mutant(NoSelfFence) || m.mutant(FenceNotFirst) {
		return !m.session.IsZero() && m.deadline != 0
	}
	return m.left() > 0
}

// period is H.
func (m *Machine) period() int64 { return max(m.h, 1e6) }

// fence is the first thing of every turn: a lease that is over stops everything (A3).
func (m *Machine) fence() {
	if m.deadline != 0 && m.now >= m.deadline && !m.mutant(NoSelfFence) {
		m.lapse("the lease was not renewed in time")
	}
}

// lapse ends the session for good: everything of it stops at once, and no later grant, spawn or stop is for it (A3, A4).
// What has not confirmed its end by deadline + F ends with the process.
//
// A process that notices its deadline late, because it was stopped or the host slept, has half of F from then on to learn
// what its guardian has confirmed meanwhile; noticed within δ (= F/2) that is no more than deadline + F.
func (m *Machine) lapse(why string) {
	if m.session.IsZero() {
		return
	}
	m.lapses++
	m.lapsedFor = why
	if m.fenced = len(m.children); m.fenced > 0 {
		m.exitAt = max(m.deadline+m.budget, m.now+m.budget/2)
	}
	m.session, m.deadline = sup.Session{}, 0
	m.pending, m.early, m.attempt = nil, nil, attempt{}
	m.marks, m.reports = newMarks(), newReports() // Register frees every slot of the session: nothing is left to say
	m.emit(Fence{})
}
