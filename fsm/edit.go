package fsm

import (
	"strings"
	"unicode/utf8"

	sup "github.com/supnode/supnode/supervisor"
)

// turn is what one Apply keeps while it runs. Records that it copied carry its rev: it may change those copies in place,
// since nobody else has seen them.
type turn struct {
	rev     uint64 // number of the Apply; never 0, not replicated
	applied Applied
	// open finds the command of this entry whose request is pending, by key, so that its result is the final one.
	open map[string]int
	// gone are the keys of children removed in this turn, whose successors are not noted as changed again.
	gone map[sup.Key]bool
	// stirred are the supervisors that changed since they advanced.
	stirred []*tree
}

// edit is a copy of a supervisor's record that this turn may change.
func (s *State) edit(t *tree) *Supervisor {
	if t.head.rev != s.turn.rev {
		h := *t.head
		h.rev = s.turn.rev
		t.head = &h
	}
	s.stir(t)
	return t.head
}

// editChild is a copy of a child's record that this turn may change, all but its Key, Seat, Phase, Wants, Due and Node: those
// go through wish, unwish, seat and free, which keep the indexes.
func (s *State) editChild(t *tree, c *Child) *Child {
	s.stir(t)
	if c.rev == s.turn.rev {
		return c
	}
	e := *c
	e.rev = s.turn.rev
	t.children.set(&e)
	switch {
	case e.Wants:
		s.wanting.set(&e)
	case e.Node != "":
		s.member(e.Node).slots.set(&e)
	}
	return &e
}

// note records that a slot changed; c is this turn's copy.
func (s *State) note(c *Child) {
	if c.noted == s.turn.rev {
		return
	}
	c.noted = s.turn.rev
	if !s.turn.gone[c.Key] {
		s.turn.applied.Changed = append(s.turn.applied.Changed, c.Key)
	}
}

func (s *State) noteNode(n sup.NodeName) {
	for _, m := range s.turn.applied.Nodes {
		if m == n {
			return
		}
	}
	s.turn.applied.Nodes = append(s.turn.applied.Nodes, n)
}

// wish makes an unplaced slot want a node; a supervisor needs none and starts.
func (s *State) wish(t *tree, c *Child) *Child {
	if c.Phase != Unplaced || c.Wants || c.Why != 0 {
		panic("fsm: slot guard: only a free slot can want a node")
	}
	c = s.editChild(t, c)
	s.note(c)
	if c.Due {
		c.Due = false
		t.dues--
	}
	if c.IsSupervisor() {
		s.raise(t, c)
		return c
	}
	c.Wants, c.Seat = true, s.nextTicket()
	t.wants++
	s.wanting.add(c)
	return c
}

// due makes an unplaced slot want a node: at once, or when its turn comes where children start in order (S10).
func (s *State) due(t *tree, c *Child) *Child {
	if !t.head.Spec.Strategy.InOrder() {
		return s.wish(t, c)
	}
	if c.Phase != Unplaced || c.Wants || c.Why != 0 || c.Due {
		panic("fsm: slot guard: only a free slot can be due")
	}
	c = s.editChild(t, c)
	s.note(c)
	c.Due = true
	if t.dues++; t.dues == 1 || c.Order < t.dueFrom {
		t.dueFrom = c.Order
	}
	return c
}

// unwish takes a slot's wish back, or its turn.
func (s *State) unwish(t *tree, c *Child) *Child {
	if !c.Wants && !c.Due {
		return c
	}
	c = s.editChild(t, c)
	s.note(c)
	if c.Due {
		t.dues--
	} else {
		t.wants--
		s.wanting.drop(c.Seat)
	}
	c.Wants, c.Due, c.Seat, c.NotBefore, c.Avoid, c.PendingReason = false, false, 0, 0, nil, ""
	return c
}

// seat places a wanting slot on a member: Unplaced → Placed. The entry's index is its incarnation's.
func (s *State) seat(t *tree, c *Child, m *member) {
	c = s.editChild(t, c)
	s.note(c)
	s.wanting.drop(c.Seat)
	t.wants--
	c.Phase, c.Wants, c.NotBefore, c.PendingReason = Placed, false, 0, ""
	c.Node, c.Session, c.Inc = m.node.Name, m.node.Session, sup.Incarnation{Gen: s.gen, Index: s.index}
	c.Seat = s.nextTicket()
	s.aim(c, "")
	m.slots.add(c)
	t.hold(c.Node, 1)
}

