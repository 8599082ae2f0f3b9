package actor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/supnode/supnode/actor"
)

func TestCallsAndCasts(t *testing.T) {
	r := newRig(t)
	ref := r.spawn("w", 1, settings{Start: 5})
	n, err := add.Call(r.bounded(), ref, 2)
	wantErr(t, err, nil)
	want(t, "5 + 2", n, 7)
	_, err = r.run(ref, func(c *actor.Context, s *state) (int, error) { return 0, errors.New("not today") })
	if err == nil || err.Error() != "not today" {
		t.Errorf("the handler's error came as %v", err)
	}
	n, err = add.Call(context.Background(), ref, 1) // with the default deadline
	wantErr(t, err, nil)
	want(t, "after an error the actor goes on", n, 8)
}

func TestRule_S42_OrderOfOneSender(t *testing.T) {
	r := newRig(t)
	ref := r.spawn("w", 1)
	for i := 1; i <= 9; i++ {
		wantErr(t, note.Cast(t.Context(), ref, i), nil)
	}
	n, _ := add.Call(r.bounded(), ref, 0)
	want(t, "digits in order", n, 123456789)
}

func TestContextTellsWhoRuns(t *testing.T) {
	r := newRig(t)
	ref := r.spawn("w", 7)
	_, err := r.run(ref, func(c *actor.Context, s *state) (int, error) {
		want(t, "node", c.Node(), "n1")
		want(t, "incarnation", c.Incarnation(), 7)
		want(t, "self", c.Self(), ref)
		want(t, "by name", c.Ref("s", "w"), ref)
		wantErr(t, c.Err(), nil)
		return 0, nil
	})
	wantErr(t, err, nil)
}

func TestRule_S5_Ends(t *testing.T) {
	crash := func(*actor.Context, *state) (int, error) { panic("boom") }
	for _, c := range []struct {
		name, detail string
		reason       actor.Reason
		terminates   bool
		do           func(r *rig, ref actor.Ref)
	}{
		{"stops itself", "", actor.Normal, true, func(r *rig, ref actor.Ref) {
			_, err := r.run(ref, func(c *actor.Context, s *state) (int, error) { c.Stop(nil); return 1, nil })
			wantErr(t, err, nil)
		}},
		{"stops itself with an error", "out of luck", actor.Error, true, func(r *rig, ref actor.Ref) {
			_, err := r.run(ref, func(c *actor.Context, s *state) (int, error) { c.Stop(errors.New("out of luck")); return 1, nil })
			wantErr(t, err, nil)
		}},
		{"a cast fails", "test.tell: bad cast", actor.Error, true, func(r *rig, ref actor.Ref) {
			wantErr(t, tell.Cast(t.Context(), ref, doing{func(*actor.Context, *state) (int, error) { return 0, errors.New("bad cast") }}), nil)
		}},
		{"a call panics", "panic at test.do: boom", actor.Error, true, func(r *rig, ref actor.Ref) {
			_, err := r.run(ref, crash)
			var p *actor.PanicError
			if !errors.As(err, &p) || p.Value != "boom" || p.Type != "test.do" || !strings.Contains(p.Stack, "actor_test.go") {
				t.Errorf("the caller got %#v", err)
			}
		}},
		{"a cast panics", "panic at test.tell: boom", actor.Error, true, func(r *rig, ref actor.Ref) {
			wantErr(t, tell.Cast(t.Context(), ref, doing{crash}), nil)
		}},
		{"a nil map", "assignment to entry in nil map", actor.Error, true, func(r *rig, ref actor.Ref) {
			_, err := r.run(ref, func(_ *actor.Context, s *state) (int, error) { s.seen[1] = 1; return 0, nil })
			if err == nil {
				t.Error("no error")
			}
		}},
		{"asked to stop", "", actor.Shutdown, true, func(r *rig, ref actor.Ref) { r.s.Stop(key("w"), 1, time.Minute) }},
		{"stopped at once", "stopped at once", actor.Killed, false, func(r *rig, ref actor.Ref) { r.s.Stop(key("w"), 1, 0) }},
		{"killed", "killed", actor.Killed, false, func(r *rig, ref actor.Ref) { r.s.Kill(key("w"), 1) }},
		{"its goroutine ends", "runtime.Goexit", actor.Error, false, func(r *rig, ref actor.Ref) {
			_, err := r.run(ref, func(*actor.Context, *state) (int, error) { goexit(); return 0, nil })
			wantErr(t, err, actor.ErrOutcomeUnknown)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			ref := r.spawn("w", 1)
			c.do(r, ref)
			e := r.exit("w", 1)
			want(t, "reason", e.Reason, c.reason)
			if !strings.Contains(e.Detail, c.detail) {
				t.Errorf("detail %q, want %q in it", e.Detail, c.detail)
			}
			if strings.Contains(c.detail, "panic") && !strings.Contains(e.Detail, "actor_test.go") {
				t.Errorf("no stack in %q", e.Detail)
			}
			want(t, "terminate was called", len(r.ends) == 1, c.terminates)
			if c.terminates {
				want(t, "its reason", <-r.ends, c.reason)
			}
			wantErr(t, note.Cast(t.Context(), ref, 1), actor.ErrGone)
		})
	}
}

