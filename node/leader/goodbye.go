package leader

import (
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
)

// goodbye hears that a node leaves (P3): first its children are moved, then, with everything stopped and reported, its
// session ends. Agents repeat it until it is answered.
func (m *Machine) goodbye(s *stream, g *rpc.Goodbye) {
	v := m.current(s.node)
	over := v == nil || !v.live || v.session != g.Session
	switch {
	case over && g.Done:
		m.send(s, rpc.ToAgent{Farewell: &rpc.Farewell{Done: true}})
	case over:
		m.send(s, rpc.ToAgent{Farewell: &rpc.Farewell{StopInPlace: "the node's session is over"}})
	case g.Done && !v.down:
		v.down = true // it has stopped everything; it gets no more grants (L4)
		m.queues.agents = append(m.queues.agents, newItem(fsm.Command{Left: &fsm.Left{Node: v.name, Session: v.session, Why: g.Why}}, s.id))
	case g.Done, v.down, v.leaving:
		// it is on its way
	case m.st.Node(v.name).Leaving():
		if d := m.moves.of[v.name]; d != nil {
			d.told = 0 // it asks again: it is told again
		}
		m.moves.lookAt = m.now
	default:
		switch other, silent := m.others(v); {
		case !other && silent:
			return // one may turn up, as after a change of leader, or is declared dead in time; the agent asks again
		case !other:
			m.send(s, rpc.ToAgent{Farewell: &rpc.Farewell{StopInPlace: "no other node is up that could take its children"}})
			return
		}
		v.leaving = true
		m.queues.agents = append(m.queues.agents, newItem(fsm.Command{Leave: &fsm.Leave{Node: v.name, Session: v.session, Paced: true}}, s.id))
		m.moves.lookAt = m.now
	}
}

// others reports whether a node other than v may take children, and whether one may that is silent at the moment.
func (m *Machine) others(v *member) (other, silent bool) {
	for n := range m.st.Nodes() {
		if n.Name == v.name || n.Status != fsm.MemberUp {
			continue
		}
		w := m.know(n)
		other = other || m.candidate(w)
		silent = silent || !m.candidate(w) && !w.down && !w.leaving
	}
	return other, silent
}

// left tells the agent that its session has ended and its process may.
func (m *Machine) left(l *fsm.Left) {
	if v := m.members[l.Node]; v != nil && v.stream != nil {
		m.send(v.stream, rpc.ToAgent{Farewell: &rpc.Farewell{Done: true}})
	}
}
