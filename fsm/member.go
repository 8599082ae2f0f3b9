package fsm

import (
	"fmt"
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// register gives a node a new session, and ends the one that it replaces (A4, P1).
func (s *State) register(c *Register) Result {
	i, known := s.memberAt(c.Node)
	var current sup.Session
	if known {
		n := s.members[i].node
		current = n.Session
		if n.ID != c.ID {
			remedy := fmt.Sprintf("run `supnode nodes remove %s` when the former one is gone for good", c.Node)
			if n.Voter {
				remedy = "put the directory back"
			}
			return Result{Status: Refused, Nonce: c.Nonce, Session: current, Problem: &sup.Problem{
				Code: sup.CodeNodeInUse, Node: c.Node,
				Detail: fmt.Sprintf("the name %s belongs to the node with id %s, this one has id %s: its data directory was emptied or "+
					"replaced; give the node another name, or %s", c.Node, n.ID, c.ID, remedy),
			}}
		}
	}
	if c.Replaces != current {
		return Result{Status: Stale, Nonce: c.Nonce, Session: current}
	}
	if !known {
		if len(s.members) >= MaxNodes {
			return Result{Status: Refused, Nonce: c.Nonce, Problem: quota("", "", "nodes", MaxNodes)}
		}
		s.members = slices.Insert(s.members, i, &member{node: &Node{Name: c.Node, Status: MemberLeft}})
	}
	s.remember(c.Node)
	m := s.members[i]
	live, drained := m.node.Live(), m.node.Drained
	s.session++
	m.node = &Node{
		Name: c.Node, ID: c.ID, Session: sup.Session{Gen: s.gen, Seq: s.session}, Status: MemberUp, Addr: c.Addr, Admin: c.Admin,
		Voter: c.Voter, Tags: c.Tags, Behaviors: c.Behaviors, Level: c.Level, Drained: drained,
	}
	if drained {
		m.node.Status = MemberDraining
	}
	s.noteNode(c.Node)
	s.undelivered(c.Node)
	if live {
		s.loseNode(m, whyAnew, true)
	}
	s.emit(sup.Event{Type: sup.EventNodeJoined, Node: c.Node})
	if drained {
		s.emit(sup.Event{Type: sup.EventNodeDraining, Node: c.Node, Reason: byOperator})
	}
	return Result{Status: OK, Nonce: c.Nonce, Session: m.node.Session}
}

// leave begins a goodbye: the node takes nothing more, and what it has moves, uncounted (P3).
func (s *State) leave(c *Leave) Result {
	m := s.member(c.Node)
	if m == nil || !m.node.Live() || m.node.Leaving() || m.node.Session != c.Session {
		return stale()
	}
	if m.node.Drained {
		n := *m.node
		n.Goodbye = true
		m.node = &n
		s.noteNode(n.Name)
	} else {
		s.setNode(m, MemberDraining)
		s.emit(sup.Event{Type: sup.EventNodeDraining, Node: c.Node})
	}
	if c.Paced {
		return Result{Status: OK}
	}
	for _, slot := range s.affected(m) {
		t := s.trees.get(slot.Key.Supervisor)
		// The children of a stopping supervisor, of a group that goes down, or that leave with a change, stop in its order, not in that
		// of the node.
		if slot.Phase != Stopping && t.head.Status != sup.StatusStopping && !t.goesDown(slot) && !slot.leaves() {
			s.stopSlot(t, slot, WhyMove)
		}
	}
	return Result{Status: OK}
}

// left ends the session of a process that has stopped everything. What is still on it was not handed over.
func (s *State) left(c *Left) Result {
	m := s.member(c.Node)
	if m == nil || !m.node.Live() || m.node.Session != c.Session {
		return stale()
	}
	s.setNode(m, MemberLeft)
	e := sup.Event{Type: sup.EventNodeLeft, Node: c.Node}
	if c.Why != "" && m.slots.len() > 0 {
		e.Reason = truncate(c.Why, MaxReason)
		for _, slot := range s.affected(m) {
			e.AffectedChildren = append(e.AffectedChildren, slot.Key)
		}
	}
	s.emit(e)
	s.loseNode(m, whyLeft, false)
	return Result{Status: OK}
}

func (s *State) setNode(m *member, status NodeStatus) {
	n := *m.node
	if n.Status = status; !n.Live() {
		n.Goodbye = false
	}
	m.node = &n
	s.noteNode(n.Name)
}
