package agent

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/node/clock"
	sup "github.com/supnode/supnode/supervisor"
)

// Options are what a Driver works with; all are needed.
type Options struct {
	// Agent describes the node; its Behaviors are those of Use.
	Agent     Config
	Clock     clock.Clock
	Connector Connector
	// Remember keeps the highest generation on disk. Its failure ends Run.
	Remember func(gen uint64) error
	// Exit ends the process at once: children did not stop by deadline + F (A3). It does not return, but in tests.
	Exit   func(why string)
	Logger hclog.Logger
}

// RejectedError ends Run when the cluster does not take this node.
type RejectedError struct{ Why string }

func (e *RejectedError) Error() string { return "the cluster refuses this node: " + e.Why }

// errFenced ends Run after Exit.
var errFenced = errors.New("children did not stop when their lease ended")

// Driver runs a Machine: it owns the goroutine that steps it, its clock, its stream and its runners.
//
//	d := agent.NewDriver(options)
//	exec, err := guardian.Start(config, d.Sink)
//	d.Use(exec, "exec")
//	err = d.Run(ctx)
type Driver struct {
	o         Options
	log       hclog.Logger
	gate      *gate
	inbox     *inbox
	turns     chan turn
	gens      chan uint64 // the highest generation that is to be remembered
	failed    chan error
	search    time.Duration // how long one search for the leader may take
	behaviors map[string]Runner

	// Of the goroutine of Run.
	machine *Machine
	link    *link
	rang    <-chan struct{}
	unwake  func()
	err     error

	closing   chan struct{}
	closeOnce sync.Once
	left      chan struct{} // closed when a goodbye is over; kept is set then
	kept      []sup.Key
	ended     chan struct{} // closed when Run is over

	mu     sync.Mutex // guards status and ran
	status Status
	ran    bool
}

// NewDriver makes a driver; nothing runs before Run.
func NewDriver(o Options) *Driver {
	d := &Driver{
		o: o, log: o.Logger, inbox: newInbox(), behaviors: map[string]Runner{},
		turns: make(chan turn, inboxFrames), gens: make(chan uint64, 1), failed: make(chan error, 1),
		search: time.Duration(max(o.Agent.Settings.LeaseTTL, int64(time.Second))), unwake: func() {},
		closing: make(chan struct{}), left: make(chan struct{}), ended: make(chan struct{}),
	}
	d.gate = newGate(o.Clock, d.inbox.put, func(why string) {
		o.Exit(why)
		d.fail(errFenced)
	})
	return d
}

// Sink takes the events of runners: Started, Ended, Hanging, GuardianLapsed and GuardianLost. It does not block.
func (d *Driver) Sink(ev Event) {
	if e, ok := ev.(Ended); ok {
		d.gate.ended(e.Key, e.Inc)
	}
	d.inbox.put(ev)
}

// Use has a runner run some behaviors. It is to be called before Run; from then on the driver owns the runner.
func (d *Driver) Use(r Runner, behaviors ...string) {
	d.gate.runners = append(d.gate.runners, r)
	for _, b := range behaviors {
		d.behaviors[b] = r
	}
}

// Run works until ctx ends, Close, the end of a goodbye, or a failure. When it returns, nothing that it started is left
// and every runner is closed. It returns nil unless something failed.
func (d *Driver) Run(ctx context.Context) error {
	if !d.begin() {
		return errors.New("the agent was closed, or runs already")
	}
	defer close(d.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	var others, fence sync.WaitGroup
	fencing, unfence := context.WithCancel(context.Background()) // the fence outlasts everything that it guards
	fence.Go(func() { d.gate.run(fencing) })
	others.Go(func() { d.links(ctx) })
	others.Go(func() { d.remember(ctx) })

	d.loop(ctx)

	cancel()
	others.Wait()
	d.unwake()
	d.closeRunners()
	unfence()
	fence.Wait()
	return d.err
}

// begin reports whether Run may run.
func (d *Driver) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.closing:
		return false
	default:
	}
	if d.ran {
		return false
	}
	d.ran = true
	c := d.o.Agent
	for b := range d.behaviors {
		c.Behaviors = append(c.Behaviors, b)
	}
	slices.Sort(c.Behaviors)
	c.Behaviors = slices.Compact(c.Behaviors)
	d.machine = New(c)
	d.status = d.machine.Status()
	return true
}

// Close ends Run now and waits for it: the children are killed, nothing is handed over. Without a Run it closes the
// runners.
func (d *Driver) Close() {
	first := false
	d.closeOnce.Do(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		close(d.closing)
		first = !d.ran
	})
	if first {
		d.closeRunners()
		close(d.ended)
	}
	<-d.ended
}

// leaveBound bounds a goodbye that its caller does not bound.
const leaveBound = 30 * time.Second

