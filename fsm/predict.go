package fsm

import sup "github.com/supnode/supnode/supervisor"

// Prospect is a slot that a command will make want a node, as far as the state can tell before it is applied.
type Prospect struct {
	Child    *Child // as it will be when it wants a node: its spec, what it avoids
	Selector sup.Selector
	Home     sup.NodeName // of its supervisor
	Cursor   sup.NodeName // of its supervisor
	Spread   string       // of its supervisor
	// Nth is the number in the id of a child made from a template, when no other one is made before it; 0 = the id is given.
	Nth uint64
}

// Prospects are the slots that a command will make want a node, with what is needed to choose one, so that the leader can
// propose nodes for them in the same entry. It is a prediction: a slot left out is placed by a later entry, one too many is
// ignored by Apply.
func (s *State) Prospects(c Command) []Prospect {
	if s.held || c.Request != nil && s.requests.get(c.Request.Key) != nil {
		return nil
	}
	switch {
	case c.StartSupervisor != nil:
		return s.prospectsOfStart(c.StartSupervisor)
	case c.ApplyManifest != nil:
		return s.prospectsOfApply(c.ApplyManifest)
	case c.StartChild != nil:
		if t := s.trees.get(c.StartChild.Supervisor); t.idle() {
			return t.prospectOfAdd(c.StartChild)
		}
	case c.RestartChild != nil:
		t := s.trees.get(c.RestartChild.Key.Supervisor)
		if child := s.Child(c.RestartChild.Key); child != nil && t.idle() && child.Phase == Unplaced && child.Why == 0 {
			return t.starts(child, "")
		}
	case c.Report != nil:
		if child := s.Child(c.Report.Key); child != nil && child.Inc == c.Report.Inc && child.Phase != Unplaced {
			return s.prospectOfReport(c.Report, child)
		}
	case c.NodeDown != nil:
		return s.prospectsOfLoss(c.NodeDown.Node, c.NodeDown.Session)
	case c.Left != nil:
		return s.prospectsOfLoss(c.Left.Node, c.Left.Session)
	case c.Register != nil:
		return s.prospectsOfLoss(c.Register.Node, c.Register.Replaces)
	}
	return nil
}

// idle reports whether start_child and restart_child are carried out at once.
func (t *tree) idle() bool { return t != nil && t.head.Status == sup.StatusRunning && t.head.Op == nil }

func (t *tree) prospectOfAdd(c *StartChild) []Prospect {
	if c == nil {
		return nil
	}
	if t.head.simple() && c.Spec == nil {
		spec := t.head.next(c.Args)
		p := t.prospect(&Child{Key: sup.Key{Supervisor: t.head.Name, Child: spec.ID}, Spec: &spec}, "")
		p.Nth = t.head.NextOrder + 1
		return []Prospect{p}
	}
	if c.Spec == nil || t.children.get(c.Spec.ID) != nil {
		return nil
	}
	return t.starts(&Child{Key: sup.Key{Supervisor: t.head.Name, Child: c.Spec.ID}, Spec: c.Spec}, "")
}

// prospectOfTurn is that of a child whose turn comes; none when it has to wait then (S20).
func (t *tree) prospectOfTurn(c *Child, avoid sup.NodeName) []Prospect {
	if c.NotBefore != 0 {
		return nil
	}
	return t.starts(c, avoid)
}

// starts are those of a child that starts: of a supervisor, those of its children.
func (t *tree) starts(c *Child, avoid sup.NodeName) []Prospect {
	if !c.IsSupervisor() {
		return []Prospect{t.prospect(c, avoid)}
	}
	spec := *c.Spec.Supervisor
	if spec.Selector == nil {
		selector := t.head.selector()
		spec.Selector = &selector
	}
	return prospectsOfTree(&Supervisor{Name: c.Key.Supervisor.Sub(c.Key.Child), Spec: &spec, Home: t.head.Home})
}

