package fsm

import sup "github.com/supnode/supnode/supervisor"

// stir notes that a supervisor changed.
func (s *State) stir(t *tree) {
	if !t.stirred {
		t.stirred = true
		s.turn.stirred = append(s.turn.stirred, t)
	}
}

// advanceAll advances every supervisor that has changed, until nothing changes any more.
func (s *State) advanceAll() {
	for len(s.turn.stirred) > 0 {
		t := s.turn.stirred[0]
		s.turn.stirred = s.turn.stirred[1:]
		t.stirred = false
		if s.trees.get(t.head.Name) == t {
			s.advance(t)
		}
	}
}

// advance takes what a supervisor is about as far as it can go now. It looks at nothing but the state, so that a new leader,
// or a replica that starts from a snapshot, goes on exactly where the last one stopped. While the state is Held nothing
// stops, and nothing starts in order.
func (s *State) advance(t *tree) {
	h := t.head
	switch {
	case h.Status == sup.StatusStopped:
	case h.stopping():
		if !s.held {
			s.stopNext(t)
		}
	case !h.Spec.Strategy.InOrder():
		if h.starting() && h.Op.Left == 0 {
			s.started(t)
			s.drain(t)
		}
		if h.applying() && !s.held && s.changeOn(t) && t.head.Op.Left == 0 {
			s.changed(t)
			s.drain(t)
		}
	case !s.held:
		s.goOn(t)
	}
}

// goOn does the next step of a supervisor whose children start in order (S10): what is to go down does so first, then
// nothing starts while anything starts or stops, then the first that is due.
func (s *State) goOn(t *tree) {
	if t.head.Op != nil && t.head.Op.Down != 0 {
		s.downNext(t)
	}
	if t.head.applying() && t.head.Op.Down == 0 && !s.changeOn(t) {
		return
	}
	if !t.underway() {
		switch {
		case t.head.starting():
			s.started(t)
		case t.head.applying():
			s.changed(t)
		case t.head.Op != nil:
			s.edit(t).Op = nil
		}
		s.drain(t)
	}
	if !t.underway() {
		return
	}
	if t.head.Op == nil {
		s.edit(t).Op = &Op{Kind: OpGroup}
	}
	if t.busy() == 0 {
		s.wish(t, t.nextDue())
	}
	s.changeStuck(t)
}

// underway reports whether children that start in order are on their way: one starts or stops, is due, or is to go down.
func (t *tree) underway() bool {
	return t.head.Spec.Strategy.InOrder() && (t.busy() > 0 || t.dues > 0 || t.head.Op != nil && t.head.Op.Down != 0)
}

// nextDue is the first child in the start order that is due; nil = none.
func (t *tree) nextDue() *Child {
	if t.dues == 0 {
		return nil
	}
	for _, c := range t.from(max(t.dueFrom, 1) - 1) {
		if c != nil && c.Due {
			t.dueFrom = c.Order
			return c
		}
	}
	panic("fsm: advance: a child that is due is not found")
}
