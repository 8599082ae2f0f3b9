package fsm

import (
	"bytes"
	"fmt"
	"testing"

	sup "github.com/supnode/supnode/supervisor"
)

// TestLeaderDroppedAtEveryCommit plays start_child, an exit, a restart by hand, the loss of a node and terminate_child, with
// the leader dropped at each commit between, and at each pair of them: what it would have placed is not in the entry, the
// agents repeat their reports to the next leader, clients repeat their requests, replicas start from snapshots. The child
// lives through the same lives, and each request has its effect once.
func TestLeaderDroppedAtEveryCommit(t *testing.T) {
	straight := lives(t, -1, -1)
	const commits = 16
	if straight.commits < commits {
		t.Fatalf("the story has only %d commits", straight.commits)
	}
	for first := range straight.commits {
		for second := first; second < straight.commits+6; second++ {
			got := lives(t, first, second)
			if got.story != straight.story {
				t.Fatalf("leaders dropped at commits %d and %d:\n%s\ninstead of\n%s", first, second, got.story, straight.story)
			}
		}
	}
}

type played struct {
	commits int
	story   string
}

// lives plays the story and answers what happened to the child: its events without the indexes, and every outcome.
func lives(t *testing.T, drops ...int) played {
	w := newWorld(t)
	w.register("n1")
	w.register("n2")
	k := key("pool", "w1")
	p := played{}
	asked := map[string]Command{}
	// commit commits a command, with the leader dropped when its turn is one of drops: no placements, then a new leader,
	// to which everything is repeated.
	commit := func(c Command) {
		t.Helper()
		dropped := false
		for _, d := range drops {
			dropped = dropped || d == p.commits
		}
		p.commits++
		w.placing = !dropped
		w.apply(c)
		if !dropped {
			return
		}
		w.reboot()
		w.apply(Command{Establish: &Establish{Term: w.s.term + 1, Leader: "n2"}})
		before := w.s.history.newest
		again := w.apply(c)
		if r := again.Results[0]; c.Request == nil && r.Status != Stale || c.Request != nil && r.Status == Refused {
			t.Fatalf("repeated after a leader change, %s is %d", kindOf(c), r.Status)
		}
		if len(again.Changed) > 0 || w.s.history.newest != before {
			t.Fatalf("repeated after a leader change, %s changes %v", kindOf(c), again.Changed)
		}
		w.placing = true
		w.apply(Command{Tick: &Tick{}}) // the new leader places what wants a node
	}
	ask := func(name string, c Command) {
		t.Helper()
		c.Request = &Request{Key: name, Hash: []byte(name)}
		asked[name] = c
		commit(c)
	}
	report := func(kind ReportKind, reason sup.ExitReason) {
		t.Helper()
		commit(Command{Report: &Report{Key: k, Inc: w.s.Child(k).Inc, Kind: kind, Reason: reason}})
	}
	cs := sup.ChildSpec{ID: "w1", Behavior: "exec", Selector: sup.LeastLoaded}.WithDefaults()
	w1 := spec("pool", child("w0", sup.Permanent))

	ask("start", Command{StartSupervisor: &StartSupervisor{Spec: w1, Home: "n1"}})
	commit(Command{Report: &Report{Key: key("pool", "w0"), Inc: w.s.Child(key("pool", "w0")).Inc, Kind: ReportRunning}})
	ask("add", Command{StartChild: &StartChild{Supervisor: "pool", Spec: &cs}})
	report(ReportRunning, "")
	report(ReportEnded, sup.ExitError)
	report(ReportInitFailed, "")
	report(ReportRunning, "")
	ask("restart", Command{RestartChild: &RestartChild{Key: k}})
	report(ReportEnded, sup.ExitShutdown)
	report(ReportRunning, "")
	lost := w.s.Child(k).Node
	commit(Command{NodeDown: &NodeDown{Node: lost, Session: w.s.Node(lost).Session}})
	report(ReportRunning, "")
	ask("terminate", Command{TerminateChild: &TerminateChild{Key: k}})
	report(ReportEnded, sup.ExitKilled)
	ask("stop", Command{StopSupervisor: &StopSupervisor{Name: "pool"}})
	if c := w.s.Child(key("pool", "w0")); c.Phase == Stopping {
		commit(Command{Report: &Report{Key: c.Key, Inc: c.Inc, Kind: ReportEnded, Reason: sup.ExitShutdown}})
	}

	var b bytes.Buffer
	events, _, _ := w.s.Events(0, 10_000)
	last := uint64(0)
	for _, e := range events {
		if e.Child != k.Child || e.Type == sup.EventChildMigrated { // which node takes it may differ
			continue
		}
		fmt.Fprintf(&b, "%s attempt=%d reason=%s\n", e.Type, e.Attempt, e.Reason)
		if e.Type == sup.EventChildStarted || e.Type == sup.EventChildRestarted {
			if e.Incarnation <= last {
				t.Fatalf("incarnation %d after %d", e.Incarnation, last)
			}
			last = e.Incarnation
		}
	}
	for _, name := range []string{"start", "add", "restart", "terminate", "stop"} {
		o, pending, known := w.s.Outcome(name)
		if !known || pending {
			t.Fatalf("request %q is known=%t, pending=%t", name, known, pending)
		}
		fmt.Fprintf(&b, "%s %v\n", name, o.Problem)
	}
	p.story = b.String()
	return p
}
