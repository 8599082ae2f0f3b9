package model

import (
	"fmt"
	"slices"
	"strings"
	"time"

	sup "github.com/supnode/supnode/supervisor"
	"pgregory.net/rapid"
)

// draw draws stories.
type draw struct {
	t          *rapid.T
	strategies []sup.Strategy
	auto       bool // auto_shutdown is drawn too
	levels     int  // of supervisors that a tree may have, below 2 no child is one
}

var (
	nodeNames = []sup.NodeName{"n1", "n2", "n3"}
	supNames  = []sup.Name{"a", "b"}
	childIDs  = []sup.ChildID{"w1", "w2", "w3", "w4", "w5"}
	restarts  = []sup.Restart{sup.Permanent, sup.Transient, sup.Temporary}
	exits     = []sup.ExitReason{sup.ExitNormal, sup.ExitShutdown, sup.ExitKilled, sup.ExitError, sup.ExitNodeDown}
	afters    = []time.Duration{0, 0, 0, time.Nanosecond, time.Second, 2 * time.Second, 5 * time.Second}
)

func one[T any](d *draw, name string, of []T) T {
	return of[rapid.IntRange(0, len(of)-1).Draw(d.t, name)]
}

func (d *draw) chance(name string, percent int) bool {
	return rapid.IntRange(0, 99).Draw(d.t, name) >= 100-percent
}

// begin is how every story begins: three nodes, and a supervisor or two.
func (d *draw) begin(w *World) error {
	orders := []string{"register n1", "register n2", "register n3", d.start()}
	if d.chance("another", 30) {
		orders = append(orders, d.start())
	}
	return w.Step(0, orders, func(wanting []*Child) (places, unplaced []string) { return d.place(w, wanting) })
}

// settle lets agents do what they are to do for some entries, and the leader place what it can, without drawing anything.
func (d *draw) settle(w *World, entries int) error {
	for i := range entries {
		order := "tick"
		for _, s := range w.Model.Sups {
			for _, ch := range s.Children {
				switch {
				case order != "tick" || ch.isSup() || ch.owed:
				case ch.State == Placed:
					order = fmt.Sprintf("running %s#%d", ch.Key(), ch.Inc)
				case ch.State == Stopping:
					order = fmt.Sprintf("ended %s#%d shutdown", ch.Key(), ch.Inc)
				}
			}
		}
		err := w.Step(0, []string{order}, func(wanting []*Child) (places, unplaced []string) {
			for j, ch := range wanting {
				if fit := w.eligible(ch); len(fit) > 0 {
					places = append(places, ch.Key().String()+"@"+string(fit[(i+j)%len(fit)]))
				}
			}
			return places, nil
		})
		if err != nil || order == "tick" && len(w.Model.Wanting()) == 0 {
			return err
		}
	}
	return nil
}

func (w *World) eligible(ch *Child) (fit []sup.NodeName) {
	for _, n := range w.Model.Nodes {
		if w.Model.Eligible(ch, n) {
			fit = append(fit, n.Name)
		}
	}
	return fit
}

// step draws an entry: mostly one order, and placements for most of what wants a node.
func (d *draw) step(w *World) error {
	if d.chance("settle", 20) {
		return d.settle(w, rapid.IntRange(1, 12).Draw(d.t, "entries"))
	}
	n := 1
	if d.chance("several", 15) {
		n = rapid.IntRange(2, 4).Draw(d.t, "orders")
	}
	if d.chance("restore", 2) {
		orders := []string{"bump", "released"}
		return w.Step(0, orders[:rapid.IntRange(1, 2).Draw(d.t, "released at once")], func([]*Child) (places, unplaced []string) { return nil, nil })
	}
	// The orders of one entry are drawn before any of them happens: the later ones may be overtaken by the earlier.
	orders := make([]string, 0, n)
	for range n {
		orders = append(orders, d.order(w))
	}
	return w.Step(one(d, "after", afters), orders, func(wanting []*Child) (places, unplaced []string) { return d.place(w, wanting) })
}