func TestRule_S14a_Inits(t *testing.T) {
	for _, c := range []struct {
		fail, detail string
		ended        string
	}{
		{"error", "no such table", "ended w 1 error in init"},
		{"nil pointer", "a nil *actor_test.mishap, which is an error all the same", "ended w 1 error in init"},
		{"stop", "it stopped itself in its init", "ended w 1 normal in init"},
		{"panic", "panic in init: init went wrong", "ended w 1 error in init"},
		{"hang", "init did not return within 1s", "ended w 1 error in init"},
		{"late", "init did not return within 1s", "ended w 1 error in init"},
	} {
		t.Run(c.fail, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				sp := r.spec("w", 1, settings{Fail: c.fail})
				sp.InitTimeout = time.Second
				wantErr(t, r.s.Spawn(sp), nil)
				e := r.exit("w", 1)
				want(t, "as told", r.all()[0], c.ended)
				if !strings.Contains(e.Detail, c.detail) {
					t.Errorf("detail %q, want %q in it", e.Detail, c.detail)
				}
				want(t, "terminate", len(r.ends), map[string]int{"late": 1, "stop": 1}[c.fail])
				r.s.Close()
			})
		})
	}
}

func TestArgsReachTheInit(t *testing.T) {
	for _, c := range []struct {
		args, detail string
		n            int
	}{
		{`[]`, "", 0},
		{`[{"start": 3}]`, "", 3},
		{`[{"strat": 3}]`, `behavior "worker": args[0] does not fit actor_test.settings: json: unknown field "strat"`, 0},
		{`[{"start": "x"}]`, `start is a JSON string, and a Go int is wanted`, 0},
		{`[1, 2]`, `2 args, and one of type actor_test.settings is taken`, 0},
	} {
		r := newRig(t)
		sp := r.spec("w", 1)
		wantErr(t, json.Unmarshal([]byte(c.args), &sp.Args), nil)
		wantErr(t, r.s.Spawn(sp), nil)
		if c.detail != "" {
			if e := r.exit("w", 1); !strings.Contains(e.Detail, c.detail) || !e.InitFailed {
				t.Errorf("%s: %+v", c.args, e)
			}
			continue
		}
		n, err := add.Call(r.bounded(), r.s.Ref("s", "w"), 0)
		wantErr(t, err, nil)
		want(t, c.args, n, c.n)
	}
}

