package fsm

import (
	"fmt"

	sup "github.com/supnode/supnode/supervisor"
)

// A child that is a supervisor has a record of its own among the supervisors, SUP/ID, and one among its parent's children,
// without a node. Each level has its strategy, its window and its operation; what passes between the two is here: raise and
// fell go down the tree, rose and fallen come back up.

// raise starts a supervisor that is a child, with its initial children; c is this turn's copy.
func (s *State) raise(t *tree, c *Child) {
	name := c.Key.Supervisor.Sub(c.Key.Child)
	if old := s.trees.get(name); old != nil { // its last run, or that of another child of this name
		s.forget(old)
	}
	c.Phase = Placed
	t.hold("", 1)
	spec := *c.Spec.Supervisor
	if spec.Selector == nil {
		sel := t.head.selector()
		spec.Selector = &sel
	}
	s.raiseTree(spec, &Supervisor{Name: name, Home: t.head.Home, Op: &Op{}})
}

// passSelector has a supervisor's selector, which has changed, hold from now on: for children that wait for a node, and in those
// that are supervisors and name none.
func (s *State) passSelector(t *tree) {
	sel := t.head.selector()
	for c := range t.children.all() {
		switch {
		case !c.IsSupervisor():
			if c.Spec.Selector == nil {
				s.tellAnew(c)
			}
		case c.Phase != Unplaced && c.Spec.Supervisor.Selector == nil:
			sub := s.trees.get(c.Key.Supervisor.Sub(c.Key.Child))
			spec := *sub.head.Spec
			spec.Selector = &sel
			s.edit(sub).Spec = &spec
			s.passSelector(sub)
		}
	}
}

// fell stops the tree of a child, whose slot is Stopping.
func (s *State) fell(c *Child) {
	if t := s.trees.get(c.Key.Supervisor.Sub(c.Key.Child)); !t.head.stopping() {
		s.stop(t, sup.ReasonShutdown, nil)
	}
}

// rose tells the parent of a supervisor that its start is complete.
func (s *State) rose(t *tree) {
	if p, c := s.parent(t.head.Name); p != nil {
		s.runs(p, c)
	}
}

// fallen tells the parent of a supervisor that it has stopped: as it was asked to, or because its start failed, or by itself,
// by its intensity or auto_shutdown, which is an exit `shutdown`.
func (s *State) fallen(h *Supervisor, op *Op) {
	p, c := s.parent(h.Name)
	switch {
	case p == nil:
	case c.Phase == Stopping:
		s.stoppedSlot(p, s.free(p, c, sup.ExitShutdown, ""))
	case op.Remove:
		s.startFailed(p, c, op.Problem, op.Problem.Detail)
	default:
		s.ended(p, c, sup.ExitShutdown, h.Reason)
	}
}

// restarts reports whether a supervisor starts because it, or one that it is part of, is restarted. What a restart cannot place
// waits for a node, other than in a start by call (S19).
func (s *State) restarts(t *tree) bool {
	for t.head.starting() {
		p, c := s.parent(t.head.Name)
		if p == nil || c.Started() {
			return p != nil
		}
		t = p
	}
	return false
}

// parent is the supervisor that a supervisor is a child of, and that child; nil = nobody's child.
func (s *State) parent(n sup.Name) (*tree, *Child) {
	k, ok := n.Parent()
	if !ok {
		return nil, nil
	}
	t := s.trees.get(k.Supervisor)
	return t, t.children.get(k.Child)
}

// maySub refuses a child that is no supervisor for its place: Validate says it with a place in the manifest, before.
func maySub(n sup.Name, c *sup.ChildSpec) *sup.Problem {
	if c.Supervisor == nil {
		return nil
	}
	spec, name := *c.Supervisor, n.Sub(c.ID)
	if n.Depth()+c.Levels() > sup.MaxDepth {
		e := sup.FieldError{Location: "supervisor", Message: fmt.Sprintf("supervisors may be %d levels deep; %s would be deeper", sup.MaxDepth, name)}
		return sup.InvalidSpec([]sup.FieldError{e})
	}
	spec.Name = "sub" // it has none of its own
	if p := mayRun(&spec); p != nil {
		return p
	}
	return mayHave(name, c.Supervisor)
}
