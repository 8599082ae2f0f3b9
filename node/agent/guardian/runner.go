package guardian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
	"golang.org/x/sys/unix"
)

// Config is what a [Runner] is told.
type Config struct {
	Node    sup.NodeName
	NodeID  string // the node's UUID, by which its processes are known (P1)
	DataDir string // where Logs are by default: DataDir/logs/SUP/CHILD.log
	Logs    *Logs

	// Lock is the guardian's file as [Acquire] gave it; the runner takes it over.
	Lock *Lock
	// Listener is the node's listening socket, of which the guardian keeps a duplicate until nothing that it started is left
	// (P0): a *net.TCPListener. Nil = none.
	Listener syscall.Conn

	Allow      Allow
	Isolation  Isolation    // default Group
	Cgroup     string       // where the cgroups of commands with limits are made: CgroupAuto (default), CgroupOff, or a directory
	Executable string       // what to start as the guardian; default this program
	Logger     hclog.Logger // default none

	look time.Duration // default lookEvery
}

func (c *Config) complete() error {
	if !entered.Load() {
		return errors.New("main must call guardian.RunIfGuardian before anything else")
	}
	if c.NodeID == "" || c.DataDir == "" || c.Lock == nil {
		return errors.New("guardian: NodeID, DataDir and Lock are needed")
	}
	if c.look == 0 {
		c.look = lookEvery
	}
	if c.Isolation == "" {
		c.Isolation = Group
	}
	if c.Executable == "" {
		c.Executable = "/proc/self/exe"
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Logs == nil {
		c.Logs = NewLogs(filepath.Join(c.DataDir, "logs"), LogConfig{}, c.Logger)
	}
	return errors.Join(c.Allow.Check(), c.Isolation.check())
}

// ID names an incarnation.
type id struct {
	key sup.Key
	inc sup.Incarnation
}

// A Runner runs commands under a guardian. It implements [agent.Runner].
//
// Its methods only note what is wanted and wake its goroutine, but for Lease and Fence, which set the shared timer at once.
type Runner struct {
	config  Config
	sink    func(agent.Event)
	logs    *Logs
	cgroups *cgroups
	confine func(*sup.Limits, sup.Incarnation) (*cgroup, error)
	timer   int // shared with the guardian
	alarm   *alarm

	wake   chan struct{}
	done   chan struct{} // the goroutine has ended
	quit   chan struct{} // closed before done: preparations may be dropped
	work   sync.WaitGroup
	probes atomic.Int64 // under way

	mu       sync.Mutex
	session  sup.Session   // guarded by mu, as all below
	deadline agent.Instant // of the session's lease
	fence    int64         // F
	fenced   agent.Instant // since when the session is over; 0 = it isn't
	lapsed   sup.Session   // whose lapse is to be told to the sink; zero = none
	alarmAt  agent.Instant // when the second fence is looked at; 0 = not at all
	overdue  bool          // the first step of the second fence is done
	closing  bool
	leased   context.Context    // ends with the session
	unlease  context.CancelFunc // ends it
	charges  map[id]*charge     // bounded by maxCommands
	fresh    []*charge          // spawned and not seen by the goroutine
	touched  []*charge          // asked to stop, likewise
	guardian *guardian          // nil while there is none; written by the goroutine only

	loop loop // of the goroutine
}

// Start starts a guardian and gives the runner that speaks to it. The sink is called by one goroutine, one event at a time;
// it must not block, and hears nothing after Close has returned.
func Start(c Config, sink func(agent.Event)) (*Runner, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	// The guardian's descendants come back to this process when the guardian dies (A6).
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, os.NewSyscallError("prctl subreaper", err)
	}
	timer, err := newTimer()
	if err != nil {
		return nil, err
	}
	a, err := newAlarm()
	if err != nil {
		unix.Close(timer)
		return nil, err
	}
	groups := openCgroups(c.Cgroup, c.NodeID, c.Logger) // before the guardian, which is to be where this process is
	g, err := launch(c, timer)
	if err != nil {
		unix.Close(timer)
		a.stop()
		return nil, err
	}
	r := &Runner{
		config:  c,
		sink:    sink,
		logs:    c.Logs,
		cgroups: groups,
		confine: groups.of,
		timer:   timer,
		alarm:   a,
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		quit:    make(chan struct{}),
		charges: map[id]*charge{},
	}
	r.leased, r.unlease = context.WithCancel(context.Background())
	r.loop.make()
	r.follow(g)
	r.work.Go(r.watchFence)
	go r.run()
	return r, nil
}

// Spawn starts an incarnation's command. Started or Ended follows; an incarnation that the runner has is not started twice.
func (r *Runner) Spawn(s agent.Spawn) {
	c := &charge{spawn: s}
	r.mu.Lock()
	defer r.mu.Unlock()
	name := id{s.Key, s.Inc}
	if r.closing || r.charges[name] != nil {
		return
	}
	if len(r.charges) >= maxCommands {
		c.refusal = fmt.Sprintf("the node runs %d commands already; run more nodes", maxCommands)
	} else {
		r.charges[name] = c
	}
	r.fresh = append(r.fresh, c)
	r.rouse()
}

// Stop sends SIGTERM to an incarnation's process group, and kills it after the timeout (S14). Of two Stops the nearer end
// counts.
func (r *Runner) Stop(s agent.Stop) {
	end := never
	if s.Timeout >= 0 {
		end = now() + s.Timeout
	}
	r.touch(id{s.Key, s.Inc}, func(c *charge) {
		if !c.stop || end < c.stopBy {
			c.stop, c.stopBy, c.stopIn = true, end, s.Timeout
		}
	})
}

// never is the instant at which nothing happens.
const never agent.Instant = 1<<63 - 1

// Kill kills an incarnation at once.
func (r *Runner) Kill(k agent.Kill) {
	r.touch(id{k.Key, k.Inc}, func(c *charge) { c.kill = "killed" })
}

// touch notes something about a charge, if there is such a one, and has the goroutine look at it.
func (r *Runner) touch(name id, note func(*charge)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.charges[name]
	if c == nil {
		return
	}
	note(c)
	if !c.touched {
		c.touched = true
		r.touched = append(r.touched, c)
	}
	r.rouse()
}

// rouse wakes the goroutine.
func (r *Runner) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Close kills everything, waits until nothing is left, and ends the runner and its guardian: then the guardian's duplicate of
// the listener and the lock are closed too.
func (r *Runner) Close() {
	r.mu.Lock()
	if !r.closing {
		r.closing = true
		r.over()
		r.rouse()
	}
	r.mu.Unlock()
	<-r.done
}

var _ agent.Runner = (*Runner)(nil)
