package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/clock"
	"github.com/supnode/supnode/rpc"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDriverRunsWhatTheLeaderOrders(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.run()
		if s := b.Status(); !s.Live || s.Session != session(1) || s.Leader != "n2" {
			t.Fatalf("status %+v", s)
		}
		if gen := <-b.gens; gen != 1 {
			t.Errorf("remembers generation %d", gen)
		}
		b.leader.last().spawn("a", 10)
		synctest.Wait()
		if !b.runner.did("spawn a 10") || b.Status().Running != 1 || !slices.Contains(b.leader.reports, "a 10 1 ") {
			t.Fatalf("runner %v, status %+v, reports %q", b.runner.log, b.Status(), b.leader.reports)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := b.Status(); !s.Live || s.Lapses != 0 || s.MinLeft < ttl-h-ms {
			t.Errorf("after a minute: %+v", s)
		}
		b.end(t)
	})
}

func TestDriverAnswersForABehaviorThatItDoesNotHave(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.run()
		c := b.leader.last()
		c.in <- rpc.ToAgent{Spawns: []rpc.Spawn{{Session: session(1), Key: key("a"), Inc: inc(10), Behavior: "odd"}}}
		synctest.Wait()
		if want := fmt.Sprintf(`a 10 %d this node has no behavior "odd"`, fsm.ReportInitFailed); !slices.Contains(b.leader.reports, want) {
			t.Errorf("reports %q", b.leader.reports)
		}
		b.end(t)
	})
}

func TestDriverFencesInTimeAndRegistersAnew(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.run()
		b.leader.last().spawn("a", 10)
		synctest.Wait()
		b.leader.set(func() { b.leader.mute = true })
		time.Sleep(time.Duration(ttl) - 1)
		synctest.Wait()
		if b.runner.did("fence") {
			t.Fatal("fenced before the deadline")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !b.runner.did("fence") || b.Status().Children != 0 {
			t.Fatalf("runner %v, status %+v", b.runner.log, b.Status())
		}
		b.leader.set(func() { b.leader.mute = false })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s := b.Status(); !s.Live || !session(1).Less(s.Session) || s.Lapses != 1 {
			t.Errorf("status %+v", s)
		}
		b.end(t)
	})
}

func TestDriverFencesThoughItsMachineHangs(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.run()
		c := b.leader.last()
		c.spawn("a", 10)
		c.spawn("b", 11)
		synctest.Wait()
		block := make(chan struct{})
		b.runner.set(func() { b.runner.block, b.runner.stubborn = block, true })
		c.in <- rpc.ToAgent{Stops: []rpc.Stop{{Session: session(1), Key: key("a"), Inc: inc(10), Timeout: -1}}}
		time.Sleep(time.Duration(ttl))
		synctest.Wait()
		if !b.runner.did("fence") {
			t.Fatalf("runner %v", b.runner.log)
		}
		if len(b.exits) != 0 {
			t.Fatal("exit before deadline + F")
		}
		time.Sleep(time.Duration(ttl / 6))
		synctest.Wait()
		if len(b.exits) != 1 {
			t.Error("no exit at deadline + F")
		}
		close(block)
		if err := <-b.result; err == nil {
			t.Error("Run ended without an error")
		}
		b.Close()
		b.stop()
	})
}

func TestDriverExitsForAChildThatDoesNotEnd(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.run()
		b.leader.last().spawn("a", 10)
		synctest.Wait()
		b.runner.set(func() { b.runner.stubborn = true })
		b.leader.set(func() { b.leader.mute = true })
		if err := <-b.result; err == nil {
			t.Error("no error")
		}
		if len(b.exits) == 0 {
			t.Error("no exit")
		}
		b.Close()
		b.stop()
	})
}

func TestDriverResumedAfterASleepFencesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.NewFake(100 * sec)
		b := newBench(c)
		b.run()
		b.leader.last().spawn("a", 10)
		synctest.Wait()
		b.leader.last().spawn("b", 11) // waits with the rest when the host wakes up
		c.Advance(time.Hour)
		synctest.Wait()
		if b.runner.did("spawn b 11") && !b.runner.did("fence") || !b.runner.did("fence") {
			t.Errorf("runner %v", b.runner.log)
		}
		if len(b.exits) != 0 {
			t.Error("exit, although all ended")
		}
		if s := b.Status(); s.Session != session(2) || !s.Live {
			t.Errorf("status %+v", s)
		}
		b.end(t)
	})
}

func TestDriverFindsTheLeaderAgain(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.leader.down = true
		b.run()
		time.Sleep(time.Second)
		synctest.Wait()
		if n := b.leader.asked; n < 20 || n > 101 {
			t.Errorf("asked %d times in a second", n)
		}
		b.leader.set(func() { b.leader.down = false })
		time.Sleep(maxRetry)
		synctest.Wait()
		if !b.Status().Live {
			t.Fatalf("status %+v", b.Status())
		}
		old := b.leader.last()
		old.Close()
		time.Sleep(maxRetry)
		synctest.Wait()
		if s := b.Status(); b.leader.last() == old || s.Session != session(1) || s.Lapses != 0 || s.Leader == "" {
			t.Errorf("status %+v", s)
		}
		b.end(t)
	})
}

