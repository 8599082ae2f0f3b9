package fsm

import sup "github.com/supnode/supnode/supervisor"

// prospectsOfApply are those of a manifest that takes nothing down, or that creates its supervisor.
func (s *State) prospectsOfApply(c *ApplyManifest) []Prospect {
	t := s.trees.get(c.Spec.Name)
	if t == nil || t.head.Status == sup.StatusStopped {
		return s.prospectsOfStart(&StartSupervisor{Spec: c.Spec, Home: c.Home})
	}
	if !t.idle() || s.mayApply(t, &c.Spec) != nil {
		return nil
	}
	changes, _ := t.changes(&c.Spec)
	for _, ch := range changes {
		if ch.Action == sup.ChangeStop || ch.Action == sup.ChangeRestart {
			return nil
		}
	}
	return t.prospectsOf(&c.Spec)
}

// prospectsOfTakeOver are those of a change whose last child is down with the end of one.
func (t *tree) prospectsOfTakeOver(ended *Child) []Prospect {
	op := t.head.Op
	if op.Next == nil || op.Down != 0 {
		return nil
	}
	for c := range t.children.all() {
		if c.leaves() && c.Phase != Unplaced && c != ended {
			return nil
		}
	}
	return t.prospectsOf(op.Next)
}

// prospectsOf are the children that start when a manifest is taken over, all that leave being down: the first of them where
// children start in order.
func (t *tree) prospectsOf(next *sup.Spec) []Prospect {
	var prospects []Prospect
	add := func(c Child, spec sup.ChildSpec) bool {
		if spec.Selector == nil {
			spec.Selector = next.Selector
		}
		c.Spec = &spec
		p := t.prospect(&c, "")
		p.Spread = next.Spread
		prospects = append(prospects, p)
		return next.Strategy.InOrder()
	}
	if next.Strategy == sup.SimpleOneForOne {
		for _, c := range t.replaced() {
			add(*c, *next.ChildTemplate)
		}
		return prospects
	}
	for _, spec := range next.Children {
		c := t.children.get(spec.ID)
		switch {
		case c == nil:
			c = &Child{Key: sup.Key{Supervisor: next.Name, Child: spec.ID}}
		case c.Due && c.NotBefore != 0: // the others wait with it (S20)
			return prospects
		case !c.leaves() && !c.Due:
			continue
		}
		if add(*c, spec) {
			break
		}
	}
	return prospects
}
