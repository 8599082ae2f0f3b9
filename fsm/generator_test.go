package fsm

import (
	"fmt"
	"slices"

	sup "github.com/supnode/supnode/supervisor"
	"pgregory.net/rapid"
)

// generator draws entries that fit the state.
type generator struct {
	*world
	rt    *rapid.T
	seen  tally
	past  []Command // requests that were asked before
	ended []Report  // reports of incarnations that are gone
}

func (g *generator) n(label string, n int) int { return rapid.IntRange(0, n-1).Draw(g.rt, label) }

func pick[T any](g *generator, label string, from []T) T { return from[g.n(label, len(from))] }

func (g *generator) step() Applied {
	commands := make([]Command, 0, 4)
	for range 1 + g.n("batch", 10)/6 + g.n("more", 10)/8 {
		commands = append(commands, g.draws())
	}
	g.placing = g.n("placing", 10) < 8
	e := g.entry(commands...)
	e.Clock += int64(g.n("ms", 800)) * 1e6
	if g.n("clock", 60) == 0 {
		e.Clock += 601e9
	}
	e.Wall = testWall + e.Clock
	if g.n("bogus", 20) == 0 && g.s.trees.len() > 0 { // a placement that may no longer fit
		if slots := g.slots(func(*Child) bool { return true }); len(slots) > 0 {
			if nodes := g.nodes(func(*Node) bool { return true }); len(nodes) > 0 {
				n := pick(g, "node", nodes)
				e.Placements = append(e.Placements, Placement{Key: pick(g, "slot", slots).Key, Node: n.Name, Session: n.Session})
			}
		}
	}
	for _, c := range commands {
		if c.Request != nil && len(g.past) < 100 {
			g.past = append(g.past, c)
		}
		if c.Report != nil && len(g.ended) < 100 {
			g.ended = append(g.ended, *c.Report)
		}
	}
	a := g.commit(e)
	for i, r := range a.Results {
		g.seen["commands"]++
		if r.Status == OK || r.Status == Pending {
			g.seen["valid"]++
			g.seen[kindOf(commands[i])]++
		}
	}
	return a
}

// draws draws one command that fits the state, or now and then one that does not.
func (g *generator) draws() Command {
	held := g.slots(func(c *Child) bool { return c.Node != "" })
	if group := g.slots(func(c *Child) bool { return c.Node != "" && g.inGroup(c) }); len(group) > 0 {
		c := pick(g, "in a group", group)
		switch n := g.s.Node(c.Node); g.n("cut in", 20) {
		case 2, 3, 4:
			return g.requested(Command{TerminateChild: &TerminateChild{Key: c.Key}})
		case 5, 6, 7:
			return Command{Leave: &Leave{Node: n.Name, Session: n.Session}}
		case 8, 9:
			return Command{NodeDown: &NodeDown{Node: n.Name, Session: n.Session, Why: "lease expired"}}
		}
	}
	// A report is most of what a log holds.
	if len(held) > 0 && g.n("kind", 100) < 50 {
		return Command{Report: g.report(held)}
	}
	up := g.nodes(func(n *Node) bool { return n.Status == MemberUp })
	switch k := g.n("kind", 100); {
	case k < 4:
		return g.message()
	case g.s.held && k < 25:
		return Command{Released: &Released{Gen: g.s.gen}}
	case k < 7 && len(g.past) > 0:
		return pick(g, "past", g.past)
	case k < 8 && len(g.ended) > 0:
		r := pick(g, "ended", g.ended)
		return Command{Report: &r}
	case k < 9:
		return Command{Bump: &Bump{Gen: g.s.gen + 1}}
	case k < 10:
		return Command{Tick: &Tick{}}
	case k < 11:
		return Command{Establish: &Establish{Term: g.s.term + 1, Leader: pick(g, "leader", nodeNames)}}
	case k < 14:
		return Command{SetTTL: &SetTTL{HeartbeatInterval: 100e6, LeaseTTL: int64(1+g.n("ttl", 5)) * 1e9}}
	case k < 16 && g.s.retiring != 0:
		return Command{TTLRetired: &TTLRetired{LeaseTTL: g.s.retiring}}
	case k < 19 && len(up) > 1:
		n := pick(g, "node", up)
		return Command{NodeDown: &NodeDown{Node: n.Name, Session: n.Session, Why: "lease expired"}}
	case k < 24 && len(up) > 1:
		n := pick(g, "node", up)
		return Command{Leave: &Leave{Node: n.Name, Session: n.Session, Paced: g.n("paced", 3) > 0}}
	case k < 26:
		if draining := g.nodes(func(n *Node) bool { return n.Status == MemberDraining }); len(draining) > 0 {
			n := pick(g, "node", draining)
			return Command{Left: &Left{Node: n.Name, Session: n.Session, Why: pick(g, "why", []string{"", "short of time"})}}
		}
	case k < 27:
		return Command{Bootstrap: &Bootstrap{Cluster: "other"}}
	case k < 40 && len(up) < 3 || k < 29:
		return Command{Register: g.registration(g.joins())}
	case k < 48:
		if moving := g.slots(func(c *Child) bool { return g.s.Moves(c).Now }); len(moving) > 0 {
			c := pick(g, "move", moving)
			for _, aimed := range moving {
				if aimed.Toward != "" {
					c = aimed
				}
			}
			return Command{Move: &Move{Key: c.Key, Inc: c.Inc}}
		}
	case k < 50:
		if drained := g.nodes(func(n *Node) bool { return n.Drained }); len(drained) > 0 && g.n("undo", 4) > 0 {
			return g.requested(Command{Drain: &Drain{Node: pick(g, "node", drained).Name, Undo: true}})
		}
		return g.requested(Command{Drain: &Drain{Node: pick(g, "node", nodeNames)}})
	case k < 51:
		if gone := g.nodes(func(n *Node) bool { return !n.Live() }); len(gone) > 0 {
			return g.requested(Command{ForgetNode: &ForgetNode{Node: pick(g, "node", gone).Name}})
		}
	case k < 62 && len(up) > 1:
		plan := g.s.PlanRebalance(1 + g.n("max", 5))
		for _, c := range held { // and what no plan would say
			for _, n := range up {
				plan = append(plan, sup.Move{Supervisor: c.Key.Supervisor, Child: c.Key.Child, Incarnation: c.Inc, To: n.Name})
			}
		}
		return g.requested(Command{Rebalance: &Rebalance{Moves: plan}})
	}
	return g.asks()
}

