package leader

import (
	"fmt"
	"testing"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// moved are the children that an entry begins to move.
func moved(e fsm.Entry) (keys []sup.Key) {
	for _, c := range e.Commands {
		if c.Move != nil {
			keys = append(keys, c.Move.Key)
		}
	}
	return keys
}

func farewells(fs []rpc.ToAgent) (told []*rpc.Farewell) {
	for _, f := range fs {
		if f.Farewell != nil {
			told = append(told, f.Farewell)
		}
	}
	return told
}

// startOn starts a supervisor whose n children begin on one node and may run on any.
func (w *world) startOn(n sup.NodeName, name sup.Name, behavior string, count int, strategy sup.Strategy) {
	w.t.Helper()
	s := sup.Spec{Name: name, Strategy: strategy, Selector: &sup.Selector{Kind: sup.SelectNode, Node: n, Fallback: sup.SelectLeastLoaded}}
	for i := range count {
		s.Children = append(s.Children, sup.ChildSpec{ID: sup.ChildID(fmt.Sprintf("c%04d", i)), Behavior: behavior})
	}
	w.ask(fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: s.WithDefaults(), Home: n}})
	w.settle()
	for range count { // those that start in order do so one after another
		if w.running(); w.underWay() == 0 {
			break
		}
	}
	w.want(w.st.CountOn(n) >= count, "%d children are on %s", w.st.CountOn(n), n)
}

// stopping is how many children are being moved off a node.
func (w *world) stopping(n sup.NodeName) (count int) {
	for c := range w.st.On(n) {
		if c.Phase == fsm.Stopping && c.Why == fsm.WhyMove {
			count++
		}
	}
	return count
}

// underWay is how many children do not run.
func (w *world) underWay() (count int) {
	for n := range w.st.Nodes() {
		for c := range w.st.On(n.Name) {
			if c.Phase != fsm.Running {
				count++
			}
		}
	}
	return count + w.st.WantingCount()
}

// ends has a node report the end of what it is to stop, up to limit.
func (w *world) ends(n sup.NodeName, limit int) {
	w.t.Helper()
	var rs []fsm.Report
	for c := range w.st.On(n) {
		if c.Phase == fsm.Stopping && len(rs) < limit {
			rs = append(rs, fsm.Report{Key: c.Key, Inc: c.Inc, Kind: fsm.ReportEnded, Reason: sup.ExitShutdown})
		}
	}
	for len(rs) > 0 {
		k := min(len(rs), rpc.MaxBatch)
		w.from(n, rpc.FromAgent{Reports: rs[:k]})
		rs = rs[k:]
	}
}

func commanders(t *testing.T) *world {
	w := newWorld(t)
	for _, n := range []sup.NodeName{"n1", "n2", "n3"} {
		w.member(n, "exec", "job")
	}
	w.lead()
	w.ready("n1", "n2", "n3")
	return w
}

func (w *world) drain(n sup.NodeName, undo bool) {
	w.ask(fsm.Command{Drain: &fsm.Drain{Node: n, Undo: undo}})
	w.settle()
}

func TestDrainMovesAFewCommandsAtATime(t *testing.T) {
	w := commanders(t)
	w.startOn("n2", "pool", "exec", 30, sup.OneForOne)
	w.entries = nil
	w.drain("n2", false)
	w.want(w.stopping("n2") == MaxCommandMoves, "%d move", w.stopping("n2"))
	for i := 0; w.st.CountOn("n2") > 0; i++ {
		w.want(i < 100, "it goes on for ever")
		w.want(w.underWay() <= MaxCommandMoves, "%d are missing at once", w.underWay())
		w.ends("n2", 1)
		w.settle()
		w.running()
	}
	w.want(w.st.CountOn("n1") == 15 && w.st.CountOn("n3") == 15, "they are on %d and %d", w.st.CountOn("n1"), w.st.CountOn("n3"))
	in, _ := w.st.Info("pool")
	w.want(in.TotalRestarts == 0 && in.RestartsInWindow == 0, "uncounted: %+v", in)
}

func TestDrainTheNextMoveBeginsWithTheEntryThatSaysTheLastOneRuns(t *testing.T) {
	w := commanders(t)
	w.startOn("n2", "pool", "exec", 12, sup.OneForOne)
	w.drain("n2", false)
	w.ends("n2", 3)
	w.settle()
	w.want(w.stopping("n2") == 1, "three are on their way: %d", w.stopping("n2"))
	w.entries = nil
	w.running() // a commit for each node
	begun := 0
	for _, e := range w.entries {
		running := 0
		for _, c := range e.Commands {
			if c.Report != nil && c.Report.Kind == fsm.ReportRunning {
				running++
			}
		}
		w.want(len(moved(e)) == running, "%d run, %d begin to move in the same entry", running, len(moved(e)))
		begun += len(moved(e))
	}
	w.want(begun == 3 && len(w.entries) <= 2, "%d begin in %d entries", begun, len(w.entries))
}

