package fsm

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	sup "github.com/supnode/supnode/supervisor"
	"pgregory.net/rapid"
)

// TestEverythingComesToRest: whatever has happened, once all nodes are there and nothing fails any more every operation ends, every
// request is answered, and what is to run runs. Then a manifest is applied to each supervisor, with a crash, the loss of a node or
// a reboot in the middle of some: it is answered, and the supervisor is as the manifest says, what was to be left alone being
// left alone.
func TestEverythingComesToRest(t *testing.T) {
	met := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		g := &generator{world: newWorld(rt), rt: rt, seen: tally{}}
		g.register("n1")
		g.aGroup()
		for range rapid.IntRange(20, 150).Draw(rt, "steps") {
			g.step()
		}
		g.comesToRest()
		for _, h := range slices.Collect(g.s.Supervisors()) {
			if h.Status == sup.StatusRunning && h.Name.Depth() == 1 {
				met[g.changes(h.Name)]++
			}
		}
		g.comesToRest()
	})
	if met["undisturbed"] < 50 || met["disturbed"] < 20 {
		t.Errorf("it proves little: %v", met)
	}
}

// comesToRest has all nodes up, lets time go on, and sees that nothing is left to do.
func (g *generator) comesToRest() {
	if g.s.held {
		g.apply(Command{Released: &Released{Gen: g.s.gen}})
	}
	for _, n := range nodeNames {
		g.register(n, "exec", "reports")
		g.ask(Command{Drain: &Drain{Node: n, Undo: true}})
	}
	g.passes(60)
	for t := range g.s.trees.all() {
		h := t.head
		if h.Op != nil || len(h.Queue) > 0 || h.Status != sup.StatusRunning && h.Status != sup.StatusStopped {
			g.rt.Fatalf("%s is %s with operation %+v, and %d requests wait", h.Name, h.Status, h.Op, len(h.Queue))
		}
		for c := range t.children.all() {
			ended := c.Phase == Unplaced && !c.Wants && c.Spec.Restart == sup.Transient && c.LastExit != nil && c.LastExit.Reason.Clean()
			if c.Phase != Running && !ended {
				g.rt.Fatalf("%s, %s, is %s after %+v", c.Key, c.Spec.Restart, c.Status(g.s.clock), c.LastExit)
			}
		}
	}
	if n := g.s.requests.waiting(); n != 0 {
		g.rt.Fatalf("%d requests are pending", n)
	}
}

// passes lets nodes do what they are to do while time goes on, longer each time than any child waits.
func (g *generator) passes(times int) {
	g.placing = true
	for range times {
		g.settle()
		g.commit(g.entryAfter(40e9, Command{Tick: &Tick{}}))
	}
	g.settle()
}

// changes applies a manifest and says what came of it.
func (g *generator) changes(n sup.Name) string {
	m := g.manifest(n)
	m.Spec = m.Spec.WithDefaults()
	m.Spec.Intensity = &sup.Intensity{MaxRestarts: 100, Within: 1e9}
	children := func() map[sup.ChildID]*Child {
		all := map[sup.ChildID]*Child{}
		for c := range g.s.trees.get(n).children.all() {
			all[c.Key.Child] = c
		}
		return all
	}
	before := children()
	want, refused := g.s.Changes(&m.Spec)
	request := g.ask(Command{ApplyManifest: m})
	disturbed := g.disturbs(n)
	g.passes(3)
	o, _, _ := g.s.Outcome(request)
	switch {
	case o == nil:
		g.rt.Fatalf("the change of %s is not answered", n)
	case o.Problem != nil && (refused == nil || refused.Code == o.Problem.Code):
		return string(o.Problem.Code)
	case o.Problem != nil || refused != nil:
		g.rt.Fatalf("the change of %s fails with %v, foreseen was %v", n, o.Problem, refused)
	}
	if d := cmp.Diff(want, o.Changes); d != "" {
		g.rt.Fatalf("what was done is not what was foreseen:\n%s", d)
	}
	if g.s.Supervisor(n).Status != sup.StatusRunning {
		return "stopped" // a significant one has ended (S38)
	}
	if disturbed {
		return "disturbed"
	}
	if more, _ := g.s.Changes(&m.Spec); len(more) > 0 {
		g.rt.Fatalf("after the change of %s there is still to do: %v", n, more)
	}
	restarts := map[sup.ChildID]uint64{}
	for _, c := range want {
		if c.Action == sup.ChangeRestart {
			restarts[c.Child] = 1
		}
	}
	for id, c := range children() { // any order: each by itself
		if b := before[id]; b != nil && (c.RestartCount-b.RestartCount != restarts[id] || restarts[id] == 0 && c.Inc != b.Inc) {
			g.rt.Fatalf("%s was %+v and is %+v; it was to be restarted %d times", c.Key, b, c, restarts[id])
		}
	}
	return "undisturbed"
}

// disturbs has something happen in the middle of a change, or not.
func (g *generator) disturbs(n sup.Name) bool {
	for range g.n("steps of it", 4) {
		if r := g.next(); r != nil {
			g.apply(Command{Report: r})
		}
	}
	up := g.slots(func(c *Child) bool { return c.Key.Supervisor == n && c.Phase == Running && c.Node != "" })
	switch g.n("disturbance", 8) {
	case 0:
		if len(up) > 0 {
			c := pick(g, "who crashes", up)
			g.world.report(c.Key, ReportEnded, sup.ExitError, "boom")
			return true
		}
	case 1, 2:
		node := pick(g, "node", nodeNames)
		g.apply(Command{NodeDown: &NodeDown{Node: node, Session: g.s.Node(node).Session}})
		g.register(node, "exec", "reports")
		return true
	case 3, 4:
		g.reboot()
	}
	return false
}