func TestSpawnIsIdempotentByIncarnation(t *testing.T) {
	r := newRig(t)
	ref := r.spawn("w", 2)
	if _, err := add.Call(r.bounded(), ref, 5); err != nil {
		t.Fatal(err)
	}
	wantErr(t, r.s.Spawn(r.spec("w", 2)), nil)
	wantErr(t, r.s.Spawn(r.spec("w", 1)), actor.ErrStale)
	if err := r.s.Spawn(r.spec("w", 3)); err == nil {
		t.Error("a second copy was started")
	}
	n, _ := add.Call(r.bounded(), ref, 0)
	want(t, "the state of the one", n, 5)
	if err := r.s.Spawn(actor.Spec{Key: key("x"), Behavior: "ghost"}); err == nil || !strings.Contains(err.Error(), `"ghost"`) {
		t.Errorf("unknown behavior: %v", err)
	}
}

func TestRule_S40_ARefFindsTheNextIncarnation(t *testing.T) {
	r := newRig(t)
	ref := r.spawn("w", 1)
	pin, ok := ref.Pinned()
	want(t, "pinned", ok, true)
	r.s.Kill(key("w"), 1)
	r.exit("w", 1)
	answer := make(chan int)
	go func() {
		n, err := add.Call(r.bounded(), ref, 1)
		wantErr(t, err, nil)
		answer <- n
	}()
	r.spawn("w", 2, settings{Start: 40})
	want(t, "the next one answers", <-answer, 41)
	_, err := add.Call(r.bounded(), pin, 1)
	wantErr(t, err, actor.ErrStale)
	wantErr(t, note.Cast(t.Context(), pin, 1), actor.ErrStale)
	want(t, "refs of one node are equal", r.s.Ref("s", "w"), ref)
}

func TestRule_S40_CallTimesOutWhenNothingRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		start := time.Now()
		_, err := add.Call(context.Background(), r.s.Ref("s", "none"), 1)
		wantErr(t, err, actor.ErrTimeout)
		wantErr(t, err, context.DeadlineExceeded)
		want(t, "after the default", time.Since(start), actor.DefaultCallTimeout)
		r.s.Close()
	})
}

func TestRule_S41_ACallThatReachedNoHandlerIsTriedAgain(t *testing.T) {
	r := newRig(t)
	ref := r.spawn("w", 1)
	begun, end := make(chan bool), make(chan bool)
	go r.run(ref, func(c *actor.Context, s *state) (int, error) { begun <- true; <-end; c.Stop(nil); return 0, nil })
	<-begun
	answer := make(chan int)
	go func() {
		n, err := add.Call(r.bounded(), ref, 1)
		wantErr(t, err, nil)
		answer <- n
	}()
	wantErr(t, note.Cast(t.Context(), ref, 9), nil)
	end <- true
	r.exit("w", 1)
	r.spawn("w", 2, settings{Start: 10})
	want(t, "answered by the second", <-answer, 11)
	want(t, "lost casts", r.s.Stats().Lost, 1)
}

func TestRule_S14_AHangingHandlerIsReported(t *testing.T) {
	r := newRig(t)
	ref := r.spawn("w", 1)
	begun, end := make(chan bool), make(chan bool)
	failed := make(chan error)
	go func() {
		_, err := r.run(ref, func(c *actor.Context, s *state) (int, error) { begun <- true; <-end; <-c.Done(); return 0, c.Err() })
		failed <- err
	}()
	<-begun
	r.s.Stop(key("w"), 1, time.Nanosecond)
	wantErr(t, <-failed, actor.ErrOutcomeUnknown) // at the kill, though the handler has not returned
	h := r.s.Hanging(0)
	if len(h) != 1 || h[0].Key != key("w") || h[0].Incarnation != 1 {
		t.Errorf("hanging: %v", h)
	}
	wantErr(t, note.Cast(t.Context(), ref, 1), actor.ErrGone)
	if err := r.s.Spawn(r.spec("w", 2)); err == nil {
		t.Error("something replaced a hanging child")
	}
	want(t, "events", len(r.all()), 1)
	end <- true
	want(t, "reason", r.exit("w", 1).Reason, actor.Killed)
	want(t, "hanging", len(r.s.Hanging(0)), 0)
}

