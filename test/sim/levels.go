package sim

import sup "github.com/supnode/supnode/supervisor"

// A child that is a supervisor has no life of its own: for its parent's order it begins with the first births of its initial
// children and ends with the last of their lives.

// besides are the living children of the supervisors beside a child, below the same parent, with the child that each of these is.
func (g *ledger) besides(parent *family, of sup.Key) (lives []*life, trees []*kid) {
	for _, k := range parent.kids {
		if k.spec.Supervisor == nil || k.key == of {
			continue
		}
		for _, leaf := range g.below(k) {
			for _, o := range leaf.live {
				if o.counts() {
					lives, trees = append(lives, o), append(trees, k)
				}
			}
		}
	}
	return lives, trees
}

// above is the supervisor above a tree as its client knows it, and the child that the tree is; nil when there is none, or when
// somebody has to do with either.
func (g *ledger) above(tree *family) (parent *family, as *kid) {
	key, below := tree.name.Parent()
	if !below {
		return nil, nil
	}
	parent, as = g.family(key.Supervisor), g.kid(key)
	if parent == nil || as == nil || parent.changing || parent.changed > 0 || as.hands > 0 || as.handed > 0 || g.w.raft.epoch > 0 {
		return nil, nil
	}
	return parent, as
}

// initial reports whether a life belongs to the start of its tree: no one of its child came before it since the tree began.
func (g *ledger) initial(l *life) bool {
	x := g.windows.newestOf(l.key.Supervisor)
	if x == nil || l.inc.Index < x.created {
		return false
	}
	for _, inc := range g.fact(l.key).births {
		if inc.Index >= x.created && inc.Less(l.inc) {
			return false
		}
	}
	return true
}

// startsAmongTrees checks a birth beside trees under one_for_all or rest_for_one (I6): no tree there is still starting, none
// that comes behind it lives while it starts anew, and of its own tree none before it is missing (S10).
func (g *ledger) startsAmongTrees(l *life) {
	parent, mine, of := g.family(l.key.Supervisor), g.kid(l.key), l.key
	check := func() {
		lives, trees := g.besides(parent, of)
		for i, o := range lives {
			if !o.inited && g.initial(o) {
				g.w.fail("I6", "%s %s starts on %s while the tree %s starts: the init of %s %s has not returned", l.key, l.inc, l.h.name, trees[i].key, o.key, o.inc)
			}
		}
		g.w.stats.Levels += len(lives)
	}
	if parent != nil && mine != nil && parent.spec.Strategy.InOrder() && !parent.changing && parent.changed == 0 && g.w.raft.epoch == 0 {
		check()
	}
	if parent == nil || !g.initial(l) {
		return
	}
	if parent, mine = g.above(parent); parent == nil || !parent.spec.Strategy.InOrder() {
		return
	}
	of = mine.key
	check()
	for _, k := range parent.kids { // those that are no trees
		for _, o := range g.fact(k.key).live {
			if o.counts() && !o.inited {
				g.w.fail("I6", "%s %s starts on %s before the init of %s %s beside its tree has returned", l.key, l.inc, l.h.name, o.key, o.inc)
			}
		}
	}
}

// stopsAmongTrees checks the moment at which a child is asked to stop (I6): when it is with its supervisor's group or stop, the
// trees behind it are down; when its own tree is taken down by the supervisor above, so is all that comes behind the tree there.
func (g *ledger) stopsAmongTrees(l *life) {
	f, mine := g.family(l.key.Supervisor), g.kid(l.key)
	behind := func(parent *family, mine *kid) {
		lives, trees := g.besides(parent, mine.key)
		for i, o := range lives {
			if later(trees[i], mine) {
				g.w.fail("I6", "%s %s is asked to stop on %s while %s %s lives in the tree %s, which comes behind it", l.key, l.inc, l.h.name, o.key, o.inc, trees[i].key)
			}
		}
		g.w.stats.Levels += len(lives)
	}
	behind(f, mine)
	x := g.windows.newestOf(f.name)
	if f.spec.Strategy == sup.OneForOne && x != nil && x.status == sup.StatusRunning && g.w.raft.epoch == 0 {
		g.w.fail("S7", "%s %s is asked to stop on %s: nobody asked for it, and its supervisor runs", l.key, l.inc, l.h.name)
	}
	parent, tree := g.above(f)
	if parent == nil || x == nil || x.status != sup.StatusStopping || x.over != (mark{}) || !x.up { // a start that fails undoes itself
		return
	}
	behind(parent, tree)
	for _, k := range parent.kids {
		for _, o := range g.fact(k.key).live {
			if o.counts() && later(k, tree) {
				g.w.fail("I6", "%s %s is asked to stop on %s with its tree while %s %s lives, which comes behind that", l.key, l.inc, l.h.name, o.key, o.inc)
			}
		}
	}
}
