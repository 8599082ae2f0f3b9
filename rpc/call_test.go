package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/expect"
	"github.com/supnode/supnode/test/relay"
)

func TestProblemsCrossTheWireAsThemselves(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	q := open(t, rpc.Config{Node: "n2"})
	want := &sup.Problem{Code: sup.CodeMaxRestartsExceeded, Detail: "too often", Supervisor: "pool", MaxRestarts: 3, Within: 5e9,
		Reasons: []sup.NodeReason{{Node: "n1", Reason: "down"}}, Errors: []sup.FieldError{{Location: "a", Message: "b"}}}
	p.Handle("refuse", func(context.Context, sup.NodeName, []byte) (any, error) { return nil, fmt.Errorf("wrapped: %w", want) })
	p.Handle("redirect", func(context.Context, sup.NodeName, []byte) (any, error) {
		return nil, &rpc.NotLeader{Leader: "n3", Addr: "127.0.0.1:7103"}
	})
	p.Handle("doubt", func(context.Context, sup.NodeName, []byte) (any, error) {
		return nil, fmt.Errorf("leadership lost: %w", rpc.ErrOutcomeUnknown)
	})
	p.Handle("fail", func(context.Context, sup.NodeName, []byte) (any, error) { return nil, errors.New("disk on fire \xff") })
	call := func(method string) error { return q.Call(t.Context(), p.Advertise(), "n1", method, nil, nil) }

	var problem *sup.Problem
	if err := call("refuse"); !errors.As(err, &problem) {
		t.Errorf("refuse: %v", err)
	} else if d := cmp.Diff(want, problem); d != "" {
		t.Error(d)
	}
	var nl *rpc.NotLeader
	if err := call("redirect"); !errors.As(err, &nl) || *nl != (rpc.NotLeader{Leader: "n3", Addr: "127.0.0.1:7103"}) {
		t.Errorf("redirect: %v", err)
	}
	if err := call("doubt"); !errors.Is(err, rpc.ErrOutcomeUnknown) {
		t.Errorf("doubt: %v", err)
	}
	var remote *rpc.RemoteError
	if err := call("fail"); !errors.As(err, &remote) || remote.Node != "n1" || errors.Is(err, rpc.ErrOutcomeUnknown) {
		t.Errorf("fail: %v", err)
	}
	expect.Error(t, call("nothing"), `method "nothing" is not served by node n1`)
}

func TestTimesKeepTheirNanoseconds(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	q := open(t, rpc.Config{Node: "n2"})
	three := 3
	want := []sup.Event{{ID: 7, Time: time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC), Type: sup.EventChildStarted, MaxRestarts: &three}}
	p.Handle("events", func(context.Context, sup.NodeName, []byte) (any, error) { return want, nil })
	var got []sup.Event
	if err := q.Call(t.Context(), p.Advertise(), "n1", "events", nil, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTheDeadlineTravels(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	q := open(t, rpc.Config{Node: "n2"})
	over := make(chan error, 1)
	p.Handle("wait", func(ctx context.Context, _ sup.NodeName, _ []byte) (any, error) {
		d, ok := ctx.Deadline()
		if left := time.Until(d); !ok || left > 400*time.Millisecond {
			t.Errorf("the handler's deadline is %v away", left)
		}
		<-ctx.Done()
		over <- ctx.Err()
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := q.Call(ctx, p.Advertise(), "n1", "wait", nil, nil)
	if !errors.Is(err, rpc.ErrOutcomeUnknown) {
		t.Errorf("a call that timed out after it was sent: %v", err)
	}
	<-over
	<-ctx.Done()
	for range 10 { // too late before anything is sent: the outcome is known
		err := q.Call(ctx, p.Advertise(), "n1", "wait", nil, nil)
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, rpc.ErrOutcomeUnknown) {
			t.Fatalf("a call after its deadline: %v", err)
		}
	}
}

func TestACallerThatGivesUpEndsTheHandler(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	q := open(t, rpc.Config{Node: "n2"})
	echo(p)
	entered, over := make(chan struct{}), make(chan struct{})
	p.Handle("wait", func(ctx context.Context, _ sup.NodeName, _ []byte) (any, error) {
		close(entered)
		<-ctx.Done()
		close(over)
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Call(ctx, p.Advertise(), "n1", "wait", nil, nil) }()
	<-entered
	cancel()
	<-over
	if err := <-done; !errors.Is(err, context.Canceled) || !errors.Is(err, rpc.ErrOutcomeUnknown) {
		t.Errorf("%v", err)
	}
	mustEcho(t, q, p)
}

func TestCallsDoNotWaitForEachOther(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	q := open(t, rpc.Config{Node: "n2"})
	echo(p)
	release := make(chan struct{})
	entered := make(chan struct{}, 100)
	p.Handle("wait", func(ctx context.Context, _ sup.NodeName, _ []byte) (any, error) {
		entered <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return "done", nil
	})
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			var s string
			if err := q.Call(t.Context(), p.Advertise(), "n1", "wait", nil, &s); err != nil || s != "done" {
				t.Errorf("%q, %v", s, err)
			}
		})
	}
	for range 100 {
		<-entered
	}
	mustEcho(t, q, p)
	close(release)
	wg.Wait()
}