func TestRule_S14_ATerminateThatHangsIsReportedThoughNobodyAskedForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := make(chan struct{})
		b := actor.New("stuck", func(*actor.Context, struct{}) (int, error) { return 0, nil })
		actor.OnCall(b, do, func(c *actor.Context, _ int, d doing) (int, error) { return d.fn(c, nil) })
		actor.OnTerminate(b, func(*actor.Context, int, actor.Reason) { <-until })
		reg := actor.NewRegistry()
		reg.Register(b)
		r := newRig(t, func(o *actor.Options) { o.Registry = reg })
		for id, limit := range map[string]time.Duration{"short": 150 * time.Millisecond, "default": 0, "never": -1} {
			sp := r.spec(id, 1)
			sp.Behavior, sp.ShutdownTimeout = "stuck", limit
			wantErr(t, r.s.Spawn(sp), nil)
			r.wait("started " + id + " 1")
			_, err := r.run(r.s.Ref("s", id), func(c *actor.Context, _ *state) (int, error) { c.Stop(errors.New("enough")); return 0, nil })
			wantErr(t, err, nil)
		}
		synctest.Wait()
		time.Sleep(150 * time.Millisecond)
		want(t, "hanging", len(r.s.Hanging(0)), 0) // 0.15 s is kept as 0.2 s
		time.Sleep(actor.HangAfter + 100*time.Millisecond)
		r.wait("hanging short 1")
		want(t, "hanging", len(r.s.Hanging(0)), 1)
		time.Sleep(actor.DefaultTerminate)
		r.wait("hanging default 1")
		time.Sleep(time.Hour)
		want(t, "hanging", len(r.s.Hanging(0)), 2)
		close(until)
		want(t, "reason", r.exit("short", 1).Reason, actor.Error)
		want(t, "detail", r.exit("short", 1).Detail, "enough")
		r.exit("default", 1)
		r.exit("never", 1)
		r.s.Close()
	})
}

func TestOfTwoStopsTheNearerEndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ref := r.spawn("w", 1)
		go r.run(ref, func(c *actor.Context, s *state) (int, error) { time.Sleep(time.Hour); return 0, nil })
		synctest.Wait()
		start := time.Now()
		r.s.Stop(key("w"), 1, -1)
		r.s.Stop(key("w"), 1, time.Minute)
		r.s.Stop(key("w"), 1, 5*time.Minute)
		time.Sleep(time.Minute + actor.HangAfter + 1)
		want(t, "hangs after the nearer one", len(r.s.Hanging(0)), 1)
		r.wait("hanging w 1")
		r.exit("w", 1)
		want(t, "over with its handler", time.Since(start), time.Hour)
		r.s.Close()
	})
}

func TestDeadlocksAreTold(t *testing.T) {
	r := newRig(t)
	a, b, c := r.spawn("a", 1), r.spawn("b", 2), r.spawn("c", 3)
	calling := func(to actor.Ref, then func(*actor.Context, *state) (int, error)) func(*actor.Context, *state) (int, error) {
		return func(c *actor.Context, s *state) (int, error) {
			ctx, cancel := context.WithTimeout(c, time.Minute) // made from it
			defer cancel()
			return do.Call(ctx, to, doing{then})
		}
	}
	_, err := r.run(a, calling(a, nil))
	wantErr(t, err, actor.ErrDeadlock)
	_, err = r.run(a, calling(b, calling(c, calling(a, nil))))
	wantErr(t, err, actor.ErrDeadlock)
	n, err := r.run(a, calling(b, calling(c, func(*actor.Context, *state) (int, error) { return 3, nil })))
	wantErr(t, err, nil)
	want(t, "a chain without a ring", n, 3)
	// Afterwards they are not in anybody's chain.
	n, err = r.run(c, calling(b, calling(a, func(*actor.Context, *state) (int, error) { return 4, nil })))
	wantErr(t, err, nil)
	want(t, "the other way round", n, 4)
}

