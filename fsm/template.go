package fsm

import (
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// simple reports whether the supervisor's children are made from a template (S34).
func (h *Supervisor) simple() bool { return h.Spec.Strategy == sup.SimpleOneForOne }

// next is the spec of the next child made from the template. The number in its id is the child's Order, which is never
// given twice while the supervisor lives.
func (h *Supervisor) next(args [][]byte) sup.ChildSpec {
	return h.Spec.ChildTemplate.Make(sup.NthChild(h.NextOrder+1), args)
}

// startFromTemplate adds a child made from the template; the request is done when its init has returned (S31, S34).
func (s *State) startFromTemplate(t *tree, key string, c *StartChild) Result {
	h := t.head
	limit := h.Spec.MaxChildren
	if limit == 0 {
		limit = MaxChildren
	}
	spec := h.next(c.Args)
	switch {
	case c.Spec != nil:
		return refused(wrongStrategy(h))
	case t.children.len() >= limit:
		return refused(quota(h.Name, "", "children of supervisor "+string(h.Name), int64(limit)))
	}
	if wrong := spec.ArgsBeyond(); wrong != nil {
		return refused(sup.InvalidSpec(wrong))
	}
	s.await(t, s.addChild(t, spec), key, false)
	return Result{Status: Pending}
}

// Awaits is the child of a supervisor for which the request under key waits to run; empty when there is none.
func (s *State) Awaits(n sup.Name, key string) sup.ChildID {
	t := s.trees.get(n)
	if t == nil {
		return ""
	}
	for i := len(t.children.rows) - 1; i >= t.children.head; i-- { // most likely among the newest
		c := t.children.rows[i]
		if c == nil {
			continue
		}
		for _, w := range c.Waiters {
			if w.Key == key && !w.Gone {
				return c.Key.Child
			}
		}
	}
	return ""
}

// stopTogether carries on the stop of children that do not depend on each other: all are asked at once (S13), which the
// operation's cursor says.
func (s *State) stopTogether(t *tree) {
	if t.head.Op.Cursor != 0 {
		return
	}
	for _, c := range slices.Collect(t.children.all()) {
		switch c.Phase {
		case Unplaced:
			s.drop(t, c, nil)
		case Placed, Running:
			s.stopSlot(t, c, WhyShutdown)
		}
	}
	op := *t.head.Op
	op.Cursor = t.head.NextOrder
	s.edit(t).Op = &op
}
