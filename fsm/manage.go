package fsm

import (
	"fmt"

	sup "github.com/supnode/supnode/supervisor"
)

// askChild carries out start_child or restart_child, or lets it wait for the operation in progress (protocol.md, Group
// operations).
func (s *State) askChild(key string, name sup.Name, q Queued) Result {
	t := s.trees.get(name)
	switch {
	case t == nil:
		return refused(supervisorNotFound(name))
	case t.head.Status == sup.StatusStopping || t.head.Status == sup.StatusStopped:
		return refused(supervisorStopped(t.head))
	}
	return s.enqueue(t, q)
}

// enqueue carries a request out, or lets it wait for the operation in progress.
func (s *State) enqueue(t *tree, q Queued) Result {
	switch {
	case t.head.Op == nil && len(t.head.Queue) == 0 || s.isPending(t, q):
		return s.carryOut(t, q)
	case q.ApplyManifest != nil && s.stuck(t) != nil:
		return s.carryOut(t, q)
	case len(t.head.Queue) >= MaxQueue:
		return refused(busy(fmt.Sprintf("%d requests wait for supervisor %s already; try again later", MaxQueue, t.head.Name), MaxQueue))
	}
	h := s.edit(t)
	h.Queue = append(h.Queue[:len(h.Queue):len(h.Queue)], q)
	return Result{Status: Pending}
}

// isPending reports whether a request restarts a child that is to start now anyway, or that waits for a node itself: an
// operation that waits for the child does not make the request wait too.
func (s *State) isPending(t *tree, q Queued) bool {
	op := t.head.Op
	if q.RestartChild == nil || op == nil || op.Kind == OpApplying && op.Next != nil {
		return false
	}
	c := t.children.get(q.RestartChild.Key.Child)
	return c != nil && (c.Wants && op.Kind != OpStarting || s.lacksNode(c))
}

func (s *State) carryOut(t *tree, q Queued) Result {
	switch {
	case q.StartChild != nil:
		return s.startChild(t, q.Key, q.StartChild)
	case q.ApplyManifest != nil:
		return s.change(t, q.Key, q.ApplyManifest)
	}
	return s.restartChild(t, q.Key, q.RestartChild.Key)
}

// startChild adds a child; the request is done when its init has returned (S31).
func (s *State) startChild(t *tree, key string, c *StartChild) Result {
	h := t.head
	if h.simple() {
		return s.startFromTemplate(t, key, c)
	}
	switch {
	case c.Spec == nil || len(c.Args) > 0:
		return refused(wrongStrategy(h))
	case t.children.get(c.Spec.ID) != nil:
		return refused(duplicateChild(h.Name, c.Spec.ID))
	case t.children.len() >= MaxChildren:
		return refused(quota(h.Name, c.Spec.ID, "children of a supervisor", MaxChildren))
	}
	if sub := c.Spec.Supervisor; sub != nil {
		if s.running+sub.Supervisors() > MaxSupervisors {
			return refused(quota(h.Name, c.Spec.ID, "supervisors", MaxSupervisors))
		}
		if p := maySub(h.Name, c.Spec); p != nil {
			return refused(p)
		}
	}
	s.await(t, s.addChild(t, *c.Spec), key, false)
	return Result{Status: Pending}
}

// restartChild stops a child and starts it again, uncounted; the request is done when it runs (S33).
func (s *State) restartChild(t *tree, key string, k sup.Key) Result {
	c := t.children.get(k.Child)
	switch {
	case c == nil:
		return refused(childNotFound(k))
	case c.Why == WhyTerminate:
		return refused(terminated(k))
	}
	if c.Crashes != 0 {
		c = s.editChild(t, c)
		c.Crashes = 0 // the waits begin anew (S20)
	}
	switch {
	case c.Wants:
		c = s.editChild(t, c)
		c.NotBefore, c.Avoid = 0, nil
		c.PendingReason = "" // whoever asks is told anew when there is still no node
		s.note(c)
	case c.Due: // it starts when its turn comes
	case c.Phase == Unplaced && c.Why == 0:
		c = s.again(t, c)
	case c.Phase == Unplaced:
		c = s.editChild(t, c)
		c.Why = WhyRestart
	default:
		s.stopSlot(t, c, WhyRestart)
		c = t.children.get(k.Child)
	}
	s.await(t, c, key, false)
	return Result{Status: Pending}
}

// terminateChild stops and removes a child (S32). It cuts in on every operation but the stop of the supervisor.
func (s *State) terminateChild(key string, c *TerminateChild) Result {
	t := s.trees.get(c.Key.Supervisor)
	if t == nil {
		return refused(supervisorNotFound(c.Key.Supervisor))
	}
	if t.head.Status == sup.StatusStopping || t.head.Status == sup.StatusStopped {
		return refused(supervisorStopped(t.head))
	}
	child := t.children.get(c.Key.Child)
	if child == nil {
		return refused(childNotFound(c.Key))
	}
	if child.Phase != Unplaced {
		s.stopSlot(t, child, WhyTerminate)
		child = s.answerRunners(t, t.children.get(c.Key.Child), terminated(c.Key))
		s.await(t, child, key, true)
		return Result{Status: Pending}
	}
	if s.held {
		child = s.answerRunners(t, s.unwish(t, child), terminated(c.Key))
		child = s.editChild(t, child)
		s.note(child)
		child.Why = WhyTerminate
		s.await(t, child, key, true)
		return Result{Status: Pending}
	}
	s.end(t, child, terminated(c.Key))
	return done(c.Key.Supervisor, c.Key.Child)
}

// remove drops a child of a supervisor that goes on. When its first init was outstanding in a start, the start goes on
// without it.
func (s *State) remove(t *tree, c *Child, p *sup.Problem) {
	first := !c.Started()
	s.drop(t, c, p)
	if first {
		s.oneLess(t)
	}
}

// again makes a child whose slot is free run again, which S22 counts unless it has never run.
func (s *State) again(t *tree, c *Child, avoid ...sup.NodeName) *Child {
	c = s.due(t, c)
	if c.Started() {
		c.RestartCount++
	}
	c.Avoid = avoid
	return c
}
