package fsm

import (
	"encoding/json"
	"fmt"
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// asks draws a request of a client.
func (g *generator) asks() Command {
	c := g.requested(Command{})
	var alive []sup.Name
	for h := range g.s.Supervisors() {
		if h.Status == sup.StatusRunning || h.Status == sup.StatusStarting {
			alive = append(alive, h.Name)
		}
	}
	children := g.slots(func(c *Child) bool { return slices.Contains(alive, c.Key.Supervisor) })
	switch k := g.n("ask", 100); {
	case len(alive) == 0 || k < 14 && len(alive) < 4:
		sp := sup.Spec{
			Name:         pick(g, "name", []sup.Name{"a", "b", "c", "d", "e", "f"}),
			Strategy:     pick(g, "strategy", []sup.Strategy{sup.OneForAll, sup.RestForOne, sup.OneForOne}),
			Selector:     g.selector(),
			AutoShutdown: pick(g, "auto", []sup.AutoShutdown{sup.NeverShutdown, sup.AnySignificant, sup.AllSignificant}),
			Intensity:    &sup.Intensity{MaxRestarts: pick(g, "max", []int{9, 3, 2, 1, 0}), Within: sup.Duration(1+g.n("within", 5)) * 1e9},
		}
		if g.n("simple", 4) == 3 {
			template := g.child("")
			sp.AutoShutdown = sup.NeverShutdown
			template.Args = []json.RawMessage{[]byte("1")}
			sp.Strategy, sp.ChildTemplate, sp.MaxChildren = sup.SimpleOneForOne, &template, g.n("max children", 6)
		} else {
			for i := range pick(g, "children", []int{4, 3, 5, 1, 2, 0}) {
				sp.Children = append(sp.Children, g.childOrTree(sup.ChildID(fmt.Sprintf("w%d", i)), 1))
			}
		}
		c.StartSupervisor = &StartSupervisor{Spec: sp.WithDefaults(), Home: pick(g, "home", nodeNames), Once: g.n("once", 10) == 0}
	case k < 18 && len(alive) > 0:
		c.ApplyManifest = g.manifest(pick(g, "name", alive))
	case k < 22:
		name := pick(g, "name", alive)
		for _, n := range alive { // of one that has much to stop there is more to see
			if t := g.s.trees.get(n); t.head.simple() && t.children.len() > 1 {
				name = n
			}
		}
		c.StopSupervisor = &StopSupervisor{Name: name}
	case k < 50 || len(children) == 0:
		c.StartChild = &StartChild{Supervisor: pick(g, "name", alive)}
		for _, n := range alive { // one that starts without children is given some
			if g.s.Supervisor(n).simple() && g.n("simple", 2) == 0 {
				c.StartChild.Supervisor = n
			}
		}
		if g.s.Supervisor(c.StartChild.Supervisor).simple() != (g.n("wrong", 20) == 0) {
			c.StartChild.Args = [][]byte{[]byte("2")}[:g.n("args", 2)]
			break
		}
		cs := g.childOrTree(sup.ChildID(fmt.Sprintf("x%d", g.n("id", 30))), 1).WithDefaults()
		c.StartChild.Spec = &cs
	case k < 75:
		c.TerminateChild = &TerminateChild{Key: pick(g, "child", children).Key}
	default:
		c.RestartChild = &RestartChild{Key: pick(g, "child", children).Key}
	}
	return c
}

// manifest is much as a supervisor is, with differences.
func (g *generator) manifest(n sup.Name) *ApplyManifest {
	t := g.s.trees.get(n)
	next := *t.head.Spec
	if t.head.simple() {
		template := *next.ChildTemplate
		if g.n("template", 2) == 0 {
			template.Args = append(template.Args[:len(template.Args):len(template.Args)], json.RawMessage("3"))
		}
		next.ChildTemplate = &template
		return &ApplyManifest{Spec: next}
	}
	for c := range t.children.all() {
		spec := *c.Spec
		switch g.n("difference", 5) {
		case 0:
			continue
		case 1, 2:
			spec.Args = []json.RawMessage{json.RawMessage(fmt.Sprint(g.n("arg", 1000)))}
		}
		next.Children = append(next.Children, spec)
	}
	for range g.n("new", 3) {
		if id := sup.ChildID(fmt.Sprintf("w%d", g.n("id", 30))); t.children.get(id) == nil && !slices.ContainsFunc(next.Children, func(c sup.ChildSpec) bool { return c.ID == id }) {
			at := g.n("at", len(next.Children)+1)
			next.Children = slices.Insert(next.Children, at, g.childOrTree(id, 1).WithDefaults())
		}
	}
	if n := len(next.Children); n > 1 && g.n("reorder", 4) == 0 {
		i, j := g.n("one", n), g.n("other", n)
		next.Children[i], next.Children[j] = next.Children[j], next.Children[i]
	}
	for i := range next.Children { // what a child is, or what is deep in it
		switch c := &next.Children[i]; {
		case g.n("another", 12) == 1:
			*c = g.childOrTree(c.ID, 1).WithDefaults()
		case c.Supervisor != nil && g.n("deep", 3) == 1:
			sub := *c.Supervisor
			sub.Children = []sup.ChildSpec{g.child("d").WithDefaults()}
			c.Supervisor = &sub
		}
	}
	if g.n("intensity", 4) == 0 {
		next.Intensity = &sup.Intensity{MaxRestarts: g.n("max", 4), Within: next.Intensity.Within}
	}
	if g.n("strategy", 20) == 0 {
		next.Strategy = sup.OneForAll
	}
	return &ApplyManifest{Spec: next, Home: "n1"}
}

// childOrTree draws a child, now and then one that is a supervisor.
func (g *generator) childOrTree(id sup.ChildID, depth int) sup.ChildSpec {
	if depth > 3 || g.n("tree", 6) != 3 {
		return g.child(id)
	}
	c := sup.ChildSpec{
		ID: id, Restart: pick(g, "restart", []sup.Restart{sup.Permanent, sup.Transient, sup.Temporary}), Significant: g.n("significant", 3) == 1,
		Supervisor: &sup.Spec{
			Strategy:     pick(g, "strategy", []sup.Strategy{sup.OneForAll, sup.OneForOne, sup.RestForOne}),
			AutoShutdown: pick(g, "auto", []sup.AutoShutdown{sup.NeverShutdown, sup.AnySignificant, sup.AllSignificant}),
			Intensity:    &sup.Intensity{MaxRestarts: pick(g, "max", []int{1, 0, 2}), Within: 2e9},
		},
	}
	for i := range pick(g, "children", []int{2, 1, 3, 0}) {
		c.Supervisor.Children = append(c.Supervisor.Children, g.childOrTree(sup.ChildID(fmt.Sprintf("t%d", i)), depth+1))
	}
	return c
}

func (g *generator) child(id sup.ChildID) sup.ChildSpec {
	c := sup.ChildSpec{ID: id, Behavior: "exec", Restart: pick(g, "restart", []sup.Restart{sup.Permanent, sup.Permanent, sup.Transient, sup.Temporary})}
	switch g.n("selector", 6) {
	case 0:
		c.Selector = g.selector()
	case 1, 2:
		c.Selector = sup.OnNode(pick(g, "pin", nodeNames))
	}
	c.Significant = g.n("significant", 3) == 1
	if c.Restart != sup.Temporary && g.n("backoff", 4) == 0 {
		c.Backoff = &sup.Backoff{Initial: sup.Duration(1 + 1e9*g.n("wait", 3)), Jitter: 0.3, ResetAfter: 2e9}
	}
	if g.n("behavior", 25) == 0 {
		c.Behavior = "reports"
	}
	return c
}

func (g *generator) selector() *sup.Selector {
	return pick(g, "selector", []*sup.Selector{
		sup.LocalFirst, sup.RoundRobin, sup.LeastLoaded, sup.Random,
		{Kind: sup.SelectNode, Node: "n1", Fallback: sup.SelectRoundRobin},
	})
}
