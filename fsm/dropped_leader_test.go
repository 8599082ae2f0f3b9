package fsm

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	sup "github.com/supnode/supnode/supervisor"
)

// dropped plays a story with the leader dropped at some of its commits: what it would have placed is not in the entry, the
// agents repeat their reports to the next leader, clients repeat their requests, replicas start from snapshots.
type dropped struct {
	*world
	t       *testing.T
	drops   []int // the commits at which the leader is dropped
	commits int
	asked   []string
}

// dropEverywhere plays a story with the leader dropped at each commit, and at each pair of them. What tell answers of it is
// the same as without; the story has at least so many commits.
func dropEverywhere(t *testing.T, commits int, tell func(*dropped) string) {
	play := func(drops ...int) (string, int) {
		d := &dropped{world: newWorld(t), t: t, drops: drops}
		d.register("n1")
		d.register("n2")
		story := tell(d)
		for _, name := range d.asked {
			o, pending, known := d.s.Outcome(name)
			if !known || pending {
				t.Fatalf("request %q is known=%t, pending=%t", name, known, pending)
			}
			story += fmt.Sprintf("%s %v\n", name, o.Problem)
		}
		return story, d.commits
	}
	straight, n := play()
	if n < commits {
		t.Fatalf("the story has only %d commits", n)
	}
	for first := range n {
		for second := first; second < n+6; second++ {
			if got, _ := play(first, second); got != straight {
				t.Fatalf("leaders dropped at commits %d and %d:\n%s\ninstead of\n%s", first, second, got, straight)
			}
		}
	}
}

// step commits a command, with the leader dropped when its turn has come: no placements, then a new leader, to which
// everything is repeated.
func (d *dropped) step(c Command) {
	d.t.Helper()
	dropped := slices.Contains(d.drops, d.commits)
	d.commits++
	d.placing = !dropped
	d.apply(c)
	if !dropped {
		return
	}
	d.reboot()
	d.apply(Command{Establish: &Establish{Term: d.s.term + 1, Leader: "n2"}})
	before := d.s.history.newest
	again := d.apply(c)
	if r := again.Results[0]; c.Request == nil && r.Status != Stale || c.Request != nil && r.Status == Refused {
		d.t.Fatalf("repeated after a leader change, %s is %d", kindOf(c), r.Status)
	}
	if len(again.Changed) > 0 || d.s.history.newest != before {
		d.t.Fatalf("repeated after a leader change, %s changes %v", kindOf(c), again.Changed)
	}
	d.placing = true
	d.apply(Command{Tick: &Tick{}}) // the new leader places what wants a node
}

func (d *dropped) asks(name string, c Command) {
	d.t.Helper()
	c.Request = &Request{Key: name, Hash: []byte(name)}
	d.asked = append(d.asked, name)
	d.step(c)
}

func (d *dropped) reports(k sup.Key, kind ReportKind, reason sup.ExitReason) {
	d.t.Helper()
	d.step(Command{Report: &Report{Key: k, Inc: d.s.Child(k).Inc, Kind: kind, Reason: reason}})
}

// loses loses a node.
func (d *dropped) loses(n sup.NodeName) {
	d.t.Helper()
	d.step(Command{NodeDown: &NodeDown{Node: n, Session: d.s.Node(n).Session}})
}

// life is what happened to the children that are asked for, without the indexes, and that their incarnations rise. Which
// node takes one may differ, so migrations are not in it.
func (d *dropped) life(children ...sup.ChildID) string {
	d.t.Helper()
	var b bytes.Buffer
	events, _, _ := d.s.Events(0, 10_000)
	last := map[sup.ChildID]uint64{}
	for _, e := range events {
		if !slices.Contains(children, e.Child) || e.Type == sup.EventChildMigrated {
			continue
		}
		fmt.Fprintf(&b, "%s %s attempt=%d reason=%s\n", e.Type, e.Child, e.Attempt, e.Reason)
		if e.Type == sup.EventChildStarted || e.Type == sup.EventChildRestarted {
			if e.Incarnation != 0 && e.Incarnation <= last[e.Child] {
				d.t.Fatalf("incarnation %d after %d", e.Incarnation, last[e.Child])
			}
			last[e.Child] = e.Incarnation
		}
	}
	return b.String()
}

