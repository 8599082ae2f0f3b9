package fsm

import sup "github.com/supnode/supnode/supervisor"

// byOperator is the reason of a node_draining that somebody asked for; one without a reason is a goodbye.
const byOperator = "drained by an operator"

// drainNode has a node take no more children until that is undone. The leader moves what can run elsewhere, level-triggered:
// what is drained is in the state.
func (s *State) drainNode(c *Drain) Result {
	m := s.member(c.Node)
	if m == nil {
		return refused(nodeNotFound(c.Node))
	}
	outcome := Result{Status: OK, Outcome: &Outcome{Node: c.Node}}
	if m.node.Drained == !c.Undo {
		return outcome
	}
	n := *m.node
	leaving := n.Leaving()
	n.Drained = !c.Undo
	n.Goodbye = n.Drained && leaving
	m.node = &n
	s.noteNode(c.Node)
	switch {
	case leaving || !n.Live():
	case c.Undo:
		n.Status = MemberUp
		s.emit(sup.Event{Type: sup.EventNodeUndrained, Node: c.Node})
	default:
		n.Status = MemberDraining
		s.emit(sup.Event{Type: sup.EventNodeDraining, Node: c.Node, Reason: byOperator})
	}
	return outcome
}

// Mobility says whether a child may be moved off its node. Exactly one holds: Now; Stays, which says why nothing will move
// it; or neither: it has to wait.
type Mobility struct {
	Now   bool
	Stays string
}

// Moves says whether a slot that a node holds may be moved, as far as its own supervisor is concerned; where it could go is
// another question (Ineligible). Nothing is ended that would not run again (S3), no operation is disturbed, and of
// supervisors whose children start strictly one after another (S10) one child moves at a time; the one whose start is under
// way may, since a node that leaves starts nothing any more.
func (s *State) Moves(c *Child) Mobility {
	t := s.trees.get(c.Key.Supervisor)
	switch {
	case t == nil || s.held || c.Phase != Placed && c.Phase != Running || t.head.stopping():
		return Mobility{}
	case c.Started() && c.Spec.Restart.OnNodeLoss() == sup.Remove:
		return Mobility{Stays: "it is temporary: it is never started again, so it stays until it ends"}
	case t.head.Spec.Strategy.InOrder():
		down := t.head.Op != nil && t.head.Op.Down != 0
		return Mobility{Now: !down && c.Phase == Placed || t.head.Op == nil && !t.underway()}
	}
	return Mobility{Now: t.head.Op == nil || t.head.starting()}
}

// move stops a child that is to run elsewhere (S16). One that a Rebalance chose a node for, which can't take it any more,
// stays where it is, unless its node is draining.
func (s *State) move(c *Move) Result {
	t := s.trees.get(c.Key.Supervisor)
	if t == nil {
		return stale()
	}
	child := t.children.get(c.Key.Child)
	if child == nil || c.Inc.IsZero() || child.Inc != c.Inc || !s.Moves(child).Now {
		return stale()
	}
	if child.Toward != "" && !s.reachable(child) {
		child = s.editChild(t, child)
		s.note(child)
		s.aim(child, "")
		if s.Node(child.Node).Status == MemberUp {
			return stale()
		}
	}
	s.stopSlot(t, child, WhyMove)
	return Result{Status: OK}
}

// reachable reports whether the node that a Rebalance chose for a child can take it.
func (s *State) reachable(c *Child) bool {
	n := s.Node(c.Toward)
	return n != nil && s.Ineligible(c, n) == ""
}

// Staying are at most limit children that a draining node keeps, and why, as far as the state knows.
func (s *State) Staying(n sup.NodeName, limit int) (stay []sup.Staying) {
	m := s.member(n)
	if m == nil || m.node.Status != MemberDraining {
		return nil
	}
	for c := range m.slots.all() {
		if len(stay) >= limit {
			break
		}
		if c.Phase == Stopping {
			continue
		}
		why := s.Moves(c).Stays
		if why == "" {
			why = s.nowhere(c)
		}
		if why != "" {
			stay = append(stay, sup.Staying{Supervisor: c.Key.Supervisor, Child: c.Key.Child, Reason: why})
		}
	}
	return stay
}

// nowhere says why no node can take a child; "" = one can.
func (s *State) nowhere(c *Child) string {
	p := &sup.Problem{Code: sup.CodeNoAvailableNode, Detail: "there is no other node"}
	for _, m := range s.members {
		why := s.Ineligible(c, m.node)
		if why == "" {
			return ""
		}
		p.Reasons = append(p.Reasons, sup.NodeReason{Node: m.node.Name, Reason: why})
	}
	return pendingReason(p)
}
