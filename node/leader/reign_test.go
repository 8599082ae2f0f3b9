package leader

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/clock"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

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