// TestLeaderDroppedAtEveryCommit plays start_child, an exit, a restart by hand, the loss of a node and terminate_child: the
// child lives through the same lives, and each request has its effect once.
func TestLeaderDroppedAtEveryCommit(t *testing.T) {
	dropEverywhere(t, 16, func(d *dropped) string {
		k, w0 := key("pool", "w1"), key("pool", "w0")
		cs := sup.ChildSpec{ID: "w1", Behavior: "exec", Selector: sup.LeastLoaded}.WithDefaults()
		d.asks("start", Command{StartSupervisor: &StartSupervisor{Spec: spec("pool", child("w0", sup.Permanent)), Home: "n1"}})
		d.reports(w0, ReportRunning, "")
		d.asks("add", Command{StartChild: &StartChild{Supervisor: "pool", Spec: &cs}})
		d.reports(k, ReportRunning, "")
		d.reports(k, ReportEnded, sup.ExitError)
		d.reports(k, ReportInitFailed, "")
		d.reports(k, ReportRunning, "")
		d.asks("restart", Command{RestartChild: &RestartChild{Key: k}})
		d.reports(k, ReportEnded, sup.ExitShutdown)
		d.reports(k, ReportRunning, "")
		d.loses(d.s.Child(k).Node)
		d.reports(k, ReportRunning, "")
		d.asks("terminate", Command{TerminateChild: &TerminateChild{Key: k}})
		d.reports(k, ReportEnded, sup.ExitKilled)
		d.asks("stop", Command{StopSupervisor: &StopSupervisor{Name: "pool"}})
		if d.s.Child(w0).Phase == Stopping {
			d.reports(w0, ReportEnded, sup.ExitShutdown)
		}
		return d.life("w1")
	})
}

// TestLeaderDroppedAtEveryCommitOfSimpleOneForOne plays children made from a template: each request makes one, none twice.
func TestLeaderDroppedAtEveryCommitOfSimpleOneForOne(t *testing.T) {
	dropEverywhere(t, 14, func(d *dropped) string {
		child := func(n uint64) sup.Key { return key("jobs", sup.NthChild(n)) }
		makes := func(name string) {
			d.asks(name, Command{StartChild: &StartChild{Supervisor: "jobs", Args: [][]byte{[]byte("1")}}})
		}
		template := sup.ChildSpec{Behavior: "exec", Restart: sup.Transient}
		jobs := sup.Spec{Name: "jobs", Strategy: sup.SimpleOneForOne, ChildTemplate: &template, MaxChildren: 3}.WithDefaults()
		d.asks("start", Command{StartSupervisor: &StartSupervisor{Spec: jobs, Home: "n1"}})
		makes("one")
		makes("two")
		d.reports(child(1), ReportRunning, "")
		d.reports(child(2), ReportRunning, "")
		d.reports(child(1), ReportEnded, sup.ExitNormal)
		makes("three")
		d.reports(child(3), ReportInitFailed, "")
		makes("four")
		d.reports(child(4), ReportRunning, "")
		d.reports(child(2), ReportEnded, sup.ExitError)
		d.reports(child(2), ReportRunning, "")
		d.asks("stop", Command{StopSupervisor: &StopSupervisor{Name: "jobs"}})
		d.reports(child(4), ReportEnded, sup.ExitShutdown)
		d.reports(child(2), ReportEnded, sup.ExitShutdown)
		return d.life("child_1", "child_2", "child_3", "child_4")
	})
}

// TestLeaderDroppedAtEveryCommitOfAGroup plays a start in order, group restarts that an added child, a failed init, a terminated
// child and the loss of a node meet, a restart by hand, and a stop: everything happens once, and in the same order.
func TestLeaderDroppedAtEveryCommitOfAGroup(t *testing.T) {
	for _, strategy := range []sup.Strategy{sup.OneForAll, sup.RestForOne} {
		t.Run(string(strategy), func(t *testing.T) {
			dropEverywhere(t, 29, func(d *dropped) string { return d.groupsLife(strategy) })
		})
	}
}

func (d *dropped) groupsLife(strategy sup.Strategy) string {
	specs := []sup.ChildSpec{
		child("w1", sup.Permanent), child("w2", sup.Permanent), child("w3", sup.Transient), child("w4", sup.Temporary), child("w5", sup.Permanent),
	}
	for i := range specs {
		specs[i].Selector = &sup.Selector{Kind: sup.SelectNode, Node: "n2", Fallback: sup.SelectLeastLoaded}
	}
	specs[0].Selector = sup.OnNode("n1")
	sp := spec("pool", specs...)
	sp.Strategy, sp.Intensity = strategy, &sup.Intensity{MaxRestarts: 9, Within: 5e9}
	added := child("w6", sup.Permanent)
	k := func(id sup.ChildID) sup.Key { return key("pool", id) }
	d.asks("start", Command{StartSupervisor: &StartSupervisor{Spec: sp, Home: "n1"}})
	d.settles("")
	d.reports(k("w2"), ReportEnded, sup.ExitError)
	d.asks("add", Command{StartChild: &StartChild{Supervisor: "pool", Spec: &added}})
	d.reports(k("w3"), ReportEnded, sup.ExitNormal)
	d.settles("w2")
	d.reports(k("w2"), ReportInitFailed, "")
	d.settles("w3")
	d.asks("terminate", Command{TerminateChild: &TerminateChild{Key: k("w3")}})
	d.settles("")
	d.loses("n2")
	d.settles("")
	d.asks("restart", Command{RestartChild: &RestartChild{Key: k("w1")}})
	d.settles("")
	d.asks("stop", Command{StopSupervisor: &StopSupervisor{Name: "pool"}})
	d.settles("")
	return d.life("w1", "w2", "w3", "w4", "w5", "w6")
}

