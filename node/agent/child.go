package agent

import (
	"slices"
	"strings"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// phase is how far an incarnation is.
type phase uint8

const (
	starting phase = iota // its init has not returned
	running
	stopping
	phaseCount
)

// child is the one incarnation of a key that is here: from its Spawn action until its Ended event.
type child struct {
	inc      sup.Incarnation
	session  sup.Session
	phase    phase
	inited   bool    // its init has returned
	shutdown int64   // its ShutdownTimeout, ns; -1 = infinity
	killAt   Instant // of a stopping one: when the runner kills it; never = infinity
	moving   bool    // stopped for a move that may not be committed yet
	own      bool    // stopped by this node alone (P3): its slot is freed by Left, its end is no exit to report
}

// Holding is what this agent has, by key: what Hello tells.
func (m *Machine) Holding() []rpc.Held {
	held := make([]rpc.Held, 0, len(m.children))
	for _, k := range m.keys() {
		c := m.children[k]
		held = append(held, rpc.Held{Key: k, Inc: c.inc, Running: c.inited})
	}
	return held
}

// spawn starts an incarnation, if its session is ours, the lease lives, and it is news (A5).
func (m *Machine) spawn(sp rpc.Spawn) {
	if m.session.IsZero() || m.leave.on || (sp.Session != m.session && !m.mutant(SpawnWithoutSession)) {
		m.refused++
		return
	}
	if m.deadline == 0 { // before the first grant nothing runs (A4)
		if len(m.early) < maxChildren {
			m.early = append(m.early, sp)
		} else {
			m.refused++
		}
		return
	}
	if !m.live() {
		m.refused++
		return
	}
	c := m.children[sp.Key]
	if m.mutant(SpawnWithoutIncarnation) {
		if c != nil {
			m.drop(sp.Key, c)
		}
		m.start(sp)
		return
	}
	switch {
	case c != nil && c.inc == sp.Inc: // its state again
		if c.inited && c.phase == running {
			m.report(fsm.Report{Key: sp.Key, Inc: c.inc, Kind: fsm.ReportRunning})
		}
	case c != nil: // a lower one, or one that comes before the end of its predecessor was reported
		m.refused++
	case !m.marks.below(sp.Key, sp.Inc):
		if !m.reports.repeat(sp.Key, sp.Inc) {
			m.refused++
			if m.marks.forgotten(sp.Key) {
				m.report(fsm.Report{Key: sp.Key, Inc: sp.Inc, Kind: fsm.ReportInitFailed, Reason: sup.ExitError,
					Detail: "the order to start it came too late to be told from an old one"})
			}
		}
	case len(m.children) >= maxChildren || m.reports.full():
		m.marks.raise(sp.Key, sp.Inc)
		m.report(fsm.Report{Key: sp.Key, Inc: sp.Inc, Kind: fsm.ReportInitFailed, Reason: sup.ExitError,
			Detail: "this node has as many children as it can hold"})
	default:
		m.start(sp)
	}
}

func (m *Machine) start(sp rpc.Spawn) {
	m.marks.raise(sp.Key, sp.Inc)
	m.children[sp.Key] = &child{inc: sp.Inc, session: m.session, shutdown: sp.ShutdownTimeout}
	m.phases[starting]++
	m.emit(Spawn{sp})
}

// stop raises the mark to e, so that e never starts here again, and answers that it has ended when nothing of it runs
// (A5). Stopping needs no lease.
func (m *Machine) stop(st rpc.Stop) {
	if m.session.IsZero() || st.Session != m.session {
		return
	}
	m.early = slices.DeleteFunc(m.early, func(sp rpc.Spawn) bool { return sp.Key == st.Key && !st.Inc.Less(sp.Inc) })
	c := m.children[st.Key]
	if c != nil && !st.Inc.Less(c.inc) {
		c.own, c.moving = false, st.Move && (c.phase != stopping || c.moving || c.own)
		m.halt(st.Key, c, st.Timeout)
		if c.inc == st.Inc {
			return
		}
	}
	if !m.mutant(StopWithoutMark) {
		m.marks.raise(st.Key, st.Inc)
	}
	if !m.reports.repeat(st.Key, st.Inc) && !m.reports.full() {
		kind := fsm.ReportEnded
		if st.Move {
			kind = fsm.ReportMoved
		}
		m.report(fsm.Report{Key: st.Key, Inc: st.Inc, Kind: kind, Reason: sup.ExitShutdown})
	}
}

// halt asks a child to stop; asked again, only a nearer end matters.
func (m *Machine) halt(k sup.Key, c *child, timeout int64) {
	killAt := never
	if timeout >= 0 && timeout < never-m.now {
		killAt = m.now + timeout
	}
	if c.phase == stopping && killAt >= c.killAt {
		return
	}
	m.enter(c, stopping)
	c.killAt = killAt
	m.emit(Stop{Key: k, Inc: c.inc, Timeout: timeout})
}

// enter moves a child to a phase.
func (m *Machine) enter(c *child, p phase) {
	m.phases[c.phase]--
	m.phases[p]++
	c.phase = p
}

func (m *Machine) started(ev Started) {
	c := m.children[ev.Key]
	if c == nil || c.inc != ev.Inc || c.inited {
		return
	}
	c.inited = true
	if c.phase == stopping {
		return // its slot no longer waits for that
	}
	m.enter(c, running)
	if c.session == m.session {
		m.report(fsm.Report{Key: ev.Key, Inc: ev.Inc, Kind: fsm.ReportRunning})
	}
}

func (m *Machine) ended(ev Ended) {
	c := m.children[ev.Key]
	if c == nil || c.inc != ev.Inc {
		return
	}
	m.drop(ev.Key, c)
	if c.own || c.session != m.session {
		m.keep(ev.Key)
		return
	}
	kind := fsm.ReportEnded
	switch {
	case c.moving:
		kind = fsm.ReportMoved
	case c.phase == starting && ev.Reason != sup.ExitNodeDown: // what was lost with its guardian did not fail (A6)
		kind = fsm.ReportInitFailed
	}
	m.report(fsm.Report{Key: ev.Key, Inc: ev.Inc, Kind: kind, Reason: ev.Reason, Detail: fsm.KeptText(ev.Detail)})
}

// hangs tells the leader of a child that does not end. One that this node stops by itself, or of a session that is over, is
// no longer the leader's to wait for.
func (m *Machine) hangs(ev Hanging) {
	c := m.children[ev.Key]
	if c == nil || c.inc != ev.Inc || c.own || c.session != m.session || m.reports.full() {
		return
	}
	m.report(fsm.Report{Key: ev.Key, Inc: ev.Inc, Kind: fsm.ReportHanging})
}

// drop forgets a child of which nothing is left.
func (m *Machine) drop(k sup.Key, c *child) {
	delete(m.children, k)
	m.phases[c.phase]--
	if c.session != m.session && m.fenced > 0 {
		m.fenced--
	}
}

// keys is the keys of the children, sorted.
func (m *Machine) keys() []sup.Key {
	keys := make([]sup.Key, 0, len(m.children))
	for k := range m.children { // any order: sorted below
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

func compareKeys(a, b sup.Key) int {
	if c := strings.Compare(string(a.Supervisor), string(b.Supervisor)); c != 0 {
		return c
	}
	return strings.Compare(string(a.Child), string(b.Child))
}
