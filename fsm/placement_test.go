package fsm

import (
	"testing"

	sup "github.com/supnode/supnode/supervisor"
)

// S28, S30: Apply takes a placement exactly when all that it expects still holds; whether another node would have been the
// better choice is not looked at again.
func TestPlacementsAreTakenWhenTheyStillFit(t *testing.T) {
	k := key("pool", "w1")
	var require map[string]string
	var most int
	limited := func() sup.ChildSpec {
		c := child("w1", sup.Permanent)
		c.Require, c.MaxPerNode = require, most
		return c
	}
	for _, c := range []struct {
		name    string
		prepare func(w *world)
		change  func(w *world, p *Placement)
		taken   bool
	}{
		{name: "as proposed", taken: true},
		{name: "not the node that the selector would choose now", taken: true, prepare: func(w *world) {
			w.ask(Command{StartSupervisor: &StartSupervisor{Spec: sup.Spec{Name: "load", Children: []sup.ChildSpec{
				child("a", sup.Permanent), child("b", sup.Permanent),
			}, Selector: sup.OnNode("n1")}.WithDefaults()}})
		}},
		{name: "a former session", change: func(w *world, p *Placement) { w.register("n1") }},
		{name: "a session of the future", change: func(w *world, p *Placement) { p.Session.Seq += 5 }},
		{name: "a node that went down", change: func(w *world, p *Placement) {
			w.apply(Command{NodeDown: &NodeDown{Node: "n1", Session: p.Session}})
		}},
		{name: "a node that leaves", change: func(w *world, p *Placement) { w.apply(Command{Leave: &Leave{Node: "n1", Session: p.Session}}) }},
		{name: "a node that left", change: func(w *world, p *Placement) { w.apply(Command{Left: &Left{Node: "n1", Session: p.Session}}) }},
		{name: "an unknown node", change: func(w *world, p *Placement) { p.Node = "n9" }},
		{name: "a node without the behavior", change: func(w *world, p *Placement) { p.Node, p.Session = "n3", w.s.Node("n3").Session }},
		{name: "a node that lost a tag which is required", prepare: func(w *world) { require = map[string]string{"zone": "a"} }, change: func(w *world, p *Placement) {
			w.register("n1")
			p.Session = w.s.Node("n1").Session
		}},
		{name: "a node with the tag that is required", prepare: func(w *world) {
			require = map[string]string{"zone": "a"}
			r := w.registration("n1")
			r.Tags = []Tag{{"disk", "ssd"}, {"zone", "a"}}
			w.apply(Command{Register: r})
		}, taken: true},
		{name: "a node with room for one", prepare: func(w *world) { most = 1 }, taken: true},
		{name: "a node that a sibling filled", prepare: func(w *world) { most = 1 }, change: func(w *world, p *Placement) {
			sibling := child("w2", sup.Permanent)
			w.ask(Command{StartChild: &StartChild{Supervisor: "pool", Spec: &sibling}}) // it waits for the start
			w.ask(Command{StopSupervisor: &StopSupervisor{Name: "pool"}})
			w.ask(Command{StartSupervisor: &StartSupervisor{Spec: sup.Spec{Name: "pool", Children: []sup.ChildSpec{sibling, limited()}}.WithDefaults()}})
			w.commit(Entry{Placements: []Placement{{Key: key("pool", "w2"), Node: "n1", Session: p.Session}}})
		}},
		{name: "an unknown child", change: func(w *world, p *Placement) { p.Key.Child = "w9" }},
		{name: "an unknown supervisor", change: func(w *world, p *Placement) { p.Key.Supervisor = "x" }},
		{name: "a slot that was placed meanwhile", change: func(w *world, p *Placement) {
			n2 := w.s.Node("n2")
			w.commit(Entry{Placements: []Placement{{Key: k, Node: "n2", Session: n2.Session}}})
		}},
		{name: "a child that is terminated", change: func(w *world, p *Placement) { w.ask(Command{TerminateChild: &TerminateChild{Key: k}}) }},
		{name: "a supervisor that stops", change: func(w *world, p *Placement) { w.ask(Command{StopSupervisor: &StopSupervisor{Name: "pool"}}) }},
		{name: "a slot that is to wait", change: func(w *world, p *Placement) {
			w.s.turn.rev++
			w.s.editChild(w.s.trees.get("pool"), w.s.Child(k)).NotBefore = w.s.clock + 1
		}},
		{name: "a state that is held", change: func(w *world, p *Placement) {
			w.apply(Command{Bump: &Bump{Gen: 2}})
			w.register("n1")
			p.Session = w.s.Node("n1").Session
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require, most = nil, 0
			w := newWorld(t)
			w.register("n1")
			w.register("n2")
			w.register("n3", "reports")
			if c.prepare != nil {
				c.prepare(w)
			}
			w.placing = false
			w.ask(Command{StartSupervisor: &StartSupervisor{Spec: sup.Spec{
				Name: "pool", Selector: sup.LeastLoaded, Children: []sup.ChildSpec{limited()},
			}.WithDefaults()}})
			p := Placement{Key: k, Node: "n1", Session: w.s.Node("n1").Session}
			if c.change != nil {
				c.change(w, &p)
			}
			w.commit(Entry{Placements: []Placement{p}})
			got := w.s.Child(k)
			taken := got != nil && got.Phase == Placed && got.Node == "n1" && got.Inc == (sup.Incarnation{Gen: 1, Index: w.s.index})
			if taken != c.taken {
				t.Errorf("taken=%t: %+v", taken, got)
			}
		})
	}
}

