package agent

import (
	"slices"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// leave is a goodbye under way (P3).
type leave struct {
	on      bool
	at, by  Instant
	hereAt  Instant // when the children are stopped here, since time is short
	killAt  Instant // when those that are left are killed
	inPlace bool    // the children that are left are being stopped here
	why     string  // why they are
	killed  bool

	stream uint64 // on which Goodbye was said last; 0 = never
	sent   Instant
	done   bool // what it said

	kept []sup.Key
}

// depart begins a goodbye, or brings its end nearer.
func (m *Machine) depart(by Instant) {
	l := &m.leave
	if !l.on {
		*l = leave{on: true, at: m.now, by: by}
		m.refused += uint64(len(m.early))
		m.early, m.attempt = nil, attempt{}
	}
	l.by = min(l.by, by)
	span := max(0, l.by-l.at)
	l.killAt = l.by - min(m.budget, span/4)
	l.hereAt = l.killAt - min(m.longest(), span/2)
}

// longest is the longest shutdown timeout of the children.
func (m *Machine) longest() int64 {
	var d int64
	for _, k := range m.keys() {
		s := m.children[k].shutdown
		if s < 0 {
			return never
		}
		d = max(d, s)
	}
	return d
}

// leaving goes on with a goodbye: the leader moves the children away; when it can't, or time is short, they are stopped
// here. It is over when nothing is held and the leader says so or can't be asked, and in any case at By.
func (m *Machine) leaving() {
	l := &m.leave
	if !l.on {
		return
	}
	none := len(m.children) == 0
	granted := m.deadline != 0
	switch {
	case m.now >= l.by,
		none && m.session.IsZero(),
		none && m.stream.id == 0 && (l.inPlace || !granted),
		none && !granted && m.now >= l.at+m.ttl:
		m.gone()
		return
	}
	m.due(l.by)
	if none && !granted {
		m.due(l.at + m.ttl)
	}
	m.settle()
	m.goodbye()
}

// settle stops the children here when time is short, or when the lease is about to end since nobody renews it.
func (m *Machine) settle() {
	l := &m.leave
	if len(m.children) == 0 || m.session.IsZero() {
		return
	}
	switch at := min(l.hereAt, m.deadline-m.stall()); {
	case m.now < at:
		m.due(at)
	case m.now >= l.hereAt:
		m.stopHere("the shutdown timeout of the node is nearly over")
	default:
		m.stopHere("no leader renews the node's lease")
	}
	if l.killed {
		return
	}
	if m.now < l.killAt {
		m.due(l.killAt)
		return
	}
	l.killed = true
	for _, k := range m.keys() {
		m.emit(Kill{Key: k, Inc: m.children[k].inc})
	}
}

// stopHere stops every child within its own shutdown timeout and by killAt.
func (m *Machine) stopHere(why string) {
	l := &m.leave
	if l.inPlace {
		return
	}
	l.inPlace, l.why = true, why
	for _, k := range m.keys() {
		c := m.children[k]
		timeout := max(0, l.killAt-m.now)
		if c.shutdown >= 0 {
			timeout = min(timeout, c.shutdown)
		}
		c.own = c.phase != stopping
		m.halt(k, c, timeout)
	}
}

// goodbye tells the leader, once every H: first that we leave, then, with everything stopped and reported, that we are
// done.
func (m *Machine) goodbye() {
	l := &m.leave
	if m.session.IsZero() || !m.usable() {
		return
	}
	if l.stream != m.stream.id || m.now >= l.sent+m.period() {
		l.stream, l.sent, l.done = m.stream.id, m.now, false
		m.ask(rpc.FromAgent{Goodbye: &rpc.Goodbye{Session: m.session}})
	}
	if len(m.children) == 0 && len(m.reports.open) == 0 && !l.done {
		l.done = true
		m.ask(rpc.FromAgent{Goodbye: &rpc.Goodbye{Session: m.session, Done: true, Why: fsm.KeptText(l.why)}})
	}
	m.due(l.sent + m.period())
}

// farewell is the leader's answer.
func (m *Machine) farewell(f rpc.Farewell) {
	switch {
	case !m.leave.on:
	case f.Done && len(m.children) == 0:
		m.gone()
	case f.StopInPlace != "":
		m.stopHere(f.StopInPlace)
	}
}

// keep notes a child that was not handed over.
func (m *Machine) keep(k sup.Key) {
	if m.leave.on {
		m.leave.kept = append(m.leave.kept, k)
	}
}

// gone ends the goodbye.
func (m *Machine) gone() {
	kept := append(m.leave.kept, m.keys()...)
	slices.SortFunc(kept, compareKeys)
	m.end(Left{Kept: slices.Compact(kept), Why: m.leave.why})
}