func TestDrainChildrenThatStopAtOnceMoveTogether(t *testing.T) {
	w := commanders(t)
	w.quick = true
	w.startOn("n2", "pool", "job", 1000, sup.OneForOne)
	w.entries = nil
	w.from("n2", rpc.FromAgent{Goodbye: &rpc.Goodbye{Session: w.session["n2"]}})
	w.settle()
	w.want(len(w.entries) == 1 && w.stopping("n2") == 1000, "%d stop after %d entries", w.stopping("n2"), len(w.entries))
	w.entries = nil
	w.ends("n2", 1000)
	w.settle()
	w.want(len(w.entries) <= 2 && w.st.CountOn("n2") == 0 && w.st.WantingCount() == 0, "all are placed after %d entries", len(w.entries))
}

func TestDrainANodeIsToldWithoutWaitingForTheCommit(t *testing.T) {
	w := commanders(t)
	w.startOn("n2", "pool", "job", 600, sup.OneForOne)
	w.seen()
	w.from("n2", rpc.FromAgent{Goodbye: &rpc.Goodbye{Session: w.session["n2"]}})
	told := w.stops(w.seen(), "n2")
	w.want(len(told) == 600 && told[0].Move && len(w.log) == 1, "%d are told, %d entries", len(told), len(w.log))
	var rs []fsm.Report
	for _, st := range told {
		rs = append(rs, fsm.Report{Key: st.Key, Inc: st.Inc, Kind: fsm.ReportMoved, Reason: sup.ExitShutdown})
	}
	w.from("n2", rpc.FromAgent{Reports: rs[:300]})
	w.from("n2", rpc.FromAgent{Reports: rs[300:]})
	w.want(len(w.log) == 3, "the reports do not wait for the commit: %d entries", len(w.log))
	w.commit()
	w.want(len(w.stops(w.seen(), "n2")) == 0, "who has said that it is done is not told again")
	w.commit()
	w.commit()
	w.want(w.st.CountOn("n2") == 0 && w.st.WantingCount() == 0 && len(w.log) == 0, "all are placed: %d on n2, %d want a node", w.st.CountOn("n2"), w.st.WantingCount())
	in, _ := w.st.Info("pool")
	w.want(in.TotalRestarts == 0, "uncounted: %+v", in)
}

func TestDrainAMoveThatIsLostWithItsLeaderIsReportedToTheNext(t *testing.T) {
	w := commanders(t)
	w.startOn("n2", "pool", "exec", 3, sup.OneForOne)
	w.seen()
	w.from("n2", rpc.FromAgent{Goodbye: &rpc.Goodbye{Session: w.session["n2"]}})
	told := w.stops(w.seen(), "n2")
	w.want(len(told) == 3, "%d are told", len(told))
	w.lead() // nothing of it was committed
	w.ready("n1", "n2", "n3")
	for _, st := range told {
		w.from("n2", rpc.FromAgent{Reports: []fsm.Report{{Key: st.Key, Inc: st.Inc, Kind: fsm.ReportMoved, Reason: sup.ExitShutdown}}})
	}
	w.settle()
	w.running()
	w.want(w.underWay() == 0 && w.st.WantingCount() == 0, "all run again")
	in, _ := w.st.Info("pool")
	w.want(in.TotalRestarts == 0 && in.RestartsInWindow == 0, "uncounted: %+v", in)
}

// A temporary child may run by the time its Move would be committed: then it stays, so it is not stopped before.
func TestDrainATemporaryChildIsNotStoppedBeforeItsMoveIsCommitted(t *testing.T) {
	w := commanders(t)
	s := sup.Spec{Name: "pool", Selector: &sup.Selector{Kind: sup.SelectNode, Node: "n2", Fallback: sup.SelectLeastLoaded},
		Children: []sup.ChildSpec{{ID: "c", Behavior: "exec", Restart: sup.Temporary}}}
	w.ask(fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: s.WithDefaults(), Home: "n2"}})
	w.settle()
	w.seen()
	k := key("pool", "c")
	c := w.st.Child(k)
	w.from("n2", rpc.FromAgent{
		Goodbye: &rpc.Goodbye{Session: w.session["n2"]},
		Reports: []fsm.Report{{Key: k, Inc: c.Inc, Kind: fsm.ReportRunning}},
	})
	w.want(len(w.stops(w.seen(), "n2")) == 0, "it is told before the commit")
	w.settle()
	if c := w.st.Child(k); c.Phase == fsm.Running {
		w.want(len(w.stops(w.seen(), "n2")) == 0, "it runs, and is never started again: it stays")
	} else {
		w.want(c.Phase == fsm.Stopping && !c.Started(), "it moves before it has run: %+v", c)
	}
}

