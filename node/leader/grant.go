package leader

import (
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// renewal is an agent's request for a grant, until an entry proposed after it came is committed (L1).
type renewal struct {
	stream  uint64
	session sup.Session
	seq     uint64
	at      Instant
}

// grants gathers renewals. At most one of a stream waits: a newer one replaces it, which serves its agent better.
type grants struct {
	waiting []renewal
	tickAt  Instant // when an entry is to be proposed for them
}

func newGrants() grants { return grants{tickAt: never} }

// due is when the waiting renewals want to be looked at.
func (g *grants) due(inFlight int) Instant {
	if len(g.waiting) == 0 || inFlight >= MaxInFlight {
		return never // a commit makes room
	}
	return g.tickAt
}

// renew gathers a renewal for at most H. It goes at once when it is the first of its session in this term, when less than
// half of the lease is left, or when it is going to be refused.
func (m *Machine) renew(s *stream, r *rpc.Renew) {
	v, urgent := m.current(s.node), true
	back := v != nil && v.live && v.stream == s && v.session == r.Session && s.session != r.Session
	s.session = r.Session
	if back { // an old frame had spoken for another session: what changed meanwhile was not ordered
		m.hear(v)
		m.adopt(v)
		m.placer.rescan = true
	}
	if v != nil && v.live && v.session == r.Session {
		if v.stream == s {
			m.hear(v)
		}
		if r.Left == 0 && !v.granted {
			v.leaseless = true
		}
		urgent = !v.granted || r.Left < m.st.Lease().TTL/2
	}
	w := renewal{stream: s.id, session: r.Session, seq: r.Seq, at: m.now}
	if m.mutant("grant_before_commit") {
		m.answerRenewals([]renewal{w})
		return
	}
	m.grants.add(w)
	at := m.now
	if !urgent {
		at += m.st.Lease().H
	}
	m.grants.tickAt = min(m.grants.tickAt, at)
}

func (g *grants) add(w renewal) {
	for i := range g.waiting {
		if g.waiting[i].stream == w.stream {
			g.waiting[i] = w
			return
		}
	}
	g.waiting = append(g.waiting, w)
}

// ride hands the waiting renewals to an entry that is about to be proposed: its commit answers them.
func (g *grants) ride() []renewal {
	w := g.waiting
	g.waiting, g.tickAt = nil, never
	return w
}

// answerRenewals grants, now that an entry of this term that was proposed after they came is committed (L1): only to the
// node's live session in the applied state, and to none whose end is proposed (L4).
func (m *Machine) answerRenewals(rs []renewal) {
	l := m.st.Lease()
	for _, r := range rs {
		s := m.streams[r.stream]
		if s == nil {
			continue
		}
		n := m.st.Node(s.node)
		if (n == nil || !n.Live() || n.Session != r.session) && !m.mutant("grant_any_session") {
			m.send(s, rpc.ToAgent{Refused: &rpc.Refused{Session: r.session, Gen: m.st.Gen()}})
			continue
		}
		if m.st.Gen() < m.gen.wanted {
			continue // no grant before the new generation (Restore and recovery)
		}
		if n != nil {
			v := m.know(n)
			if v.down && !m.mutant("no_l4") {
				continue
			}
			v.expiry = max(v.expiry, m.now+m.wait())
			v.lease = max(v.lease, r.at+l.TTL)
			v.granted = true
			if v.leaseless && v.session == r.session {
				v.leaseless = false
				m.resend(v)
			}
		}
		m.send(s, rpc.ToAgent{Grant: &rpc.Grant{Session: r.session, Seq: r.seq, TTL: l.TTL, Fence: l.Fence(), H: l.H}})
	}
}