func TestOneHandlerTooManyIsBusy(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	q := open(t, rpc.Config{Node: "n2"})
	release := make(chan struct{})
	var inside atomic.Int64
	p.Handle("wait", func(ctx context.Context, _ sup.NodeName, _ []byte) (any, error) {
		inside.Add(1)
		<-release
		return nil, nil
	})
	var wg sync.WaitGroup
	for range rpc.MaxHandlers {
		wg.Go(func() {
			if err := q.Call(t.Context(), p.Advertise(), "n1", "wait", nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
	await.True(t, "all handlers at work", func() bool { return inside.Load() == rpc.MaxHandlers })
	err := q.Call(t.Context(), p.Advertise(), "n1", "wait", nil, nil)
	var problem *sup.Problem
	if !errors.As(err, &problem) || problem.Code != sup.CodeBusy || problem.Bound != rpc.MaxHandlers {
		t.Errorf("one more: %v", err)
	}
	close(release)
	wg.Wait()
}

func TestBigBodies(t *testing.T) {
	const limit = 2 << 20
	ca := newCA(t)
	p := open(t, rpc.Config{Node: "n1", TLS: issue(t, ca, "n1")})
	q := open(t, rpc.Config{Node: "n2", TLS: issue(t, ca, "n2")})
	rpc.LimitFrames(p, limit)
	rpc.LimitFrames(q, limit)
	echo(p)
	p.Handle("huge", func(context.Context, sup.NodeName, []byte) (any, error) {
		return strings.Repeat("x", limit), nil
	})
	big := strings.Repeat("y", limit-1000)
	var got string
	if err := q.Call(t.Context(), p.Advertise(), "n1", "echo", big, &got); err != nil || got != "n2:"+big {
		t.Errorf("just below the limit: %d bytes, %v", len(got), err)
	}
	err := q.Call(t.Context(), p.Advertise(), "n1", "echo", strings.Repeat("z", limit), nil)
	if !errors.Is(err, rpc.ErrFrameTooLarge) || errors.Is(err, rpc.ErrOutcomeUnknown) {
		t.Errorf("a request above MaxFrame: %v", err)
	}
	err = q.Call(t.Context(), p.Advertise(), "n1", "huge", nil, nil)
	expect.Error(t, err, "frame is too large")
	if !errors.Is(err, rpc.ErrOutcomeUnknown) {
		t.Errorf("an answer above MaxFrame: %v", err)
	}
	mustEcho(t, q, p)
}

func TestABrokenConnectionLeavesTheOutcomeUnknown(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	q := open(t, rpc.Config{Node: "n2"})
	echo(p)
	entered := make(chan struct{})
	p.Handle("wait", func(ctx context.Context, _ sup.NodeName, _ []byte) (any, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	proxy := relay.New(t, p.Addr().String())
	done := make(chan error, 1)
	go func() { done <- q.Call(context.Background(), proxy.Addr, "n1", "wait", nil, nil) }()
	<-entered
	proxy.Cut()
	err := <-done
	if !errors.Is(err, rpc.ErrOutcomeUnknown) {
		t.Errorf("cut after the request was read: %v", err)
	}
	if errors.Is(err, io.EOF) {
		expect.Error(t, err, "the connection broke before the answer came")
	}
	var got string
	if err := q.Call(t.Context(), proxy.Addr, "n1", "echo", "hi", &got); err != nil || got != "n2:hi" {
		t.Errorf("the next call: %q, %v", got, err)
	}
}

func TestADeadPooledConnectionIsReplaced(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	echo(p)
	q := open(t, rpc.Config{Node: "n2"})
	mustEcho(t, q, p)
	addr := p.Addr().String()
	for range 20 {
		p.Close()
		p = open(t, rpc.Config{Node: "n1", Listen: addr})
		echo(p)
		// The reader may not have seen the end yet: then the outcome is unknown, never wrong. It settles at once.
		await.True(t, "an answer of the successor", func() bool {
			var got string
			err := q.Call(t.Context(), addr, "n1", "echo", "hi", &got)
			if err != nil && !errors.Is(err, rpc.ErrOutcomeUnknown) {
				t.Errorf("%v", err)
			}
			return err == nil && got == "n2:hi"
		})
	}
}

func TestASilentConnectionIsNotUsedAgain(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	echo(p)
	q := open(t, rpc.Config{Node: "n2"})
	hole := relay.New(t, p.Addr().String())
	var got string
	if err := q.Call(t.Context(), hole.Addr, "n1", "echo", "hi", &got); err != nil {
		t.Fatal(err)
	}
	hole.Swallow.Store(true) // what is open now stays open, and brings nothing any more
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := q.Call(ctx, hole.Addr, "n1", "echo", "hi", &got); !errors.Is(err, rpc.ErrOutcomeUnknown) {
		t.Fatalf("into the hole: %v", err)
	}
	hole.Swallow.Store(false)
	if err := q.Call(t.Context(), hole.Addr, "n1", "echo", "hi", &got); err != nil {
		t.Errorf("after the partition: %v", err)
	}
}