func TestDrainNoMoreIsStoppedWhileTheLogStalls(t *testing.T) {
	w := commanders(t)
	w.startOn("n2", "pool", "exec", 20, sup.OneForOne)
	w.seen()
	w.from("n2", rpc.FromAgent{Goodbye: &rpc.Goodbye{Session: w.session["n2"]}})
	w.advance(4 * moveTurn)
	told := w.stops(w.seen(), "n2")
	w.want(len(told) == MaxCommandMoves, "%d are stopped, and none is committed", len(told))
}

func TestDrainAMoveThatTakesLongKeepsItsPlaceNoLonger(t *testing.T) {
	w := commanders(t)
	w.startOn("n2", "pool", "exec", 20, sup.OneForOne)
	w.drain("n2", false)
	w.run(moveTurn + 10*ms)
	w.want(w.stopping("n2") == 2*MaxCommandMoves, "%d are being stopped", w.stopping("n2"))
	w.run(moveTurn + 10*ms)
	w.want(w.stopping("n2") == 3*MaxCommandMoves, "%d are being stopped", w.stopping("n2"))
	w.ends("n2", 3*MaxCommandMoves)
	w.settle()
	w.running()
	w.want(w.stopping("n2") == MaxCommandMoves, "%d are being stopped after them", w.stopping("n2"))
}

// A node that leaves starts nothing: what was just placed there moves on, also in a supervisor that starts its children in
// order.
func TestDrainWhatWasJustPlacedMovesOn(t *testing.T) {
	for _, strategy := range []sup.Strategy{sup.OneForOne, sup.OneForAll} {
		w := commanders(t)
		w.startOn("n2", "pool", "exec", 1, strategy)
		w.drain("n2", false)
		w.ends("n2", 1)
		w.settle()
		next := w.node(key("pool", "c0000"))
		w.want(next != "n2", "it is placed on %s", next)
		w.from(next, rpc.FromAgent{Goodbye: &rpc.Goodbye{Session: w.session[next]}})
		w.settle()
		w.want(w.stopping(next) == 1, "%s: it moves on from %s", strategy, next)
		w.ends(next, 1)
		w.settle()
		w.running()
		c := w.st.Child(key("pool", "c0000"))
		w.want(c.Phase == fsm.Running && c.Node != next && c.Node != "n2", "it is %s on %s", c.Phase, c.Node)
		w.want(len(w.m.moves.open) == 0 && len(w.m.moves.busy) == 0, "nothing is under way: %+v", w.m.moves)
	}
	// In the middle of a start in order.
	w := commanders(t)
	s := sup.Spec{Name: "pool", Strategy: sup.RestForOne, Selector: sup.RoundRobin, Children: []sup.ChildSpec{{ID: "a", Behavior: "exec"}, {ID: "b", Behavior: "exec"}}}
	w.ask(fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: s.WithDefaults(), Home: "n1"}})
	w.settle()
	first := w.node(key("pool", "a"))
	w.from(first, rpc.FromAgent{Goodbye: &rpc.Goodbye{Session: w.session[first]}})
	w.settle()
	w.want(w.stopping(first) == 1, "a moves on")
	w.ends(first, 1)
	w.settle()
	w.running()
	w.running()
	in, _ := w.st.Info("pool")
	w.want(in.Status == sup.StatusRunning && in.ChildrenByNode[first] == 0, "the start goes on: %+v", in)
}

func TestDrainChildrenThatStartInOrderMoveOneAfterAnother(t *testing.T) {
	w := commanders(t)
	w.startOn("n2", "pool", "job", 5, sup.OneForAll)
	before := w.st.Child(key("pool", "c0000")).Inc
	w.drain("n2", false)
	for i := 0; w.st.CountOn("n2") > 0; i++ {
		w.want(i < 20, "it goes on for ever")
		w.want(w.underWay() == 1, "%d are missing at once", w.underWay())
		w.entries = nil
		w.ends("n2", 5)
		w.settle()
		w.running()
		w.want(len(w.entries) <= 3, "%d entries a move", len(w.entries))
	}
	c := w.st.Child(key("pool", "c0000"))
	w.want(before.Less(c.Inc) && c.RestartCount == 1, "once each: %+v", c)
	in, _ := w.st.Info("pool")
	w.want(in.TotalRestarts == 0, "no group restart: %+v", in)
}

