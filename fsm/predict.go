package fsm

import sup "github.com/supnode/supnode/supervisor"

// Prospect is a slot that a command will make want a node, as far as the state can tell before it is applied.
type Prospect struct {
	Child    *Child // as it will be when it wants a node: its spec, what it avoids
	Selector sup.Selector
	Home     sup.NodeName // of its supervisor
	Cursor   sup.NodeName // of its supervisor
	// Nth is the number in the id of a child made from a template, when no other one is made before it; 0 = the id is given.
	Nth uint64
}

// Starts are the slots that a command will make want a node, so that the leader can propose nodes for them in the same
// entry. It is a prediction: a slot left out is placed by a later entry, one too many is ignored by Apply.
func (s *State) Starts(c Command) []sup.Key {
	var keys []sup.Key
	for _, p := range s.Prospects(c) {
		keys = append(keys, p.Child.Key)
	}
	return keys
}

// Prospects is Starts with what is needed to choose nodes for slots that are not there yet.
func (s *State) Prospects(c Command) []Prospect {
	if s.held || c.Request != nil && s.requests.get(c.Request.Key) != nil {
		return nil
	}
	switch {
	case c.StartSupervisor != nil:
		return s.prospectsOfStart(c.StartSupervisor)
	case c.StartChild != nil:
		t := s.trees.get(c.StartChild.Supervisor)
		if t.idle() && t.head.simple() && c.StartChild.Spec == nil {
			spec := t.head.next(c.StartChild.Args)
			p := t.prospect(&Child{Key: sup.Key{Supervisor: t.head.Name, Child: spec.ID}, Spec: &spec}, "")
			p.Nth = t.head.NextOrder + 1
			return []Prospect{p}
		}
		if spec := c.StartChild.Spec; spec != nil && t.idle() && t.children.get(spec.ID) == nil {
			return []Prospect{t.prospect(&Child{Key: sup.Key{Supervisor: t.head.Name, Child: spec.ID}, Spec: spec}, "")}
		}
	case c.RestartChild != nil:
		t := s.trees.get(c.RestartChild.Key.Supervisor)
		if child := s.Child(c.RestartChild.Key); child != nil && t.idle() && child.Phase == Unplaced && child.Why == 0 {
			return []Prospect{t.prospect(child, "")}
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

func (t *tree) prospect(c *Child, avoid sup.NodeName) Prospect {
	p := Prospect{
		Child: &Child{Key: c.Key, Spec: c.Spec, Order: c.Order, Wants: true, LastNode: c.LastNode, RestartCount: c.RestartCount, Toward: c.Toward},
		Home:  t.head.Home, Cursor: t.head.Cursor, Selector: t.head.selector(),
	}
	if c.Spec.Selector != nil {
		p.Selector = *c.Spec.Selector
	}
	if avoid != "" {
		p.Child.Avoid = []sup.NodeName{avoid}
	}
	return p
}

func (s *State) prospectsOfStart(c *StartSupervisor) []Prospect {
	if t := s.trees.get(c.Spec.Name); t != nil && t.head.Status != sup.StatusStopped {
		return nil
	}
	t := &tree{head: &Supervisor{Name: c.Spec.Name, Spec: &c.Spec, Home: c.Home}}
	prospects := make([]Prospect, 0, len(c.Spec.Children))
	for i := range c.Spec.Children {
		spec := c.Spec.Children[i]
		if spec.Selector == nil { // the state may have a stopped supervisor of this name, with another selector
			selector := t.head.selector()
			spec.Selector = &selector
		}
		prospects = append(prospects, t.prospect(&Child{Key: sup.Key{Supervisor: c.Spec.Name, Child: spec.ID}, Spec: &spec}, ""))
	}
	return prospects
}

func (s *State) prospectOfReport(r *Report, c *Child) []Prospect {
	t := s.trees.get(c.Key.Supervisor)
	switch {
	case r.Kind == ReportRunning || t.head.stopping():
		return nil
	case c.Phase == Stopping:
		if c.Why == WhyRestart || c.Why == WhyMove {
			return []Prospect{t.prospect(c, "")}
		}
		return nil
	case r.Kind == ReportEnded && r.Reason == sup.ExitNodeDown:
		return s.prospectOfLoss(t, c)
	case r.Kind == ReportInitFailed && !c.Started():
		return nil
	}
	reason, avoid := r.Reason, sup.NodeName("")
	if r.Kind == ReportInitFailed {
		reason, avoid = sup.ExitError, c.Node
	}
	if c.Spec.Restart.OnExit(reason) != sup.RunAgain {
		return nil
	}
	if _, ok := t.head.intensity().Count(t.head.Stamps, s.clock); !ok || c.Spec.Backoff != nil {
		return nil
	}
	return []Prospect{t.prospect(c, avoid)}
}

func (s *State) prospectsOfLoss(n sup.NodeName, session sup.Session) []Prospect {
	m := s.member(n)
	if m == nil || !m.node.Live() || m.node.Session != session {
		return nil
	}
	var prospects []Prospect
	for _, c := range s.affected(m) {
		prospects = append(prospects, s.prospectOfLoss(s.trees.get(c.Key.Supervisor), c)...)
	}
	return prospects
}

func (s *State) prospectOfLoss(t *tree, c *Child) []Prospect {
	switch {
	case t.head.stopping(), c.Phase == Stopping && c.Why != WhyRestart && c.Why != WhyMove:
		return nil
	case c.Started() && c.Spec.Restart.OnNodeLoss() == sup.Remove && (c.Phase != Stopping || c.Why == WhyMove):
		return nil
	case c.Phase == Stopping:
		return []Prospect{t.prospect(c, "")}
	}
	return []Prospect{t.prospect(c, c.Node)}
}