func (d *draw) place(w *World, wanting []*Child) (places, unplaced []string) {
	if len(wanting) == 0 || d.chance("the leader is dropped", 20) {
		return nil, nil
	}
	for _, ch := range wanting {
		fit := w.eligible(ch)
		switch {
		case d.chance("left for later", 10):
		case d.chance("wrong placement", 3):
			places = append(places, ch.Key().String()+"@"+string(one(d, "node", nodeNames)))
		case len(fit) > 0 && !d.chance("unreachable", 5):
			places = append(places, ch.Key().String()+"@"+string(one(d, "node", fit)))
		default:
			unplaced = append(unplaced, ch.Key().String()+"!no_available_node")
		}
	}
	return places, unplaced
}

// order draws an order: mostly what agents would report next, so that stories get somewhere.
func (d *draw) order(w *World) string {
	m := w.Model
	var placed, running, stopping, all []*Child
	for _, s := range m.Sups {
		for _, ch := range s.Children {
			all = append(all, ch)
			switch {
			case ch.isSup() || ch.owed:
			case ch.State == Placed:
				placed = append(placed, ch)
			case ch.State == Running:
				running = append(running, ch)
			case ch.State == Stopping:
				stopping = append(stopping, ch)
			}
		}
	}
	type choice struct {
		weight int
		draw   func() string
	}
	var choices []choice
	add := func(weight int, possible bool, draw func() string) {
		if possible {
			choices = append(choices, choice{weight, draw})
		}
	}
	run := func(ch *Child) string { return fmt.Sprintf("%s#%d", ch.Key(), ch.Inc) }
	live := d.nodes(m, func(n *Node) bool { return n.Life == "up" })
	gone := d.nodes(m, func(n *Node) bool { return n.Life != "up" })
	for _, n := range nodeNames {
		if m.Node(n) == nil {
			gone = append(gone, n)
		}
	}
	add(4, true, func() string { return "tick" })
	add(40, m.held, func() string { return "released" })
	add(30, len(placed) > 0, func() string { return "running " + run(one(d, "child", placed)) })
	add(8, len(placed) > 0, func() string { return "initfailed " + run(one(d, "child", placed)) })
	add(3, len(placed) > 0, func() string {
		return "ended " + run(one(d, "child", placed)) + " " + string(one(d, "reason", exits))
	})
	add(25, len(running) > 0, func() string {
		return "ended " + run(one(d, "child", running)) + " " + string(one(d, "reason", exits))
	})
	add(30, len(stopping) > 0, func() string {
		return "ended " + run(one(d, "child", stopping)) + " " + string(one(d, "reason", exits[1:]))
	})
	add(1, len(stopping) > 0, func() string { return "initfailed " + run(one(d, "child", stopping)) })
	add(2, len(placed)+len(running)+len(stopping) > 0, func() string {
		return "moved " + run(one(d, "child", slices.Concat(placed, running, stopping))) + " " + string(one(d, "reason", exits[1:]))
	})
	add(5, len(all) > 0, func() string { return d.late(w, one(d, "child", all)) })
	add(20, len(gone) > 0, func() string { return "register " + string(one(d, "node", gone)) })
	add(1, len(live) > 0, func() string { return "register " + string(one(d, "node", live)) })
	add(8, len(live) > 0, func() string { return "down " + string(one(d, "node", live)) })
	add(2, len(live) > 0, func() string {
		return strings.TrimSpace("leave " + string(one(d, "node", live)) + " " + one(d, "pace", []string{"", "paced"}))
	})
	add(2, true, func() string {
		return one(d, "drain", []string{"undrain ", "drain "}) + string(one(d, "node", nodeNames))
	})
	add(3, len(placed)+len(running) > 0, func() string { return "move " + run(one(d, "child", slices.Concat(placed, running))) })
	add(2, len(live) > 0, func() string { return "left " + string(one(d, "node", live)) })
	add(20-10*min(len(m.Sups), 2), true, func() string { return d.start() })
	add(1, true, func() string { return d.start() })
	add(2, len(m.Sups) > 0, func() string {
		return strings.TrimSpace("stop " + string(one(d, "sup", m.Sups).Name) + " " + one(d, "reason", []string{"", "enough"}))
	})
	add(9, len(m.Sups) > 0, func() string {
		s := one(d, "sup", m.Sups)
		if s.simple() != d.chance("wrong strategy", 5) {
			return "add " + string(s.Name)
		}
		return "add " + string(s.Name) + " " + printChild(d.member(one(d, "id", childIDs), s.Name.Depth()))
	})
	add(8, len(m.Sups) > 0, func() string { return "apply " + d.changed(one(d, "sup", m.Sups)) })
	add(4, len(running) > 0, func() string { return strings.TrimSpace("rebalance " + one(d, "at most", []string{"", "1", "2"})) })
	add(3, len(d.aimed(running)) > 0, func() string { return "move " + run(one(d, "child", d.aimed(running))) })
	add(6, len(all) > 0, func() string { return "terminate " + one(d, "child", all).Key().String() })
	add(8, len(all) > 0, func() string { return "restart " + one(d, "child", all).Key().String() })
	add(1, true, func() string {
		return one(d, "order", []string{"terminate", "restart"}) + " " + string(one(d, "sup", supNames)) + "/" + string(one(d, "id", childIDs))
	})
	add(2, len(w.asked) > 0, func() string {
		return fmt.Sprintf("again k%d", rapid.IntRange(1, len(w.asked)).Draw(d.t, "request"))
	})
	add(2, len(w.pending()) > 0, func() string { return "again " + one(d, "request", w.pending()) })
	add(1, true, func() string { return "leader " + string(one(d, "node", nodeNames)) })

	total := 0
	for _, c := range choices {
		total += c.weight
	}
	at := rapid.IntRange(0, total-1).Draw(d.t, "what")
	for _, c := range choices {
		if at < c.weight {
			return c.draw()
		}
		at -= c.weight
	}
	return "tick"
}