// free takes a slot off its node, → Unplaced, with the end of its incarnation on record: child_stopped (S44).
func (s *State) free(t *tree, c *Child, reason sup.ExitReason, detail string) *Child {
	if c.Phase == Unplaced {
		panic("fsm: slot guard: a free slot is freed")
	}
	c = s.editChild(t, c)
	s.note(c)
	if c.Node != "" {
		s.member(c.Node).slots.drop(c.Seat)
	}
	t.hold(c.Node, -1)
	if c.Phase == Running {
		t.active--
	}
	s.emit(sup.Event{
		Type: sup.EventChildStopped, Supervisor: c.Key.Supervisor, Child: c.Key.Child, Node: c.Node, Reason: string(reason),
		Incarnation: c.Inc.Token(),
	})
	s.ran(c)
	c.LastExit = &Exit{Reason: reason, Detail: truncate(detail, MaxDetail), At: s.wall}
	if c.Why != WhyMove {
		s.aim(c, "")
	}
	c.Phase, c.Seat, c.Avoid, c.Hanging = Unplaced, 0, nil, false
	c.Node, c.Session, c.Inc = "", sup.Session{}, sup.Incarnation{}
	return c
}

// stopSlot asks a held slot to stop: Placed or Running → Stopping; what follows is in why.
func (s *State) stopSlot(t *tree, c *Child, why Why) {
	c = s.editChild(t, c)
	switch c.Phase {
	case Unplaced:
		panic("fsm: slot guard: a free slot is stopped")
	case Running:
		t.active--
	}
	if c.Phase != Stopping {
		s.note(c)
	}
	c.Phase, c.Why = Stopping, why
	if c.IsSupervisor() {
		s.fell(c)
	}
}

// drop removes a child's record. Those who wait for it to be gone are answered; those who wait for it to run get p.
func (s *State) drop(t *tree, c *Child, p *sup.Problem) {
	if c.Phase != Unplaced {
		panic("fsm: slot guard: a held slot is removed")
	}
	c = s.editChild(t, s.unwish(t, c))
	s.note(c)
	s.aim(c, "")
	t.children.drop(c.Key.Child)
	s.forgo(t, c)
	if c.IsSupervisor() {
		t.subs--
	}
	if s.turn.gone == nil {
		s.turn.gone = map[sup.Key]bool{}
	}
	s.turn.gone[c.Key] = true
	for _, w := range c.Waiters {
		switch {
		case w.Gone:
			s.complete(w.Key, &Outcome{Supervisor: c.Key.Supervisor, Child: c.Key.Child})
		case p == nil:
			panic("fsm: stop: a request still waits for a child that goes")
		default:
			s.complete(w.Key, &Outcome{Supervisor: c.Key.Supervisor, Child: c.Key.Child, Problem: p})
		}
	}
}

// answerRunners gives p to the requests that wait for a child to run; the child stays.
func (s *State) answerRunners(t *tree, c *Child, p *sup.Problem) *Child {
	var rest []Waiter
	for _, w := range c.Waiters {
		if w.Gone {
			rest = append(rest, w)
		}
	}
	if len(rest) == len(c.Waiters) {
		return c
	}
	c = s.editChild(t, c)
	waiters := c.Waiters
	c.Waiters = rest
	for _, w := range waiters {
		if !w.Gone {
			o := &Outcome{Supervisor: c.Key.Supervisor, Child: c.Key.Child, Problem: p}
			if p == nil {
				o.Node, o.Incarnation = c.Node, c.Inc.Token()
			}
			s.complete(w.Key, o)
		}
	}
	return c
}

// await adds a request to those that wait for a child.
func (s *State) await(t *tree, c *Child, key string, gone bool) *Child {
	if key == "" {
		return c
	}
	c = s.editChild(t, c)
	c.Waiters = append(c.Waiters[:len(c.Waiters):len(c.Waiters)], Waiter{Key: key, Gone: gone})
	return c
}

// aim sets where a child is to move; c is this turn's copy.
func (s *State) aim(c *Child, n sup.NodeName) {
	if c.Toward != "" {
		s.aimed--
	}
	if c.Toward = n; n != "" {
		s.aimed++
	}
}

func (s *State) nextTicket() uint64 {
	s.ticket++
	return s.ticket
}

// KeptText is what the log takes of a text that some program's code wrote: valid UTF-8, MaxDetail bytes at most. An entry with
// other text could not be read back, by any replica.
func KeptText(text string) string { return truncate(strings.ToValidUTF8(text, "\uFFFD"), MaxDetail) }

// truncate cuts text to at most n bytes, at the start of a rune.
func truncate(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
