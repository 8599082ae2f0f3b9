package agent

import (
	"slices"
	"testing"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

func (r *rig) wantLeft(kept ...string) {
	r.t.Helper()
	got := find[Left](r.got)
	if len(got) != 1 {
		r.t.Fatalf("not left: %v", r.got)
	}
	var ids []string
	for _, k := range got[0].Kept {
		ids = append(ids, string(k.Child))
	}
	if !slices.Equal(ids, kept) {
		r.t.Errorf("kept %q, want %q", ids, kept)
	}
}

func TestP3_LeaderMovesTheChildrenThenTheProcessLeaves(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	got := goodbyes(r.step(Leave{By: r.now + 30*sec}))
	if len(got) != 1 || got[0].Done || got[0].Session != session(1) {
		t.Fatalf("goodbye %v", got)
	}
	r.spawn("b", 11) // nothing is accepted any more
	r.wantNothing()
	if got := find[Stop](r.stop("a", 10, sec)); len(got) != 1 {
		t.Fatalf("stop %v", r.got)
	}
	r.end("a", 10, sup.ExitShutdown)
	r.wantTold("a 10 ended shutdown")
	if len(goodbyes(r.got)) != 0 {
		t.Error("done before the report is acknowledged")
	}
	if got := goodbyes(r.ack("a", 10, fsm.ReportEnded)); len(got) != 1 || !got[0].Done {
		t.Fatalf("then %v", r.got)
	}
	r.frame(rpc.ToAgent{Farewell: &rpc.Farewell{Done: true}})
	r.wantLeft()
}

func TestP3_GoodbyeIsRepeatedAndSaidToEveryLeader(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.step(Leave{By: r.now + 30*sec})
	r.grant()
	if got := goodbyes(r.pass(h)); len(got) != 1 {
		t.Errorf("after H: %v", got)
	}
	r.step(StreamDown{Stream: 1})
	r.step(StreamUp{Stream: 2})
	if got := goodbyes(r.welcome(session(1), true)); len(got) != 1 {
		t.Errorf("to the next leader: %v", got)
	}
}

func TestP3_NothingHeldLeavesAtOnce(t *testing.T) {
	r := leased(t, 1)
	if got := goodbyes(r.step(Leave{By: r.now + 30*sec})); len(got) != 2 || got[0].Done || !got[1].Done {
		t.Fatalf("goodbyes %v", got)
	}
	r.frame(rpc.ToAgent{Farewell: &rpc.Farewell{Done: true}})
	r.wantLeft()

	r = newRig(t)
	r.step(Leave{By: r.now + 30*sec})
	r.wantLeft()
}

func TestP3_WithNoOtherNodeTheChildrenStopInPlace(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.run("b", 11)
	r.step(Leave{By: r.now + 30*sec})
	got := find[Stop](r.frame(rpc.ToAgent{Farewell: &rpc.Farewell{StopInPlace: "no eligible node"}}))
	if len(got) != 2 || got[0].Timeout != sec {
		t.Fatalf("stops %v", got)
	}
	r.end("a", 10, sup.ExitShutdown)
	r.wantTold() // no exit: Left frees its slot, uncounted
	if got := goodbyes(r.end("b", 11, sup.ExitKilled)); len(got) != 1 || !got[0].Done || got[0].Why != "no eligible node" {
		t.Fatalf("then %v", r.got)
	}
	r.frame(rpc.ToAgent{Farewell: &rpc.Farewell{Done: true}})
	r.wantLeft("a", "b")
}

func TestP3_WithoutAQuorumTheChildrenStopBeforeTheirLeaseEnds(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.step(StreamDown{Stream: 1})
	r.step(Leave{By: r.now + 30*sec})
	acts := r.pass(ttl - 1)
	if stops := find[Stop](acts); len(stops) != 1 || has[Fence](acts) {
		t.Fatalf("before the deadline: %v", acts)
	}
	r.end("a", 10, sup.ExitShutdown)
	r.wantLeft("a")
}

func TestP3_WithoutAQuorumTheLeaseEndsTheGoodbye(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.step(StreamDown{Stream: 1})
	r.step(Leave{By: r.now + 30*sec})
	if acts := r.pass(ttl); !has[Fence](acts) {
		t.Fatalf("at the deadline: %v", acts)
	}
	r.end("a", 10, sup.ExitKilled)
	r.wantLeft("a")
}

func TestP3_TheEndComesByTheInstantThatWasSet(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.run("b", 11)
	by := r.now + 8*sec
	r.step(Leave{By: by})
	var acts []Action
	for r.now < by-1 { // the leader renews, and moves nothing
		r.grant()
		acts = append(acts, r.pass(min(h, by-1-r.now))...)
	}
	if stops := find[Stop](acts); len(stops) != 2 {
		t.Errorf("stops %v", stops)
	}
	if kills := find[Kill](acts); len(kills) != 2 {
		t.Errorf("kills %v", kills)
	}
	r.pass(1)
	r.wantLeft("a", "b")
}

func TestP3_ALeaveSaysWhyItStoppedSomethingInPlace(t *testing.T) {
	for _, c := range []struct {
		why    string
		happen func(r *rig)
	}{
		{"", func(r *rig) { r.stop("a", 10, sec) }},
		{"the shutdown timeout of the node is nearly over", func(r *rig) { r.step(Leave{By: r.now + sec/2}); r.pass(sec / 4) }},
		{"no leader renews the node's lease", func(r *rig) { r.pass(ttl - ttl/4) }},
		{"nobody has it", func(r *rig) { r.frame(rpc.ToAgent{Farewell: &rpc.Farewell{StopInPlace: "nobody has it"}}) }},
	} {
		r := leased(t, 1)
		r.run("a", 10)
		r.step(Leave{By: r.now + 30*sec})
		c.happen(r)
		r.end("a", 10, sup.ExitShutdown)
		if c.why == "" {
			r.ack("a", 10, fsm.ReportEnded)
		}
		r.frame(rpc.ToAgent{Farewell: &rpc.Farewell{Done: true}})
		got := find[Left](r.got)
		if len(got) != 1 || got[0].Why != c.why || (c.why == "") != (len(got[0].Kept) == 0) {
			t.Errorf("%q: %+v", c.why, got)
		}
	}
}

func TestP3_WhatIsStoppedForAMoveSaysSo(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.run("b", 11)
	r.run("c", 12)
	move := func(k string, inc uint64) {
		r.frame(rpc.ToAgent{Stops: []rpc.Stop{{Session: session(1), Key: key(k), Inc: sup.Incarnation{Gen: 1, Index: inc}, Timeout: sec, Move: true}}})
	}
	move("a", 10)
	r.end("a", 10, sup.ExitShutdown)
	r.wantReport("a", 10, fsm.ReportMoved)
	move("b", 11)
	r.stop("b", 11, sec) // the Move is committed, or another stop has overtaken it
	r.end("b", 11, sup.ExitShutdown)
	r.wantReport("b", 11, fsm.ReportEnded)
	r.stop("c", 12, sec)
	move("c", 12)
	r.end("c", 12, sup.ExitShutdown)
	r.wantReport("c", 12, fsm.ReportEnded)
	move("d", 13) // it never came
	r.wantReport("d", 13, fsm.ReportMoved)
}

// wantReport wants the newest report of an incarnation to be of a kind.
func (r *rig) wantReport(k string, inc uint64, kind fsm.ReportKind) {
	r.t.Helper()
	for _, s := range find[Send](r.got) {
		for _, rep := range s.Frame.Reports {
			if rep.Key == key(k) && rep.Inc.Index == inc {
				if rep.Kind != kind {
					r.t.Errorf("%s is reported as %d, want %d", k, rep.Kind, kind)
				}
				return
			}
		}
	}
	r.t.Errorf("%s is not reported: %v", k, r.got)
}

func TestP3_SecondSignalEndsItNow(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.step(Leave{By: r.now + 30*sec})
	r.step(Leave{By: r.now})
	r.wantLeft("a")
}

func TestP3_ALeavingNodeDoesNotRegister(t *testing.T) {
	r := newRig(t)
	r.step(StreamUp{Stream: 1})
	r.step(Leave{By: r.now + 30*sec})
	r.wantLeft()

	r = leased(t, 1)
	r.run("a", 10)
	r.step(Leave{By: r.now + 30*sec})
	r.frame(rpc.ToAgent{Refused: &rpc.Refused{Session: session(1), Gen: 1}})
	r.end("a", 10, sup.ExitKilled)
	if len(registers(r.got)) != 0 {
		t.Errorf("registers: %v", r.got)
	}
	r.wantLeft("a")
}

func TestP3_StopOfTheLeaderDuringAStopInPlaceIsAHandOver(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.step(Leave{By: r.now + 30*sec})
	r.frame(rpc.ToAgent{Farewell: &rpc.Farewell{StopInPlace: "no eligible node"}})
	r.stop("a", 10, sec)
	r.end("a", 10, sup.ExitShutdown)
	r.wantTold("a 10 ended shutdown")
	r.ack("a", 10, fsm.ReportEnded)
	r.frame(rpc.ToAgent{Farewell: &rpc.Farewell{Done: true}})
	r.wantLeft()
}