// S26, S28: a pin without fallback is kept by Apply, one with a fallback is for the leader to prefer.
func TestPinnedChildrenAreNotPlacedElsewhere(t *testing.T) {
	for _, c := range []struct {
		selector *sup.Selector
		taken    bool
	}{
		{sup.OnNode("n2"), false},
		{&sup.Selector{Kind: sup.SelectNode, Node: "n2", Fallback: sup.SelectLeastLoaded}, true},
	} {
		w := newWorld(t)
		w.register("n1")
		w.placing = false
		cs := child("w1", sup.Permanent)
		cs.Selector = c.selector
		w.ask(Command{StartSupervisor: &StartSupervisor{Spec: spec("pool", cs)}})
		w.commit(Entry{Placements: []Placement{{Key: key("pool", "w1"), Node: "n1", Session: w.s.Node("n1").Session}}})
		if taken := w.s.CountOn("n1") == 1; taken != c.taken {
			t.Errorf("%+v: taken=%t", c.selector, taken)
		}
	}
}

// An entry places a child at most once, so that an incarnation names one placement.
func TestAnEntryPlacesAChildOnce(t *testing.T) {
	w := newWorld(t)
	w.register("n1")
	w.register("n2")
	w.placing = false
	w.ask(Command{StartSupervisor: &StartSupervisor{Spec: spec("pool", child("w1", sup.Permanent))}})
	k := key("pool", "w1")
	w.commit(Entry{Placements: []Placement{
		{Key: k, Node: "n1", Session: w.s.Node("n1").Session}, {Key: k, Node: "n2", Session: w.s.Node("n2").Session},
	}})
	if c := w.s.Child(k); c.Node != "n1" || w.s.CountOn("n2") != 0 {
		t.Errorf("slot %+v", c)
	}
}

// The leader's prediction is what Apply then does: with it every restart is placed in the entry that decides it.
func TestPredictionsHold(t *testing.T) {
	w := newWorld(t)
	w.register("n1")
	w.register("n2")
	in := &sup.Intensity{MaxRestarts: 1, Within: 5e9}
	w.ask(Command{StartSupervisor: &StartSupervisor{Spec: sup.Spec{Name: "pool", Intensity: in, Children: []sup.ChildSpec{
		child("p", sup.Permanent), child("t", sup.Transient), child("x", sup.Temporary), child("y", sup.Temporary),
	}}.WithDefaults(), Home: "n1"}})
	predict := func(name string, c Command, want ...sup.ChildID) {
		t.Helper()
		var got []sup.Key
		for _, p := range w.s.Prospects(c) {
			got = append(got, p.Child.Key)
		}
		before := map[sup.Key]bool{}
		for c := range w.s.Wanting() {
			before[c.Key] = true
		}
		w.placing = false
		w.apply(c)
		w.placing = true
		var wants []sup.ChildID
		for c := range w.s.Wanting() {
			if !before[c.Key] {
				wants = append(wants, c.Key.Child)
			}
		}
		if len(got) != len(want) || len(wants) != len(want) {
			t.Fatalf("%s: predicted %v, wanting %v, want %v", name, got, wants, want)
		}
		for i := range want {
			if got[i].Child != want[i] || wants[i] != want[i] {
				t.Fatalf("%s: predicted %v, wanting %v, want %v", name, got, wants, want)
			}
		}
		w.apply(Command{Tick: &Tick{}})
	}
	report := func(id sup.ChildID, kind ReportKind, reason sup.ExitReason) Command {
		return Command{Report: &Report{Key: key("pool", id), Inc: w.s.Child(key("pool", id)).Inc, Kind: kind, Reason: reason}}
	}
	predict("init returned", report("p", ReportRunning, ""))
	w.settle()
	predict("clean end", report("t", ReportEnded, sup.ExitNormal))
	predict("temporary", report("x", ReportEnded, sup.ExitError))
	predict("crash", report("p", ReportEnded, sup.ExitError), "p")
	predict("placed restart lost", report("p", ReportEnded, sup.ExitNodeDown), "p")
	w.settle()
	cs := child("z", sup.Permanent)
	predict("start_child", Command{StartChild: &StartChild{Supervisor: "pool", Spec: &cs}}, "z")
	predict("duplicate", Command{StartChild: &StartChild{Supervisor: "pool", Spec: &cs}})
	w.settle()
	predict("restart of an exited child", Command{RestartChild: &RestartChild{Key: key("pool", "t")}}, "t")
	w.settle()
	predict("restart of a running child", Command{RestartChild: &RestartChild{Key: key("pool", "t")}})
	predict("its stop", report("t", ReportEnded, sup.ExitShutdown), "t")
	w.settle()
	n1 := w.s.Node("n1")
	predict("node down", Command{NodeDown: &NodeDown{Node: "n1", Session: n1.Session}}, "t", "z")
	predict("node down again", Command{NodeDown: &NodeDown{Node: "n1", Session: n1.Session}})
	w.settle()
	predict("terminate", Command{TerminateChild: &TerminateChild{Key: key("pool", "z")}})
	predict("its stop", report("z", ReportEnded, sup.ExitShutdown))
	predict("one crash too many", report("p", ReportEnded, sup.ExitError))
	predict("start", Command{StartSupervisor: &StartSupervisor{Spec: spec("other", child("a", sup.Permanent), child("b", sup.Permanent))}}, "a", "b")
	predict("start again", Command{StartSupervisor: &StartSupervisor{Spec: spec("other", child("a", sup.Permanent))}})
}
