package fsm

import (
	"fmt"
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// checkTree checks a supervisor and its children; it counts who waits for which request, and the seats that are taken.
func (s *State) checkTree(t *tree, waits map[string]int, seats *int) error {
	h := t.head
	if len(h.Spec.Children) > 0 {
		return fmt.Errorf("C4: supervisor %q has children in its spec beside those in its records", h.Name)
	}
	var order uint64
	active, outstanding, wants, dues := 0, 0, 0, 0
	onNode := map[sup.NodeName]int{}
	for c := range t.children.all() {
		if t.children.get(c.Key.Child) != c || c.Key.Supervisor != h.Name {
			return fmt.Errorf("C4: child %s is not found under its id", c.Key)
		}
		if c.Order <= order || c.Order > h.NextOrder {
			return fmt.Errorf("C4: child %s has order %d after %d, next %d", c.Key, c.Order, order, h.NextOrder)
		}
		order = c.Order
		if err := s.checkSlot(t, c); err != nil {
			return err
		}
		if err := s.checkSub(t, c); err != nil {
			return err
		}
		if c.Phase == Running {
			active++
		}
		if c.Node != "" {
			onNode[c.Node]++
		}
		if !c.Started() {
			outstanding++
		}
		if c.Wants {
			wants++
		}
		if c.Due {
			dues++
		}
		if c.Seat != 0 {
			*seats++
		}
		for _, w := range c.Waiters {
			waits[w.Key]++
		}
	}
	if active != t.active || len(onNode) != len(t.onNode) {
		return fmt.Errorf("C9: supervisor %q has %d running on %d nodes; counted %d on %d", h.Name, active, len(onNode), t.active, len(t.onNode))
	}
	for n, k := range onNode { // any order: each is compared
		if t.onNode[n] != k {
			return fmt.Errorf("C9: supervisor %q has %d slots on %s; counted %d", h.Name, k, n, t.onNode[n])
		}
	}
	held := t.heldSubs()
	for _, k := range onNode { // any order: it is a sum
		held += k
	}
	if n := t.countSubs(); n != t.subs {
		return fmt.Errorf("C9: supervisor %q has %d supervisors; counted %d", h.Name, n, t.subs)
	}
	if held != t.held || wants != t.wants || dues != t.dues {
		return fmt.Errorf("C9: supervisor %q has %d slots held, %d wanting, %d due; counted %d, %d, %d", h.Name, held, wants, dues, t.held, t.wants, t.dues)
	}
	if err := s.checkOp(t, outstanding, waits); err != nil {
		return err
	}
	if err := s.checkOrder(t); err != nil {
		return err
	}
	in := h.intensity()
	if !slices.IsSorted(h.Stamps) || len(h.Stamps) > in.MaxRestarts || len(h.Stamps) > 0 && h.Stamps[len(h.Stamps)-1] > s.clock {
		return fmt.Errorf("C7: supervisor %q has window %v at %d, max %d", h.Name, h.Stamps, s.clock, in.MaxRestarts)
	}
	return nil
}

func (s *State) checkSlot(t *tree, c *Child) error {
	bad := func(why string) error {
		return fmt.Errorf("C1: slot %s is %s, wants=%t, why=%s, node=%q, incarnation=%s, seat=%d: %s", c.Key, c.Phase, c.Wants, c.Why,
			c.Node, c.Inc, c.Seat, why)
	}
	stopping := t.head.stopping()
	switch {
	case c.Phase > Stopping || c.Why > WhyChange || c.Part > PartStarts:
		return bad("no such phase")
	case c.Phase == Unplaced && (c.Node != "" || !c.Session.IsZero() || !c.Inc.IsZero()):
		return bad("a free slot has a holder")
	case c.Phase != Unplaced && (c.Wants || c.NotBefore != 0 || c.PendingReason != ""):
		return bad("a held slot wants a node")
	case c.Due && (c.Phase != Unplaced || c.Wants || c.Why != 0 || stopping || !t.head.Spec.Strategy.InOrder()):
		return bad("it is due and cannot be")
	case !c.Wants && (c.NotBefore != 0 && !c.Due || c.PendingReason != ""):
		return bad("a slot waits for what it does not want")
	case c.Phase == Unplaced && c.Hanging:
		return bad("it hangs and is nowhere")
	case c.Phase == Stopping && c.Why == 0:
		return bad("it stops for no reason")
	case (c.Phase == Placed || c.Phase == Running) && c.Why != 0:
		return bad("it is to stop and was not told")
	case c.Phase == Unplaced && c.Why != 0 && (!s.held || c.Wants):
		return bad("a stop is owed without a hold")
	case c.IsSupervisor() && (c.Wants || c.Node != "" || !c.Inc.IsZero() || c.Seat != 0):
		return bad("a supervisor has no node")
	case !c.IsSupervisor() && (c.Seat != 0) != (c.Wants || c.Phase != Unplaced) || c.Seat > s.ticket:
		return bad("its seat is wrong")
	case c.Wants && stopping:
		return bad("it wants to run while its supervisor stops")
	case c.Phase == Stopping && stopping && c.Why != WhyShutdown && c.Why != WhyTerminate:
		return bad("it is to run again while its supervisor stops")
	case c.Part != 0 && !t.head.applying():
		return bad("it has a part in a change that is not made")
	case c.leaves() && (c.Wants || c.Due || c.Phase == Unplaced && c.Part == PartGone && c.Why == 0 || t.head.Op.Next == nil):
		return bad("it does not leave")
	case c.Part == PartStarts && (c.Phase == Running || c.Phase == Unplaced && !c.Wants && !c.Due && c.Why == 0 || t.head.Op.Next != nil && !c.Due && !c.IsSupervisor()):
		return bad("it does not start")
	case !c.Started() && c.Phase == Unplaced && !c.Wants && !c.Due && c.Why == 0 && !stopping && c.Part != PartReplaced:
		return bad("it never ran and never will")
	case c.Phase == Running && c.LastNode != c.Node:
		return bad("it runs where it did not start")
	case c.Toward != "" && (c.Phase == Placed || c.Toward == c.Node):
		return bad("C10: it is to move where it is, or was placed already")
	case len(c.Waiters) > 0 && c.Phase == Unplaced && !c.Wants && !c.Due && c.Why == 0 && c.Part != PartReplaced:
		return bad("a request waits for a slot that does nothing")
	}
	if c.Phase == Unplaced || c.IsSupervisor() {
		return nil
	}
	m := s.member(c.Node)
	if m == nil || !m.node.Live() || m.node.Session != c.Session || c.Session.Gen != s.gen || c.Inc.Gen != s.gen || c.Inc.Index > s.index {
		return fmt.Errorf("C2: slot %s is held by %s in session %s, incarnation %s, at entry %d of generation %d", c.Key, c.Node, c.Session, c.Inc, s.index, s.gen)
	}
	return nil
}

// checkSub checks a child that is a supervisor against the record of that.
func (s *State) checkSub(t *tree, c *Child) error {
	if !c.IsSupervisor() {
		return nil
	}
	status := sup.StatusStopped
	sub := s.trees.get(c.Key.Supervisor.Sub(c.Key.Child))
	if sub != nil {
		status = sub.head.Status
	}
	fits := false
	switch c.Phase {
	case Unplaced:
		fits = status == sup.StatusStopped
	case Placed:
		fits = status == sup.StatusStarting || status == sup.StatusStopping
	case Running:
		fits = status == sup.StatusRunning || status == sup.StatusStopping
	case Stopping:
		fits = status == sup.StatusStopping
	}
	if !fits {
		return fmt.Errorf("C14: child %s is %s, and the supervisor is %s", c.Key, c.Phase, status)
	}
	return nil
}

func (t *tree) countSubs() (n int) {
	for c := range t.children.all() {
		if c.IsSupervisor() {
			n++
		}
	}
	return n
}

func (t *tree) heldSubs() (n int) {
	for c := range t.children.all() {
		if c.IsSupervisor() && c.Phase != Unplaced {
			n++
		}
	}
	return n
}

func (s *State) checkOp(t *tree, outstanding int, waits map[string]int) error {
	h := t.head
	bad := func(why string) error {
		return fmt.Errorf("C5: supervisor %q is %s with operation %+v and %d children: %s", h.Name, h.Status, h.Op, t.children.len(), why)
	}
	for _, q := range h.Queue {
		waits[q.Key]++
	}
	switch op := h.Op; h.Status {
	case sup.StatusStarting:
		if op == nil || op.Kind != OpStarting || op.Left != outstanding || op.Left == 0 && !h.Spec.Strategy.InOrder() {
			return bad(fmt.Sprintf("%d first inits are outstanding", outstanding))
		}
	case sup.StatusRunning:
		if op == nil && len(h.Queue) > 0 || op != nil && op.Kind != OpApplying && (op.Kind != OpGroup || !h.Spec.Strategy.InOrder()) {
			return bad("it runs, and nothing keeps it from carrying out what it is asked")
		}
		if h.applying() {
			if err := s.checkChange(t); err != nil {
				return err
			}
		}
	case sup.StatusStopping:
		if op == nil || op.Kind != OpStopping || len(h.Queue) > 0 {
			return bad("it does not stop")
		}
		if h.simple() {
			for c := range t.children.all() {
				if !s.held && c.Phase != Stopping {
					return bad("a child of simple_one_for_one was not told to stop")
				}
			}
			if !s.held && t.children.len() == 0 {
				return bad("it waits for no child")
			}
			break
		}
		if last := t.children.last(); !s.held && (last == nil || last.Phase != Stopping || last.Order != op.Cursor) {
			return bad("it waits for no child")
		}
	case sup.StatusStopped:
		if op != nil || len(h.Queue) > 0 || t.children.len() > 0 || h.Stopped == 0 {
			return bad("something of it is left")
		}
	default:
		return bad("no such status")
	}
	if h.Op != nil {
		for _, k := range h.Op.Starters {
			waits[k]++
		}
		for _, k := range h.Op.Waiters {
			waits[k]++
		}
	}
	if len(h.Queue) > MaxQueue {
		return bad("its queue is too long")
	}
	return nil
}

// checkOrder checks a supervisor whose children start in order. While the state is Held it does not go on.
func (s *State) checkOrder(t *tree) error {
	h := t.head
	bad := func(why string) error {
		return fmt.Errorf("C11: supervisor %q is %s with operation %+v, %d busy, %d due: %s", h.Name, h.Status, h.Op, t.busy(), t.dues, why)
	}
	if !h.Spec.Strategy.InOrder() || h.stopping() || h.Status == sup.StatusStopped || s.held {
		return nil
	}
	starting := 0
	for c := range t.children.all() {
		if c.Wants || c.Phase == Placed && !t.goesDown(c) {
			starting++
		}
		if c.Due && c.Order < t.dueFrom {
			return bad(fmt.Sprintf("%s is due and not looked for", c.Key))
		}
	}
	down := h.Op != nil && h.Op.Down != 0
	switch {
	case starting > 1:
		return bad("several children start")
	case t.dues > 0 && t.busy() == 0 && !down:
		return bad("nothing starts what is due")
	case (h.Op != nil) != t.underway():
		return bad("its operation does not tell what it does")
	case !down && h.Op != nil && h.Op.Cursor != 0 && h.Op.Next == nil:
		return bad("a cursor without a group that goes down")
	case down && h.Op.Cursor < h.Op.Down:
		return bad("the cursor is not in the group")
	}
	for c := range t.children.all() {
		switch {
		case !t.goesDown(c):
		case c.Order > h.Op.Cursor && !c.Due && !c.leaves():
			return fmt.Errorf("C12: %s is behind the cursor of %+v, and %s", c.Key, h.Op, c.Phase)
		case c.Order == h.Op.Cursor && c.Phase != Stopping:
			return fmt.Errorf("C12: %s is at the cursor of %+v, and %s", c.Key, h.Op, c.Phase)
		case c.Wants:
			return fmt.Errorf("C12: %s wants to run while its group goes down", c.Key)
		}
	}
	return nil
}

// checkChange checks a supervisor that is made as a manifest says. While the state is Held it does not go on.
func (s *State) checkChange(t *tree) error {
	op := t.head.Op
	bad := func(why string) error {
		return fmt.Errorf("C13: supervisor %q has operation %+v and %d children: %s", t.head.Name, op, t.children.len(), why)
	}
	starts, leaves := 0, 0
	for c := range t.children.all() {
		switch {
		case c.Part == PartStarts:
			starts++
		case c.leaves() && c.Phase != Unplaced:
			leaves++
			if op.Down == 0 && op.Cursor != 0 && c.Order > op.Cursor {
				return bad(fmt.Sprintf("%s is behind the cursor, and %s", c.Key, c.Phase))
			}
			if op.Down == 0 && c.Order == op.Cursor && c.Phase != Stopping {
				return bad(fmt.Sprintf("%s is at the cursor, and %s", c.Key, c.Phase))
			}
		}
	}
	switch {
	case op.Left != starts:
		return bad(fmt.Sprintf("it starts %d children", starts))
	case s.held || op.Down != 0:
	case op.Next != nil && leaves == 0:
		return bad("it waits for no child to go down")
	case op.Next == nil && starts == 0 && !t.underway():
		return bad("it is over")
	}
	return nil
}
