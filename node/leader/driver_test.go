package leader

import (
	"context"
	"errors"
	"fmt"
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

var errLost = errors.New("leadership lost while committing log")

// toyLog commits entries in memory after a delay.
type toyLog struct {
	delay time.Duration
	mu    sync.RWMutex // guards what follows
	st    *fsm.State
	queue []*toyFuture
	held  []*toyFuture // while it hangs
	hangs bool
	lost  bool
	count int
}

type toyFuture struct {
	entry   fsm.Entry
	done    chan struct{}
	applied fsm.Applied
	err     error
}

func newToyLog(delay time.Duration) *toyLog {
	l := &toyLog{delay: delay, st: fsm.New()}
	l.st.Apply(1, fsm.Entry{Commands: []fsm.Command{
		{Bootstrap: &fsm.Bootstrap{Cluster: "c", Settings: settings}}, {Establish: &fsm.Establish{Term: 1, Leader: "n1"}},
	}})
	return l
}

func (l *toyLog) View(f func(*fsm.State)) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	f(l.st)
}

func (l *toyLog) Propose(b []byte) Future {
	e, err := fsm.Decode(b)
	f := &toyFuture{entry: e, done: make(chan struct{}), err: err}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	if l.hangs {
		l.held = append(l.held, f)
	} else {
		l.queue = append(l.queue, f)
		time.AfterFunc(l.delay, l.commit)
	}
	return f
}

func (l *toyLog) commit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.queue[0]
	l.queue = l.queue[1:]
	if l.lost {
		f.err = errLost
	} else {
		f.applied = l.st.Apply(l.st.Index()+1, f.entry)
	}
	close(f.done)
}

func (f *toyFuture) Wait(ctx context.Context) (fsm.Applied, error) {
	select {
	case <-f.done:
		return f.applied, f.err
	case <-ctx.Done():
		return fsm.Applied{}, ctx.Err()
	}
}

// toyConn is an agent's stream in memory.
type toyConn struct {
	toLeader chan rpc.FromAgent
	toAgent  chan rpc.ToAgent
	once     sync.Once
	closed   chan struct{}
	peer     sup.NodeName
}

func newToyConn() *toyConn {
	return &toyConn{toLeader: make(chan rpc.FromAgent), toAgent: make(chan rpc.ToAgent), closed: make(chan struct{})}
}

func (c *toyConn) Recv() (rpc.FromAgent, error) {
	select {
	case f := <-c.toLeader:
		return f, nil
	case <-c.closed:
		return rpc.FromAgent{}, errors.New("closed")
	}
}

func (c *toyConn) Send(f rpc.ToAgent) error {
	select {
	case c.toAgent <- f:
		return nil
	case <-c.closed:
		return errors.New("closed")
	}
}

func (c *toyConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *toyConn) Peer() sup.NodeName { return c.peer }

func (c *toyConn) say(f rpc.FromAgent) {
	select {
	case c.toLeader <- f:
	case <-c.closed:
	}
}

// toyAgent registers, renews every H and does what it is told at once, until its stream ends.
type toyAgent struct {
	name    sup.NodeName
	conn    *toyConn
	session sup.Session
	grants  int
}