func (w *World) pending() (keys []string) {
	for i := range w.asked {
		if key := fmt.Sprintf("k%d", i+1); w.Model.answer(key).Status == "pending" {
			keys = append(keys, key)
		}
	}
	return keys
}

func (d *draw) nodes(m *Cluster, keep func(*Node) bool) (names []sup.NodeName) {
	for _, n := range m.Nodes {
		if keep(n) {
			names = append(names, n.Name)
		}
	}
	return names
}

// late draws a report that comes too late or for the second time.
func (d *draw) late(w *World, ch *Child) string {
	incs := w.lastInc[ch.Key()]
	inc := uint64(1)
	if len(incs) > 0 {
		inc = one(d, "incarnation", incs)
	}
	if ch.Inc == inc && ch.State == Running {
		return fmt.Sprintf("running %s#%d", ch.Key(), inc)
	}
	if ch.Inc == inc {
		return "tick"
	}
	kind := one(d, "kind", []string{"running", "ended", "initfailed"})
	text := fmt.Sprintf("%s %s#%d", kind, ch.Key(), inc)
	if kind == "ended" {
		text += " " + string(one(d, "reason", exits))
	}
	return text
}

func (d *draw) start() string {
	sp := d.manifest(1)
	sp.Name = one(d, "sup", supNames)
	return "start " + printSpec(sp.WithDefaults())
}

