package fsm

import (
	"iter"
	"slices"
	"strings"

	sup "github.com/supnode/supnode/supervisor"
)

// stopSupervisor stops a supervisor (S13). It cuts in on a start, which then fails. To stop a sub-supervisor is to terminate
// that child of its parent.
func (s *State) stopSupervisor(key string, c *StopSupervisor) Result {
	t := s.trees.get(c.Name)
	if t == nil {
		return refused(supervisorNotFound(c.Name))
	}
	h := t.head
	reason := truncate(c.Reason, MaxReason)
	if reason == "" {
		reason = sup.ReasonShutdown
	}
	if k, sub := c.Name.Parent(); sub && h.Status != sup.StatusStopped {
		byItself := h.stopping()
		res := s.terminateChild(key, &TerminateChild{Key: k})
		if !byItself && t.head.stopping() {
			s.edit(t).Reason = reason
		}
		return res
	}
	switch h.Status {
	case sup.StatusStopped:
		return refused(supervisorStopped(h))
	case sup.StatusStopping:
		op := *h.Op
		op.Waiters = append(op.Waiters[:len(op.Waiters):len(op.Waiters)], keys(key)...)
		op.Remove = false
		s.edit(t).Op = &op
		return Result{Status: Pending}
	}
	s.stop(t, reason, keys(key))
	return Result{Status: Pending}
}

// stop begins the stop of a supervisor that starts or runs; a start in progress fails with it.
func (s *State) stop(t *tree, reason string, waiters []string) {
	op := &Op{Kind: OpStopping, Waiters: waiters}
	if h := t.head; h.starting() {
		op.Starters = h.Op.Starters
		op.Problem = cancelled(h.Name, reason)
	}
	s.stopAll(t, reason, op)
}

// exceeded stops a supervisor whose restart intensity is exceeded (S15). One that is still starting fails to start (S12).
func (s *State) exceeded(t *tree) {
	h := s.edit(t)
	h.Exceeded = true
	in := h.intensity()
	s.emit(sup.Event{
		Type: sup.EventRestartIntensityExceeded, Supervisor: h.Name, MaxRestarts: &in.MaxRestarts, Within: &in.Within,
	})
	if h.starting() {
		s.undoStart(t, maxRestartsExceeded(h))
		return
	}
	s.stopAll(t, sup.ReasonMaxRestartsExceeded, &Op{Kind: OpStopping})
}

// stopAll begins the stop op: nothing is started any more, requests that wait for a start or a restart fail, and children
// stop in strictly reverse start order, those of simple_one_for_one all at once (S13).
func (s *State) stopAll(t *tree, reason string, op *Op) {
	h := s.edit(t)
	queue, before := h.Queue, h.Op
	h.Status, h.Reason, h.Op, h.Queue = sup.StatusStopping, reason, op, nil
	p := supervisorStopped(h)
	for _, q := range queue {
		s.complete(q.Key, &Outcome{Supervisor: h.Name, Problem: p})
	}
	s.cutIn(t, before, p)
	for c := range t.children.all() {
		s.calm(t, c, p)
	}
}

// calm makes a child of a stopping supervisor not run again.
func (s *State) calm(t *tree, c *Child, p *sup.Problem) {
	c = s.answerRunners(t, s.unwish(t, c), p)
	if c.Part != 0 {
		c = s.editChild(t, c)
		c.Part = 0
	}
	if c.Phase == Stopping {
		s.editChild(t, c).Why = WhyShutdown
	}
}

// stopNext carries a stop on: it asks the last child left to stop, of simple_one_for_one all at once, and ends the stop when
// none is left.
func (s *State) stopNext(t *tree) {
	if t.head.simple() && t.children.len() > 0 {
		s.stopTogether(t)
		return
	}
	for c := t.children.last(); c != nil; c = t.children.last() {
		if c.Phase != Unplaced {
			s.takeDown(t, c, WhyShutdown)
			return
		}
		s.drop(t, c, nil)
	}
	s.endStop(t)
}

// takeDown asks the child that an operation waits for to stop; those after it are down.
func (s *State) takeDown(t *tree, c *Child, why Why) {
	if t.head.Op.Cursor != c.Order {
		op := *t.head.Op
		op.Cursor = c.Order
		s.edit(t).Op = &op
	}
	if c.Phase != Stopping {
		s.stopSlot(t, c, why)
	}
}

// downTo yields the children from the one that the operation waits for, else the last, down to an Order, last first.
func (t *tree) downTo(order uint64) iter.Seq[*Child] {
	rows := t.children.rows[t.children.head:]
	if cursor := t.head.Op.Cursor; cursor != 0 {
		rows = rows[:len(rows)-len(t.from(cursor))]
	}
	return func(yield func(*Child) bool) {
		for _, c := range slices.Backward(rows) {
			if c != nil && (c.Order < order || !yield(c)) {
				return
			}
		}
	}
}

// endStop ends a stop whose children are gone. The record stays readable (S37), unless the stop undid a start.
func (s *State) endStop(t *tree) {
	h := s.edit(t)
	op := h.Op
	h.Op, h.Stamps = nil, nil
	s.running--
	if op.Remove {
		s.trees.drop(h.Name)
		s.forgetBelow(h)
	} else {
		h.Status, h.Stopped = sup.StatusStopped, s.nextTicket()
		s.emit(sup.Event{Type: sup.EventSupervisorStopped, Supervisor: h.Name, Reason: h.Reason})
		s.stopped = append(s.stopped, h.Name)
		if len(s.stopped) > MaxStopped {
			s.forget(s.trees.get(s.stopped[0]))
		}
	}
	for _, key := range op.Starters {
		s.complete(key, &Outcome{Supervisor: h.Name, Problem: op.Problem})
	}
	for _, key := range op.Waiters {
		s.complete(key, &Outcome{Supervisor: h.Name})
	}
	s.fallen(h, op)
}

// forgetBelow removes what a start that failed made below a supervisor (S12): all of it has stopped.
func (s *State) forgetBelow(h *Supervisor) {
	for _, n := range slices.Clone(s.stopped) {
		if t := s.trees.get(n); strings.HasPrefix(string(n), string(h.Name)+"/") && t.head.Created >= h.Created {
			s.forget(t)
		}
	}
}

// forget removes the record of a stopped supervisor.
func (s *State) forget(t *tree) {
	if t.head.Status != sup.StatusStopped || t.children.len() > 0 {
		panic("fsm: stop: a supervisor that is not stopped is forgotten")
	}
	s.trees.drop(t.head.Name)
	for i, n := range s.stopped {
		if n == t.head.Name {
			s.stopped = append(s.stopped[:i:i], s.stopped[i+1:]...)
			return
		}
	}
}