func (a *toyAgent) run() {
	go a.conn.say(rpc.FromAgent{Hello: &rpc.Hello{Node: a.name, ID: string(a.name), Session: a.session, Settings: settings}})
	renew := time.NewTicker(time.Duration(settings.HeartbeatInterval))
	defer renew.Stop()
	seq := uint64(0)
	ask := func() {
		seq++
		a.conn.say(rpc.FromAgent{Renew: &rpc.Renew{Session: a.session, Seq: seq, Left: 2 * second}})
	}
	for {
		select {
		case <-a.conn.closed:
			return
		case <-renew.C:
			if !a.session.IsZero() {
				ask()
			}
		case f := <-a.conn.toAgent:
			if f.Welcome != nil && !a.session.IsZero() {
				ask()
			}
			if w := f.Welcome; w != nil && (w.Current != a.session || a.session.IsZero()) {
				a.conn.say(rpc.FromAgent{Register: &fsm.Register{Node: a.name, ID: string(a.name), Replaces: w.Current, Nonce: 5, Addr: "127.0.0.1:1", Behaviors: []string{"job"}}})
			}
			if r := f.Registered; r != nil {
				a.session = r.Session
				ask()
			}
			if f.Grant != nil {
				a.grants++
			}
			for _, s := range f.Spawns {
				a.conn.say(rpc.FromAgent{Reports: []fsm.Report{{Key: s.Key, Inc: s.Inc, Kind: fsm.ReportRunning}}})
			}
			for _, s := range f.Stops {
				a.conn.say(rpc.FromAgent{Reports: []fsm.Report{{Key: s.Key, Inc: s.Inc, Kind: fsm.ReportEnded, Reason: sup.ExitShutdown}}})
			}
		}
	}
}

// reign is a running driver with its log.
type reign struct {
	*Driver
	t        *testing.T
	log      *toyLog
	tasks    sync.WaitGroup
	stop     context.CancelFunc
	ended    chan error
	refuse   map[string]chan struct{} // by address: closed when it refuses
	transfer func(context.Context) error
	probing  int
	mu       sync.Mutex // guards probing
}

func begin(t *testing.T, delay time.Duration, agents ...sup.NodeName) *reign {
	r := &reign{t: t, log: newToyLog(delay), ended: make(chan error, 1), refuse: map[string]chan struct{}{"127.0.0.1:1": make(chan struct{})}}
	r.Driver = NewDriver(Options{
		Machine: Config{Name: "n1", Term: 1}, Clock: clock.NewTimed(), Wall: func() int64 { return time.Now().UnixNano() },
		View: r.log.View, Propose: r.log.Propose, Logger: hclog.NewNullLogger(),
		Transfer: func(ctx context.Context) error { return r.transfer(ctx) },
		Probe: func(ctx context.Context, addr string) bool {
			r.mu.Lock()
			r.probing++
			r.mu.Unlock()
			defer func() {
				r.mu.Lock()
				r.probing--
				r.mu.Unlock()
			}()
			select {
			case <-r.refuse[addr]:
				return true
			case <-ctx.Done():
				return false
			}
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.tasks.Go(func() { r.ended <- r.Run(ctx) })
	for _, n := range agents {
		r.agent(n)
	}
	return r
}

func (r *reign) agent(n sup.NodeName) *toyAgent {
	a := &toyAgent{name: n, conn: newToyConn()}
	r.tasks.Go(a.run)
	r.tasks.Go(func() { r.ServeSync(a.conn) })
	return a
}

// over ends the reign and waits for all of it.
func (r *reign) over() error {
	r.stop()
	err := <-r.ended
	r.tasks.Wait()
	return err
}

func request(key string, c fsm.Command) fsm.Command {
	c.Request = &fsm.Request{Key: key, Hash: []byte(key)}
	return c
}

func (r *reign) ask(key string, c fsm.Command) fsm.Result {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	res, err := r.Ask(ctx, request(key, c))
	if err != nil {
		r.t.Fatalf("ask %s: %v", key, err)
	}
	return res
}

func (r *reign) phase(k sup.Key) (p fsm.Phase, n sup.NodeName) {
	r.log.View(func(s *fsm.State) {
		if c := s.Child(k); c != nil {
			p, n = c.Phase, c.Node
		}
	})
	return p, n
}

func TestDriverLeadsAgentsAndAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, 2*time.Millisecond, "n1", "n2", "n3")
		res := r.ask("k", start("a", sup.RoundRobin, "x", "y", "z"))
		if res.Status != fsm.Pending {
			t.Fatalf("result %+v", res)
		}
		time.Sleep(time.Second) // virtual: everything that is to happen happens
		for _, c := range []string{"x", "y", "z"} {
			if p, n := r.phase(key("a", c)); p != fsm.Running {
				t.Errorf("%s is %s on %q", c, p, n)
			}
		}
		index, err := r.ReadIndex(context.Background())
		if err != nil || index == 0 {
			t.Errorf("read index %d, %v", index, err)
		}
		if left, ok := r.LeaseLeft("n2"); !ok || left < second || left > 3*second {
			t.Errorf("lease left %d, %v", left, ok)
		}
		if _, ok := r.LeaseLeft("n9"); ok {
			t.Error("n9 has a lease")
		}
		if err := r.over(); err != nil {
			t.Errorf("ended with %v", err)
		}
		if _, err := r.Ask(context.Background(), request("k2", start("b", nil))); !errors.Is(err, ErrOver) {
			t.Errorf("afterwards: %v", err)
		}
		if _, err := r.ReadIndex(context.Background()); !errors.Is(err, ErrOver) {
			t.Errorf("afterwards: %v", err)
		}
		c := newToyConn()
		r.ServeSync(c) // returns at once
		<-c.closed
	})
}

