package fsm

import (
	"slices"
	"strings"

	sup "github.com/supnode/supnode/supervisor"
)

// A child that no node can take is pending (S19): the leader says so, once, and nothing is counted. Those who wait for it are
// told; what starts in order waits with it, but for a change of the manifest, which may help.

// unplaced takes the leader's word that no node can take a slot: a first start fails with it (S12, S31), any other slot
// stays pending with it (S19).
func (s *State) unplaced(u Unplaceable) {
	t := s.trees.get(u.Key.Supervisor)
	if t == nil || s.held {
		return
	}
	c := t.children.get(u.Key.Child)
	if c == nil || !c.Wants || c.NotBefore > s.clock || u.Seat != 0 && u.Seat != c.Seat {
		return
	}
	p := u.Problem
	p.Supervisor, p.Child = u.Key.Supervisor, u.Key.Child
	reason := pendingReason(&p)
	if p.Detail == "" { // the leader need not find words
		p.Detail = "no node can take it now: " + strings.TrimPrefix(reason, string(p.Code)+": ")
	}
	if !c.Started() && !s.restarts(t) {
		s.startFails(t, c, &p)
		return
	}
	p.Detail = truncate(p.Detail, MaxDetail) + "; the child is pending and starts as soon as a node can take it"
	if c.PendingReason != reason {
		c = s.editChild(t, c)
		c.PendingReason = reason
	}
	s.waitsForNode(t, c, &p)
}

// pendingReason is a problem in one line: `no_available_node: n1: down; n2: draining`.
func pendingReason(p *sup.Problem) string {
	text := string(p.Code) + ": "
	if len(p.Reasons) == 0 {
		return truncate(text+p.Detail, MaxDetail)
	}
	for i, r := range p.Reasons {
		if i > 0 {
			text += "; "
		}
		if text += string(r.Node) + ": " + r.Reason; len(text) > MaxDetail {
			break
		}
	}
	return truncate(text, MaxDetail)
}

// waitsForNode tells those who wait for a child that no node can take it, or one of its own that restarts; it is pending. A
// change that waits for it ends without it; where children start in order it goes on when a node can take it, which may be
// long, and another change may help.
func (s *State) waitsForNode(t *tree, c *Child, p *sup.Problem) {
	c = s.answerRunners(t, c, p)
	failed := 0
	if t.head.applying() {
		failed = t.head.Op.Missed
	}
	s.doneWith(t, c, p)
	if t.head.Spec.Strategy.InOrder() {
		if t.head.applying() {
			op := *t.head.Op
			waiters := op.Waiters
			op.Waiters = nil
			s.edit(t).Op = &op
			told := explained(p, "; the change goes on when it has started"+absent(failed))
			for _, key := range waiters {
				s.complete(key, &Outcome{Supervisor: t.head.Name, Child: c.Key.Child, Problem: told})
			}
		}
		s.stir(t) // for the changes that wait
	}
	if s.restarts(t) {
		parent, sub := s.parent(t.head.Name)
		s.waitsForNode(parent, sub, p)
	}
}

// stuck is the child for which all that starts in order waits because no node can take it, or one of its children; nil =
// nothing does. What may help is another manifest, so a change does not wait for it; for another change it does, as long as
// somebody waits for that.
func (s *State) stuck(t *tree) *Child {
	op := t.head.Op
	if s.held || op == nil || !t.head.Spec.Strategy.InOrder() || op.Down != 0 || t.busy() != 1 {
		return nil
	}
	if op.Kind != OpGroup && (op.Kind != OpApplying || op.Next != nil || len(op.Waiters) > 0) {
		return nil
	}
	for c := range t.children.all() {
		if s.lacksNode(c) {
			return c
		}
	}
	return nil
}

// changeStuck lets the changes that wait cut in on what waits for a node.
func (s *State) changeStuck(t *tree) {
	for {
		i := slices.IndexFunc(t.head.Queue, func(q Queued) bool { return q.ApplyManifest != nil })
		if i < 0 || s.stuck(t) == nil {
			return
		}
		h := s.edit(t)
		q := h.Queue[i]
		h.Queue = slices.Delete(slices.Clone(h.Queue), i, i+1)
		if res := s.carryOut(t, q); res.Status != Pending {
			s.settle(q.Key, res)
		}
	}
}

// lacksNode reports whether no node can take a child now or, of a supervisor that starts, one of its children.
func (s *State) lacksNode(c *Child) bool {
	if !c.IsSupervisor() || c.Phase != Placed {
		return c.PendingReason != ""
	}
	for c := range s.trees.get(c.Key.Supervisor.Sub(c.Key.Child)).children.all() {
		if s.lacksNode(c) {
			return true
		}
	}
	return false
}

// tellAnew has the leader look again at what lacks a node, and say it again to those who wait since it was said.
func (s *State) tellAnew(c *Child) {
	switch {
	case c.PendingReason != "":
		c = s.editChild(s.trees.get(c.Key.Supervisor), c)
		c.PendingReason = ""
		s.note(c)
	case c.IsSupervisor() && c.Phase == Placed:
		for c := range s.trees.get(c.Key.Supervisor.Sub(c.Key.Child)).children.all() {
			s.tellAnew(c)
		}
	}
}
