package agent

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

func TestA5_SpawnOfAnotherSessionIsRefused(t *testing.T) {
	r := leased(t, 2)
	for _, s := range []sup.Session{session(1), session(3), {Gen: 2, Seq: 2}, {}} {
		sp := r.order("a", 10)
		sp.Session = s
		r.frame(rpc.ToAgent{Spawns: []rpc.Spawn{sp}})
		r.wantNothing()
	}
	if n := r.m.Status().RefusedSpawns; n != 4 {
		t.Errorf("%d refused", n)
	}
}

func TestA5_SpawnOfWhatRunsIsAnsweredWithItsState(t *testing.T) {
	r := leased(t, 1)
	r.spawn("a", 10)
	r.spawn("a", 10)
	r.wantNothing()
	r.step(Started{Key: key("a"), Inc: inc(10)})
	r.wantTold("a 10 running")
	r.ack("a", 10, fsm.ReportRunning)
	r.spawn("a", 10)
	r.wantTold("a 10 running")
	if has[Spawn](r.got) {
		t.Error("started again")
	}
}

func TestA5_LowerOrEndedIncarnationIsRefused(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.spawn("a", 9)
	r.wantNothing()
	r.end("a", 10, sup.ExitError)
	r.wantTold("a 10 ended error")
	r.spawn("a", 10)
	r.wantTold("a 10 ended error") // again, it is not acknowledged
	r.ack("a", 10, fsm.ReportEnded)
	r.spawn("a", 10)
	r.wantNothing()
	r.spawn("a", 9)
	r.wantNothing()
	if got := find[Spawn](r.spawn("a", 11)); len(got) != 1 {
		t.Errorf("the next incarnation: %v", r.got)
	}
}

func TestA5_NeverTwoIncarnationsOfAChild(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.spawn("a", 12)
	r.wantNothing()
	r.end("a", 10, sup.ExitError)
	if got := find[Spawn](r.spawn("a", 12)); len(got) != 1 {
		t.Errorf("after its end: %v", r.got)
	}
}

func TestA5_StopRaisesTheMarkEvenWhenNothingRan(t *testing.T) {
	r := leased(t, 1)
	r.stop("a", 10, sec)
	r.wantTold("a 10 ended shutdown")
	r.ack("a", 10, fsm.ReportEnded)
	r.spawn("a", 10) // it was delayed
	r.wantNothing()
	r.stop("a", 10, sec)
	r.wantTold("a 10 ended shutdown")
	if got := find[Spawn](r.spawn("a", 11)); len(got) != 1 {
		t.Errorf("the next incarnation: %v", r.got)
	}
}

func TestA5_StopOfAnotherSessionDoesNothing(t *testing.T) {
	r := leased(t, 2)
	r.run("a", 10)
	r.frame(rpc.ToAgent{Stops: []rpc.Stop{{Session: session(1), Key: key("a"), Inc: inc(10)}}})
	r.wantNothing()
}

func TestStopAsksOnceAndAgainOnlyForANearerEnd(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	if got := find[Stop](r.stop("a", 10, -1)); len(got) != 1 || got[0].Timeout != -1 {
		t.Fatalf("stop: %v", r.got)
	}
	r.stop("a", 10, -1)
	r.wantNothing()
	if got := find[Stop](r.stop("a", 10, 2*sec)); len(got) != 1 || got[0].Timeout != 2*sec {
		t.Fatalf("nearer: %v", r.got)
	}
	r.now += sec
	r.stop("a", 10, 2*sec)
	if has[Stop](r.got) {
		t.Errorf("farther: %v", r.got)
	}
	r.end("a", 10, sup.ExitShutdown)
	r.wantTold("a 10 ended shutdown")
}

func TestA5_ReportsAreRepeatedUntilAcknowledged(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.spawn("b", 11)
	r.step(Started{Key: key("b"), Inc: inc(11)})
	r.end("a", 10, sup.ExitNormal)
	r.wantTold("a 10 ended normal")
	r.grant()
	r.pass(h)
	r.wantTold("b 11 running", "a 10 ended normal")
	r.step(StreamUp{Stream: 2})
	r.wantTold()
	r.welcome(session(1), true)
	r.wantTold("b 11 running", "a 10 ended normal")
	r.ack("a", 10, fsm.ReportEnded)
	r.pass(h)
	r.wantTold("b 11 running")
	r.ack("b", 11, fsm.ReportRunning)
	r.pass(h)
	r.wantTold()
}

func TestRule_S14_WhatHangsIsToldOnceAndNotOfAnotherSession(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.frame(rpc.ToAgent{Stops: []rpc.Stop{{Session: session(1), Key: key("a"), Inc: inc(10)}}})
	r.step(Hanging{Key: key("a"), Inc: inc(9)})
	r.wantTold()
	r.step(Hanging{Key: key("a"), Inc: inc(10)})
	r.wantTold("a 10 hanging")
	r.pass(h)
	r.wantTold("a 10 hanging")
	r.ack("a", 10, fsm.ReportHanging)
	r.pass(h)
	r.wantTold()
	r.end("a", 10, sup.ExitKilled)
	r.wantTold("a 10 ended killed") // that it hung does not make its end old
	r.run("b", 11)
	r.step(Hanging{Key: key("b"), Inc: inc(11)})
	r.end("b", 11, sup.ExitKilled)
	r.ack("b", 11, fsm.ReportEnded)
	r.ack("a", 10, fsm.ReportEnded)
	r.pass(h)
	r.wantTold() // with its end it is of no interest any more
}