func TestDriverMovesTheChildrenOfANodeThatRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, time.Millisecond, "n1", "n3")
		n2 := r.agent("n2")
		time.Sleep(time.Second)
		r.ask("k", start("a", sup.RoundRobin, "x", "y", "z"))
		time.Sleep(time.Second)
		if _, n := r.phase(key("a", "y")); n != "n2" {
			t.Fatalf("y is on %q", n)
		}
		died := time.Now()
		close(r.refuse["127.0.0.1:1"])
		n2.conn.Close()
		for {
			if p, n := r.phase(key("a", "y")); n != "n2" && p == fsm.Running {
				break
			}
			if time.Since(died) > time.Second {
				t.Fatal("not moved")
			}
			time.Sleep(100 * time.Microsecond)
		}
		if d := time.Since(died); d > 10*time.Millisecond {
			t.Errorf("moved after %s", d)
		}
		if err := r.over(); err != nil {
			t.Error(err)
		}
	})
}

func TestDriverEndsAHeldProbeWhenTheNodeIsHeardOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, time.Millisecond, "n1")
		n2 := r.agent("n2")
		time.Sleep(time.Second)
		n2.conn.Close()
		time.Sleep(100 * time.Millisecond)
		r.mu.Lock()
		probing := r.probing
		r.mu.Unlock()
		if probing != 1 {
			t.Errorf("%d probes", probing)
		}
		again := &toyAgent{name: "n2", conn: newToyConn(), session: n2.session}
		r.tasks.Go(again.run)
		r.tasks.Go(func() { r.ServeSync(again.conn) })
		time.Sleep(100 * time.Millisecond)
		r.mu.Lock()
		probing = r.probing
		r.mu.Unlock()
		if probing != 0 {
			t.Errorf("%d probes", probing)
		}
		time.Sleep(time.Second)
		if err := r.over(); err != nil {
			t.Error(err)
		}
		if again.grants == 0 {
			t.Error("it has no lease")
		}
	})
}

func TestDriverResignsWhenAnOutcomeIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, time.Millisecond, "n1", "n2")
		time.Sleep(time.Second)
		r.log.mu.Lock()
		r.log.lost = true
		r.log.mu.Unlock()
		if _, err := r.Ask(context.Background(), request("k", start("a", nil))); !errors.Is(err, ErrOver) {
			t.Errorf("asked: %v", err)
		}
		if err := <-r.ended; err == nil || errors.Is(err, ErrStalled) {
			t.Errorf("ended with %v", err)
		}
		r.tasks.Wait() // every stream has ended
	})
}

