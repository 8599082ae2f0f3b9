package fsm

import (
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// startSupervisor creates a supervisor and makes its children start, all at once or in order (S10). The request is done when
// the last init has returned (S12).
func (s *State) startSupervisor(key string, c *StartSupervisor) Result {
	name := c.Spec.Name
	if _, made := slices.BinarySearch(s.once, name); c.Once && made {
		return stale()
	}
	if p := s.mayStart(&c.Spec); p != nil {
		return refused(p)
	}
	if t := s.trees.get(name); t != nil {
		s.forget(t)
	}
	s.raiseTree(c.Spec, &Supervisor{Name: name, Home: c.Home, Once: c.Once, Op: &Op{Starters: keys(key)}})
	return Result{Status: Pending}
}

// raiseTree begins a supervisor's start.
func (s *State) raiseTree(spec sup.Spec, h *Supervisor) {
	children := spec.Children
	spec.Children = nil
	h.Spec, h.Created, h.Status, h.StartedAt, h.rev = &spec, s.index, sup.StatusStarting, s.wall, s.turn.rev
	h.Op.Kind, h.Op.Left = OpStarting, len(children)
	t := newTree(h)
	s.trees.add(t)
	s.running++
	s.stir(t)
	for _, child := range children {
		s.addChild(t, child)
	}
}

func (s *State) mayStart(spec *sup.Spec) *sup.Problem {
	if p := mayRun(spec); p != nil {
		return p
	}
	if t := s.trees.get(spec.Name); t != nil && t.head.Status != sup.StatusStopped {
		return duplicateSupervisor(t.head)
	}
	if s.running+spec.Supervisors() > MaxSupervisors {
		return quota(spec.Name, "", "supervisors", MaxSupervisors)
	}
	return mayHave(spec.Name, spec)
}

// mayHave refuses children that a supervisor may not have, at any depth.
func mayHave(n sup.Name, spec *sup.Spec) *sup.Problem {
	if len(spec.Children) > MaxChildren {
		return quota(n, "", "children of a supervisor", MaxChildren)
	}
	ids := make(map[sup.ChildID]bool, len(spec.Children))
	for _, c := range spec.Children {
		if ids[c.ID] {
			return duplicateChild(n, c.ID)
		}
		ids[c.ID] = true
		if p := maySub(n, &c); p != nil {
			return p
		}
	}
	return nil
}

// addChild appends a child to the start order (S6); it is to start.
func (s *State) addChild(t *tree, spec sup.ChildSpec) *Child {
	h := s.edit(t)
	h.NextOrder++
	c := &Child{Key: sup.Key{Supervisor: h.Name, Child: spec.ID}, Spec: &spec, Order: h.NextOrder, rev: s.turn.rev}
	t.children.add(c)
	if c.IsSupervisor() {
		t.subs++
	}
	return s.due(t, c)
}

// started ends a start.
func (s *State) started(t *tree) {
	h := s.edit(t)
	op := h.Op
	h.Op, h.Status, h.StartedAt = nil, sup.StatusRunning, s.wall
	if i, made := slices.BinarySearch(s.once, h.Name); h.Once && !made {
		s.once = slices.Insert(slices.Clone(s.once), i, h.Name)
	}
	s.emit(sup.Event{Type: sup.EventSupervisorStarted, Supervisor: h.Name})
	for _, key := range op.Starters {
		s.complete(key, &Outcome{Supervisor: h.Name, Changes: op.Changes})
	}
	s.rose(t)
}

// oneLess says that one child less is outstanding in a start.
func (s *State) oneLess(t *tree) {
	if !t.head.starting() {
		return
	}
	less := *t.head.Op
	less.Left--
	s.edit(t).Op = &less
}

// startFails gives up the first start of a child whose slot is free: the start of its supervisor fails with it (S12), or
// the start_child call does, and nothing is kept (S31).
func (s *State) startFails(t *tree, c *Child, p *sup.Problem) {
	if t.head.starting() {
		s.undoStart(t, p)
		return
	}
	s.doneWith(t, c, explained(p, "; it is not there now"))
	s.drop(t, t.children.get(c.Key.Child), p)
}

// undoStart stops what a start has started, in reverse; then nothing is left of the supervisor and its start fails with p.
func (s *State) undoStart(t *tree, p *sup.Problem) {
	op := t.head.Op
	s.stopAll(t, string(p.Code), &Op{Kind: OpStopping, Starters: op.Starters, Problem: p, Remove: true})
}

// drain carries out the requests that waited for an operation, in order, until one of them begins another.
func (s *State) drain(t *tree) {
	for t.head.Op == nil && len(t.head.Queue) > 0 && !t.underway() {
		h := s.edit(t)
		q := h.Queue[0]
		h.Queue = h.Queue[1:]
		if res := s.carryOut(t, q); res.Status != Pending {
			s.settle(q.Key, res)
		}
	}
	if len(t.head.Queue) == 0 && t.head.Queue != nil {
		s.edit(t).Queue = nil
	}
}

func keys(key string) []string {
	if key == "" {
		return nil
	}
	return []string{key}
}