func TestMailboxesAreBounded(t *testing.T) {
	for _, policy := range []actor.Policy{actor.RefuseNew, actor.DropOldest} {
		reg := actor.NewRegistry()
		var got []int
		b := actor.New("small", func(*actor.Context, struct{}) (*state, error) { return &state{}, nil })
		b.SetMailbox(actor.Mailbox{Size: 2, Policy: policy})
		begun, end, handled := make(chan bool), make(chan bool), make(chan int)
		actor.OnCast(b, tell, func(c *actor.Context, s *state, _ doing) error { begun <- true; <-end; return nil })
		actor.OnCast(b, note, func(c *actor.Context, s *state, n int) error { handled <- n; return nil })
		actor.OnCall(b, add, func(*actor.Context, *state, int) (int, error) { return 0, nil })
		reg.Register(b)
		s := actor.NewSystem(actor.Options{Registry: reg})
		wantErr(t, s.Spawn(actor.Spec{Key: key("w"), Incarnation: 1, Behavior: "small"}), nil)
		ref := s.Ref("s", "w")
		_, err := add.Call(t.Context(), ref, 0)
		wantErr(t, err, nil)
		wantErr(t, tell.Cast(t.Context(), ref, doing{}), nil)
		<-begun
		wantErr(t, note.Cast(t.Context(), ref, 1), nil)
		wantErr(t, note.Cast(t.Context(), ref, 2), nil)
		third := note.Cast(t.Context(), ref, 3)
		end <- true
		got = append(got, <-handled, <-handled)
		switch policy {
		case actor.RefuseNew:
			wantErr(t, third, actor.ErrBusy)
			want(t, "handled", fmt.Sprint(got), "[1 2]")
			want(t, "refused", s.Stats().Busy, 1)
		case actor.DropOldest:
			wantErr(t, third, nil)
			want(t, "handled", fmt.Sprint(got), "[2 3]")
			want(t, "lost", s.Stats().Lost, 1)
		}
		s.Close()
	}
}

func TestMessagesWithoutAHandler(t *testing.T) {
	r := newRig(t)
	ref := r.spawn("w", 1)
	_, err := alien.Call(r.bounded(), ref, 1)
	var m *actor.MessageError
	if !errors.As(err, &m) || m.Type != "test.alien" || m.Node != "n1" || m.Key != key("w") {
		t.Errorf("%v", err)
	}
	wantErr(t, err, actor.ErrUnhandled)
	wantErr(t, lost.Cast(t.Context(), ref, 1), nil)
	r.wait("unhandled w test.lost")
	want(t, "counted", r.s.Stats().Unhandled, 1)
	n, err := add.Call(r.bounded(), ref, 1)
	wantErr(t, err, nil)
	want(t, "the actor goes on", n, 1)
	// The same name with another type is not taken for it.
	twin := actor.DefineCall[string, int]("test.add")
	_, err = twin.Call(r.bounded(), ref, "1")
	wantErr(t, err, actor.ErrUnhandled)
	same := actor.DefineCall[int, int]("test.add")
	n, err = same.Call(r.bounded(), ref, 1)
	wantErr(t, err, nil)
	want(t, "the same type defined twice", n, 2)
}

func TestJSON(t *testing.T) {
	r := newRig(t)
	ref := r.spawn("w", 1)
	call := func(typ, value string) (string, error) {
		raw, err := r.s.CallJSON(r.bounded(), ref, actor.Incoming{Type: typ, Value: json.RawMessage(value)})
		return string(raw), err
	}
	wantErr(t, r.s.CastJSON(ref, actor.Incoming{Type: "test.note", Value: json.RawMessage("4")}), nil)
	got, err := call("test.add", "3")
	wantErr(t, err, nil)
	want(t, "reply", got, "7")
	for _, c := range []struct{ typ, value, problem string }{
		{"test.none", "1", "does not handle"},
		{"test.note", "1", "it is a cast"},
		{"test.add", `"x"`, "the value is a JSON string, and a Go int is wanted"},
		{"test.add", `1 2`, "something follows"},
		{"", `1`, "it is empty"},
	} {
		if _, err := call(c.typ, c.value); err == nil || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s %s: %v, want %q", c.typ, c.value, err, c.problem)
		}
	}
	wantErr(t, r.s.CastJSON(ref, actor.Incoming{Type: "test.none"}), actor.ErrUnhandled)
	wantErr(t, r.s.CastJSON(actor.RefTo("s", "none"), actor.Incoming{Type: "test.note"}), actor.ErrGone)
	_, err = r.s.CallJSON(r.bounded(), ref, actor.Incoming{Type: "test.add", Chain: []actor.Hop{{Key: key("x"), Incarnation: 1}, {Key: key("w"), Incarnation: 1}}})
	wantErr(t, err, actor.ErrDeadlock)
}