func (t *tree) prospect(c *Child, avoid sup.NodeName) Prospect {
	p := Prospect{
		Child: &Child{Key: c.Key, Spec: c.Spec, Order: c.Order, Wants: true, LastNode: c.LastNode, RestartCount: c.RestartCount, Toward: c.Toward},
		Home:  t.head.Home, Cursor: t.head.Cursor, Selector: t.head.selector(), Spread: t.head.Spec.Spread,
	}
	if c.Spec.Selector != nil {
		p.Selector = *c.Spec.Selector
	}
	switch {
	case c.Due:
		p.Child.Avoid = c.Avoid
	case avoid != "":
		p.Child.Avoid = []sup.NodeName{avoid}
	}
	return p
}

func (s *State) prospectsOfStart(c *StartSupervisor) []Prospect {
	if t := s.trees.get(c.Spec.Name); t != nil && t.head.Status != sup.StatusStopped {
		return nil
	}
	return prospectsOfTree(&Supervisor{Name: c.Spec.Name, Spec: &c.Spec, Home: c.Home})
}

// prospectsOfTree are those of a supervisor that starts, with all its children in its spec.
func prospectsOfTree(h *Supervisor) []Prospect {
	t := &tree{head: h}
	first := len(h.Spec.Children)
	if h.Spec.Strategy.InOrder() {
		first = min(first, 1)
	}
	prospects := make([]Prospect, 0, first)
	for i := range first {
		spec := h.Spec.Children[i]
		if spec.Selector == nil && spec.Supervisor == nil { // the state may have a stopped one of this name, with another selector
			selector := t.head.selector()
			spec.Selector = &selector
		}
		prospects = append(prospects, t.starts(&Child{Key: sup.Key{Supervisor: h.Name, Child: spec.ID}, Spec: &spec}, "")...)
	}
	return prospects
}

func (s *State) prospectOfReport(r *Report, c *Child) []Prospect {
	t := s.trees.get(c.Key.Supervisor)
	switch {
	case r.Kind == ReportHanging || t.head.stopping():
		return nil
	case c.leaves() && r.Kind != ReportRunning:
		return t.prospectsOfTakeOver(c)
	case r.Kind == ReportRunning:
		if c.Phase != Placed {
			return nil
		}
		return s.afterInit(t, c)
	case r.Kind == ReportMoved && c.Phase != Stopping:
		moving := *c
		moving.Phase, moving.Why = Stopping, WhyMove
		return t.next([]end{t.afterStop(&moving)}, 0)
	case r.Kind == ReportEnded && r.Reason == sup.ExitNodeDown:
		return s.prospectsOfEnds(t, []*Child{c})
	case c.Phase == Stopping || t.goesDown(c):
		return t.next([]end{t.afterStop(c)}, 0)
	case r.Kind == ReportInitFailed && !c.Started():
		return t.next([]end{{child: c}}, 0)
	}
	e, reason := end{child: c}, r.Reason
	if r.Kind == ReportInitFailed {
		reason, e.avoid = sup.ExitError, c.Node
	}
	if c.Spec.Restart.OnExit(reason) != sup.RunAgain {
		return t.next([]end{e}, 0)
	}
	if _, ok := t.head.intensity().Count(t.head.Stamps, s.clock); !ok || c.Spec.Backoff != nil {
		return nil
	}
	e.again = true
	return t.next([]end{e}, c.Order)
}

// afterInit are those whose turn comes when the init of a child returns, which may complete the start of its supervisor.
func (s *State) afterInit(t *tree, c *Child) []Prospect {
	h, inOrder := t.head, t.head.Spec.Strategy.InOrder()
	switch {
	case inOrder && t.busy() > 1:
		return nil
	case t.dues > 0:
		return t.prospectOfTurn(t.nextDue(), "")
	case h.starting() && (inOrder || !c.Started() && h.Op.Left == 1):
		if p, sub := s.parent(h.Name); p != nil && sub.Phase == Placed {
			return s.afterInit(p, sub)
		}
	}
	if inOrder && len(h.Queue) > 0 {
		return t.prospectOfAdd(h.Queue[0].StartChild)
	}
	return nil
}

