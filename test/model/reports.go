package model

import (
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// report finds the child of a report. A report on another incarnation than the one that the slot holds is stale (S32, A5).
func (c *Cluster) reported(k sup.Key, inc uint64) *Child {
	if ch := c.Child(k); ch != nil && !ch.isSup() && ch.held() && !ch.owed && ch.Inc == inc {
		return ch
	}
	return nil
}

// ReportRunning: the init has returned.
func (c *Cluster) ReportRunning(k sup.Key, inc uint64) Answer {
	ch := c.reported(k, inc)
	if ch == nil || ch.State != Placed {
		return stale
	}
	ch.ran()
	ch.sup.advance()
	return ok
}

// ReportEnded: nothing of the incarnation is left. One that was never reported as running has run, unless its node's loss
// of a guardian took it (A6), which is a node loss of one child.
func (c *Cluster) ReportEnded(k sup.Key, inc uint64, reason sup.ExitReason) Answer {
	ch := c.reported(k, inc)
	if ch == nil {
		return stale
	}
	s := ch.sup
	if reason == sup.ExitNodeDown {
		s.lost([]*Child{ch}, ch.Node, true)
		s.advance()
		return ok
	}
	if ch.State == Placed {
		ch.ran()
		s.advance()
	}
	asked, followed := ch.State == Stopping, ch.then
	ch.ended(reason)
	if asked {
		s.stopped(ch, followed)
	} else {
		s.exited(ch, reason, "")
	}
	s.advance()
	return ok
}

// ReportMoved: nothing of the incarnation is left, its node was told to move it; the Move may come later, or was lost.
func (c *Cluster) ReportMoved(k sup.Key, inc uint64, reason sup.ExitReason) Answer {
	ch := c.reported(k, inc)
	if ch == nil {
		return stale
	}
	if ch.State != Stopping {
		ch.stop(move)
	}
	s, followed := ch.sup, ch.then
	ch.ended(reason)
	s.stopped(ch, followed)
	s.advance()
	return ok
}

// ReportInitFailed: the init failed and nothing of it is left. A first start fails with it (S12, S31); a restart is another
// crash (S18).
func (c *Cluster) ReportInitFailed(k sup.Key, inc uint64) Answer {
	ch := c.reported(k, inc)
	if ch == nil {
		return stale
	}
	s, node, followed := ch.sup, ch.Node, ch.then
	asked := ch.State == Stopping
	ch.ended(sup.ExitError)
	if asked {
		s.stopped(ch, followed)
	} else {
		s.initFailed(ch, sup.CodeInitFailed, node)
	}
	s.advance()
	return ok
}

// initFailed is the end of a start that failed on a node (S12, S18, S31).
func (s *Sup) initFailed(ch *Child, code sup.Code, node sup.NodeName) {
	switch {
	case s.Op != stopping && ch.leaves():
		s.away(ch)
	case !ch.Started || s.Op != stopping && ch.part == begins:
		s.neverStarted(ch, code)
	case s.Op != stopping && ch.temporary():
		bystander := ch.halt // of its group, which goes down
		ch.answer(code)
		s.remove(ch)
		if !bystander {
			s.endedForGood(ch)
		}
	default:
		s.exited(ch, sup.ExitError, node)
	}
}

// neverStarted (S12, S31): a first start has failed.
func (s *Sup) neverStarted(ch *Child, code sup.Code) {
	switch {
	case s.Op == stopping:
		s.remove(ch)
	case s.Op == starting:
		s.failStart(code)
	default:
		ch.answer(code)
		s.doneWith(ch, code)
		s.remove(ch)
	}
}

// stopped is the end of a child that was asked to stop.
func (s *Sup) stopped(ch *Child, followed then) {
	switch {
	case s.Op != stopping && followed != terminate && ch.leaves():
		s.away(ch)
	case followed == terminate:
		s.remove(ch)
		if s.Op != stopping {
			s.endedForGood(ch)
		}
	case s.Op == stopping:
		s.remove(ch)
	case followed == restart: // what was asked for by hand runs again, be it temporary
		ch.halt = false
		ch.again("")
		s.work()
	case followed == group || ch.halt:
		s.halted(ch, "")
	case followed == move && ch.temporary() && ch.Started:
		s.remove(ch)
		s.endedForGood(ch)
	default: // move
		ch.again("")
		s.work()
	}
}

// exited is the end of a run that nobody asked for (S1–S4, S7–S9).
func (s *Sup) exited(ch *Child, reason sup.ExitReason, avoid sup.NodeName) {
	switch {
	case s.Op == stopping: // S13: whatever ends while its supervisor stops is not started again
		s.remove(ch)
	case ch.leaves(): // it was to stop for the change anyway
		s.away(ch)
	case ch.halt: // and for the group
		s.halted(ch, "")
	case ch.restartedAfter(reason):
		if s.count() {
			ch.again(avoid)
			ch.backOff()
			s.restarted([]*Child{ch}, crash)
		}
	case ch.temporary() || s.simple(): // S3, S34
		s.remove(ch)
		s.endedForGood(ch)
	default: // S2: it stays listed as exited
		s.endedForGood(ch)
	}
}

// endedForGood (S38): the end of a significant child, when it is not a bystander of a group restart.
func (s *Sup) endedForGood(ch *Child) {
	if !ch.Spec.Significant || s.Op == stopping {
		return
	}
	switch s.Spec.AutoShutdown {
	case sup.AnySignificant:
	case sup.AllSignificant:
		for _, x := range s.Children {
			if x.Spec.Significant && x != ch && (x.State != Down || x.due || x.part == replaced) { // it runs again
				return
			}
		}
	default:
		return
	}
	s.beginStop(sup.ReasonShutdown, sup.CodeSupervisorStopped)
}

// lost is one decision for all children of the supervisor that are lost with a node (S12, S23–S25). It is no failure when the
// node has left in peace.
func (s *Sup) lost(children []*Child, node sup.NodeName, failure bool) {
	for _, ch := range children {
		was, followed := ch.State, ch.then
		ch.ended(sup.ExitNodeDown)
		ch.State, ch.then = was, followed // what follows is decided below, for all of them together
	}
	var failed []*Child
	for _, ch := range children {
		was, followed := ch.State, ch.then
		if was == Stopping && s.c.held {
			ch.owed = true
			continue
		}
		ch.State, ch.then = Down, ""
		switch {
		case was == Stopping: // protocol.md, Replicated state: it completes the stop
			s.stopped(ch, followed)
		case s.Op == stopping:
			s.remove(ch)
		case ch.leaves():
			s.away(ch)
		case !ch.Started: // S12: not the child's failure, at most 3 times
			ch.halt = false
			if ch.Lost++; ch.Lost > 3 && !s.byParent() {
				s.neverStarted(ch, sup.CodeInitFailed)
				continue
			}
			ch.again(node)
			s.work()
		case ch.halt:
			s.halted(ch, node)
		case ch.temporary(): // S24
			s.remove(ch)
			s.endedForGood(ch)
		default:
			ch.again(node)
			failed = append(failed, ch)
		}
	}
	if s.Op != stopping { // the end of a significant one of them may have stopped it
		cause := left
		if failure {
			cause = nodeLoss
		}
		s.restarted(failed, cause)
	}
}

// lose ends everything that a node holds: node_failure_detected first, once, then one decision for each supervisor (S23).
func (c *Cluster) lose(n *Node, failure bool, why string) {
	var affected []sup.Key
	held := map[*Sup][]*Child{}
	for _, s := range c.Sups {
		for _, ch := range s.Children {
			if ch.held() && ch.Node == n.Name {
				affected = append(affected, ch.Key())
				held[s] = append(held[s], ch)
			}
		}
	}
	if failure {
		c.emit(sup.Event{Type: sup.EventNodeFailureDetected, Node: n.Name, Reason: why, AffectedChildren: affected})
	}
	for _, s := range slices.Clone(c.Sups) {
		if len(held[s]) > 0 {
			s.lost(held[s], n.Name, failure)
			s.advance()
		}
	}
}
