package agent

import (
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// stream is the one sync stream to a leader that is in use.
type stream struct {
	id       uint64  // 0 = none
	welcomed Instant // when Welcome came; 0 = not yet
	leader   sup.NodeName
	gen      uint64      // the leader's generation
	current  sup.Session // the node's session as that leader knows it: what Register is to name
	behind   bool        // it leads no more: its term, or its word on our session, is older than what we know
	askedAt  Instant     // the oldest question that no frame has followed; 0 = none
}

// reign is the newest term of the newest generation that has welcomed us.
type reign struct{ gen, term uint64 }

// attempt is the newest Register that is not answered.
type attempt struct {
	nonce  uint64 // 0 = none
	stream uint64
	at     Instant
}

// usable reports whether a leader has welcomed us that may know the present.
func (m *Machine) usable() bool {
	return m.stream.welcomed != 0 && !m.stream.behind && m.stream.gen >= m.gen
}

func (m *Machine) streamUp(id uint64) {
	if id <= m.stream.id {
		return
	}
	m.stream = stream{id: id}
	h := rpc.Hello{Node: m.cfg.Node, ID: m.cfg.ID, Gen: m.gen, Session: m.session, Settings: m.cfg.Settings}
	if !m.session.IsZero() {
		h.Holding = m.Holding()
	}
	m.ask(rpc.FromAgent{Hello: &h})
}

func (m *Machine) streamDown(id uint64) {
	if id == m.stream.id {
		m.stream = stream{}
	}
}

// send sends a frame on the stream, if there is one.
func (m *Machine) send(f rpc.FromAgent) {
	if m.stream.id != 0 {
		m.emit(Send{Stream: m.stream.id, Frame: f})
	}
}

// ask sends a frame that a leader answers.
func (m *Machine) ask(f rpc.FromAgent) {
	if m.stream.askedAt == 0 {
		m.stream.askedAt = m.now
	}
	m.send(f)
}

// received takes a frame. What names its session, its nonce or its incarnation counts whichever stream it came on; what
// speaks for a leader counts only on the stream in use.
func (m *Machine) received(id uint64, f rpc.ToAgent) {
	current := id != 0 && id == m.stream.id
	if current {
		m.stream.askedAt = 0
		if f.Welcome != nil {
			m.welcome(*f.Welcome)
		}
	}
	if f.Registered != nil {
		m.registered(*f.Registered)
	}
	if current && f.Refused != nil {
		m.refusal(*f.Refused)
	}
	if m.over {
		return
	}
	if f.Grant != nil {
		m.grant(*f.Grant)
	}
	if !current || m.usable() { // a leader of the past takes what it does not know for what should not be
		for _, st := range f.Stops {
			m.stop(st)
		}
		for _, sp := range f.Spawns {
			m.spawn(sp)
		}
	}
	for _, a := range f.Acks {
		m.reports.ack(a)
	}
	if current && f.Farewell != nil {
		m.farewell(*f.Farewell)
	}
}

// welcome takes a leader's word on who we are. Another live session than ours is a lapse (A4).
func (m *Machine) welcome(w rpc.Welcome) {
	if w.Refused != "" {
		m.reject(w.Refused)
		return
	}
	m.learn(w.Gen)
	s := &m.stream
	s.welcomed, s.leader, s.gen, s.current = max(m.now, 1), w.Leader, w.Gen, w.Current
	removed := w.Current.IsZero() && m.session.IsZero() // an operator may remove a node while it is away
	s.behind = w.Gen == m.reign.gen && w.Term < m.reign.term || w.Gen == m.last.Gen && w.Current.Less(m.last) && !removed
	if !s.behind && w.Gen >= m.reign.gen {
		m.reign = reign{gen: w.Gen, term: w.Term}
	}
	if w.TTL > 0 && w.H > 0 && m.deadline == 0 {
		m.ttl, m.h = w.TTL, w.H
	}
	if m.usable() && (w.Current != m.session || !w.Live) {
		m.lapse("the cluster has another session for this node")
	}
	m.renewAt = m.now
}

// refusal is a lapse when it speaks of our session or of a newer generation (A4).
func (m *Machine) refusal(r rpc.Refused) {
	m.stream.gen = max(m.stream.gen, r.Gen)
	m.learn(r.Gen)
	if r.Session == m.session && r.Gen >= m.session.Gen && m.usable() {
		m.lapse("a renewal was refused")
	}
}

// register asks for a session: only while none is held, nothing of a former one is left, and a leader has said which one
// is to be replaced (A4). Without an answer in time it asks again, and only the newest question counts.
func (m *Machine) register() {
	if !m.session.IsZero() && !m.mutant(RegisterWithSession) {
		return
	}
	if !m.usable() || m.leave.on || (len(m.children) > 0 && !m.mutant(RegisterBeforeStopped) && !m.mutant(RegisterWithSession)) {
		return
	}
	a := &m.attempt
	again := a.at + m.stall()
	if a.nonce == 0 || a.stream != m.stream.id || m.now >= again {
		*a = attempt{nonce: m.nonce(), stream: m.stream.id, at: m.now}
		again = m.now + m.stall()
		c := &m.cfg
		m.ask(rpc.FromAgent{Register: &fsm.Register{
			Node: c.Node, ID: c.ID, Replaces: m.stream.current, Nonce: a.nonce, Addr: c.Addr, Admin: c.Admin,
			Voter: c.Voter, Tags: c.Tags, Behaviors: c.Behaviors, Level: c.Level,
		}})
	}
	m.due(again)
}

// registered begins a session; before its first grant nothing runs (A4).
func (m *Machine) registered(r rpc.Registered) {
	if (m.attempt.nonce == 0 || r.Nonce != m.attempt.nonce) && !m.mutant(RegisterAnyNonce) {
		return
	}
	if !m.session.IsZero() && !m.mutant(RegisterWithSession) || m.leave.on {
		return
	}
	m.attempt = attempt{}
	if r.Refused != "" {
		m.reject(r.Refused)
		return
	}
	if r.Session.IsZero() { // stale: another session is to be named
		m.learn(r.Current.Gen)
		m.stream.gen = max(m.stream.gen, r.Current.Gen)
		m.stream.current = r.Current
		return
	}
	if r.Session.Gen < m.gen {
		return // over before it began
	}
	m.learn(r.Session.Gen)
	m.stream.gen = max(m.stream.gen, r.Session.Gen)
	m.stream.current = r.Session
	m.session, m.last, m.deadline = r.Session, r.Session, 0
	m.pending, m.marks, m.reports = nil, newMarks(), newReports()
	m.renewAt = m.now
}

// reject ends the process: the cluster does not take this node.
func (m *Machine) reject(why string) {
	m.lapse("the cluster refused this node")
	m.end(Rejected{Why: why})
}

// stall is T_stall: a leader that commits nothing for so long gives up (L6).
func (m *Machine) stall() int64 { return max(fsm.Lease{TTL: m.ttl}.Stall(), 1e6) }

// listen hangs up a stream that leads nowhere: at once when it leads to a leader of the past, after H when its generation
// did not come up to ours, and when no frame follows a question for H + T_stall, by when a leader has answered or given up
// (L1, L6).
func (m *Machine) listen() {
	s := &m.stream
	if s.id == 0 {
		return
	}
	at := never
	if s.askedAt != 0 {
		at = s.askedAt + m.period() + m.stall()
	}
	switch {
	case s.behind:
		at = m.now
	case s.welcomed != 0 && !m.usable():
		at = min(at, s.welcomed+m.period())
	}
	if m.now >= at {
		*s = stream{id: s.id}
		m.emit(Hangup{Stream: s.id})
		return
	}
	m.due(at)
}

// nonce makes the next of a sequence that begins at the seed (splitmix64); it is never zero.
func (m *Machine) nonce() uint64 {
	for {
		m.nonces += 0x9e3779b97f4a7c15
		z := m.nonces
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		if z ^= z >> 31; z != 0 {
			return z
		}
	}
}