func (s *State) prospectsOfLoss(n sup.NodeName, session sup.Session) []Prospect {
	m := s.member(n)
	if m == nil || !m.node.Live() || m.node.Session != session {
		return nil
	}
	var prospects []Prospect
	for slots := s.affected(m); len(slots) > 0; {
		n := inOneTree(slots)
		prospects = append(prospects, s.prospectsOfEnds(s.trees.get(slots[0].Key.Supervisor), slots[:n])...)
		slots = slots[n:]
	}
	return prospects
}

// prospectsOfEnds are the prospects of the loss of slots of one supervisor, in start order.
func (s *State) prospectsOfEnds(t *tree, slots []*Child) []Prospect {
	if t.head.stopping() {
		return nil
	}
	ends, failed := make([]end, 0, len(slots)), uint64(0)
	for _, c := range slots {
		e := end{child: c, avoid: c.Node}
		switch {
		case c.Phase == Stopping || t.goesDown(c):
			e = t.afterStop(c)
		case !c.Started():
			e.again = true
		case c.Spec.Restart.OnNodeLoss() == sup.RunAgain:
			e.again = true
			if failed == 0 {
				failed = c.Order
			}
		}
		ends = append(ends, e)
	}
	return t.next(ends, failed)
}

// end is what a prediction takes as the end of a child that holds a slot.
type end struct {
	child *Child
	again bool // it is to run again
	avoid sup.NodeName
}

// afterStop is the end of a child that was asked to stop, or is going to be.
func (t *tree) afterStop(c *Child) end {
	e := end{child: c}
	switch {
	case c.Why == WhyRestart:
		e.again = true
	case c.Why == WhyMove:
		e.again = !c.Started() || c.Spec.Restart.OnNodeLoss() == sup.RunAgain
	case c.Why == WhyGroup || c.Why == 0:
		e.again = !c.Started() || c.Spec.Restart.OnGroupRestart() == sup.RunAgain
	}
	return e
}

// next are the children that start when others have ended, of which the one at place failed in the start order is the first
// that failed (0 = none did). Where children start in order it is one at most, and none while others are on their way.
func (t *tree) next(ends []end, failed uint64) []Prospect {
	var prospects []Prospect
	if !t.head.Spec.Strategy.InOrder() {
		for _, e := range ends {
			if e.again {
				prospects = append(prospects, t.starts(e.child, e.avoid)...)
			}
		}
		return prospects
	}
	ended, busy := make(map[uint64]end, len(ends)), t.busy()
	for _, e := range ends {
		ended[e.child.Order] = e
		if e.child.Phase != Running {
			busy--
		}
	}
	from := uint64(1 << 63) // of the group that is to be down
	if t.head.Op != nil && t.head.Op.Down != 0 {
		from = t.head.Op.Down
	}
	if failed != 0 {
		reach, _ := t.head.Spec.Strategy.Reach(failed)
		from = min(from, reach)
	}
	if busy > 0 && failed == 0 || t.upFrom(from, ended) {
		return nil
	}
	first := from // no child before it can be the one
	if t.dues > 0 {
		first = min(first, t.dueFrom)
	}
	for _, e := range ends {
		first = min(first, e.child.Order)
	}
	for _, c := range t.from(max(first, 1) - 1) {
		if c == nil {
			continue
		}
		e, gone := ended[c.Order]
		switch {
		case gone && e.again:
			return t.prospectOfTurn(c, e.avoid)
		case !gone && c.Phase == Unplaced && (c.Due || c.Order >= from):
			return t.prospectOfTurn(c, "")
		}
	}
	return nil
}

// upFrom reports whether a child from an Order on still holds its slot when others have ended.
func (t *tree) upFrom(from uint64, ended map[uint64]end) bool {
	rows := t.children.rows[t.children.head:]
	for i := len(rows) - 1; i >= 0 && (rows[i] == nil || rows[i].Order >= from); i-- {
		if rows[i] == nil || rows[i].Phase == Unplaced {
			continue
		}
		if _, gone := ended[rows[i].Order]; !gone {
			return true
		}
	}
	return false
}
