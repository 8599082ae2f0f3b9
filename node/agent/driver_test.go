package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/clock"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testLeader answers every agent as a leader with an ideal log would.
type testLeader struct {
	mu      sync.Mutex // guards what follows
	seq     uint64
	mute    bool // no grants
	down    bool // no connections
	deaf    bool // streams open, and nothing reads them
	conns   []*testConn
	reports []string
	refuse  string
	asked   int
}

func (l *testLeader) Connect(ctx context.Context) (Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if l.down {
		return nil, errors.New("no leader")
	}
	c := &testConn{l: l, in: make(chan rpc.ToAgent, 1000), done: make(chan struct{}), deaf: l.deaf}
	l.conns = append(l.conns, c)
	return c, nil
}

func (l *testLeader) last() *testConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) == 0 {
		return nil
	}
	return l.conns[len(l.conns)-1]
}

func (l *testLeader) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *testLeader) session() sup.Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return session(l.seq)
}

type testConn struct {
	l    *testLeader
	in   chan rpc.ToAgent
	done chan struct{}
	once sync.Once
	deaf bool
}

func (c *testConn) Leader() sup.NodeName { return "n2" }

func (c *testConn) Close() error {
	c.once.Do(func() { close(c.done) })
	return nil
}

func (c *testConn) closed() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *testConn) Recv() (rpc.ToAgent, error) {
	select {
	case f := <-c.in:
		return f, nil
	case <-c.done:
		return rpc.ToAgent{}, io.EOF
	}
}

func (c *testConn) Send(f rpc.FromAgent) error {
	if c.deaf {
		<-c.done
	}
	if c.closed() {
		return io.ErrClosedPipe
	}
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	var a rpc.ToAgent
	if f.Hello != nil {
		a.Welcome = &rpc.Welcome{Term: 1, Leader: "n2", Gen: 1, Current: session(l.seq), Live: l.seq > 0, TTL: ttl, H: h, Refused: l.refuse}
	}
	if r := f.Register; r != nil {
		if r.Replaces == session(l.seq) || l.seq == 0 {
			l.seq++
			a.Registered = &rpc.Registered{Nonce: r.Nonce, Session: session(l.seq), Current: session(l.seq)}
		} else {
			a.Registered = &rpc.Registered{Nonce: r.Nonce, Current: session(l.seq)}
		}
	}
	if r := f.Renew; r != nil && !l.mute {
		a.Grant = &rpc.Grant{Session: r.Session, Seq: r.Seq, TTL: ttl, Fence: ttl / 6, H: h}
	}
	for _, r := range f.Reports {
		l.reports = append(l.reports, fmt.Sprintf("%s %d %d %s", r.Key.Child, r.Inc.Index, r.Kind, r.Detail))
		a.Acks = append(a.Acks, rpc.Ack{Key: r.Key, Inc: r.Inc, Kind: r.Kind})
	}
	if f.Goodbye != nil && f.Goodbye.Done {
		a.Farewell = &rpc.Farewell{Done: true}
	}
	if a.Welcome != nil || a.Registered != nil || a.Grant != nil || a.Farewell != nil || len(a.Acks) > 0 {
		c.in <- a
	}
	return nil
}

func (c *testConn) spawn(id string, e uint64) {
	c.in <- rpc.ToAgent{Spawns: []rpc.Spawn{{Session: c.l.session(), Key: key(id), Inc: inc(e), Behavior: "exec", ShutdownTimeout: sec}}}
}

// testRunner starts at once; a child ends when it is told to, unless it is stubborn.
type testRunner struct {
	sink func(Event)

	mu       sync.Mutex // guards what follows
	held     map[sup.Key]sup.Incarnation
	log      []string
	stubborn bool
	closed   bool
	block    chan struct{} // Stop waits for it: a machine whose goroutine hangs
}

func (r *testRunner) Spawn(s Spawn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		r.held = map[sup.Key]sup.Incarnation{}
	}
	r.held[s.Key] = s.Inc
	r.log = append(r.log, fmt.Sprintf("spawn %s %d", s.Key.Child, s.Inc.Index))
	r.sink(Started{Key: s.Key, Inc: s.Inc})
}

func (r *testRunner) end(k sup.Key, why sup.ExitReason) {
	if i, ok := r.held[k]; ok && !r.stubborn {
		delete(r.held, k)
		r.sink(Ended{Key: k, Inc: i, Reason: why})
	}
}

func (r *testRunner) Stop(s Stop) {
	r.mu.Lock()
	block := r.block
	r.mu.Unlock()
	if block != nil {
		<-block
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, fmt.Sprintf("stop %s", s.Key.Child))
	r.end(s.Key, sup.ExitShutdown)
}

func (r *testRunner) Kill(k Kill) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, fmt.Sprintf("kill %s", k.Key.Child))
	r.end(k.Key, sup.ExitKilled)
}

func (r *testRunner) Lease(Lease) {}

func (r *testRunner) Fence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, "fence")
	for _, k := range keysOf(r.held) {
		r.end(k, sup.ExitKilled)
	}
}

func (r *testRunner) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed, r.stubborn = true, false
	for _, k := range keysOf(r.held) {
		r.end(k, sup.ExitKilled)
	}
}

func (r *testRunner) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *testRunner) did(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.log, what)
}

// bench is a driver inside a bubble.
type bench struct {
	*Driver
	leader *testLeader
	runner *testRunner
	exits  chan string
	gens   chan uint64
	result chan error
	stop   context.CancelFunc
}

func newBench(c clock.Clock) *bench {
	b := &bench{leader: &testLeader{}, exits: make(chan string, 10), gens: make(chan uint64, 10), result: make(chan error, 1)}
	cfg := config()
	cfg.Gen = 0
	b.Driver = NewDriver(Options{
		Agent: cfg, Clock: c, Connector: b.leader, Logger: hclog.NewNullLogger(),
		Remember: func(gen uint64) error { b.gens <- gen; return nil },
		Exit:     func(why string) { b.exits <- why },
	})
	b.runner = &testRunner{sink: b.Sink}
	b.Use(b.runner, "exec")
	return b
}

func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	go func() { b.result <- b.Run(ctx) }()
	synctest.Wait()
}

func (b *bench) end(t *testing.T) {
	t.Helper()
	b.Close()
	if err := <-b.result; err != nil {
		t.Error(err)
	}
	b.stop()
	if !b.runner.closed {
		t.Error("the runner was not closed")
	}
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) { f(t, newBench(clock.NewTimed())) })
}

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
