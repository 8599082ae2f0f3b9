package fsm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	sup "github.com/supnode/supnode/supervisor"
	"pgregory.net/rapid"
)

// TestReplicasAgree applies thousands of random, mostly valid commands of every type, in batches, to three replicas: one
// straight, one that decodes the log by itself, and one that is replaced by a restored snapshot again and again. Their
// snapshots are the same bytes, and Check holds after every entry.
func TestReplicasAgree(t *testing.T) {
	seen := tally{}
	check := func(rt *rapid.T) {
		g := &generator{world: newWorld(rt), rt: rt, seen: seen}
		g.world.s.settings.EventHistory = 4 << 10
		g.register("n1")
		g.aGroup()
		second, third := copyOf(rt, g.s), copyOf(rt, g.s)
		for i := range 160 {
			applied := g.step()
			g.count(applied)
			for _, replica := range []*State{second, third} {
				e, err := Decode(g.log[len(g.log)-1])
				if err != nil {
					rt.Fatal(err)
				}
				got := replica.Apply(g.s.index, e)
				if a, b := fmt.Sprintf("%+v", applied.Changed), fmt.Sprintf("%+v", got.Changed); a != b {
					rt.Fatalf("entry %d changed %s on one replica and %s on another", g.s.index, a, b)
				}
			}
			// Each history compares at its own indexes, so that together they restore after every kind of entry.
			if i%5 == int(g.draw)%5 {
				want := snapshot(rt, g.s)
				if !bytes.Equal(want, snapshot(rt, second)) {
					rt.Fatalf("entry %d: two replicas differ", g.s.index)
				}
				if !bytes.Equal(want, snapshot(rt, third)) {
					rt.Fatalf("entry %d: a replica that was restored before differs", g.s.index)
				}
				third = copyOf(rt, third)
				if !bytes.Equal(want, snapshot(rt, third)) {
					rt.Fatalf("entry %d: snapshot and restore change the state", g.s.index)
				}
				if a, b := seats(g.s), seats(third); a != b {
					rt.Fatalf("entry %d: lists differ after a restore:\n%s\n%s", g.s.index, a, b)
				}
			}
		}
	}
	// What is drawn seldom may not come at all: until everything was seen often enough, more is drawn.
	for range 5 {
		if rapid.Check(t, check); t.Failed() || len(seen.missing()) == 0 {
			break
		}
	}
	if t.Failed() {
		return
	}
	seen.assert(t)
}

// tally counts commands by type and result, and situations.
type tally map[string]int

func (c tally) assert(t *testing.T) {
	t.Logf("%v", c)
	if c["commands"] < 10_000 {
		t.Errorf("only %d commands were applied", c["commands"])
	}
	if valid := c["valid"]; valid*100 < 65*c["commands"] {
		t.Errorf("only %d of %d commands were valid", valid, c["commands"])
	}
	for _, kind := range c.missing() {
		t.Errorf("%q was seen only %d times", kind, c[kind])
	}
}

// missing is what was seen too seldom to prove anything.
func (c tally) missing() (few []string) {
	for _, kind := range []string{
		"Bootstrap", "Establish", "Tick", "Register", "NodeDown", "Leave", "Left", "Report", "SetTTL", "TTLRetired", "Bump", "Released",
		"StartSupervisor", "StopSupervisor", "StartChild", "TerminateChild", "RestartChild", "ApplyManifest", "op applying, first half", "op applying, second half",
		"Drain", "ForgetNode", "Rebalance", "Move", "Deliver", "Delivered", "message lost", "drained", "aimed", "forgotten",
		"op starting", "op stopping", "op undoing a start", "queue", "held", "stop owed", "stopped", "slot Unplaced", "slot Placed", "slot Running",
		"slot Stopping", "wants", "pending reason", "exited", "lost at start", "window", "request completed later", "migrated", "intensity exceeded",
		"made from a template", "backoff", "auto shutdown",
		"tree Placed", "tree Running", "tree Stopping", "tree restarted", "tree exceeded", "tree undone", "deep tree",
		"op group", "group goes down", "group of a start goes down", "group comes up", "group waits for a node", "queue behind a group",
		"terminated in a group", "moved in a group", "lost in a group", "never ran in a group",
	} {
		if c[kind] < 20 && kind != "Bootstrap" && !(kind == "aimed" && c[kind] >= 5) { // few have where to go
			few = append(few, kind)
		}
	}
	return few
}

