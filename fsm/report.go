package fsm

import sup "github.com/supnode/supnode/supervisor"

// report applies what an agent says of an incarnation. The slot guard takes it only when the slot holds that very
// incarnation, and its running only once.
func (s *State) report(r *Report) Result {
	t := s.trees.get(r.Key.Supervisor)
	if t == nil {
		return stale()
	}
	c := t.children.get(r.Key.Child)
	if c == nil || c.Inc.IsZero() || c.Inc != r.Inc { // a free slot has none, and a supervisor's never has
		return stale()
	}
	switch r.Kind {
	case ReportRunning:
		if c.Phase != Placed {
			return stale()
		}
		s.runs(t, c)
	case ReportEnded, ReportMoved:
		reason := r.Reason
		if !reason.Valid() {
			reason = sup.ExitError
		}
		if r.Kind == ReportMoved && c.Phase != Stopping {
			s.stopSlot(t, c, WhyMove) // the report has overtaken the Move, or the Move was lost with its leader
			c = t.children.get(c.Key.Child)
		}
		s.ended(t, c, reason, r.Detail)
	case ReportInitFailed:
		s.initFailed(t, c, r.Detail)
	case ReportHanging:
		if c.Hanging {
			return stale()
		}
		s.hangs(t, c)
	default:
		panic("fsm: report: unknown kind")
	}
	return Result{Status: OK}
}

// runs says that a child's init has returned: Placed → Running (S44).
func (s *State) runs(t *tree, c *Child) {
	c = s.editChild(t, c)
	s.note(c)
	e := sup.Event{
		Type: sup.EventChildStarted, Supervisor: c.Key.Supervisor, Child: c.Key.Child, Node: c.Node, Incarnation: c.Inc.Token(),
	}
	first, from := !c.Started(), c.LastNode
	if !first {
		e.Type, e.Attempt = sup.EventChildRestarted, c.RestartCount
	}
	s.emit(e)
	if !first && from != c.Node {
		s.emit(sup.Event{
			Type: sup.EventChildMigrated, Supervisor: c.Key.Supervisor, Child: c.Key.Child, FromNode: from, ToNode: c.Node,
			Incarnation: c.Inc.Token(),
		})
	}
	c.Ran = c.IsSupervisor()
	c.Phase, c.LastNode, c.Lost, c.Avoid, c.StartedAt = Running, c.Node, 0, nil, s.wall
	if c.Spec.Backoff != nil {
		c.Since = s.clock
	}
	t.active++
	s.answerRunners(t, c, nil)
	s.doneWith(t, c, nil)
	if first {
		s.oneLess(t)
	}
}

// hangs says that an incarnation is to be gone and its code has not returned (S14). It holds its slot: nothing replaces it.
func (s *State) hangs(t *tree, c *Child) {
	c = s.editChild(t, c)
	s.note(c)
	c.Hanging = true
	s.emit(sup.Event{
		Type: sup.EventChildHanging, Supervisor: c.Key.Supervisor, Child: c.Key.Child, Node: c.Node, Incarnation: c.Inc.Token(),
	})
}

// ended says that nothing of an incarnation is left.
func (s *State) ended(t *tree, c *Child, reason sup.ExitReason, detail string) {
	if c.Phase == Placed && reason != sup.ExitNodeDown {
		// Its init returned too: an init that does not is reported as such. The word of it was overtaken.
		s.runs(t, c)
		if !c.IsSupervisor() { // whose tree is gone already: nothing may ask it to stop before its record says so
			s.advanceAll() // as between two reports
		}
		c = t.children.get(c.Key.Child)
	}
	switch {
	case c.Phase == Stopping:
		s.stoppedSlot(t, s.free(t, c, reason, detail))
		return
	case reason == sup.ExitNodeDown:
		s.lost(t, []*Child{c}, detail, true)
		return
	}
	c = s.free(t, c, reason, detail)
	switch {
	case t.head.stopping():
		s.drop(t, c, nil)
	case c.leaves():
		s.leftChild(t, c)
	case t.goesDown(c):
		s.wentDown(t, c, childEnded(c))
	default:
		s.decide(t, c, c.Spec.Restart.OnExit(reason), "", childEnded(c))
	}
}

// initFailed says that an init did not succeed. A first start fails with it (S12, S31); a restart crashed (S18).
func (s *State) initFailed(t *tree, c *Child, detail string) {
	if c.Phase == Stopping {
		s.stoppedSlot(t, s.free(t, c, sup.ExitError, detail))
		return
	}
	s.startFailed(t, c, initFailed(c.Key, c.Node, truncate(detail, MaxDetail)), detail)
}

// startFailed frees a slot whose start failed with p.
func (s *State) startFailed(t *tree, c *Child, p *sup.Problem, detail string) {
	node := c.Node
	c = s.free(t, c, sup.ExitError, detail)
	switch {
	case t.head.stopping():
		s.drop(t, c, nil)
	case c.leaves():
		s.leftChild(t, c)
	case !c.Started() || c.Part == PartStarts:
		s.startFails(t, c, p)
	case t.goesDown(c):
		s.wentDown(t, c, p)
	default:
		s.decide(t, c, c.Spec.Restart.OnExit(sup.ExitError), node, p)
	}
}

// decide carries out the verdict on a crash or an end. avoid is the node to leave out when another is eligible; p is for
// those who wait for a child that goes instead.
func (s *State) decide(t *tree, c *Child, v sup.Verdict, avoid sup.NodeName, p *sup.Problem) {
	if v == sup.StayDown && !t.head.Spec.Strategy.Keeps() {
		v = sup.Remove
	}
	switch v {
	case sup.Remove:
		s.end(t, c, p)
	case sup.StayDown:
		s.significantEnds(t, c)
	case sup.RunAgain:
		h := s.edit(t)
		kept, ok := h.intensity().Count(h.Stamps, s.clock)
		h.Stamps = kept
		if !ok {
			s.exceeded(t)
			return
		}
		h.TotalRestarts++
		if avoid == "" {
			c = s.again(t, c)
		} else {
			c = s.again(t, c, avoid)
		}
		s.waits(c)
		s.restartGroup(t, c)
	}
}

// stoppedSlot goes on after the stop of a slot, which is free now.
func (s *State) stoppedSlot(t *tree, c *Child) {
	c = s.editChild(t, c)
	why := c.Why
	c.Why = 0
	switch {
	case t.head.stopping():
		s.drop(t, c, nil)
	case why == WhyTerminate:
		s.end(t, c, terminated(c.Key))
	case c.leaves():
		s.leftChild(t, c)
	case why == WhyGroup || why == WhyMove && t.goesDown(c): // on its way off a node that leaves, and then its group fails
		s.wentDown(t, c, childEnded(c))
	case why == WhyMove && c.Started() && c.Spec.Restart.OnNodeLoss() == sup.Remove:
		s.end(t, c, childEnded(c))
	case why == WhyRestart || why == WhyMove:
		s.again(t, c)
	default:
		panic("fsm: slot guard: a slot was stopped for no reason")
	}
}
