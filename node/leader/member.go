package leader

import (
	"fmt"
	"time"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// stream is one agent's connection.
type stream struct {
	id          uint64
	node        sup.NodeName // from its Hello; empty before
	hello       *rpc.Hello   // not yet answered: a Bump must be applied first
	session     sup.Session  // the one that its agent holds, as it last said
	registering bool         // its Register is proposed or waits to be
}

// member is what this leader knows of a node beside the replicated state; all of it is a cache that dies with the term.
type member struct {
	name    sup.NodeName
	session sup.Session // the node's session in the state; what follows is about it
	live    bool
	stream  *stream // the node's newest one; nil = none

	expiry    Instant // not declared dead by time-out up to here (L1)
	heard     Instant // when its agent last named the session on a stream of this term; 0 = never
	lease     Instant // until when the agent may hold its lease, by the last grant
	granted   bool    // in this term
	leaseless bool    // it was never granted a lease: it refuses to start anything before (A4)
	down      bool    // no more grants: its end is proposed or about to be (L4)
	leaving   bool    // its Leave is proposed

	probing bool
	proof   Instant // a refusal becomes a proof of death then (P2); 0 = none
	redial  Instant // the probe is to be asked for again then; 0 = no

	fresh, sent []*order // orders never sent, and those sent, longest ago first
	strays      []*order // incarnations it holds that nobody assigned to it
	quiet       Instant  // nothing is repeated before: a frame's worth was
}

// know brings the cache of a node up to date with its record.
func (m *Machine) know(n *fsm.Node) *member {
	v := m.members[n.Name]
	if v == nil {
		v = &member{name: n.Name}
		m.members[n.Name] = v
	}
	if v.session == n.Session && v.live == n.Live() {
		return v
	}
	m.forgetOrders(v)
	if v.probing {
		m.do(ProbeStop{Node: v.name, Session: v.session})
	}
	if v.live && v.stream != nil && v.stream.session == v.session && n.Status != fsm.MemberLeft {
		// Its agent learns at once that its session is over.
		m.send(v.stream, rpc.ToAgent{Refused: &rpc.Refused{Session: v.session, Gen: m.st.Gen()}})
	}
	*v = member{name: v.name, stream: v.stream, session: n.Session, live: n.Live()}
	m.placer.rescan = true
	if !v.live {
		return v
	}
	v.expiry = m.now + m.wait()
	if m.mutant("no_l3") && !m.begun {
		v.expiry = m.now
	}
	m.death.look(v.expiry + 1)
	if v.stream != nil && v.stream.session == v.session {
		v.heard = m.now
	}
	if m.begun {
		m.probe(v)
	}
	return v
}

// current is what is known of a node, after a look at the state; nil when neither knows it.
func (m *Machine) current(name sup.NodeName) *member {
	if n := m.st.Node(name); n != nil {
		return m.know(n)
	}
	return m.members[name]
}

// connected reports whether the node's agent holds its live session on a stream of this leader.
func (v *member) connected() bool {
	return v.live && v.stream != nil && v.stream.session == v.session && v.heard != 0
}

// candidate reports whether this leader would place a child on the node, as far as the state does not know better: its
// agent is connected, has been heard of within a TTL, and is not being declared dead (S28).
func (m *Machine) candidate(v *member) bool {
	return v != nil && v.connected() && !v.down && !v.leaving && m.now < v.heard+m.st.Lease().TTL
}

// hear notes that the agent of v named its live session.
func (m *Machine) hear(v *member) {
	was := m.candidate(v)
	v.heard = m.now
	if !was && m.candidate(v) {
		m.placer.rescan = true
	}
}

// received takes a frame of an agent.
func (m *Machine) received(id uint64, f rpc.FromAgent) {
	s := m.streams[id]
	if s == nil {
		return
	}
	if f.Hello != nil {
		m.hello(s, f.Hello)
	}
	if s.node == "" || s.hello != nil || m.streams[id] == nil {
		return // nothing is heard before the Hello is answered; agents repeat what matters
	}
	if f.Register != nil {
		m.register(s, f.Register)
	}
	if f.Renew != nil {
		m.renew(s, f.Renew)
	}
	if len(f.Reports) > 0 {
		m.reports(s, f.Reports)
	}
	if f.Goodbye != nil {
		m.goodbye(s, f.Goodbye)
	}
}

func (m *Machine) hello(s *stream, h *rpc.Hello) {
	if s.node != "" && s.node != h.Node {
		m.hangUp(s)
		return
	}
	if why := differs(h.Settings, m.st.Settings()); why != "" {
		m.send(s, rpc.ToAgent{Welcome: &rpc.Welcome{Term: m.cfg.Term, Leader: m.cfg.Name, Gen: m.st.Gen(), Refused: why}})
		m.hangUp(s)
		return
	}
	s.node, s.hello = h.Node, h
	m.demandGeneration(h)
	m.welcome(s)
}

// differs says in which setting a node's file differs from the replicated ones, naming both values; "" = in none.
func differs(file, cluster fsm.Settings) string {
	const remedy = "make the file as the cluster has it, or change the cluster's setting first"
	span := func(name string, f, c int64) string {
		return fmt.Sprintf("cluster.%s is %s in this node's file and %s in the cluster: %s", name, time.Duration(f), time.Duration(c), remedy)
	}
	switch {
	case file.HeartbeatInterval != cluster.HeartbeatInterval:
		return span("heartbeat_interval", file.HeartbeatInterval, cluster.HeartbeatInterval)
	case file.LeaseTTL != cluster.LeaseTTL:
		return span("lease_ttl", file.LeaseTTL, cluster.LeaseTTL)
	case file.FastFailover != cluster.FastFailover:
		return fmt.Sprintf("cluster.fast_failover is %s in this node's file and %s in the cluster: %s", file.FastFailover, cluster.FastFailover, remedy)
	case file.EventHistory != cluster.EventHistory:
		return fmt.Sprintf("cluster.event_history is %d bytes in this node's file and %d bytes in the cluster: %s", file.EventHistory, cluster.EventHistory, remedy)
	}
	return ""
}

// welcome answers a Hello, unless a new generation must come first.
func (m *Machine) welcome(s *stream) {
	h := s.hello
	if m.st.Gen() < m.gen.wanted {
		return
	}
	s.hello = nil
	m.gen.told[s.node] = true
	l := m.st.Lease()
	w := &rpc.Welcome{Term: m.cfg.Term, Leader: m.cfg.Name, Gen: m.st.Gen(), TTL: l.TTL, H: l.H}
	v := m.members[s.node]
	if n := m.st.Node(s.node); n != nil {
		w.Current, w.Live = n.Session, n.Live()
		v = m.know(n)
	}
	if v == nil {
		v = &member{name: s.node}
		m.members[s.node] = v
	}
	if old := v.stream; old != nil && old != s {
		m.hangUp(old)
	}
	v.stream, s.session = s, h.Session
	m.send(s, rpc.ToAgent{Welcome: w})
	if v.live && s.session == v.session {
		m.hear(v)
		m.stopProbe(v)
		m.compare(v, h.Holding)
		m.placer.rescan = true // slots that only it can take waited for its stream
	}
}

// hangUp ends a stream from this side.
func (m *Machine) hangUp(s *stream) {
	delete(m.streams, s.id)
	m.do(CloseStream{Stream: s.id})
	if v := m.members[s.node]; v != nil && v.stream == s {
		v.stream = nil
	}
}

// streamDown notes that a stream broke: no proof of death, but reason enough to look (P2).
func (m *Machine) streamDown(id uint64) {
	s := m.streams[id]
	if s == nil {
		return
	}
	delete(m.streams, id)
	v := m.members[s.node]
	if v == nil || v.stream != s {
		return
	}
	v.stream = nil
	m.forgetOrders(v)
	if m.mutant("no_wait") && v.live && !v.down {
		m.declare(v, "stream broke")
		return
	}
	m.probe(v)
}

// register proposes a new session for a node (A4). Apply judges it.
func (m *Machine) register(s *stream, r *fsm.Register) {
	if s.registering || r.Node != s.node {
		return
	}
	s.registering = true
	s.session = sup.Session{} // it registers only while it has none
	m.queues.agents = append(m.queues.agents, newItem(fsm.Command{Register: r}, s.id))
}

// registered answers a Register by what its commit came to.
func (m *Machine) registered(it *item, res fsm.Result) {
	r := it.cmd.Register
	n := m.st.Node(r.Node)
	if n != nil {
		m.know(n)
	}
	s := m.streams[it.stream]
	if s == nil {
		return
	}
	s.registering = false
	a := &rpc.Registered{Nonce: r.Nonce}
	if n != nil {
		a.Current = n.Session
	}
	switch res.Status {
	case fsm.OK:
		a.Session, a.Current = res.Session, res.Session
		if v := m.members[r.Node]; v.live && v.session == res.Session && v.stream == s {
			s.session = res.Session
			v.leaseless = true
			v.expiry = max(v.expiry, m.now+m.wait())
			m.stopProbe(v)
			m.hear(v)
			m.adopt(v)
		}
	case fsm.Stale:
		a.Current = res.Session
	case fsm.Refused:
		a.Refused = "the cluster refuses this registration"
		if res.Problem != nil {
			a.Refused = res.Problem.Error()
		}
	}
	m.send(s, rpc.ToAgent{Registered: a})
}

func (m *Machine) send(s *stream, f rpc.ToAgent) { m.do(Send{Stream: s.id, Frame: f}) }
