package sim

import sup "github.com/supnode/supnode/supervisor"

// place is where a child stands in the start order of its supervisor, as its client knows: by the manifest, others
// by when the log took their start (S6). Zero: not known.
type place struct {
	known bool
	epoch int
	index uint64
	nth   int
}

// before reports whether p comes before q in the start order.
func (p place) before(q place) bool {
	switch {
	case p.epoch != q.epoch:
		return p.epoch < q.epoch
	case p.index != q.index:
		return p.index < q.index
	}
	return p.nth < q.nth
}

// family is the supervisor of a child as its client knows it, or nil.
func (g *ledger) family(n sup.Name) *family { return g.families[n] }

// siblings are the living children of a supervisor but one, by first mention, with what their client knows of each.
func (g *ledger) siblings(l *life) (others []*life, of []*kid) {
	for _, f := range g.kin[l.key.Supervisor] {
		if f.key == l.key {
			continue
		}
		for _, o := range f.live {
			if o.counts() {
				others, of = append(others, o), append(of, g.kid(f.key))
			}
		}
	}
	return others, of
}

// kid is a child as its client knows it, or nil.
func (g *ledger) kid(k sup.Key) *kid {
	if f := g.families[k.Supervisor]; f != nil {
		for _, c := range f.kids {
			if c.key == k {
				return c
			}
		}
	}
	return nil
}

// later reports whether a comes after b in the start order, for certain.
func later(a, b *kid) bool {
	return a != nil && b != nil && a.place.known && b.place.known && b.place.before(a.place)
}

// startsInOrder checks a birth under one_for_all or rest_for_one (I6): nothing starts while an init of a sibling has not
// returned (S10), nor while an earlier one is being stopped; and nothing starts after a later one has.
func (g *ledger) startsInOrder(l *life) {
	f := g.family(l.key.Supervisor)
	if f == nil || !f.spec.Strategy.InOrder() {
		return
	}
	g.w.stats.Ordered++
	mine, own := g.kid(l.key), g.fact(l.key)
	others, kids := g.siblings(l)
	for i, o := range others {
		switch {
		case !o.inited:
			g.w.fail("I6", "%s %s starts on %s before the init of %s %s on %s has returned", l.key, l.inc, l.h.name, o.key, o.inc, o.h.name)
		case f.changing:
		case o.asked > 0 && later(mine, kids[i]):
			g.w.fail("I6", "%s %s starts on %s while %s, which comes before it, is being stopped on %s", l.key, l.inc, l.h.name, o.key, o.h.name)
		case later(kids[i], mine) && o.born > own.ended && (!own.cleanEnd || mine.spec.Restart == sup.Permanent) &&
			o.inc.Index > f.changed && own.newest.Index >= f.changed && (own.last == nil || !g.taken(own, mine, own.last)):
			g.w.fail("I6", "%s %s starts on %s after %s %s on %s, which comes behind it", l.key, l.inc, l.h.name, o.key, o.inc, o.h.name)
		}
	}
	if own.asked > 0 && own.last != nil && own.last.dead && f.spec.Strategy == sup.RestForOne && !f.doomed() && !f.changing && own.newest.Index > f.changed && !g.anew(f, own) {
		for _, o := range g.kin[l.key.Supervisor] {
			if o != own && o.born > own.asked && !later(g.kid(o.key), mine) {
				return
			}
		}
		g.w.fail("I6", "%s was stopped and starts again on %s, and none before it did (S9)", l.key, l.h.name)
	}
}

// anew reports whether a supervisor may have been started again, with its parent or by it, since a child was placed last.
func (g *ledger) anew(f *family, own *fact) bool {
	if _, below := f.name.Parent(); !below {
		return false
	}
	x := g.windows.newestOf(f.name)
	return x == nil || g.w.raft.epoch > 0 || x.created > own.newest.Index
}

// doomed reports whether the end of any child was ever asked for, or may not have been seen.
func (f *family) doomed() bool {
	for _, k := range f.kids {
		if k.doomed || k.belief == unknown && f.changed > 0 || k.spec.Supervisor != nil { // a tree has no life to see
			return true
		}
	}
	return false
}

// moves notes that an incarnation is to move.
func (g *ledger) moves(k sup.Key, inc sup.Incarnation) {
	f := g.fact(k)
	if f.moved == nil {
		f.moved = map[sup.Incarnation]bool{}
	}
	f.moved[inc] = true
}

// taken reports whether a life may have been ended by hand, or to move: no matter of its group.
func (g *ledger) taken(f *fact, k *kid, l *life) bool {
	return k.hands > 0 || l.inc.Index <= k.handed || f.moved[l.inc] || l.p.leaving || g.leaving[l.session]
}

// asksToStop checks the moment at which a child is asked to stop, other than by hand or to move (I6): those behind it are
// down, and no other one is being stopped (S8, S9, S13).
func (g *ledger) asksToStop(l *life) {
	f, own, mine := g.family(l.key.Supervisor), g.fact(l.key), g.kid(l.key)
	if f == nil || f.simple() || f.changing || l.inc.Index <= f.changed || mine == nil || g.taken(own, mine, l) {
		return
	}
	l.asked = g.w.now
	g.w.stats.Ordered++
	g.stopsAmongTrees(l)
	others, kids := g.siblings(l)
	for i, o := range others {
		switch {
		case o.asked > 0:
			g.w.fail("I6", "%s %s is asked to stop on %s while %s %s still stops on %s", l.key, l.inc, l.h.name, o.key, o.inc, o.h.name)
		case later(kids[i], mine):
			g.w.fail("I6", "%s %s is asked to stop on %s while %s %s, which comes behind it, lives on %s", l.key, l.inc, l.h.name, o.key, o.inc, o.h.name)
		}
	}
}