// What goes to another node is written before the actor's next handler changes it, and code of a behavior that panics as it
// is asked for words or JSON ends at most that actor.
func TestAnswersInJSONAreTheActorsOwn(t *testing.T) {
	r := newRig(t)
	ref := r.spawn("w", 1)
	call := func(typ, value string) (string, error) {
		raw, err := r.s.CallJSON(r.bounded(), ref, actor.Incoming{Type: typ, Value: json.RawMessage(value)})
		return string(raw), err
	}
	grow := doing{func(_ *actor.Context, s *state) (int, error) {
		if s.seen == nil {
			s.seen = map[int]int{}
		}
		s.seen[len(s.seen)]++
		return 0, nil
	}}
	for range 100 {
		d, err := r.s.Deliver(time.Time{}, ref, actor.Incoming{Type: "test.show", Value: json.RawMessage("true")})
		wantErr(t, err, nil)
		wantErr(t, tell.Cast(t.Context(), ref, grow), nil)
		_, err = d.Wait(r.bounded())
		wantErr(t, err, nil)
	}
	_, err := call("test.fuss", "{}")
	if err == nil || !strings.Contains(err.Error(), "panic as its value was read: read me not") {
		t.Errorf("a value that panics as it is read: %v", err)
	}
	want(t, "ended", len(r.ends), 0)
	_, err = call("test.show", "false")
	var p *actor.PanicError
	if !errors.As(err, &p) || p.Value != "write me not" || !strings.Contains(r.exit("w", 1).Detail, "write me not") {
		t.Errorf("an answer that panics as it is written: %v", err)
	}
}

func TestRefsAreNames(t *testing.T) {
	r := newRig(t)
	ref := r.spawn("w", 1)
	raw, err := json.Marshal(map[string]actor.Ref{"a": ref, "b": ref.PinnedTo(9)})
	wantErr(t, err, nil)
	want(t, "json", string(raw), `{"a":{"supervisor":"s","child":"w"},"b":{"supervisor":"s","child":"w","incarnation":9}}`)
	var back map[string]actor.Ref
	wantErr(t, json.Unmarshal(raw, &back), nil)
	want(t, "equal", back["a"].Equal(ref), true)
	want(t, "bound and equal", r.s.Bind(back["a"]), ref)
	want(t, "pinned", back["b"].Incarnation(), 9)
	_, err = add.Call(r.bounded(), back["a"], 1)
	wantErr(t, err, actor.ErrUnbound)
	_, err = r.run(r.spawn("x", 2), func(c *actor.Context, s *state) (int, error) { return add.Call(c, back["a"], 1) })
	wantErr(t, err, nil)
}

func TestRule_A2_AClosedGateStopsEverything(t *testing.T) {
	var mu sync.Mutex
	open := true
	set := func(v bool) { mu.Lock(); open = v; mu.Unlock() }
	r := newRig(t, func(o *actor.Options) {
		o.Open = func() bool { mu.Lock(); defer mu.Unlock(); return open }
		o.CallTimeout = 50 * time.Millisecond
	})
	ref := r.spawn("w", 1)
	_, err := r.run(ref, func(c *actor.Context, s *state) (int, error) { set(false); return 1, nil })
	wantErr(t, err, actor.ErrOutcomeUnknown) // the reply does not leave
	note.Cast(t.Context(), ref, 1)
	want(t, "the next dispatch ends it", r.exit("w", 1).Reason, actor.Killed)
}

