package sim

import (
	"math"
	"slices"
	"strings"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/leader"
	sup "github.com/supnode/supnode/supervisor"
)

// selector is the custom selector that the programs of all hosts have registered (S29).
const selector = "mine"

// zone is the tag that every host has: half of them are in a, the others in b.
const zone = "zone"

func (h *host) zone() string { return []string{"a", "b"}[h.i%2] }

// tags are what the host announces.
func (h *host) tags() []fsm.Tag {
	z := h.zone()
	if h.w.mutant.is("tags_of_others") {
		z = h.w.hosts[(h.i+1)%len(h.w.hosts)].zone()
	}
	return []fsm.Tag{{Key: zone, Value: z}}
}

// dressPlaces draws where a child may run. Children that start one after another would wait for each other without end if
// there were no room for one of them: they have no limit.
func (w *World) dressPlaces(f *family, c *sup.ChildSpec) {
	r := w.plan.Rules
	if w.odds(r.Bound) {
		c.Require = map[string]string{zone: []string{"a", "b"}[w.style.IntN(2)]}
		c.Selector = nil
	}
	if !f.spec.Strategy.InOrder() && w.odds(r.Bound) {
		c.MaxPerNode = 1 + w.style.IntN(3)
	}
	if c.Selector == nil && w.odds(r.Custom) {
		c.Selector = sup.Custom(selector)
	}
}

// choose is the custom selector's answer to a leader, after a while.
func (l *leadership) choose(q leader.Select) {
	w := l.w
	of := q.Key.Supervisor
	if l.choosing[of] {
		w.fail("S29", "%s asks for two nodes at a time for children of %s", l.p.h.name, of)
	}
	if len(q.Nodes) == 0 || !slices.IsSortedFunc(q.Nodes, func(a, b sup.SelectorNode) int { return strings.Compare(string(a.Name), string(b.Name)) }) {
		w.fail("S29", "%s asks for a node for %s and gives %v", l.p.h.name, q.Key, q.Nodes)
	}
	l.choosing[of] = true
	s := leader.Selected{ID: q.ID, Key: q.Key}
	switch n := w.style.IntN(100); {
	case n < 10 && !w.calm:
		s.Why = "it does not like any"
	case n < 15 && !w.calm:
		s.Node = "elsewhere"
	default:
		s.Node = q.Nodes[w.style.IntN(len(q.Nodes))].Name
		f := w.ledger.fact(q.Key)
		f.chosen = append(f.chosen, s.Node)
	}
	l.p.post(w.style.Int64N(int64(sup.SelectorTimeout)), tagRaft, sourceRaft, func() {
		l.choosing[of] = false
		l.event(s)
	})
}

// placedRightly checks the host of a birth: it has the tags that the child requires and room for it (S28), and a custom
// selector has chosen it (S29).
func (g *ledger) placedRightly(l *life) {
	k, f := g.kid(l.key), g.fact(l.key)
	if k == nil || g.w.raft.epoch > 0 || k.f.changing || k.f.changed > 0 {
		return
	}
	if z, bound := k.spec.Require[zone]; bound && z != l.h.zone() {
		g.w.fail("S28", "%s %s starts on %s, in zone %s, and requires %s", l.key, l.inc, l.h.name, l.h.zone(), z)
	}
	if limit := k.spec.MaxPerNode; limit > 0 {
		there, together, last := 0, 0, limit // together: by the same entry, of which one was the last; its limit is at most last
		others, kids := g.siblings(l)
		for i, o := range others {
			switch {
			case o.h != l.h || l.inc.Less(o.inc):
			case o.inc.Less(l.inc):
				there++
			case kids[i] == nil || kids[i].spec.MaxPerNode == 0:
				together, last = together+1, math.MaxInt
			default:
				together, last = together+1, max(last, kids[i].spec.MaxPerNode)
			}
		}
		if there >= limit || there+together >= last {
			g.w.fail("S28", "%s %s starts on %s beside %d others of its supervisor, its limit is %d", l.key, l.inc, l.h.name, there+together, limit)
		}
		g.w.stats.Bound++
	}
	if s := k.spec.Selector; s != nil && s.Kind == sup.SelectCustom {
		if !slices.Contains(f.chosen, l.h.name) {
			g.w.fail("S29", "%s %s starts on %s, its selector chose %v", l.key, l.inc, l.h.name, f.chosen)
		}
		g.w.stats.Chosen++
		f.chosen = nil
	}
}

// crowded reports whether no host has room for a child that waits: it may go on waiting.
func (w *World) crowded(c *fsm.Child) bool {
	if !c.Wants || c.Spec.MaxPerNode == 0 {
		return false
	}
	on := map[*host]int{}
	for _, f := range w.ledger.kin[c.Key.Supervisor] {
		for _, l := range f.live {
			on[l.h]++
		}
	}
	for _, h := range w.hosts {
		s := c.Spec.Selector
		if z, bound := c.Spec.Require[zone]; on[h] < c.Spec.MaxPerNode && (!bound || z == h.zone()) && (s == nil || !s.Pinned() || s.Node == h.name) {
			return false
		}
	}
	return true
}