// changed draws a manifest for a supervisor: the one that it has, with some children gone, changed, moved or new.
func (d *draw) changed(s *Sup) string {
	as := d
	if d.chance("another strategy", 8) { // which no change can give it
		other := *d
		other.strategies = slices.DeleteFunc(slices.Clone(implemented), func(x sup.Strategy) bool { return x == s.Spec.Strategy })
		as = &other
	}
	sp := as.manifest(s.Name.Depth())
	sp.Name = s.Name
	if s.Name.Depth() > 1 { // it is changed with its parent
		sp.Name = one(d, "sup", supNames)
		return printSpec(sp.WithDefaults())
	}
	if as == d && d.chance("as it is", 80) {
		sp.Strategy, sp.Children, sp.ChildTemplate = s.Spec.Strategy, nil, s.Spec.ChildTemplate
		if s.simple() && (sp.ChildTemplate == nil || d.chance("another template", 50)) {
			c := d.child("t")
			sp.ChildTemplate = &c
		}
		if d.chance("settings as they are", 70) {
			sp.Intensity, sp.AutoShutdown, sp.MaxChildren, sp.Selector = s.Spec.Intensity, s.Spec.AutoShutdown, s.Spec.MaxChildren, s.Spec.Selector
		}
		ids := slices.Clone(childIDs)
		for _, ch := range s.Children {
			if s.simple() || d.chance("gone", 20) {
				continue
			}
			c := ch.Spec
			if d.chance("differs", 25) {
				c = d.member(c.ID, 1)
			}
			sp.Children = append(sp.Children, c)
			ids = slices.DeleteFunc(ids, func(id sup.ChildID) bool { return id == c.ID })
		}
		if !s.simple() && len(ids) > 0 && d.chance("new", 40) {
			i := rapid.IntRange(0, len(sp.Children)).Draw(d.t, "where")
			sp.Children = slices.Insert(sp.Children, i, d.member(one(d, "id", ids), 1))
		}
		if len(sp.Children) > 1 && d.chance("another order", 20) {
			slices.Reverse(sp.Children)
		}
	}
	if sp.Strategy == sup.SimpleOneForOne {
		sp.AutoShutdown = ""
	}
	return printSpec(sp.WithDefaults())
}

// aimed are those that a rebalance is to move.
func (d *draw) aimed(children []*Child) (aimed []*Child) {
	for _, ch := range children {
		if ch.toward != "" {
			aimed = append(aimed, ch)
		}
	}
	return aimed
}

// manifest draws a supervisor of that level, 1 = a root.
func (d *draw) manifest(level int) sup.Spec {
	sp := sup.Spec{Strategy: one(d, "strategy", d.strategies)}
	if level == 1 {
		sp.Selector = &sup.Selector{Kind: one(d, "selector", []sup.SelectorKind{sup.SelectLocalFirst, sup.SelectRoundRobin})}
	}
	sp.Intensity = &sup.Intensity{MaxRestarts: rapid.IntRange(0, 4).Draw(d.t, "max"), Within: sup.Of(one(d, "within", []time.Duration{time.Second, 5 * time.Second}))}
	if d.auto && sp.Strategy != sup.SimpleOneForOne {
		sp.AutoShutdown = one(d, "auto", []sup.AutoShutdown{sup.NeverShutdown, sup.AnySignificant, sup.AllSignificant})
	}
	if sp.Strategy == sup.SimpleOneForOne {
		c := d.child("t")
		sp.ChildTemplate = &c
		sp.MaxChildren = rapid.IntRange(0, 3).Draw(d.t, "limit")
	} else {
		ids := slices.Clone(childIDs)
		for range rapid.IntRange(0, 4).Draw(d.t, "children") {
			i := rapid.IntRange(0, len(ids)-1).Draw(d.t, "id")
			sp.Children = append(sp.Children, d.member(ids[i], level))
			ids = slices.Delete(ids, i, i+1)
		}
	}
	return sp
}

// member draws a child, perhaps a supervisor, of a supervisor of that level.
func (d *draw) member(id sup.ChildID, level int) sup.ChildSpec {
	if level >= d.levels || !d.chance("supervisor", 40) {
		return d.child(id)
	}
	sp := d.manifest(level + 1)
	c := sup.ChildSpec{ID: id, Restart: one(d, "restart", restarts), Significant: d.chance("significant", 40), Supervisor: &sp}
	return c.WithDefaults()
}

func (d *draw) child(id sup.ChildID) sup.ChildSpec {
	c := sup.ChildSpec{ID: id, Behavior: "exec", Restart: one(d, "restart", restarts)}
	if d.chance("pinned", 10) {
		c.Selector = &sup.Selector{Kind: sup.SelectNode, Node: one(d, "node", nodeNames)}
	}
	if d.chance("bound", 10) {
		c.Require = map[string]string{"zone": one(d, "zone", []string{"a", "b"})}
	}
	if d.chance("limited", 10) {
		c.MaxPerNode = rapid.IntRange(1, 2).Draw(d.t, "most")
	}
	c.Significant = d.chance("significant", 40)
	if c.Restart != sup.Temporary && d.chance("backoff", 20) {
		c.Backoff = &sup.Backoff{}
	}
	return c.WithDefaults()
}