func copyOf(t tb, s *State) *State {
	c, err := Restore(bytes.NewReader(snapshot(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// seats prints what is derived from the records, in its order.
func seats(s *State) string {
	var b bytes.Buffer
	for c := range s.Wanting() {
		fmt.Fprint(&b, c.Key, " ")
	}
	for n := range s.Nodes() {
		fmt.Fprint(&b, n.Name, ":")
		for c := range s.On(n.Name) {
			fmt.Fprint(&b, c.Key, " ")
		}
	}
	fmt.Fprint(&b, s.stopped, s.running, s.history.size)
	for h := range s.Supervisors() {
		i, _ := s.Info(h.Name)
		fmt.Fprintf(&b, "%s %v %v ", h.Name, i.ChildrenByNode, s.Counts(h.Name))
	}
	return b.String()
}

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
			next.Children = slices.Insert(next.Children, at, g.child(id).WithDefaults())
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

// count notes which situations the state is in.
func (g *generator) count(a Applied) {
	saw := func(what string, yes bool) {
		if yes {
			g.seen[what]++
		}
	}
	for _, c := range a.Completed {
		saw("message lost", c.Outcome != nil && c.Outcome.Problem != nil && c.Outcome.Problem.Code == sup.CodeOutcomeUnknown)
	}
	for t := range g.s.trees.all() {
		saw("op starting", t.head.starting())
		saw("op stopping", t.head.stopping())
		saw("op undoing a start", t.head.stopping() && t.head.Op.Remove)
		saw("queue", len(t.head.Queue) > 0)
		saw("stopped", t.head.Status == sup.StatusStopped)
		group := t.head.Op != nil && t.head.Op.Kind == OpGroup
		down := t.head.Op != nil && t.head.Op.Down != 0
		saw("op group", group)
		saw("group goes down", group && down)
		saw("group of a start goes down", t.head.starting() && down)
		saw("group comes up", group && !down && t.dues > 0)
		saw("queue behind a group", group && len(t.head.Queue) > 0)
		saw("intensity exceeded", t.head.Reason == sup.ReasonMaxRestartsExceeded)
		saw("auto shutdown", t.head.Spec.AutoShutdown.Stops(false) && t.head.stopping() && len(t.head.Op.Waiters) == 0 && t.head.Reason == sup.ReasonShutdown)
		saw("window", len(t.head.Stamps) > 1)
		saw("op applying, first half", t.head.applying() && t.head.Op.Next != nil)
		saw("op applying, second half", t.head.applying() && t.head.Op.Next == nil)
		saw("a change missed a child", t.head.applying() && t.head.Op.Missed > 0)
		saw("a group in a change", t.head.applying() && t.head.Op.Down != 0)
		saw("made from a template", t.head.simple() && t.children.len() > 1)
		for c := range t.children.all() {
			g.seen["slot "+map[Phase]string{Unplaced: "Unplaced", Placed: "Placed", Running: "Running", Stopping: "Stopping"}[c.Phase]]++
			saw("wants", c.Wants)
			if c.IsSupervisor() {
				g.seen["tree "+map[Phase]string{Unplaced: "Unplaced", Placed: "Placed", Running: "Running", Stopping: "Stopping"}[c.Phase]]++
				sub := g.s.trees.get(c.Key.Supervisor.Sub(c.Key.Child))
				saw("tree restarted", c.RestartCount > 0 && c.Phase == Running)
				saw("tree exceeded", sub != nil && sub.head.Exceeded)
				saw("tree undone", sub != nil && sub.head.stopping() && sub.head.Op.Remove)
				saw("deep tree", c.Key.Supervisor.Depth() > 1)
			}
			saw("aimed", c.Toward != "")
			saw("stop owed", c.Phase == Unplaced && c.Why != 0)
			saw("pending reason", c.PendingReason != "")
			saw("backoff", c.Status(g.s.clock) == sup.StatusBackoff)
			saw("exited", c.Status(g.s.clock) == sup.StatusExited)
			saw("lost at start", c.Lost > 0)
			saw("group waits for a node", group && t.dues > 0 && c.PendingReason != "")
			saw("terminated in a group", group && t.dues > 0 && c.Why == WhyTerminate)
			saw("moved in a group", group && c.Why == WhyMove)
			saw("lost in a group", down && c.Due && c.LastExit != nil && c.LastExit.Reason == sup.ExitNodeDown)
			saw("never ran in a group", down && !c.Started())
		}
	}
	saw("held", g.s.held)
	saw("forgotten", len(g.s.forgot) > 0)
	saw("drained", len(g.nodes(func(n *Node) bool { return n.Drained })) > 0)
	for _, c := range a.Completed {
		saw("request completed later", !slices.ContainsFunc(a.Results, func(r Result) bool { return r.Outcome == c.Outcome }))
	}
	events, _, _ := g.s.Events(max(a.LastEvent, 20)-20, 100)
	for _, e := range events {
		saw("migrated", e.Index == a.Index && e.Type == sup.EventChildMigrated)
	}
}

func kindOf(c Command) string {
	switch {
	case c.Deliver != nil:
		return "Deliver"
	case c.Delivered != nil:
		return "Delivered"
	case c.Bootstrap != nil:
		return "Bootstrap"
	case c.Establish != nil:
		return "Establish"
	case c.Tick != nil:
		return "Tick"
	case c.Register != nil:
		return "Register"
	case c.NodeDown != nil:
		return "NodeDown"
	case c.Leave != nil:
		return "Leave"
	case c.Left != nil:
		return "Left"
	case c.Report != nil:
		return "Report"
	case c.SetTTL != nil:
		return "SetTTL"
	case c.TTLRetired != nil:
		return "TTLRetired"
	case c.Bump != nil:
		return "Bump"
	case c.Released != nil:
		return "Released"
	case c.StartSupervisor != nil:
		return "StartSupervisor"
	case c.StopSupervisor != nil:
		return "StopSupervisor"
	case c.StartChild != nil:
		return "StartChild"
	case c.TerminateChild != nil:
		return "TerminateChild"
	case c.ApplyManifest != nil:
		return "ApplyManifest"
	case c.Drain != nil:
		return "Drain"
	case c.ForgetNode != nil:
		return "ForgetNode"
	case c.Rebalance != nil:
		return "Rebalance"
	case c.Move != nil:
		return "Move"
	}
	return "RestartChild"
}