func TestDriverL6StalledLog(t *testing.T) {
	for _, c := range []struct {
		what     string
		transfer func(context.Context) error
		after    time.Duration
	}{
		{"the transfer fails", func(context.Context) error { return errors.New("no peer") }, time.Second},
		{"the transfer hangs", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 2 * time.Second},
		{"the transfer changes nothing", func(context.Context) error { return nil }, 2 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := begin(t, time.Millisecond)
			r.transfer = c.transfer
			r.log.mu.Lock()
			r.log.hangs = true
			r.log.mu.Unlock()
			began := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			if _, err := r.ReadIndex(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: read: %v", c.what, err)
			}
			cancel()
			if err := <-r.ended; !errors.Is(err, ErrStalled) {
				t.Errorf("%s: ended with %v", c.what, err)
			}
			if d := time.Since(began); d < c.after || d > c.after+50*time.Millisecond {
				t.Errorf("%s: ended after %s", c.what, d)
			}
			r.tasks.Wait()
		})
	}
}

func TestDriverL6AHandedOverLeadershipIsNoReasonToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, time.Millisecond)
		r.transfer = func(context.Context) error { // what was proposed fails, as Raft does it
			r.log.mu.Lock()
			defer r.log.mu.Unlock()
			r.log.lost = true
			r.log.queue = r.log.held
			time.AfterFunc(r.log.delay, r.log.commit)
			return nil
		}
		r.log.mu.Lock()
		r.log.hangs = true
		r.log.mu.Unlock()
		if _, err := r.ReadIndex(context.Background()); !errors.Is(err, ErrOver) {
			t.Errorf("read: %v", err)
		}
		if err := <-r.ended; err == nil || errors.Is(err, ErrStalled) {
			t.Errorf("ended with %v", err)
		}
		r.tasks.Wait()
	})
}

func TestDriverClosesAStreamThatSpeaksForAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, time.Millisecond)
		a := &toyAgent{name: "n2", conn: newToyConn()}
		a.conn.peer = "n3"
		r.tasks.Go(a.run)
		r.ServeSync(a.conn)
		if err := r.over(); err != nil {
			t.Error(err)
		}
		r.log.View(func(s *fsm.State) {
			if s.Node("n2") != nil {
				t.Error("it was registered")
			}
		})
	})
}

func TestDriverClosesTheStreamOfAnAgentThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, time.Millisecond)
		c := newToyConn()
		r.tasks.Go(func() {
			for { // it talks and never listens
				select {
				case c.toLeader <- rpc.FromAgent{Hello: &rpc.Hello{Node: "n2", Settings: settings}}:
				case <-c.closed:
					return
				}
			}
		})
		r.ServeSync(c)
		if err := r.over(); err != nil {
			t.Error(err)
		}
	})
}

// TestDriverUnderLoad runs in real time, for the race detector.
func TestDriverUnderLoad(t *testing.T) {
	r := begin(t, 200*time.Microsecond, "n1", "n2", "n3")
	r.ask("start", start("a", sup.LeastLoaded))
	var clients sync.WaitGroup
	for i := range 50 {
		clients.Go(func() {
			for j := range 20 {
				k := fmt.Sprintf("k%d-%d", i, j)
				res, err := r.Ask(context.Background(), request(k, fsm.Command{StartChild: &fsm.StartChild{Supervisor: "a", Spec: child(k)}}))
				if err != nil || res.Status == fsm.Stale || res.Status == 0 {
					t.Errorf("%s: %+v, %v", k, res, err)
				}
				if _, err := r.ReadIndex(context.Background()); err != nil {
					t.Error(err)
				}
				r.LeaseLeft("n2")
			}
		})
	}
	for range 10 {
		a := r.agent("n4")
		a.conn.say(rpc.FromAgent{})
		a.conn.Close()
	}
	clients.Wait()
	if err := r.over(); err != nil {
		t.Error(err)
	}
	r.log.mu.RLock()
	defer r.log.mu.RUnlock()
	if err := r.log.st.Check(); err != nil {
		t.Error(err)
	}
	t.Logf("1000 starts and 1000 reads in %d entries", r.log.count)
}