func TestDriverLeavesASilentLeaderInTime(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.run()
		old := b.leader.last()
		b.leader.set(func() { b.leader.mute = true })
		time.Sleep(time.Duration(2*h + ttl/3))
		synctest.Wait()
		b.leader.set(func() { b.leader.mute = false })
		time.Sleep(maxRetry)
		synctest.Wait()
		if s := b.Status(); !old.closed() || !s.Live || s.Lapses != 0 || s.Session != session(1) {
			t.Errorf("status %+v", s)
		}
		b.end(t)
	})
}

func TestDriverGivesUpAStreamThatTakesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.leader.deaf = true
		b.run()
		c := b.leader.last()
		l := &link{conn: c, out: make(chan rpc.FromAgent, outboxFrames), done: make(chan struct{})}
		for range outboxFrames {
			l.send(rpc.FromAgent{})
		}
		if c.closed() {
			t.Fatal("closed too early")
		}
		l.send(rpc.FromAgent{})
		if !c.closed() {
			t.Error("not closed with a full outbox")
		}
		b.end(t)
	})
}

func TestDriverSaysGoodbye(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.run()
		b.leader.last().spawn("a", 10)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		go func() {
			time.Sleep(time.Second)
			b.leader.last().in <- rpc.ToAgent{Stops: []rpc.Stop{{Session: session(1), Key: key("a"), Inc: inc(10), Timeout: sec}}}
		}()
		kept, err := b.Leave(ctx)
		if err != nil || len(kept) != 0 || !b.runner.did("stop a") {
			t.Errorf("kept %v, %v, runner %v", kept, err, b.runner.log)
		}
		b.end(t)
	})
}

func TestDriverSaysWhatItCouldNotHandOver(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.run()
		b.leader.last().spawn("a", 10)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		kept, err := b.Leave(ctx)
		if err != nil || len(kept) != 1 || kept[0] != key("a") || ctx.Err() != nil {
			t.Errorf("kept %v, %v, %v", kept, err, ctx.Err())
		}
		b.end(t)
	})
}

func TestDriverEndsWhenTheClusterRefusesTheNode(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.leader.refuse = "cluster.lease_ttl is 1s in this node's file and 3s in the cluster"
		b.run()
		var rejected *RejectedError
		if err := <-b.result; !errors.As(err, &rejected) || rejected.Why != b.leader.refuse {
			t.Errorf("error %v", err)
		}
		if _, err := b.Leave(t.Context()); err == nil {
			t.Error("a goodbye after the end")
		}
		b.stop()
	})
}

func TestDriverEndsWhenTheGenerationCannotBeRemembered(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.o.Remember = func(uint64) error { return errors.New("no space") }
		b.run()
		if err := <-b.result; err == nil {
			t.Error("no error")
		}
		b.stop()
	})
}

func TestDriverClosedWithoutARunClosesItsRunners(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.Close()
		b.Close()
		if !b.runner.closed {
			t.Error("the runner was not closed")
		}
		if err := b.Run(t.Context()); err == nil {
			t.Error("ran after Close")
		}
	})
}

func TestGateStartsNothingWithoutALease(t *testing.T) {
	c := clock.NewFake(100)
	var events []Event
	g := newGate(c, func(ev Event) { events = append(events, ev) }, func(string) {})
	r := &testRunner{sink: func(Event) {}}
	g.runners = []Runner{r}
	sp := Spawn{rpc.Spawn{Session: session(1), Key: key("a"), Inc: inc(10)}}
	if g.spawn(r, sp) {
		t.Error("before the first lease")
	}
	g.lease(Lease{Session: session(1), Deadline: 200, Fence: 20})
	if !g.spawn(r, sp) {
		t.Error("not under a lease")
	}
	other := sp
	other.Session = session(2)
	if g.spawn(r, other) {
		t.Error("for another session")
	}
	c.Set(200)
	if g.spawn(r, sp) {
		t.Error("at the deadline")
	}
	if g.lease(Lease{Session: session(1), Deadline: 300, Fence: 20}) || !r.did("fence") {
		t.Error("a lease that was over was renewed")
	}
	if g.spawn(r, sp) {
		t.Error("after the deadline")
	}
	if !g.lease(Lease{Session: session(2), Deadline: 300, Fence: 20}) || !g.spawn(r, other) {
		t.Error("the next session does not open it")
	}
	g.fence()
	if g.spawn(r, other) {
		t.Error("after a fence")
	}
	if len(events) != 0 {
		t.Errorf("events %v", events)
	}
}
