package fsm

import (
	"strings"
	"testing"

	sup "github.com/supnode/supnode/supervisor"
)

// Check sees each invariant broken: a checker that finds nothing proves nothing.
func TestCheckSeesBrokenInvariants(t *testing.T) {
	w1, w2 := key("pool", "w1"), key("pool", "w2")
	g1, g2, g3 := key("group", "g1"), key("group", "g2"), key("group", "g3")
	edited := func(s *State, k sup.Key, change func(c *Child)) {
		tr := s.trees.get(k.Supervisor)
		s.turn.rev++
		change(s.editChild(tr, tr.children.get(k.Child)))
	}
	head := func(s *State, n sup.Name, change func(h *Supervisor)) {
		s.turn.rev++
		change(s.edit(s.trees.get(n)))
	}
	for _, c := range []struct {
		name, invariant string
		damage          func(s *State)
	}{
		{"a slot on a node that is not there", "C2", func(s *State) { edited(s, w1, func(c *Child) { c.LastNode, c.Node = "n9", "n9" }) }},
		{"a running slot that wants a node", "C1", func(s *State) { edited(s, w1, func(c *Child) { c.Wants = true }) }},
		{"a free slot with an incarnation", "C1", func(s *State) { edited(s, w2, func(c *Child) { c.Inc.Index = 4 }) }},
		{"a slot that stops for no reason", "C1", func(s *State) { edited(s, w1, func(c *Child) { c.Phase = Stopping }); s.trees.get("pool").active-- }},
		{"a stop owed without a hold", "C1", func(s *State) { edited(s, w2, func(c *Child) { c.Why = WhyTerminate }) }},
		{"a child that never ran and never will", "C1", func(s *State) { edited(s, w2, func(c *Child) { c.LastNode = "" }) }},
		{"a slot held in a former session", "C2", func(s *State) { edited(s, w1, func(c *Child) { c.Session.Seq-- }) }},
		{"a slot held by a dead node", "C2", func(s *State) { s.setNode(s.member("n1"), MemberDown) }},
		{"an incarnation of the future", "C2", func(s *State) { edited(s, w1, func(c *Child) { c.Inc.Index = s.index + 1 }) }},
		{"an incarnation of another generation", "C2", func(s *State) { edited(s, w1, func(c *Child) { c.Inc.Gen = 9 }) }},
		{"a slot missing on its node", "C3", func(s *State) { s.member("n1").slots.drop(s.Child(w1).Seat) }},
		{"a slot listed twice", "C3", func(s *State) { s.wanting.add(s.Child(w1)) }},
		{"an old record in a list", "C3", func(s *State) { c := *s.Child(w1); s.member("n1").slots.set(&c) }},
		{"members out of order", "C3", func(s *State) { s.members = append(s.members, s.members[0]) }},
		{"an order behind the next", "C4", func(s *State) { head(s, "pool", func(h *Supervisor) { h.NextOrder = 1 }) }},
		{"children out of order", "C4", func(s *State) { edited(s, w2, func(c *Child) { c.Order = 1 }) }},
		{"a running supervisor with an operation", "C5", func(s *State) { head(s, "pool", func(h *Supervisor) { h.Op = &Op{Kind: OpGroup} }) }},
		{"a stop that waits for nobody", "C5", func(s *State) {
			head(s, "pool", func(h *Supervisor) { h.Status, h.Op = sup.StatusStopping, &Op{Kind: OpStopping} })
		}},
		{"a stopped supervisor with children", "C5", func(s *State) { head(s, "pool", func(h *Supervisor) { h.Status = sup.StatusStopped }) }},
		{"a start that lost count", "C5", func(s *State) {
			head(s, "slow", func(h *Supervisor) { op := *h.Op; op.Left++; h.Op = &op })
		}},
		{"a pending request that nobody answers", "C6", func(s *State) { s.requests.pending.add(&request{Key: "x"}) }},
		{"a child's request that is not pending", "C6", func(s *State) { edited(s, w1, func(c *Child) { c.Waiters = []Waiter{{Key: "x"}} }) }},
		{"a message that nobody delivers", "C6", func(s *State) { s.requests.delivering.add(&request{Key: "x"}) }},
		{"a reply that is not counted", "C6", func(s *State) {
			s.requests.client.add(&request{Key: "x", Born: s.clock, Outcome: &Outcome{Reply: []byte("1")}})
		}},
		{"a window ahead of the clock", "C7", func(s *State) { head(s, "pool", func(h *Supervisor) { h.Stamps = []int64{s.clock + 1} }) }},
		{"a window that is not sorted", "C7", func(s *State) { head(s, "pool", func(h *Supervisor) { h.Stamps = []int64{2, 1} }) }},
		{"a window over its limit", "C7", func(s *State) { head(s, "pool", func(h *Supervisor) { h.Stamps = []int64{1, 2, 3, 4} }) }},
		{"a gap between events", "C8", func(s *State) { s.history.newest++ }},
		{"a chunk with another first event", "C8", func(s *State) { s.history.chunks[0].First++ }},
		{"a wrong count of what runs", "C9", func(s *State) { s.trees.get("pool").active++ }},
		{"a wrong count by node", "C9", func(s *State) { s.trees.get("pool").hold("n2", 1) }},
		{"a wrong count of what is due", "C9", func(s *State) { s.trees.get("group").dues++ }},
		{"a slot that runs and is due", "C1", func(s *State) { edited(s, g1, func(c *Child) { c.Due = true }) }},
		{"a slot that is due where all start at once", "C1", func(s *State) { edited(s, w2, func(c *Child) { c.Due = true }) }},
		{"a child that is due and not looked for", "C11", func(s *State) { t := s.trees.get("group"); s.due(t, s.Child(g2)); t.dueFrom = 99 }},
		{"a child that is due and not started", "C11", func(s *State) { s.due(s.trees.get("group"), s.Child(g2)) }},
		{"two children that start at once", "C11", func(s *State) {
			t := s.trees.get("group")
			s.wish(t, s.Child(g2))
			s.wish(t, s.free(t, s.Child(g3), sup.ExitError, ""))
		}},
		{"a group operation that does nothing", "C11", func(s *State) { head(s, "group", func(h *Supervisor) { h.Op = &Op{Kind: OpGroup} }) }},
		{"a cursor without a group", "C11", func(s *State) {
			s.wish(s.trees.get("group"), s.Child(g2))
			head(s, "group", func(h *Supervisor) { h.Op = &Op{Kind: OpGroup, Cursor: 1} })
		}},
		{"a cursor before its group", "C11", func(s *State) {
			head(s, "group", func(h *Supervisor) { h.Op = &Op{Kind: OpGroup, Down: 2, Cursor: 1} })
		}},
		{"a group that waits for what was not asked to stop", "C12", func(s *State) {
			head(s, "group", func(h *Supervisor) { h.Op = &Op{Kind: OpGroup, Down: 1, Cursor: 3} })
		}},
		{"a child behind the cursor that is not due", "C12", func(s *State) {
			s.stopSlot(s.trees.get("group"), s.Child(g1), WhyGroup)
			head(s, "group", func(h *Supervisor) { h.Op = &Op{Kind: OpGroup, Down: 1, Cursor: 1} })
		}},
		{"a supervisor that runs and its parent does not know", "C14", func(s *State) {
			edited(s, key("tree", "db"), func(c *Child) { c.Phase = Placed })
			s.trees.get("tree").active--
		}},
		{"a supervisor that stopped and its parent does not know", "C14", func(s *State) {
			head(s, "tree/db", func(h *Supervisor) { h.Status, h.Op, h.Stopped = sup.StatusStopped, nil, 1 })
		}},
		{"a supervisor that is nobody's child", "C14", func(s *State) {
			t := s.trees.get("tree")
			t.children.drop("db")
			t.subs, t.active = 0, 0
			t.hold("", -1)
		}},
		{"a supervisor with a node", "C1", func(s *State) { edited(s, key("tree", "db"), func(c *Child) { c.Inc.Index = 3 }) }},
		{"a wrong count of supervisors among the children", "C9", func(s *State) { s.trees.get("tree").subs++ }},
		{"a wrong count of supervisors", "C9", func(s *State) { s.running++ }},
	} {
		w := newWorld(t)
		w.register("n1")
		w.register("n2")
		w.ask(Command{StartSupervisor: &StartSupervisor{Spec: spec("pool", child("w1", sup.Permanent), child("w2", sup.Transient)), Home: "n1"}})
		w.settle()
		w.report(w2, ReportEnded, sup.ExitNormal, "")
		group := spec("group", child("g1", sup.Permanent), child("g2", sup.Transient), child("g3", sup.Permanent))
		group.Strategy = sup.RestForOne
		w.ask(Command{StartSupervisor: &StartSupervisor{Spec: group, Home: "n1"}})
		w.settle()
		w.report(g2, ReportEnded, sup.ExitNormal, "")
		w.ask(Command{StartSupervisor: &StartSupervisor{Spec: spec("slow", child("w1", sup.Permanent)), Home: "n2"}})
		w.ask(Command{StartSupervisor: &StartSupervisor{Spec: spec("tree", sup.ChildSpec{ID: "db", Supervisor: &sup.Spec{}}), Home: "n1"}})
		c.damage(w.s)
		err := w.s.Check()
		if err == nil || !strings.HasPrefix(err.Error(), c.invariant+":") {
			t.Errorf("%s: Check says %v, want %s", c.name, err, c.invariant)
		}
	}
}
