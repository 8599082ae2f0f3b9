package fsm

import sup "github.com/supnode/supnode/supervisor"

// restartGroup makes those run again that the strategy puts in reach of a child that failed and is to run again (S8, S9).
// They go down in reverse start order, and start in order when all of them are down. A failure while a group goes down or
// comes up lets it go down from where the strategy says (S11).
func (s *State) restartGroup(t *tree, failed *Child) {
	from, alone := t.head.Spec.Strategy.Reach(failed.Order)
	if alone {
		return
	}
	h := s.edit(t)
	op := Op{Kind: OpGroup}
	if h.Op != nil {
		op = *h.Op
	}
	if op.Down == 0 {
		op.Cursor = h.NextOrder
	}
	op.Down = from // who is in reach of one that goes down does not fail
	h.Op = &op
	for _, c := range t.from(from - 1) {
		if c == nil || c.Phase != Unplaced || c.Due || c.Why != 0 || c.leaves() {
			continue
		}
		if c.Wants {
			wait := c.NotBefore // S20
			c = s.due(t, s.unwish(t, c))
			c.NotBefore = wait
		} else {
			s.again(t, c) // a transient one that had ended (S2)
		}
	}
}

// goesDown reports whether a child is in reach of a group that goes down: how it ends makes no difference then.
func (t *tree) goesDown(c *Child) bool {
	return t.head.Op != nil && t.head.Op.Down != 0 && c.Order >= t.head.Op.Down
}

// downNext asks the last child of a group that is not down yet to stop; when none is left the group may come up.
func (s *State) downNext(t *tree) {
	op := *t.head.Op
	for c := range t.downTo(op.Down) {
		if c.Phase != Unplaced {
			s.takeDown(t, c, WhyGroup)
			return
		}
	}
	op.Down, op.Cursor = 0, 0
	s.edit(t).Op = &op
}

// wentDown says that a child of a group is down, however it ended: a temporary one is gone (S3), any other is due. One whose
// first init was outstanding starts with the group. p is for those who wait for one that goes.
func (s *State) wentDown(t *tree, c *Child, p *sup.Problem) {
	if c.Started() && c.Spec.Restart.OnGroupRestart() == sup.Remove {
		s.remove(t, c, p)
		return
	}
	s.again(t, c)
}