// A child that dies at once is never a child that runs: its start is told first, and then its end.
func TestWatchedBeforeItCanReceive(t *testing.T) {
	r := newRig(t)
	for inc := 1; inc <= 200; inc++ {
		ref := r.s.Ref("s", "w")
		go r.run(ref, func(c *actor.Context, s *state) (int, error) { panic("at once") })
		wantErr(t, r.s.Spawn(r.spec("w", inc)), nil)
		r.exit("w", inc)
	}
	ev := r.all()
	want(t, "events", len(ev), 400)
	for i := 0; i < len(ev); i += 2 {
		want(t, "first", ev[i], fmt.Sprintf("started w %d", i/2+1))
		want(t, "then", ev[i+1], fmt.Sprintf("ended w %d error", i/2+1))
	}
}

func TestAWaitingCallerCanGiveUp(t *testing.T) {
	r := newRig(t)
	ref := r.spawn("w", 1)
	begun, end := make(chan bool), make(chan bool)
	go r.run(ref, func(c *actor.Context, s *state) (int, error) { begun <- true; <-end; return 0, nil })
	<-begun
	ctx, cancel := context.WithCancel(context.Background())
	gave := make(chan error)
	go func() {
		_, err := add.Call(ctx, ref, 100)
		gave <- err
	}()
	cancel()
	wantErr(t, <-gave, context.Canceled)
	end <- true
	n, _ := add.Call(r.bounded(), ref, 1)
	want(t, "work that nobody waits for is not started", n, 1)
}

// What a panic says may be as long as it likes: the caller and the log get its beginning, and the stack.
func TestAPanicOfManyWordsStillShowsItsStack(t *testing.T) {
	r := newRig(t)
	ref := r.spawn("w", 1)
	_, err := r.run(ref, func(*actor.Context, *state) (int, error) { panic("boom \xff" + strings.Repeat("é", 100_000)) })
	var p *actor.PanicError
	if !errors.As(err, &p) || len(p.Value) > 1100 || !utf8.ValidString(p.Value) || !strings.HasPrefix(p.Value, "boom \uFFFDéé") || !strings.HasSuffix(p.Value, "é …") {
		t.Errorf("the caller got %.2000v", err)
	}
	if e := r.exit("w", 1); len(e.Detail) > 4096 || !strings.Contains(e.Detail, "actor_test.go") {
		t.Errorf("the exit has %d bytes: %.2000s", len(e.Detail), e.Detail)
	}
}

func TestMistakesOfTheProgramPanic(t *testing.T) {
	b := func(name string) actor.Behavior { return actor.Plain(name, func() actor.Server { return nil }) }
	var reg actor.Registry
	reg.Register(b("b"), b("a"))
	for what, f := range map[string]func(){
		"registered already":  func() { reg.Register(b("a")) },
		"built in":            func() { reg.Register(b("exec")) },
		"it is empty":         func() { b("") },
		"is nil":              func() { reg.Register(nil) },
		`behavior "p" is nil`: func() { actor.Plain("p", nil) },
		`behavior "t" is nil`: func() { actor.New[int, int]("t", nil) },
		"by DefineCall":       func() { actor.CallMessage[int, int]{}.Call(t.Context(), actor.RefTo("s", "w"), 1) },
		"handler for": func() {
			actor.OnCast[int](actor.New("w", func(*actor.Context, struct{}) (int, error) { return 0, nil }), note, nil)
		},
		"a space": func() { actor.DefineCast[int]("a b") },
		"has a handler": func() {
			w := actor.New("w", func(*actor.Context, struct{}) (int, error) { return 0, nil })
			for range 2 {
				actor.OnCast(w, note, func(*actor.Context, int, int) error { return nil })
			}
		},
	} {
		func() {
			defer func() {
				if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), what) {
					t.Errorf("panic %v, want %q in it", v, what)
				}
			}()
			f()
		}()
	}
	want(t, "names", fmt.Sprint(reg.Names()), "[a b]")
	want(t, "has", reg.Has("a") && !reg.Has("c"), true)
}
