package fsm

import (
	"fmt"
	"slices"
)

// Ineligible says why a node cannot take a child (S28), as far as the state knows; "" = it can. The leader knows more: a
// node whose lease it no longer renews is not eligible either. Avoid is not looked at: it is for the leader to prefer others.
func (s *State) Ineligible(c *Child, n *Node) string {
	switch n.Status {
	case MemberDown:
		return "down"
	case MemberLeft:
		return "left"
	case MemberDraining:
		return "draining"
	}
	if sel := s.Selector(c); sel.Pinned() && sel.Node != n.Name {
		return fmt.Sprintf("the child is pinned to %s", sel.Node)
	}
	if _, ok := slices.BinarySearch(n.Behaviors, c.Spec.Behavior); !ok {
		return fmt.Sprintf("behavior %q is not registered there", c.Spec.Behavior)
	}
	if why := c.Spec.Unmet(n.Tag); why != "" {
		return why
	}
	if c.Spec.MaxPerNode > 0 {
		others := s.CountOf(c.Key.Supervisor, n.Name)
		if c.Phase != Unplaced && c.Node == n.Name {
			others--
		}
		return Crowded(c, others)
	}
	return ""
}

// Crowded says why a node that holds so many other children of its supervisor cannot take a child; "" = it can.
func Crowded(c *Child, others int) string {
	if c.Spec.MaxPerNode == 0 || others < c.Spec.MaxPerNode {
		return ""
	}
	return fmt.Sprintf("it holds %d of the supervisor's children, and max_per_node is %d", others, c.Spec.MaxPerNode)
}

// place takes a placement when everything it expects holds, else ignores it.
func (s *State) place(p Placement) {
	t := s.trees.get(p.Key.Supervisor)
	if t == nil || s.held {
		return
	}
	c, m := t.children.get(p.Key.Child), s.member(p.Node)
	switch {
	case c == nil || c.Phase != Unplaced || !c.Wants || c.NotBefore > s.clock:
		return
	case m == nil || m.node.Session != p.Session || s.Ineligible(c, m.node) != "":
		return
	}
	if sel := s.Selector(c); sel.MovesCursor(p.Node) && t.head.Cursor != p.Node {
		s.edit(t).Cursor = p.Node
	}
	s.seat(t, c, m)
}