func TestWordsOfAnotherIncarnationChangeNothing(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	for _, word := range []Event{
		Started{Key: key("a"), Inc: inc(9)}, Started{Key: key("a"), Inc: inc(10)}, Started{Key: key("b"), Inc: inc(11)},
		Ended{Key: key("a"), Inc: inc(9), Reason: sup.ExitError}, Ended{Key: key("b"), Inc: inc(11), Reason: sup.ExitError},
	} {
		r.step(word)
		r.wantNothing()
	}
	r.spawn("b", 11)
	r.step(Started{Key: key("b"), Inc: inc(10)})
	r.wantNothing()
	r.stop("b", 11, sec)
	r.step(Started{Key: key("b"), Inc: inc(11)}) // its slot no longer waits for that
	r.wantNothing()
	r.end("b", 11, sup.ExitShutdown)
	r.wantTold("b 11 ended shutdown")
}

func TestFailedInitIsReportedAsSuch(t *testing.T) {
	r := leased(t, 1)
	r.spawn("a", 10)
	r.step(Ended{Key: key("a"), Inc: inc(10), Reason: sup.ExitError, Detail: "no such file\xff", InitFailed: true})
	r.wantTold("a 10 init_failed error")
	if d := find[Send](r.got)[0].Frame.Reports[0].Detail; !utf8.ValidString(d) {
		t.Errorf("detail %q", d)
	}
	if d := fsm.KeptText(strings.Repeat("é", fsm.MaxDetail)); len(d) > fsm.MaxDetail || !utf8.ValidString(d) {
		t.Errorf("a long detail has %d bytes", len(d))
	}
}

func TestWhatEndsBeforeItsInitReturnedHasFailedInit(t *testing.T) {
	r := leased(t, 1)
	r.spawn("a", 10)
	r.end("a", 10, sup.ExitKilled)
	r.wantTold("a 10 init_failed killed")
	r.spawn("b", 11)
	r.end("b", 11, sup.ExitNodeDown) // lost with its guardian
	r.wantTold("b 11 ended node_down")
	r.spawn("c", 12)
	r.stop("c", 12, sec)
	r.end("c", 12, sup.ExitShutdown) // asked to
	r.wantTold("c 12 ended shutdown")
}

func TestReportsGoInFramesOfABoundedSizeAndNotAllAtOnce(t *testing.T) {
	r := leased(t, 1)
	r.step(StreamDown{Stream: 1})
	const n = maxInFlight + 3*rpc.MaxBatch
	for i := range n {
		id := fmt.Sprintf("c%d", i)
		r.step(Received{1, rpc.ToAgent{Spawns: []rpc.Spawn{r.order(id, 10)}}})
		r.step(Started{Key: key(id), Inc: inc(10)})
	}
	r.step(StreamUp{Stream: 2})
	r.welcome(session(1), true)
	total := 0
	for _, s := range find[Send](r.got) {
		if len(s.Frame.Reports) > rpc.MaxBatch {
			t.Errorf("%d reports in a frame", len(s.Frame.Reports))
		}
		total += len(s.Frame.Reports)
	}
	if total != maxInFlight {
		t.Errorf("%d reports in flight", total)
	}
	for i := range n {
		r.ack(fmt.Sprintf("c%d", i), 10, fsm.ReportRunning)
		total += len(told(r.got))
	}
	if total < n || r.m.Status().Unacknowledged != 0 || len(r.m.reports.queue) != 0 {
		t.Errorf("%d of %d sent, %d open", total, n, r.m.Status().Unacknowledged)
	}
}

func TestMarksAreBoundedAndStillRefuseWhatIsOld(t *testing.T) {
	const marked = maxMarks + maxMarks/8
	m := newMarks()
	for e := range uint64(marked) {
		m.raise(key(fmt.Sprint(e)), inc(e+1))
		if len(m.high) > maxMarks {
			t.Fatalf("%d marks", len(m.high))
		}
	}
	if m.below(key("0"), inc(1)) || m.below(key("new"), inc(2)) {
		t.Error("an old incarnation counts as news")
	}
	if !m.below(key("0"), inc(marked+1)) {
		t.Error("a new incarnation does not count as news")
	}
	last := fmt.Sprint(marked - 1)
	if m.forgotten(key(last)) || !m.forgotten(key("0")) {
		t.Error("the newest was forgotten rather than the oldest")
	}
}

func TestSpawnThatCannotBeToldFromAnOldOneIsAnswered(t *testing.T) {
	r := leased(t, 1)
	r.m.marks.floor = inc(100)
	r.spawn("a", 50)
	if has[Spawn](r.got) {
		t.Error("started")
	}
	r.wantTold("a 50 init_failed error")
}