// message draws one that a node is to deliver, or what came of one.
func (g *generator) message() Command {
	if r := g.s.requests.delivering.first(); r != nil && g.n("delivered", 2) == 0 {
		d := &Delivered{Request: r.Key, Claim: r.Deliver.Claim}
		switch g.n("came of it", 4) {
		case 0, 1:
			d.Outcome = &Outcome{Reply: []byte("42")}
		case 2:
			d.Outcome = &Outcome{Problem: &sup.Problem{Code: sup.CodeCallFailed}}
		}
		return Command{Delivered: d}
	}
	c := g.requested(Command{Deliver: &Deliver{Key: key("pool", "w1"), Node: pick(g, "node", nodeNames), Claim: 1 + uint64(g.n("claim", 9))}})
	if c.Request != nil {
		c.Request.Own = false
	}
	return c
}

var nodeNames = []sup.NodeName{"n1", "n2", "n3", "n4"}

// joins is a node that is not up, else any.
func (g *generator) joins() sup.NodeName {
	var out []sup.NodeName
	for _, n := range nodeNames {
		if known := g.s.Node(n); known == nil || !known.Live() {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		out = nodeNames
	}
	return pick(g, "joins", out)
}

func (g *generator) report(held []*Child) *Report {
	// What has been placed longest is reported first, mostly.
	c := held[0]
	if g.n("any slot", 3) == 0 {
		c = pick(g, "slot", held)
	}
	r := &Report{Key: c.Key, Inc: c.Inc, Kind: ReportEnded, Detail: "d"}
	k := g.n("report", 100)
	switch {
	case c.Phase == Placed && k < 75:
		r.Kind = ReportRunning
	case c.Phase == Placed && k < 85:
		r.Kind = ReportInitFailed
	default:
		if k >= 97 {
			r.Kind = ReportMoved
		}
		r.Reason = pick(g, "reason", []sup.ExitReason{
			sup.ExitNormal, sup.ExitShutdown, sup.ExitKilled, sup.ExitError, sup.ExitNormal, sup.ExitError, sup.ExitNodeDown,
		})
	}
	return r
}

// requested gives a command the identity of a request.
func (g *generator) requested(c Command) Command {
	g.keys++
	c.Request = &Request{Key: fmt.Sprintf("k%d", g.keys), Hash: []byte("h"), Own: g.n("own", 2) == 0}
	if g.n("keyless", 20) == 0 {
		c.Request = nil
	}
	return c
}

// aGroup lets a run begin, mostly, with a group that restarts.
func (g *generator) aGroup() {
	if g.n("group", 3) == 1 {
		return
	}
	g.register("n2")
	sp := spec("group", child("w1", sup.Permanent), child("w2", sup.Transient), child("w3", sup.Permanent), child("w4", sup.Temporary), child("w5", sup.Permanent))
	sp.Strategy = pick(g, "strategy", []sup.Strategy{sup.OneForAll, sup.RestForOne})
	sp.Selector, sp.Intensity = sup.RoundRobin, &sup.Intensity{MaxRestarts: 1000, Within: 5e9}
	sp.Children[2].Selector = sup.OnNode("n2")
	g.ask(Command{StartSupervisor: &StartSupervisor{Spec: sp}})
	g.settle()
	g.world.report(key("group", "w1"), ReportEnded, sup.ExitError, "boom")
}

// inGroup reports whether a child is one of a group restart in progress.
func (g *generator) inGroup(c *Child) bool {
	t := g.s.trees.get(c.Key.Supervisor)
	return t.head.Op != nil && t.head.Op.Kind == OpGroup && t.dues > 0
}

func (g *generator) slots(keep func(*Child) bool) []*Child {
	var all []*Child
	for t := range g.s.trees.all() {
		for c := range t.children.all() {
			if keep(c) {
				all = append(all, c)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *Child) int { return int(a.Seat) - int(b.Seat) })
	return all
}

func (g *generator) nodes(keep func(*Node) bool) []*Node {
	var all []*Node
	for n := range g.s.Nodes() {
		if keep(n) {
			all = append(all, n)
		}
	}
	return all
}