// TestLeaderDroppedAtEveryCommitOfAChange plays changes of a manifest that a crash, a failed init, a terminated child, an added
// child and the loss of a node meet: each child goes and comes once, in the same order, and each request has its effect once.
func TestLeaderDroppedAtEveryCommitOfAChange(t *testing.T) {
	for _, strategy := range []sup.Strategy{sup.OneForOne, sup.RestForOne, sup.OneForAll} {
		t.Run(string(strategy), func(t *testing.T) {
			dropEverywhere(t, 28, func(d *dropped) string { return d.changingLife(strategy) })
		})
	}
}

func (d *dropped) changingLife(strategy sup.Strategy) string {
	manifest := func(children ...string) sup.Spec {
		sp := sup.Spec{Name: "pool", Strategy: strategy, Intensity: &sup.Intensity{MaxRestarts: 9, Within: 5e9}}
		for _, c := range children {
			cs := childOf(c)
			cs.Selector = &sup.Selector{Kind: sup.SelectNode, Node: "n2", Fallback: sup.SelectLeastLoaded}
			if cs.ID == "w1" {
				cs.Selector = sup.OnNode("n1")
			}
			sp.Children = append(sp.Children, cs)
		}
		return sp.WithDefaults()
	}
	apply := func(name string, children ...string) {
		d.asks(name, Command{ApplyManifest: &ApplyManifest{Spec: manifest(children...), Home: "n1"}})
	}
	k := func(id sup.ChildID) sup.Key { return key("pool", id) }
	apply("create", "w1", "w2", "w3", "w4")
	d.settles("")
	apply("change", "w1#2", "w3", "w5", "w4#2")
	d.reports(k("w4"), ReportEnded, sup.ExitShutdown)
	added := child("x", sup.Permanent)
	d.asks("add", Command{StartChild: &StartChild{Supervisor: "pool", Spec: &added}})
	d.reports(k("w1"), ReportEnded, sup.ExitError)
	d.settles("w5")
	d.reports(k("w5"), ReportInitFailed, "")
	d.settles("")
	apply("again", "w5", "w1#2", "w3#2", "w4#2", "w6")
	d.settles("w5")
	d.loses("n2")
	d.settles("")
	d.asks("terminate", Command{TerminateChild: &TerminateChild{Key: k("w6")}})
	d.settles("")
	apply("nothing", "w5", "w1#2", "w3#2", "w4#2")
	d.asks("stop", Command{StopSupervisor: &StopSupervisor{Name: "pool"}})
	d.settles("")
	return d.life("w1", "w2", "w3", "w4", "w5", "w6", "x")
}

// TestLeaderDroppedAtEveryCommitOfATree plays a tree whose sub-supervisor exceeds its intensity, loses a node, is restarted by
// hand and is stopped with its parent.
func TestLeaderDroppedAtEveryCommitOfATree(t *testing.T) {
	dropEverywhere(t, 29, func(d *dropped) string {
		sp := spec("pool", childOf("w1@n1"), childOf("db{one_for_all,1/5s;d1@n1,d2@n2|least_loaded}"), childOf("w2@n1"))
		sp.Strategy = sup.RestForOne
		d1 := key("pool/db", "d1")
		d.asks("start", Command{StartSupervisor: &StartSupervisor{Spec: sp.WithDefaults(), Home: "n1"}})
		d.settles("")
		d.reports(d1, ReportEnded, sup.ExitError)
		d.settles("")
		d.reports(d1, ReportEnded, sup.ExitError)
		d.settles("")
		d.loses("n2")
		d.settles("")
		d.asks("restart", Command{RestartChild: &RestartChild{Key: key("pool", "db")}})
		d.settles("")
		d.asks("stop", Command{StopSupervisor: &StopSupervisor{Name: "pool"}})
		d.settles("")
		return d.life("w1", "w2", "db", "d1", "d2")
	})
}

// settles lets the nodes do what they are to do until a child's init is under way; empty: until nothing is outstanding.
func (d *dropped) settles(until sup.ChildID) {
	d.t.Helper()
	for {
		if d.overlooked() {
			d.apply(Command{Tick: &Tick{}})
		}
		r := d.next()
		if r == nil {
			return
		}
		if c := d.s.Child(key("pool", until)); c != nil && c.Phase == Placed {
			return
		}
		d.step(Command{Report: r})
	}
}
