package leader

import (
	"fmt"
	"strings"
	"testing"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

func TestBatchAStartIsOneEntryWithItsPlacements(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.seen()
	w.entries = nil
	id := w.ask(start("a", sup.RoundRobin, "x", "y", "z", "u"))
	w.want(len(w.log) == 1 && len(w.log[0].Entry.Placements) == 4, "%+v", w.log)
	acts := w.commit()
	w.want(len(w.log) == 0 && len(w.entries) == 1, "nothing is left to propose")
	ans := of[Answer](acts)
	w.want(len(ans) == 1 && ans[0].ID == id && ans[0].Result.Status == fsm.Pending, "%+v", ans)
	for i, n := range []sup.NodeName{"n1", "n2", "n3", "n1"} {
		c := []string{"x", "y", "z", "u"}[i]
		w.want(w.node(key("a", c)) == n, "round_robin puts %s on %s, not %s", c, n, w.node(key("a", c)))
	}
	w.want(w.st.Cursor("a") == "n1", "the cursor is %s", w.st.Cursor("a"))
	sp := w.spawns(acts, "n1")
	w.want(len(sp) == 2 && sp[0].Key == key("a", "x") && sp[0].Session == w.session["n1"] && sp[0].Inc.Index == w.index, "spawned at the commit: %+v", sp)
}

func TestBatchACrashIsOneCommit(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.ask(start("a", sup.LeastLoaded, "x", "y", "z"))
	w.settle()
	w.running()
	old := w.st.Child(key("a", "x")).Inc
	w.entries = nil
	w.seen()
	w.report(key("a", "x"), fsm.ReportEnded, sup.ExitError)
	acts := w.commit()
	w.want(len(w.log) == 0 && len(w.entries) == 1, "one entry")
	c := w.st.Child(key("a", "x"))
	w.want(c.Phase == fsm.Placed && old.Less(c.Inc), "placed anew in the same entry: %+v", c)
	w.want(len(w.spawns(acts, c.Node)) == 1, "and spawned")
	var acked int
	for _, f := range w.frames(acts, "n1") {
		acked += len(f.Acks)
	}
	w.want(acked == 1, "the report is acknowledged, %d", acked)
}

func TestBatchWaitingRequestsShareAnEntry(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.ask(start("a", nil))
	w.settle()
	w.entries = nil
	for i := range 100 {
		w.ask(fsm.Command{StartChild: &fsm.StartChild{Supervisor: "a", Spec: child(fmt.Sprint("c", i))}})
	}
	w.want(len(w.log) == MaxInFlight, "%d in flight", len(w.log))
	w.seen()
	w.settle()
	w.want(len(w.entries) == MaxInFlight+1, "100 requests in %d entries", len(w.entries))
	w.want(len(of[Answer](w.seen())) == 100, "each has its answer")
	w.want(w.st.CountOn("n1") == 100, "local_first: all on the home, %d", w.st.CountOn("n1"))
}

func child(id string) *sup.ChildSpec {
	c := sup.ChildSpec{ID: sup.ChildID(id), Behavior: "job"}.WithDefaults()
	return &c
}

func TestBatchQueuesAreBounded(t *testing.T) {
	w := three(t)
	for i := range uint64(MaxInFlight) {
		w.step(ReadAsked{ID: i + 1})
	}
	w.seen()
	for range MaxRequests + 5 {
		w.ask(start("a", nil))
	}
	ans := of[Answer](w.seen())
	w.want(len(ans) == 5 && ans[0].Result.Status == fsm.Refused && ans[0].Result.Problem.Code == sup.CodeBusy && ans[0].Result.Problem.Bound == MaxRequests, "%d answers", len(ans))
	w.commit()
	last := w.log[len(w.log)-1].Entry
	b, err := fsm.Encode(last)
	w.want(err == nil && len(last.Commands) > 100 && len(last.Commands) <= MaxCommands && len(b) <= MaxEntryBytes, "%d commands in %d bytes", len(last.Commands), len(b))
}

func TestBatchAReportIsNotProposedTwice(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.ask(start("a", nil, "x"))
	w.settle()
	r := fsm.Report{Key: key("a", "x"), Inc: w.st.Child(key("a", "x")).Inc, Kind: fsm.ReportRunning}
	for range 5 {
		w.from("n1", rpc.FromAgent{Reports: []fsm.Report{r}})
	}
	w.want(len(w.log) == 1, "%d proposals", len(w.log))
	w.up("n1") // its stream was replaced meanwhile
	w.from("n1", rpc.FromAgent{Reports: []fsm.Report{r}})
	w.want(len(w.log) == 1, "%d proposals", len(w.log))
	fs := w.frames(w.commit(), "n1")
	w.want(len(fs) == 1 && len(fs[0].Acks) == 1 && fs[0].Acks[0].Inc == r.Inc, "acknowledged on the new stream: %+v", fs)
	w.from("n1", rpc.FromAgent{Reports: []fsm.Report{r}})
	fs = w.frames(w.commit(), "n1")
	w.want(len(fs) == 1 && len(fs[0].Acks) == 1, "a stale report is acknowledged too")
}

func TestMutantAnswerBeforeCommit(t *testing.T) {
	w := three(t, mutant("answer_before_commit"))
	w.ask(start("a", nil))
	ans := of[Answer](w.seen())
	w.want(len(ans) == 1 && ans[0].Result.Status == fsm.OK, "%+v", ans)
	w.settle()
	w.want(len(of[Answer](w.seen())) == 0, "only once")
}

func TestS29LeastLoadedCountsWhatIsBeingPlaced(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.ask(start("a", sup.LeastLoaded, "1", "2", "3", "4", "5"))
	w.ask(start("b", sup.LeastLoaded, "1", "2", "3", "4")) // while a is in flight
	w.want(len(w.log) == 2, "%d in flight", len(w.log))
	w.settle()
	for _, n := range []sup.NodeName{"n1", "n2", "n3"} {
		w.want(w.st.CountOn(n) == 3, "%s has %d of 9", n, w.st.CountOn(n))
	}
}

// The cursor is the state's: what this leader or another one chose last, in whichever entry, is where round_robin goes on.
func TestS29RoundRobinGoesOnFromTheReplicatedCursor(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.ask(start("a", sup.RoundRobin, "1", "2"))
	w.settle()
	w.running()
	add := func(id string) sup.NodeName {
		w.ask(fsm.Command{StartChild: &fsm.StartChild{Supervisor: "a", Spec: child(id)}})
		w.settle()
		w.running()
		return w.node(key("a", id))
	}
	w.want(w.node(key("a", "2")) == "n2" && add("3") == "n3" && add("4") == "n1", "the next greater name, and around")
	w.lead()
	w.ready("n1", "n2", "n3")
	w.want(add("5") == "n2" && add("6") == "n3", "another leader goes on")
}

func TestS29RandomIsTheLeadersDraw(t *testing.T) {
	draws := []uint64{2, 0, 1}
	w := three(t, func(c *Config) { c.Draw = func() uint64 { d := draws[0]; draws = draws[1:]; return d } })
	w.ready("n1", "n2", "n3")
	w.ask(start("a", sup.Random, "x", "y", "z"))
	w.settle()
	w.want(w.node(key("a", "x")) == "n3" && w.node(key("a", "y")) == "n1" && w.node(key("a", "z")) == "n2", "the draws decide")
}

func TestS25ALostNodesChildrenMoveInTheSameEntry(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.ask(start("a", sup.RoundRobin, "1", "2", "3", "4", "5", "6"))
	w.settle()
	w.running()
	w.entries = nil
	w.seen()
	w.down("n2")
	w.step(Probed{Node: "n2", Session: w.session["n2"], Refused: true})
	acts := w.commit()
	w.want(len(w.entries) == 1 && len(w.log) == 0, "one entry")
	w.want(w.st.WantingCount() == 0 && w.st.CountOn("n1") == 3 && w.st.CountOn("n3") == 3, "%d, %d, %d", w.st.WantingCount(), w.st.CountOn("n1"), w.st.CountOn("n3"))
	w.want(len(w.spawns(acts, "n1"))+len(w.spawns(acts, "n3")) == 2, "both spawned")
}

func TestS28OnlyConnectedNodesTakeChildren(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2")
	w.ask(start("a", sup.RoundRobin, "1", "2", "3"))
	w.settle()
	w.want(w.st.WantingCount() == 3, "a leader that has just begun gives n3 the time to turn up")
	w.advance(2 * w.st.Lease().H)
	w.settle()
	w.want(w.st.CountOn("n1") == 2 && w.st.CountOn("n2") == 1, "n3 is silent")
	w.now += 2300 * ms // n2 and n1 are connected, and not heard of for a TTL
	w.renew("n1", second)
	w.ask(start("b", sup.RoundRobin, "1", "2"))
	w.settle()
	w.want(w.st.CountOn("n2") == 1, "n2 was not heard of for a TTL")
}

func TestS19WithNobodyHeardOfYetTheLeaderWaits(t *testing.T) {
	w := three(t)
	id := w.ask(start("a", nil, "x"))
	w.settle()
	w.want(len(of[Answer](w.seen())) == 1 && w.st.WantingCount() == 1, "it waits for %d", id)
	w.up("n3")
	w.settle()
	w.want(w.st.WantingCount() == 1, "the first that turns up is not given everything")
	w.up("n1")
	w.up("n2")
	w.settle()
	w.want(w.node(key("a", "x")) == "n1", "placed as soon as all have turned up: %s", w.node(key("a", "x")))
}

func TestS19FirstStartWithoutANodeFails(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	c := start("a", nil, "x")
	c.StartSupervisor.Spec.Children[0].Behavior = "nothing"
	id := w.ask(c)
	w.seen()
	w.commit()
	key := fmt.Sprint("key-", id)
	w.want(len(w.log) == 1 && len(w.log[0].Entry.Unplaced) == 1, "told at once: %+v", w.log)
	w.want(w.log[0].Entry.Unplaced[0].Problem.Code == sup.CodeBehaviorNotFound, "%+v", w.log[0].Entry.Unplaced[0].Problem)
	w.settle()
	o, _, _ := w.st.Outcome(key)
	w.want(o != nil && o.Problem != nil && o.Problem.Code == sup.CodeBehaviorNotFound && o.Problem.Behavior == "nothing", "%+v", o)
	// Pinned to a node that has not the behavior.
	c = start("b", sup.OnNode("n2"), "x")
	c.StartSupervisor.Spec.Children[0].Behavior = "nothing"
	id = w.ask(c)
	w.settle()
	o, _, _ = w.st.Outcome(fmt.Sprint("key-", id))
	w.want(o != nil && o.Problem != nil && o.Problem.Code == sup.CodeBehaviorNotFound && o.Problem.Node == "n2", "%+v", o)
	// Pinned to a node that nobody knows.
	id = w.ask(start("c", sup.OnNode("n9"), "x"))
	w.settle()
	o, _, _ = w.st.Outcome(fmt.Sprint("key-", id))
	w.want(o != nil && o.Problem != nil && o.Problem.Code == sup.CodeNoAvailableNode && len(o.Problem.Reasons) == 4 &&
		strings.HasPrefix(o.Problem.Detail, `no node can take child "x" of supervisor "c" now: n1: the child is pinned to n9; n2: `), "%+v", o)
}

func TestS19S26APinnedChildWaitsForItsNodeWithReasonsToldOnce(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.ask(start("a", sup.OnNode("n2"), "x", "y"))
	w.settle()
	w.running()
	w.down("n2")
	w.entries = nil
	w.step(Probed{Node: "n2", Session: w.session["n2"], Refused: true})
	w.settle()
	x := w.st.Child(key("a", "x"))
	want := "no_available_node: n1: the child is pinned to n2; n2: down; n3: the child is pinned to n2"
	w.want(x.Wants && x.PendingReason == want, "%q", x.PendingReason)
	w.want(len(w.entries) == 2, "%d entries", len(w.entries))
	told := func() (n int) {
		for _, e := range w.entries {
			n += len(e.Unplaced)
		}
		return n
	}
	w.want(told() == 2, "each is told once: %d", told())
	for range 100 {
		for _, n := range []sup.NodeName{"n1", "n3"} {
			w.renew(n, second)
		}
		w.run(100 * ms)
	}
	w.want(told() == 2, "and not over and over: %d", told())
	// The reasons change with the nodes.
	w.session["n4"] = sup.Session{}
	w.join("n4")
	w.settle()
	w.want(told() == 4, "told anew: %d", told())
	w.join("n2")
	w.settle()
	w.want(w.node(key("a", "x")) == "n2" && w.node(key("a", "y")) == "n2", "they start when it is back")
}

func TestS33ARestartOfAPendingChildIsAnsweredWhenNoNodeCanTakeIt(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.ask(start("a", sup.OnNode("n2"), "x"))
	w.settle()
	w.running()
	w.down("n2")
	w.step(Probed{Node: "n2", Session: w.session["n2"], Refused: true})
	w.settle()
	pending := w.st.Child(key("a", "x")).PendingReason
	w.want(pending != "", "pending")
	for range 2 {
		id := w.ask(fsm.Command{RestartChild: &fsm.RestartChild{Key: key("a", "x")}})
		w.settle()
		o, _, _ := w.st.Outcome(fmt.Sprint("key-", id))
		w.want(o != nil && o.Problem != nil && o.Problem.Code == sup.CodeNoAvailableNode && len(o.Problem.Reasons) == 3, "%+v", o)
		w.want(w.st.Child(key("a", "x")).PendingReason == pending, "still pending: %+v", w.st.Child(key("a", "x")))
	}
	w.join("n2")
	w.settle()
	w.want(w.node(key("a", "x")) == "n2", "it starts when its node is back")
}

func TestS18AfterAFailedInitAnotherNodeIsPreferred(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.ask(start("a", nil, "x"))
	w.settle()
	w.running()
	w.report(key("a", "x"), fsm.ReportEnded, sup.ExitError)
	w.settle()
	w.want(w.node(key("a", "x")) == "n1", "a crash starts at home again")
	w.entries = nil
	w.report(key("a", "x"), fsm.ReportInitFailed, sup.ExitError)
	w.settle()
	w.want(w.node(key("a", "x")) != "n1" && len(w.entries) == 1, "a failed init elsewhere, in the same entry: %s", w.node(key("a", "x")))
}

func TestAnIgnoredPlacementIsTriedAgainWithoutASpin(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.ask(start("a", sup.OnNode("n2"), "x"))
	// n2 registers anew before the placement is applied.
	w.apply(fsm.Entry{Commands: []fsm.Command{{Register: w.registration("n2")}}})
	w.commit()
	w.want(w.st.Child(key("a", "x")).Wants, "ignored")
	w.settle()
	w.want(len(w.entries) < 10, "%d entries", len(w.entries))
	w.session["n2"] = w.st.Node("n2").Session
	w.up("n2")
	w.run(second)
	w.want(w.node(key("a", "x")) == "n2", "placed in the new session")
}

func TestPlacementsOfALargeLossAreBoundedAndPipelined(t *testing.T) {
	const children = 10000
	w := loaded(t, 3, children)
	w.entries = nil
	w.down("n2")
	w.step(Probed{Node: "n2", Session: w.session["n2"], Refused: true})
	lost := w.st.CountOn("n2")
	w.want(len(w.log) > 1 || lost < MaxPlacements, "the rest follows without waiting for the commit: %d entries", len(w.log))
	total := 0
	for _, p := range w.log {
		total += len(p.Entry.Placements)
		w.want(len(p.Entry.Placements) <= MaxPlacements, "%d placements", len(p.Entry.Placements))
		b, err := fsm.Encode(p.Entry)
		w.want(err == nil && len(b) <= MaxEntryBytes+8192, "an entry of %d bytes: %v", len(b), err)
	}
	w.want(total == lost, "%d placements for %d children", total, lost)
	w.settle()
	w.want(w.st.WantingCount() == 0 && w.st.CountOn("n1")+w.st.CountOn("n3") == children && w.st.Check() == nil, "all are placed")
}

// loaded is a leader of nodes with running children spread over them.
func loaded(t testing.TB, nodes, children int) *world {
	w := newWorld(t)
	w.quick = true
	var names []sup.NodeName
	for i := range nodes {
		n := sup.NodeName(fmt.Sprint("n", i+1))
		w.member(n)
		names = append(names, n)
	}
	w.lead()
	w.ready(names...)
	ids := make([]string, children)
	for i := range ids {
		ids[i] = fmt.Sprint("c", i)
	}
	w.ask(start("a", sup.RoundRobin, ids...))
	w.settle()
	w.running()
	w.seen()
	return w
}

func TestS26APinnedChildIsPlacedWhenTheStreamOfItsNodeIsBack(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.down("n2")
	w.ask(start("a", sup.OnNode("n2"), "x"))
	w.settle()
	w.want(w.st.WantingCount() == 1, "n2 may come back: it waits")
	w.up("n2")
	w.settle()
	w.want(w.node(key("a", "x")) == "n2", "placed as soon as n2 is connected")
}
