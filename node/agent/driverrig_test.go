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

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/node/clock"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

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
