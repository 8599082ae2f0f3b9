package fsm

import (
	"fmt"
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// A change of a manifest has two halves, each begun and ended by what the state says, so that any leader goes on with it.
// First all that the manifest does not name and all whose spec differs goes down, in reverse start order; meanwhile nothing
// of the change starts. Then the manifest is taken over, with its order, and what is new or differs starts, in order where the
// strategy wants it. The second half is over when their inits have returned or failed.

// applyManifest makes a supervisor as a manifest says; it creates one that is not there.
func (s *State) applyManifest(key string, c *ApplyManifest) Result {
	t := s.trees.get(c.Spec.Name)
	if t == nil || t.head.Status == sup.StatusStopped {
		res := s.startSupervisor(key, &StartSupervisor{Spec: c.Spec, Home: c.Home})
		if res.Status == Pending {
			t = s.trees.get(c.Spec.Name)
			op := *t.head.Op
			op.Changes = c.Spec.Creation()
			s.edit(t).Op = &op
		}
		return res
	}
	if p := s.mayApply(t, &c.Spec); p != nil {
		return refused(p)
	}
	return s.enqueue(t, Queued{Key: key, ApplyManifest: c})
}

// mayApply says why a supervisor that is there can't be made as a manifest says; nil = it can.
func (s *State) mayApply(t *tree, spec *sup.Spec) *sup.Problem {
	h, had := t.head, 1 // supervisors, itself among them
	for c := range t.children.all() {
		if c.Phase != Unplaced {
			had += c.Spec.Supervisors()
		}
	}
	switch p := mayRun(spec); {
	case p != nil:
		return p
	case h.Status == sup.StatusStopping:
		return supervisorStopped(h)
	case h.Spec.Strategy != spec.Strategy:
		return otherStrategy(h, spec.Strategy)
	case s.running-had+spec.Supervisors() > MaxSupervisors:
		return quota(h.Name, "", "supervisors", MaxSupervisors)
	}
	return mayHave(h.Name, spec)
}

// Changes says what an ApplyManifest would do now, if nothing else were under way. Spec has its defaults filled in.
func (s *State) Changes(spec *sup.Spec) ([]sup.Change, *sup.Problem) {
	t := s.trees.get(spec.Name)
	if t == nil || t.head.Status == sup.StatusStopped {
		if p := s.mayStart(spec); p != nil {
			return nil, p
		}
		return spec.Creation(), nil
	}
	if p := s.mayApply(t, spec); p != nil {
		return nil, p
	}
	return t.changes(spec)
}

// changes is what there is to do for the children and settings to be as a manifest says. A child that somebody terminates is
// not there any more.
func (t *tree) changes(spec *sup.Spec) ([]sup.Change, *sup.Problem) {
	now := *t.head.Spec
	now.Children = make([]sup.ChildSpec, 0, t.children.len())
	for c := range t.children.all() {
		if c.Why != WhyTerminate {
			now.Children = append(now.Children, *c.Spec)
		}
	}
	changes := now.Changes(*spec)
	if len(changes) > MaxChanges {
		return nil, &sup.Problem{
			Code: sup.CodeQuotaExceeded, Supervisor: t.head.Name, Bound: MaxChanges,
			Detail: fmt.Sprintf("this is %d changes at once, and there may be %d; make it in several steps, or stop the supervisor and start it anew", len(changes), MaxChanges),
		}
	}
	return changes, nil
}

// change begins to make a supervisor as a manifest says. Nothing else is under way, but for what waits for a node: it goes on
// with the change.
func (s *State) change(t *tree, key string, c *ApplyManifest) Result {
	changes, p := t.changes(&c.Spec)
	switch {
	case p != nil:
		return refused(p)
	case len(changes) == 0:
		return Result{Status: OK, Outcome: &Outcome{Supervisor: t.head.Name, Changes: changes}}
	}
	parts := make(map[sup.ChildID]Part, len(changes))
	for _, ch := range changes {
		switch ch.Action {
		case sup.ChangeStop:
			parts[ch.Child] = PartGone
		case sup.ChangeRestart:
			parts[ch.Child] = PartReplaced
		}
	}
	next, waits := c.Spec, s.stuck(t)
	op := &Op{Kind: OpApplying, Next: &next, Changes: changes, Waiters: keys(key)}
	s.edit(t).Op = op
	for c := range t.children.all() {
		if c.Part == PartStarts { // by the change before
			op.Left++
		}
	}
	switch {
	case waits == nil:
	case waits.Wants:
		s.due(t, s.unwish(t, waits))
	case parts[waits.Key.Child] == 0: // one of its own waits, and the change leaves it alone
		s.tellAnew(waits)
	}
	for _, c := range slices.Collect(t.children.all()) {
		part := parts[c.Key.Child]
		if c.Why == WhyTerminate && !t.head.simple() {
			part = PartGone // and started anew, when the manifest names it
		}
		if part != 0 {
			s.takePart(t, c, part)
		}
	}
	return Result{Status: Pending}
}

// takePart makes a child one that is to go down.
func (s *State) takePart(t *tree, c *Child, part Part) {
	s.doneWith(t, c, nil)
	c = s.editChild(t, s.unwish(t, t.children.get(c.Key.Child)))
	c.Part = part
	s.aim(c, "")
	if c.Why != 0 && c.Why != WhyTerminate { // it stops, or owes a stop
		c.Why = WhyChange
	}
	if part == PartGone {
		c = s.answerRunners(t, c, unnamed(c.Key))
		if c.Phase == Unplaced && c.Why == 0 {
			s.drop(t, c, nil)
		}
	}
}

// leaves reports whether a change of its supervisor's manifest takes a child down.
func (c *Child) leaves() bool { return c.Part == PartGone || c.Part == PartReplaced }

// leftChild says that a child that a change takes down is down, however it ended.
func (s *State) leftChild(t *tree, c *Child) {
	if c.Part == PartGone {
		s.drop(t, c, unnamed(c.Key))
	}
}

// changeOn takes a change as far as it can go now; it reports whether the first half is over. The operation's cursor is the
// Order of the last child that is waited for; those after it are down.
func (s *State) changeOn(t *tree) bool {
	switch op := t.head.Op; {
	case op.Next == nil:
		return true
	case op.Cursor == 0 && t.head.simple():
		s.stopReplaced(t)
	}
	for c := range t.downTo(0) {
		if c.Phase != Unplaced && c.leaves() {
			s.takeDown(t, c, WhyChange)
			return false
		}
	}
	s.takeOver(t)
	return true
}

// stopReplaced stops the children of simple_one_for_one that a change takes down: all at once (S13).
func (s *State) stopReplaced(t *tree) {
	for _, c := range t.replaced() {
		if c.Phase == Placed || c.Phase == Running {
			s.stopSlot(t, c, WhyChange)
		}
	}
}

// takeOver ends the first half of a change: the manifest holds from here on, for what runs too.
func (s *State) takeOver(t *tree) {
	h := s.edit(t)
	op := *h.Op
	next := *op.Next
	op.Next, op.Cursor = nil, 0
	h.Op = &op
	made, selector := h.Spec.ChildTemplate, h.selector() // what the children were made from, and placed by
	spec := next
	spec.Children = nil
	h.Spec = &spec
	if in := h.intensity(); len(h.Stamps) > in.MaxRestarts { // the newest count
		h.Stamps = h.Stamps[len(h.Stamps)-in.MaxRestarts:]
	}
	if h.simple() {
		s.remake(t, len(made.Args))
	} else {
		s.arrange(t, next.Children)
	}
	if h.selector() != selector {
		s.passSelector(t)
	}
}

// remake gives the children of simple_one_for_one that a change took down the new template; args is how many of theirs were
// the old one's.
func (s *State) remake(t *tree, args int) {
	for _, c := range t.replaced() {
		own := make([][]byte, 0, len(c.Spec.Args)-args)
		for _, a := range c.Spec.Args[args:] {
			own = append(own, a)
		}
		spec := t.head.Spec.ChildTemplate.Make(c.Key.Child, own)
		s.replace(t, c, &spec)
	}
}

// arrange gives children the specs and the order of a manifest; those that are not there are added.
func (s *State) arrange(t *tree, specs []sup.ChildSpec) {
	moved, i := false, 0 // some stand otherwise than in the manifest
	for c := range t.children.all() {
		moved = moved || c.Key.Child != specs[i].ID
		i++
	}
	for i := range specs {
		switch c := t.children.get(specs[i].ID); {
		case c == nil:
			s.starts(t, s.addChild(t, specs[i]))
		case c.Part == PartReplaced:
			s.replace(t, c, &specs[i])
		}
	}
	if moved {
		s.reorder(t, specs)
	}
}

// reorder gives the children the order of a manifest, which names all of them (S6).
func (s *State) reorder(t *tree, specs []sup.ChildSpec) {
	h := s.edit(t)
	ordered := newTree(h).children
	for i := range specs {
		c := s.editChild(t, t.children.get(specs[i].ID))
		h.NextOrder++
		c.Order = h.NextOrder
		ordered.add(c)
	}
	t.children = ordered // no Order is lower than before: dueFrom stands
}

// replaced are the children that a change took down to start them again.
func (t *tree) replaced() (children []*Child) {
	for c := range t.children.all() {
		if c.Part == PartReplaced {
			children = append(children, c)
		}
	}
	return children
}

// replace makes a child that is down run again with another spec, uncounted (S16).
func (s *State) replace(t *tree, c *Child, spec *sup.ChildSpec) {
	c = s.editChild(t, c)
	if c.IsSupervisor() {
		t.subs--
	}
	c.Spec, c.Crashes = spec, 0
	if c.IsSupervisor() {
		t.subs++
	}
	s.starts(t, s.again(t, c))
}

// starts notes that a change waits for the init of a child.
func (s *State) starts(t *tree, c *Child) {
	s.editChild(t, c).Part = PartStarts
	op := *t.head.Op
	op.Left++
	s.edit(t).Op = &op
}

// doneWith ends what a change does to a child; p says why it could not be started, nil = it runs, or somebody terminated it.
func (s *State) doneWith(t *tree, c *Child, p *sup.Problem) {
	if c.Part != PartStarts {
		return
	}
	s.editChild(t, c).Part = 0
	op := *t.head.Op
	op.Left--
	if p != nil {
		if op.Missed++; op.Problem == nil {
			op.Problem = p
		}
	}
	s.edit(t).Op = &op
}

// forgo takes a child that is gone out of what a change is about: somebody terminated it meanwhile, or it has ended for good.
func (s *State) forgo(t *tree, c *Child) {
	if !t.head.applying() {
		return
	}
	s.doneWith(t, c, nil)
	next := t.head.Op.Next
	if next == nil || c.Part == PartGone {
		return
	}
	rest := *next
	rest.Children = slices.DeleteFunc(slices.Clone(next.Children), func(spec sup.ChildSpec) bool { return spec.ID == c.Key.Child })
	op := *t.head.Op
	op.Next = &rest
	s.edit(t).Op = &op
}

// changed ends a change.
func (s *State) changed(t *tree) {
	h := s.edit(t)
	op := h.Op
	h.Op = nil
	o := Outcome{Supervisor: h.Name, Changes: op.Changes}
	if op.Problem != nil {
		o = Outcome{Supervisor: h.Name, Child: op.Problem.Child, Problem: explained(op.Problem, missed(op.Missed))}
	}
	for _, key := range op.Waiters {
		s.complete(key, &o)
	}
}

// cutIn ends a change that the stop of its supervisor cuts in on.
func (s *State) cutIn(t *tree, op *Op, p *sup.Problem) {
	if op == nil || op.Kind != OpApplying {
		return
	}
	for _, key := range op.Waiters {
		s.complete(key, &Outcome{Supervisor: t.head.Name, Problem: p})
	}
}
