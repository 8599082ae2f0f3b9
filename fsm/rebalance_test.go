package fsm

import (
	"fmt"
	"slices"
	"testing"

	sup "github.com/supnode/supnode/supervisor"
	"pgregory.net/rapid"
)

// A plan names only children that run and nodes that can take them, moves none that is where its selector wants it, and when
// it is carried out no further plan moves anything: any two nodes that could exchange a child differ by one at most.
func TestAPlanComesToAnEnd(t *testing.T) {
	moved, homeward := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		g := &generator{world: newWorld(rt), rt: rt, seen: tally{}}
		g.register("n1")
		for i := range 2 + g.n("supervisors", 3) {
			sp := sup.Spec{Name: sup.Name(fmt.Sprintf("s%d", i)), Selector: g.selector()}
			for k := range g.n("children", 8) {
				sp.Children = append(sp.Children, g.child(sup.ChildID(fmt.Sprintf("w%d", k))))
			}
			g.apply(Command{StartSupervisor: &StartSupervisor{Spec: sp.WithDefaults(), Home: pick(g, "home", nodeNames)}})
			g.settle()
		}
		for _, n := range nodeNames[1:] {
			if g.n("exec", 5) > 0 {
				g.register(n, "exec", "reports")
			} else {
				g.register(n, "reports")
			}
		}
		if g.n("drain", 4) == 0 {
			g.ask(Command{Drain: &Drain{Node: "n3"}})
		}
		before := snapshot(rt, g.s)
		plan := g.s.PlanRebalance(MaxMoves)
		if !slices.Equal(plan, g.s.PlanRebalance(MaxMoves)) || string(before) != string(snapshot(rt, g.s)) {
			rt.Fatal("a plan is not a function of the state alone")
		}
		some := g.s.PlanRebalance(2)
		if len(some) > 2 || !slices.Equal(some, plan[:min(2, len(plan))]) {
			rt.Fatalf("at most two: %v of %v", some, plan)
		}
		for _, m := range plan {
			c := g.s.Child(m.Key())
			if c == nil || c.Phase != Running || c.Node != m.From || c.Inc != m.Incarnation || m.To == m.From || g.s.Ineligible(c, g.s.Node(m.To)) != "" {
				rt.Fatalf("%+v is no move of %+v", m, c)
			}
			sel := g.s.Selector(c)
			if sel.Pinned() || c.Spec.Restart == sup.Temporary {
				rt.Fatalf("%s is to stay", c.Key)
			}
			if home := g.s.Home(c.Key.Supervisor); sel.Kind == sup.SelectLocalFirst && m.To == home {
				homeward++
			} else if sel.Kind == sup.SelectLocalFirst && m.From == home {
				rt.Fatalf("%s is at home", c.Key)
			}
			moved++
		}
		g.ask(Command{Rebalance: &Rebalance{Moves: plan}})
		if again := g.s.PlanRebalance(MaxMoves); len(again) > 0 {
			rt.Fatalf("while these are to move: %v", again)
		}
		for _, m := range plan {
			if c := g.s.Child(m.Key()); c.Toward == m.To {
				g.apply(Command{Move: &Move{Key: c.Key, Inc: c.Inc}})
				g.settle()
			}
			if at := g.s.Child(m.Key()).Node; at != m.To {
				rt.Fatalf("%+v came to %s", m, at)
			}
		}
		if again := g.s.PlanRebalance(MaxMoves); len(again) > 0 || g.s.Rebalancing() > 0 {
			rt.Fatalf("after the plan: %v", again)
		}
		for h := range g.s.Supervisors() {
			if h.TotalRestarts != 0 || len(h.Stamps) != 0 {
				rt.Fatalf("%s: a move was counted", h.Name)
			}
		}
	})
	if t.Failed() {
		return
	}
	if moved < 20 || homeward < 2 { // far below what a hundred draws have: it counts that the plans are not empty
		t.Errorf("%d moves, %d of them home", moved, homeward)
	}
}

func BenchmarkPlanRebalance(b *testing.B) {
	w := newWorld(b)
	w.register("n1")
	s := sup.Spec{Name: "pool", Selector: sup.RoundRobin}
	for i := range 100_000 {
		s.Children = append(s.Children, child(sup.ChildID(fmt.Sprintf("w%d", i)), sup.Permanent))
	}
	w.s.Apply(w.s.index+1, w.entry(Command{StartSupervisor: &StartSupervisor{Spec: s.WithDefaults(), Home: "n1"}}))
	reports := make([]Command, 0, 100_000)
	for c := range w.s.On("n1") {
		reports = append(reports, Command{Report: &Report{Key: c.Key, Inc: c.Inc, Kind: ReportRunning}})
	}
	w.s.Apply(w.s.index+1, Entry{Commands: reports})
	for i := range 99 {
		w.register(sup.NodeName(fmt.Sprintf("n%d", i+2)))
	}
	for b.Loop() {
		if n := len(w.s.PlanRebalance(MaxMoves)); n != MaxMoves {
			b.Fatalf("%d moves", n)
		}
	}
}

// What can't go to a node is looked at once for it, not once for every move: that is the leader's time.
func TestAPlanLooksAtAChildOnceForEachNode(t *testing.T) {
	s := newWorld(t)
	s.register("n1", "job")
	sp := sup.Spec{Name: "pool", Selector: sup.LeastLoaded}
	for i := range 3 * MaxMoves {
		sp.Children = append(sp.Children, sup.ChildSpec{ID: sup.ChildID(fmt.Sprintf("w%04d", i)), Behavior: "job"})
	}
	s.apply(Command{StartSupervisor: &StartSupervisor{Spec: sp.WithDefaults(), Home: "n1"}})
	s.settle()
	s.register("n2", "other") // the emptiest for ever
	s.register("n3", "job")
	looks := testing.AllocsPerRun(1, func() { // each look that is in vain makes a reason
		if n := len(s.s.PlanRebalance(MaxMoves)); n != MaxMoves {
			t.Fatalf("%d moves", n)
		}
	})
	if limit := float64(20 * 3 * MaxMoves); looks > limit {
		t.Fatalf("%v allocations, above %v", looks, limit)
	}
}