func TestDrainANewLeaderGoesOn(t *testing.T) {
	w := commanders(t)
	w.startOn("n2", "pool", "exec", 20, sup.OneForOne)
	w.drain("n2", false)
	w.ends("n2", 4)
	w.settle()
	w.lead()
	w.ready("n1", "n2", "n3")
	for i := 0; w.st.CountOn("n2") > 0; i++ {
		w.want(i < 100, "it goes on for ever")
		w.ends("n2", 2)
		w.settle()
		w.running()
	}
	w.want(w.st.CountOn("n1")+w.st.CountOn("n3") == 20, "all are elsewhere")
}

func TestDrainUndrainedInTheMiddleStops(t *testing.T) {
	w := commanders(t)
	w.startOn("n2", "pool", "exec", 20, sup.OneForOne)
	w.drain("n2", false)
	w.drain("n2", true)
	w.entries = nil
	for w.underWay() > 0 {
		w.ends("n2", 3)
		w.settle()
		w.running()
	}
	for _, e := range w.entries {
		w.want(len(moved(e)) == 0, "nothing more moves")
	}
	w.want(w.st.CountOn("n2") == 20, "what had been stopped may come back: its selector wants it there")
}

func TestDrainWhatNobodyCanTakeRunsOnAndMovesWhenSomebodyCan(t *testing.T) {
	w := newWorld(t)
	w.member("n1", "other")
	w.member("n2", "exec")
	w.member("n3", "other")
	w.lead()
	w.ready("n1", "n2", "n3")
	w.startOn("n2", "pool", "exec", 3, sup.OneForOne)
	w.drain("n2", false)
	w.run(2 * second)
	w.want(w.stopping("n2") == 0 && w.st.CountOn("n2") == 3, "nobody has exec: they run on")
	stay := w.st.Staying("n2", 10)
	w.want(len(stay) == 3 && stay[0].Reason != "", "the node says why: %+v", stay)
	w.join("n4", "exec")
	w.renew("n2", 2*second)
	w.run(second)
	w.want(w.stopping("n2") == 3, "somebody has it now: %d move", w.stopping("n2"))
}

func TestDrainOfTheLeadersOwnNodeHandsLeadershipOverFirst(t *testing.T) {
	w := newWorld(t)
	for _, n := range []sup.NodeName{"n1", "n2", "n3"} {
		r := w.registration(n, "exec")
		r.Voter = true
		w.session[n] = w.apply(fsm.Entry{Commands: []fsm.Command{{Register: r}}}).Results[0].Session
	}
	w.lead()
	w.ready("n1", "n2", "n3")
	w.startOn("n1", "pool", "exec", 3, sup.OneForOne)
	w.drain("n2", false)
	w.seen()
	w.drain("n1", false)
	offers := of[HandOver](w.seen())
	w.want(len(offers) == 1 && offers[0].To == "n3", "to a server that is not drained: %+v", offers)
	w.want(w.stopping("n1") == 0, "its children wait")
	for range 4 {
		for _, n := range []sup.NodeName{"n1", "n2", "n3"} {
			w.renew(n, 2*second)
		}
		w.run(second)
	}
	w.want(w.stopping("n1") == 3, "nobody took it: they move all the same")
	w.want(len(of[HandOver](w.seen())) == 0, "it is not offered at every step")
	w.drain("n3", false)
	w.lead()
	w.ready("n1", "n2", "n3")
	w.want(len(of[HandOver](w.seen())) == 0, "all servers are drained: it leads on")
}

