package model

import (
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// A child that is a supervisor has a Sup of its own, SUP/ID. For its parent it is one child that is on no node: Placed while its
// initial children start, Running when they do, Stopping until its tree is down.

func (ch *Child) isSup() bool { return ch.Spec.Supervisor != nil }

// raise starts the child's supervisor with the initial children of its manifest and an empty window. The record of its last
// run goes (S37).
func (ch *Child) raise() {
	c, spec := ch.sup.c, *ch.Spec.Supervisor
	spec.Name = ch.sup.Name.Sub(ch.Spec.ID)
	c.Sups = slices.DeleteFunc(c.Sups, func(x *Sup) bool { return x.Name == spec.Name })
	ch.State, ch.due = Placed, false
	ch.own = c.raise(spec, ch)
	ch.own.advance()
}

// fell stops the child's supervisor (S13), unless it is about to stop anyway.
func (ch *Child) fell() {
	reason := ch.farewell
	ch.farewell = ""
	if s := ch.own; s != nil && s.Op != stopping { // nil: it has not begun, its stop is owed
		if reason == "" {
			reason = sup.ReasonShutdown
		}
		s.beginStop(reason, sup.CodeSupervisorStopped)
		s.advance()
	}
}

// rose tells the parent that all initial children of a supervisor run.
func (s *Sup) rose() {
	if s.up != nil {
		s.up.ran()
		s.up.sup.advance()
	}
}

// fallen tells the parent that a supervisor is down: as it was asked to; or because its start has failed; or by itself, which is
// an exit `shutdown` and the end of a run, however short.
func (s *Sup) fallen() {
	if s.up == nil {
		return
	}
	ch, p := s.up, s.up.sup
	ch.own = nil
	switch {
	case ch.State == Stopping:
		followed := ch.then
		ch.ended(sup.ExitShutdown)
		p.stopped(ch, followed)
	case s.undo:
		ch.ended(sup.ExitError)
		p.initFailed(ch, s.failed, "")
	default:
		if ch.State == Placed {
			ch.ran()
		}
		ch.ended(sup.ExitShutdown)
		p.exited(ch, sup.ExitShutdown, "")
	}
	p.advance()
}

// byParent reports whether the start of a supervisor is a restart of its tree: it is nobody's call, so that there is no start to
// fail for want of a node (S19) or with a node (S16).
func (s *Sup) byParent() bool {
	return s.Op == starting && s.up != nil && (s.up.Started || s.up.sup.byParent())
}

// answerTree ends the requests that wait for a child, or for a tree that is restarted and waits for it, to run. A start by call goes
// on: nothing of it has failed (S12, S31).
func (ch *Child) answerTree(code sup.Code) {
	ch.answer(code)
	if s := ch.sup; s.byParent() {
		s.up.answerTree(code)
	}
}

// lacksNode: the leader has said that no node can take the child, or one of a tree that is restarted.
func (ch *Child) lacksNode() bool {
	if ch.own == nil || ch.State != Placed {
		return ch.State == Wanted && ch.Unplaceable
	}
	return slices.ContainsFunc(ch.own.Children, (*Child).lacksNode)
}
