package leader

import (
	"testing"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// zones is a leader with n1 and n2 in zone a, n3 in zone b.
func zones(t *testing.T) *world {
	w := newWorld(t)
	for n, zone := range map[sup.NodeName]string{"n1": "a", "n2": "a", "n3": "b"} {
		r := w.registration(n)
		r.Tags = []fsm.Tag{{Key: "zone", Value: zone}}
		w.session[n] = w.apply(fsm.Entry{Commands: []fsm.Command{{Register: r}}}).Results[0].Session
	}
	w.lead()
	w.ready("n1", "n2", "n3")
	return w
}

func limited(c fsm.Command, change func(*sup.ChildSpec)) fsm.Command {
	for i := range c.StartSupervisor.Spec.Children {
		change(&c.StartSupervisor.Spec.Children[i])
	}
	return c
}

func TestS28MaxPerNodeHoldsWithinOneEntry(t *testing.T) {
	w := zones(t)
	w.ask(limited(start("a", nil, "1", "2", "3"), func(c *sup.ChildSpec) { c.MaxPerNode = 1 }))
	w.want(len(w.log) == 1 && len(w.log[0].Entry.Placements) == 3, "one entry places all: %+v", w.log)
	w.settle()
	w.running()
	for _, n := range []sup.NodeName{"n1", "n2", "n3"} {
		w.want(w.st.CountOf("a", n) == 1, "%s has %d", n, w.st.CountOf("a", n))
	}
	// One more than there is room for fails, and says why for each node.
	spec := child("4")
	spec.MaxPerNode = 1
	w.ask(fsm.Command{StartChild: &fsm.StartChild{Supervisor: "a", Spec: spec}})
	w.settle()
	o, _, _ := w.st.Outcome("key-" + itoa(w.serial))
	w.want(o != nil && o.Problem != nil && o.Problem.Code == sup.CodeNoAvailableNode && len(o.Problem.Reasons) == 3 &&
		o.Problem.Reasons[0].Reason == "it holds 1 of the supervisor's children, and max_per_node is 1", "%+v", o)
}

func TestS28AStartWithMoreThanThereIsRoomForFails(t *testing.T) {
	w := zones(t)
	w.ask(limited(start("a", sup.RoundRobin, "1", "2", "3", "4"), func(c *sup.ChildSpec) { c.MaxPerNode = 1 }))
	w.want(len(w.log[0].Entry.Placements) == 3, "there is room for three: %+v", w.log[0].Entry.Placements)
	w.settle()
	w.want(w.st.Supervisor("a").Status == sup.StatusStopping && w.st.Child(key("a", "4")) == nil, "the start is undone (S12): %+v", w.st.Supervisor("a"))
}

func TestS28RoomThatBecomesFreeIsUsed(t *testing.T) {
	w := zones(t)
	w.ask(limited(start("a", nil, "1", "2", "3"), func(c *sup.ChildSpec) { c.MaxPerNode = 1 }))
	w.settle()
	w.running()
	w.apply(fsm.Entry{Commands: []fsm.Command{{NodeDown: &fsm.NodeDown{Node: "n3", Session: w.session["n3"]}}}})
	w.alive(2 * second)
	lost := sup.Key{}
	for c := range w.st.Wanting() {
		lost = c.Key
	}
	w.want(lost.Child != "", "one child waits")
	for _, id := range []string{"1", "2", "3"} {
		if k := key("a", id); k != lost && w.st.Child(k).Phase == fsm.Running {
			w.ask(fsm.Command{TerminateChild: &fsm.TerminateChild{Key: k}})
			w.settle()
			w.report(k, fsm.ReportEnded, sup.ExitShutdown)
			w.settle()
			break
		}
	}
	w.want(w.st.Child(lost).Phase == fsm.Placed, "placed where there is room now: %+v", w.st.Child(lost))
}

func TestS28RequiredTagsHaveTheirReasons(t *testing.T) {
	w := zones(t)
	w.ask(limited(start("a", nil, "1", "2"), func(c *sup.ChildSpec) {
		if c.ID == "1" {
			c.Require = map[string]string{"zone": "b"}
		}
	}))
	w.settle()
	w.want(w.node(key("a", "1")) == "n3" && w.node(key("a", "2")) == "n1", "on %s and %s", w.node(key("a", "1")), w.node(key("a", "2")))
	w.running()
	spec := child("3")
	spec.Require = map[string]string{"zone": "c"}
	w.ask(fsm.Command{StartChild: &fsm.StartChild{Supervisor: "a", Spec: spec}})
	w.settle()
	o, _, _ := w.st.Outcome("key-" + itoa(w.serial))
	w.want(o != nil && o.Problem != nil && o.Problem.Code == sup.CodeNoAvailableNode &&
		o.Problem.Reasons[2] == (sup.NodeReason{Node: "n3", Reason: `its tag zone is "b", and the child requires "c"`}), "%+v", o)
}

func TestS29SpreadHoldsWithinOneEntry(t *testing.T) {
	w := zones(t)
	c := start("a", sup.LeastLoaded, "1", "2", "3", "4", "5", "6")
	c.StartSupervisor.Spec.Spread = "zone"
	w.ask(c)
	w.want(len(w.log) == 1 && len(w.log[0].Entry.Placements) == 6, "one entry places all")
	w.settle()
	w.running()
	a, b := w.st.CountOf("a", "n1")+w.st.CountOf("a", "n2"), w.st.CountOf("a", "n3")
	w.want(a == 3 && b == 3, "zone a has %d, zone b %d", a, b)
	pinned := child("7")
	pinned.Selector = sup.OnNode("n3")
	w.ask(fsm.Command{StartChild: &fsm.StartChild{Supervisor: "a", Spec: pinned}})
	w.ask(fsm.Command{StartChild: &fsm.StartChild{Supervisor: "a", Spec: child("8")}})
	w.settle()
	w.want(w.node(key("a", "7")) == "n3" && w.node(key("a", "8")) != "n3", "a pin is stronger, the next one evens out: %s %s", w.node(key("a", "7")), w.node(key("a", "8")))
}

// spread comes before the selector, and counts what runs already; a node that a selector names comes before both.
func TestS29SpreadComesBeforeTheSelector(t *testing.T) {
	w := zones(t)
	c := start("a", sup.LeastLoaded, "1", "2", "3", "4")
	c.StartSupervisor.Spec.Spread = "zone"
	w.ask(c)
	w.settle()
	add := func(of sup.Name, id string, sel *sup.Selector) sup.NodeName {
		spec := child(id)
		spec.Selector = sel
		w.ask(fsm.Command{StartChild: &fsm.StartChild{Supervisor: of, Spec: spec}})
		w.settle()
		return w.node(key(of, id))
	}
	w.running()
	w.want(add("a", "5", &sup.Selector{Kind: sup.SelectNode, Node: "n3", Fallback: sup.SelectLeastLoaded}) == "n3", "its own node")
	w.ask(start("load", sup.OnNode("n1"), "1", "2", "3", "4", "5", "6"))
	w.settle()
	w.running()
	w.want(add("load", "7", sup.LeastLoaded) == "n2" && w.st.CountOn("n3") > w.st.CountOn("n2"), "n2 has least")
	w.ask(start("more", sup.OnNode("n2"), "1", "2", "3", "4", "5", "6"))
	w.settle()
	w.running()
	w.want(w.st.CountOn("n3") < min(w.st.CountOn("n1"), w.st.CountOn("n2")), "n3 has least")
	got := add("a", "6", nil)
	w.want(got == "n1" || got == "n2", "zone a has fewest of its children: %s", got)
	for _, id := range []string{"7", "8"} {
		w.want(add("a", id, &sup.Selector{Kind: sup.SelectNode, Node: "n3", Fallback: sup.SelectLeastLoaded}) == "n3", "the node that it names is stronger")
		w.running()
	}
}