// Leave hands the children over to other nodes (P3), until ctx ends at the latest, and then ends Run. It says which
// children were stopped without being handed over.
func (d *Driver) Leave(ctx context.Context) (kept []sup.Key, err error) {
	span := leaveBound
	if at, ok := ctx.Deadline(); ok {
		span = time.Until(at)
	}
	span -= min(span/10, 100*time.Millisecond) // to return before ctx ends
	d.inbox.put(Leave{By: d.o.Clock.Now() + int64(max(0, span))})
	select {
	case <-d.left:
		return d.kept, nil
	case <-d.ended:
		select {
		case <-d.left:
			return d.kept, nil
		default:
			return nil, errors.New("the agent ended before its goodbye was over")
		}
	case <-ctx.Done():
		return nil, fmt.Errorf("goodbye: %w", ctx.Err())
	}
}

// Status is the agent's view of itself.
func (d *Driver) Status() Status {
	d.mu.Lock()
	s := d.status
	d.mu.Unlock()
	s.Live = s.Live && d.o.Clock.Now() < s.Deadline
	return s
}

// loop turns the machine until it is over.
func (d *Driver) loop(ctx context.Context) {
	d.step(Tick{})
	for !d.status.Over && d.err == nil {
		select {
		case <-ctx.Done():
			return
		case <-d.closing:
			return
		case d.err = <-d.failed:
		case <-d.inbox.wake:
			runtime.Gosched() // those that end together say so together
			for evs := range slices.Chunk(d.inbox.take(), maxTurn) {
				d.step(evs...)
			}
		case t := <-d.turns:
			if _, up := t.ev.(StreamUp); up {
				d.link = t.link
			}
			d.step(t.ev)
		case <-d.rang:
			d.rang = nil
			d.step(Tick{})
		}
	}
}

// maxTurn bounds the events of one turn, so that a lease is renewed between them.
const maxTurn = 512

// step turns the machine once. The clock is read before anything is sent: s of A1.
func (d *Driver) step(evs ...Event) {
	for _, ev := range evs {
		if e, ok := ev.(Ended); ok && e.Reason == sup.ExitError { // the record of a child goes with its supervisor: here it stays
			d.log.Warn("a child failed", "child", e.Key.String(), "incarnation", e.Inc.Token(), "why", e.Detail)
		}
	}
	for _, a := range d.machine.StepAll(evs, d.o.Clock.Now()) {
		d.do(a)
	}
	s := d.machine.Status()
	d.note(d.status, s)
	d.mu.Lock()
	d.status = s
	d.mu.Unlock()
}

// note logs what a person would want to know.
func (d *Driver) note(was, is Status) {
	if is.Lapses > was.Lapses {
		d.log.Warn("lease lapsed, children stop", "session", was.Session, "why", is.LastLapse,
			"children", was.Children)
	}
	if is.Session != was.Session && !is.Session.IsZero() {
		d.log.Info("registered", "session", is.Session)
	}
	if is.RefusedSpawns > was.RefusedSpawns {
		d.log.Debug("orders to start refused", "count", is.RefusedSpawns-was.RefusedSpawns)
	}
}

func (d *Driver) do(a Action) {
	switch a := a.(type) {
	case Send:
		if d.link != nil && d.link.id == a.Stream {
			d.link.send(a.Frame)
		}
	case Hangup:
		if d.link != nil && d.link.id == a.Stream {
			d.link.close()
		}
	case Spawn:
		d.spawn(a)
	case Stop:
		for _, r := range d.gate.runners {
			r.Stop(a)
		}
	case Kill:
		for _, r := range d.gate.runners {
			r.Kill(a)
		}
	case Lease:
		if !d.gate.lease(a) {
			d.inbox.put(GuardianLapsed{Session: a.Session})
		}
	case Fence:
		d.gate.fence()
	case Exit:
		d.err = errFenced
		d.o.Exit(a.Why)
	case Left:
		d.kept = a.Kept
		if len(a.Kept) > 0 {
			d.log.Warn("stopped in place, not handed over", "children", a.Kept, "why", a.Why)
		}
		close(d.left)
	case Rejected:
		d.err = &RejectedError{Why: a.Why}
	case Remember:
		select {
		case <-d.gens:
		default:
		}
		d.gens <- a.Gen
	case Wake:
		d.unwake()
		d.rang, d.unwake = d.o.Clock.After(a.At)
	}
}

// spawn starts an incarnation, or answers for one that can't be.
func (d *Driver) spawn(sp Spawn) {
	r := d.behaviors[sp.Behavior]
	switch {
	case r == nil:
		d.inbox.put(Ended{Key: sp.Key, Inc: sp.Inc, Reason: sup.ExitError, InitFailed: true,
			Detail: fmt.Sprintf("this node has no behavior %q", sp.Behavior)})
	case !d.gate.spawn(r, sp):
		d.inbox.put(Ended{Key: sp.Key, Inc: sp.Inc, Reason: sup.ExitKilled, Detail: "the lease ended before its start"})
	}
}

// remember keeps generations on disk, beside the machine: a slow disk must not hold it up.
func (d *Driver) remember(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case gen := <-d.gens:
			if err := d.o.Remember(gen); err != nil {
				d.fail(fmt.Errorf("remember generation %d: %w", gen, err))
				return
			}
		}
	}
}

// fail ends Run with an error; only the first counts.
func (d *Driver) fail(err error) {
	select {
	case d.failed <- err:
	default:
	}
}

func (d *Driver) closeRunners() {
	for _, r := range d.gate.runners {
		r.Close()
	}
}
