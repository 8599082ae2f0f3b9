package behaviors_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/node/agent"
	"github.com/supnode/supnode/node/agent/behaviors"
	"github.com/supnode/supnode/node/clock"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	get   = actor.DefineCall[struct{}, int]("counter.get")
	block = actor.DefineCast[chan struct{}]("counter.block")
	crash = actor.DefineCast[string]("counter.crash")
)

type rig struct {
	t      *testing.T
	clock  clock.Clock
	runner *behaviors.Runner
	events chan agent.Event
}

// run runs a test in a bubble of fake time, with a lease of ten seconds.
func run(t *testing.T, test func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		b := actor.New("counter", func(c *actor.Context, start int) (*int, error) {
			switch {
			case start < 0:
				return nil, errors.New("it must not be negative")
			case start == 999:
				<-c.Done()
			}
			return &start, nil
		})
		actor.OnCall(b, get, func(c *actor.Context, n *int, _ struct{}) (int, error) { *n++; return *n, nil })
		actor.OnCast(b, block, func(c *actor.Context, n *int, until chan struct{}) error { <-until; return nil })
		actor.OnCast(b, crash, func(c *actor.Context, n *int, with string) error { panic(with) })
		reg := actor.NewRegistry()
		reg.Register(b)
		r := &rig{t: t, clock: clock.NewTimed(), events: make(chan agent.Event, 100)}
		r.runner = behaviors.Start(behaviors.Config{Node: "n1", Registry: reg, Clock: r.clock}, func(e agent.Event) { r.events <- e })
		defer r.runner.Close()
		r.lease(10 * time.Second)
		test(t, r)
	})
}

func (r *rig) lease(d time.Duration) {
	r.runner.Lease(agent.Lease{Session: sup.Session{Gen: 1, Seq: 1}, Deadline: r.clock.Now() + int64(d), Fence: int64(time.Second)})
}

var (
	key = sup.Key{Supervisor: "pool", Child: "w"}
	one = sup.Incarnation{Gen: 1, Index: 7}
)

func (r *rig) spawn(inc sup.Incarnation, args string) {
	r.runner.Spawn(agent.Spawn{Spawn: rpc.Spawn{Key: key, Inc: inc, Behavior: "counter", Args: []json.RawMessage{json.RawMessage(args)}, InitTimeout: int64(time.Second)}})
}

func (r *rig) started(inc sup.Incarnation) {
	r.t.Helper()
	if e, ok := (<-r.events).(agent.Started); !ok || e.Key != key || e.Inc != inc {
		r.t.Fatalf("%+v, want Started %s", e, inc)
	}
}

func (r *rig) ended(inc sup.Incarnation, reason sup.ExitReason, initFailed bool, detail string) {
	r.t.Helper()
	e, ok := (<-r.events).(agent.Ended)
	if !ok || e.Key != key || e.Inc != inc || e.Reason != reason || e.InitFailed != initFailed || !strings.Contains(e.Detail, detail) {
		r.t.Fatalf("%+v, want Ended %s %s with %q", e, inc, reason, detail)
	}
}

func (r *rig) ref() actor.Ref { return r.runner.System().Ref("pool", "w") }

func TestChildrenStartAndStop(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		r.spawn(one, "41")
		r.spawn(one, "41") // its state is the agent's to repeat
		r.started(one)
		n, err := get.Call(context.Background(), r.ref(), struct{}{})
		if err != nil || n != 42 {
			t.Fatal(n, err)
		}
		r.runner.Stop(agent.Stop{Key: key, Inc: sup.Incarnation{Gen: 1, Index: 6}, Timeout: 0}) // not here
		r.runner.Stop(agent.Stop{Key: key, Inc: one, Timeout: int64(time.Second)})
		r.ended(one, sup.ExitShutdown, false, "")
	})
}

func TestRule_S5_APanicIsAnErrorWithItsStack(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		r.spawn(one, "0")
		r.started(one)
		if err := crash.Cast(t.Context(), r.ref(), "out of cheese"); err != nil {
			t.Fatal(err)
		}
		r.ended(one, sup.ExitError, false, "panic at counter.crash: out of cheese\ngithub.com/supnode/supnode/node/agent/behaviors_test.")
	})
}

func TestRule_S14a_InitsThatFail(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		r.spawn(one, "-1")
		r.ended(one, sup.ExitError, true, "it must not be negative")
		r.spawn(one, `"x"`)
		r.ended(one, sup.ExitError, true, "args[0] does not fit int")
		r.spawn(one, "999")
		r.ended(one, sup.ExitError, true, "init did not return within 1s")
		r.runner.Spawn(agent.Spawn{Spawn: rpc.Spawn{Key: key, Inc: one, Behavior: "ghost"}})
		r.ended(one, sup.ExitError, true, `no behavior "ghost"`)
	})
}

func TestRule_S14_AHangingChildEndsWhenItReturns(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		r.spawn(one, "0")
		r.started(one)
		until := make(chan struct{})
		if err := block.Cast(t.Context(), r.ref(), until); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // it is in its handler
		r.runner.Stop(agent.Stop{Key: key, Inc: one, Timeout: int64(time.Second)})
		time.Sleep(time.Minute)
		if e, ok := (<-r.events).(agent.Hanging); !ok || e.Key != key || e.Inc != one {
			t.Errorf("%+v, want Hanging", e)
		}
		if len(r.events) > 0 || len(r.runner.System().Hanging(time.Second)) != 1 {
			t.Fatal("it was said to have ended, or not to hang")
		}
		close(until)
		r.ended(one, sup.ExitKilled, false, "did not stop within 1s")
	})
}

func TestRule_A2_NothingRunsAfterTheLease(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		r.spawn(one, "0")
		r.started(one)
		time.Sleep(9 * time.Second)
		r.lease(10 * time.Second) // a renewal
		time.Sleep(9 * time.Second)
		if _, err := get.Call(t.Context(), r.ref(), struct{}{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // the deadline; no fence came yet
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := get.Call(ctx, r.ref(), struct{}{}); !errors.Is(err, actor.ErrTimeout) {
			t.Fatalf("a call after the lease: %v", err)
		}
		r.ended(one, sup.ExitKilled, false, "the lease of its node is over")
	})
}

func TestRule_A3_TheFenceKillsAndANewLeaseRunsAgain(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		r.spawn(one, "0")
		r.started(one)
		r.runner.Fence()
		r.ended(one, sup.ExitKilled, false, "the lease of its node is over")
		r.lease(10 * time.Second)
		two := sup.Incarnation{Gen: 2, Index: 3}
		r.spawn(two, "5")
		r.started(two)
		if n, err := get.Call(t.Context(), r.ref(), struct{}{}); err != nil || n != 6 {
			t.Fatal(n, err)
		}
		r.runner.Kill(agent.Kill{Key: key, Inc: two})
		r.ended(two, sup.ExitKilled, false, "killed")
	})
}
