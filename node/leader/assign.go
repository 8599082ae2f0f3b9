package leader

import (
	"slices"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// maxFrameBytes bounds the orders of one frame, by estimate; a single order may exceed it alone.
const maxFrameBytes = 1 << 20

// order is a spawn or a stop that an agent has to carry out. It is repeated until the state shows that it was.
type order struct {
	key  sup.Key
	inc  sup.Incarnation
	stop bool
	at   Instant // when it was sent last
}

// orders are the outstanding orders of all agents: one a slot.
type orders struct {
	of       map[sup.Key]*order
	unsent   []*member // members with orders never sent
	repeatAt Instant
}

func newOrders() orders { return orders{of: map[sup.Key]*order{}, repeatAt: never} }

// order brings the order for a slot up to date with the state: Placed is to be spawned, Stopping to be stopped.
func (m *Machine) order(k sup.Key) {
	c, old := m.st.Child(k), m.orders.of[k]
	if c == nil || (c.Phase != fsm.Placed && c.Phase != fsm.Stopping) {
		delete(m.orders.of, k)
		return
	}
	stop := c.Phase == fsm.Stopping
	if stop && m.queues.reported[reportID{k, c.Inc, fsm.ReportMoved}] != nil {
		return // it was told before the commit, and has said that it is done
	}
	if old != nil && old.inc == c.Inc && old.stop == stop {
		return
	}
	delete(m.orders.of, k)
	if v := m.members[c.Node]; v != nil && v.connected() && v.session == c.Session {
		m.give(v, c, stop)
	}
	// Otherwise the agent is told when it connects: its Hello is compared with the state.
}

func (m *Machine) give(v *member, c *fsm.Child, stop bool) {
	o := &order{key: c.Key, inc: c.Inc, stop: stop}
	m.orders.of[c.Key] = o
	v.fresh = append(v.fresh, o)
	m.orders.unsent = append(m.orders.unsent, v)
}

// compare orders an agent to be as the state has it: what is Placed there, or Running and not held, is spawned; what is
// Stopping, or held and not assigned to it, is stopped.
func (m *Machine) compare(v *member, holding []rpc.Held) {
	m.forgetOrders(v)
	held := make(map[sup.Key]sup.Incarnation, len(holding))
	for _, h := range holding {
		held[h.Key] = h.Inc
		c := m.st.Child(h.Key)
		if c == nil || c.Phase == fsm.Unplaced || c.Inc != h.Inc || c.Node != v.name || c.Session != v.session {
			v.strays = append(v.strays, &order{key: h.Key, inc: h.Inc, stop: true})
		}
	}
	for c := range m.st.On(v.name) {
		if m.mutant("spawns_not_resent") && c.Phase == fsm.Placed {
			continue
		}
		if c.Session == v.session && (c.Phase != fsm.Running || held[c.Key] != c.Inc) {
			m.give(v, c, c.Phase == fsm.Stopping)
		}
	}
	if len(v.strays) > 0 {
		m.orders.unsent = append(m.orders.unsent, v)
	}
}

// adopt orders a newly registered agent, which holds nothing.
func (m *Machine) adopt(v *member) { m.compare(v, nil) }

// forgetOrders drops what was ordered of a member: its session or its stream is another.
func (m *Machine) forgetOrders(v *member) {
	for _, o := range v.fresh {
		m.forget(o)
	}
	for _, o := range v.sent {
		m.forget(o)
	}
	v.fresh, v.sent, v.strays = nil, nil, nil
}

func (m *Machine) forget(o *order) {
	if m.orders.of[o.key] == o {
		delete(m.orders.of, o.key)
	}
}

// resend sends a member's orders again: it has its first grant and refused them before.
func (m *Machine) resend(v *member) {
	v.fresh = append(v.sent, v.fresh...)
	v.sent = nil
	m.orders.unsent = append(m.orders.unsent, v)
}

// confirm ends the order to spawn what the state had as Running already, and the agent now says to run.
func (m *Machine) confirm(r *fsm.Report) {
	o := m.orders.of[r.Key]
	if o == nil || o.stop || o.inc != r.Inc || r.Kind != fsm.ReportRunning {
		return
	}
	if c := m.st.Child(r.Key); c != nil && c.Inc == r.Inc && c.Phase == fsm.Running {
		m.forget(o)
	}
}

// strayEnded hears that a stray is gone.
func (m *Machine) strayEnded(s *stream, r *fsm.Report) {
	if v := m.members[s.node]; v != nil && len(v.strays) > 0 {
		v.strays = slices.DeleteFunc(v.strays, func(o *order) bool { return o.key == r.Key && o.inc == r.Inc })
	}
}

// sendOrders sends what is new.
func (m *Machine) sendOrders() {
	for _, v := range m.orders.unsent {
		if len(v.fresh) > 0 || len(v.strays) > 0 {
			m.sendTo(v)
		}
	}
	m.orders.unsent = m.orders.unsent[:0]
}

// repeatOrders sends again what is not confirmed for H: of each agent one frame's worth at a time, longest ago first.
func (m *Machine) repeatOrders() {
	if m.now < m.orders.repeatAt {
		return
	}
	m.orders.repeatAt = never
	h := m.st.Lease().H
	for n := range m.st.Nodes() {
		v := m.know(n)
		again := 0
		for m.now >= v.quiet && again < rpc.MaxBatch && len(v.sent) > 0 && (!m.valid(v, v.sent[0]) || v.sent[0].at+h <= m.now) {
			if o := v.sent[0]; m.valid(v, o) {
				v.fresh = append(v.fresh, o)
				again++
			}
			v.sent = v.sent[1:]
		}
		if again == rpc.MaxBatch {
			v.quiet = m.now + h
		}
		if len(v.fresh) > 0 || len(v.strays) > 0 {
			m.orders.unsent = append(m.orders.unsent, v)
		}
		if len(v.sent) > 0 {
			m.orders.repeatAt = min(m.orders.repeatAt, max(v.sent[0].at+h, v.quiet, m.now+h/8))
		}
	}
}

// valid reports whether an order still says what the state wants of that agent.
func (m *Machine) valid(v *member, o *order) bool {
	if m.orders.of[o.key] != o {
		return false
	}
	c := m.st.Child(o.key)
	return c != nil && c.Inc == o.inc && c.Node == v.name && c.Session == v.session && c.Phase != fsm.Unplaced && o.stop == (c.Phase == fsm.Stopping)
}

// sendTo sends a member its unsent orders in bounded frames. Spawns wait for the session's first grant: its agent refuses
// them before (A4).
func (m *Machine) sendTo(v *member) {
	if !v.connected() || v.down {
		return
	}
	var f rpc.ToAgent
	var kept []*order
	size := 0
	flush := func() {
		if len(f.Spawns)+len(f.Stops) > 0 {
			m.send(v.stream, f)
		}
		f, size = rpc.ToAgent{}, 0
	}
	for _, o := range v.strays {
		if o.at != 0 && m.now < o.at+m.st.Lease().H {
			continue
		}
		timeout := int64(0)
		if c := m.st.Child(o.key); c != nil {
			timeout = int64(c.ShutdownTimeout())
		}
		o.at = m.now
		f.Stops = append(f.Stops, rpc.Stop{Session: v.session, Key: o.key, Inc: o.inc, Timeout: timeout})
		if len(f.Stops) >= rpc.MaxBatch {
			flush()
		}
	}
	for _, o := range v.fresh {
		if !m.valid(v, o) {
			m.forget(o)
			continue
		}
		if v.leaseless && !o.stop {
			kept = append(kept, o)
			continue
		}
		c := m.st.Child(o.key)
		if o.stop {
			f.Stops = append(f.Stops, rpc.Stop{Session: v.session, Key: o.key, Inc: o.inc, Timeout: int64(c.ShutdownTimeout())})
		} else {
			f.Spawns = append(f.Spawns, rpc.Spawn{
				Session: v.session, Key: o.key, Inc: o.inc, Behavior: c.Spec.Behavior, Args: c.Spec.Args,
				InitTimeout: int64(c.InitTimeout()), ShutdownTimeout: int64(c.ShutdownTimeout()),
			})
			size += specSize(c.Spec)
		}
		o.at = m.now
		v.sent = append(v.sent, o)
		if len(f.Spawns)+len(f.Stops) >= rpc.MaxBatch || size >= maxFrameBytes {
			flush()
		}
	}
	flush()
	v.fresh = kept
	if len(v.sent) > 0 || len(v.strays) > 0 {
		m.orders.repeatAt = min(m.orders.repeatAt, m.now+m.st.Lease().H)
	}
}