func TestRebalanceMovesWithinTheSameBounds(t *testing.T) {
	w := commanders(t)
	w.startOn("n2", "pool", "exec", 1, sup.OneForOne)
	s := sup.Spec{Name: "even", Selector: sup.LocalFirst}
	for i := range 30 {
		s.Children = append(s.Children, sup.ChildSpec{ID: sup.ChildID(fmt.Sprintf("c%d", i)), Behavior: "exec", Selector: sup.LeastLoaded})
	}
	w.drain("n1", false)
	w.drain("n3", false)
	w.ask(fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: s.WithDefaults(), Home: "n2"}})
	w.settle()
	w.running()
	w.drain("n1", true)
	w.drain("n3", true)
	w.want(w.st.CountOn("n2") == 31, "%d on n2", w.st.CountOn("n2"))
	w.seen()
	id := w.ask(fsm.Command{Rebalance: &fsm.Rebalance{Moves: []sup.Move{{Supervisor: "pool", Child: "c0000", To: "n1"}}}})
	w.settle()
	for _, a := range of[Answer](w.seen()) {
		w.want(a.ID == id && len(a.Result.Outcome.Moves) == 20, "%d moves", len(a.Result.Outcome.Moves))
	}
	for i := 0; w.st.Rebalancing() > 0 || w.underWay() > 0; i++ {
		w.want(i < 100, "it goes on for ever")
		w.want(w.underWay() <= MaxCommandMoves || i > 2 && i < 6 && w.underWay() <= MaxCommandMoves+2, "%d are missing at once", w.underWay())
		if i == 2 { // another leader goes on; it does not know of the two that start just then
			w.lead()
			w.ready("n1", "n2", "n3")
		}
		w.ends("n2", 2)
		w.settle()
		w.running()
	}
	w.want(w.st.CountOn("n1") == 10 && w.st.CountOn("n2") == 11 && w.st.CountOn("n3") == 10, "%d, %d, %d", w.st.CountOn("n1"), w.st.CountOn("n2"), w.st.CountOn("n3"))
	w.want(w.node(key("pool", "c0000")) == "n2", "what a client plans does not count")
}

func TestForgottenAgentThatComesBackIsNoForeigner(t *testing.T) {
	w := commanders(t)
	old := w.session["n3"]
	w.down("n3")
	for range 6 {
		w.renew("n1", 2*second)
		w.renew("n2", 2*second)
		w.run(second)
	}
	w.want(w.st.Node("n3").Status == fsm.MemberDown, "n3 is down")
	w.ask(fsm.Command{ForgetNode: &fsm.ForgetNode{Node: "n3"}})
	w.settle()
	w.want(w.st.Node("n3") == nil, "n3 is forgotten")
	w.session["n3"] = old
	w.seen()
	acts := w.up("n3")
	w.settle()
	w.want(w.st.Gen() == 1, "no new generation: %d", w.st.Gen())
	fs := w.frames(acts, "n3")
	w.want(len(fs) == 1 && fs[0].Welcome != nil && fs[0].Welcome.Current.IsZero(), "it is told that it has no session: %+v", fs)
	w.join("n3", "exec")
	w.want(w.st.Node("n3").Session != old, "it joins anew")
}

// What a Rebalance moves goes where it was to go, whatever its selector would choose now.
func TestRebalanceAimsAtANode(t *testing.T) {
	w := commanders(t)
	w.startOn("n2", "pool", "exec", 2, sup.OneForOne)
	k := key("pool", "c0000")
	w.apply(fsm.Entry{Commands: []fsm.Command{{Rebalance: &fsm.Rebalance{Moves: []sup.Move{
		{Supervisor: k.Supervisor, Child: k.Child, Incarnation: w.st.Child(k).Inc, To: "n3"},
	}}}}})
	w.want(w.st.Rebalancing() == 1, "it is to move")
	w.lead() // who goes on with it
	w.ready("n1", "n2", "n3")
	w.alive(second)
	w.want(w.stopping("n2") == 1 && w.st.Child(k).Phase == fsm.Stopping, "it is %s, %s toward %s", w.st.Child(k).Phase, w.st.Child(k).Why, w.st.Child(k).Toward)
	w.ends("n2", 1)
	w.settle()
	w.running()
	w.want(w.node(k) == "n3", "it is on %s", w.node(k))
}

// A look at all children of a node costs more than a change of one: of very many the next look rests a while.
func TestDrainOfVeryManyChildrenIsLookedAtNowAndThen(t *testing.T) {
	w := commanders(t)
	w.startOn("n2", "pool", "job", lookFreely+500, sup.OneForAll)
	w.drain("n2", false)
	d := w.m.moves.of["n2"]
	w.want(d.waits == lookFreely+499, "%d wait for the first", d.waits)
	looked := d.rest
	w.ends("n2", 1)
	w.settle()
	w.want(w.m.moves.of["n2"].rest == looked, "a change has it looked at again at once")
	w.now = looked
	w.step(Tick{})
	w.settle()
	w.want(w.m.moves.of["n2"].rest > looked, "it is looked at when it may")
}
