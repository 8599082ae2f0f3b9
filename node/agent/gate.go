package agent

import (
	"context"
	"sync"

	"github.com/supnode/supnode/node/clock"
	sup "github.com/supnode/supnode/supervisor"
)

// gate stands between the machine and the runners: nothing is started through it without a lease (A2). It is the fence
// that does not depend on the machine: a goroutine of its own closes it at the deadline, and ends the process when
// something has not stopped by deadline + F (A3).
type gate struct {
	clock   clock.Clock
	runners []Runner
	sink    func(Event)
	exit    func(why string)
	kick    chan struct{} // wakes run

	// mu guards what follows. Runners are called under it, so that no spawn slips past a fence; they don't block.
	mu       sync.Mutex
	session  sup.Session
	deadline Instant
	budget   int64
	closed   bool    // the lease of session is over, or none was ever given
	exitAt   Instant // of a closed gate: what is held then ends with the process

	heldMu sync.Mutex // guards held; taken last, since runners say within a call what ended
	held   map[heldID]struct{}
}

type heldID struct {
	key sup.Key
	inc sup.Incarnation
}

func newGate(c clock.Clock, sink func(Event), exit func(string)) *gate {
	return &gate{clock: c, sink: sink, exit: exit, kick: make(chan struct{}, 1), closed: true, held: map[heldID]struct{}{}}
}

// lease opens the gate until the deadline. It reports false when the lease that is to be renewed is over already: that
// is a lapse, whatever the leader granted.
func (g *gate) lease(l Lease) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.session == l.Session {
		if !g.closed && g.clock.Now() >= g.deadline {
			g.close()
		}
		if g.closed {
			return false
		}
	}
	g.session, g.deadline, g.budget, g.closed = l.Session, l.Deadline, l.Fence, false
	for _, r := range g.runners {
		r.Lease(l)
	}
	g.wake()
	return true
}

// spawn starts an incarnation, unless the gate is closed.
func (g *gate) spawn(r Runner, sp Spawn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || sp.Session != g.session || g.clock.Now() >= g.deadline {
		return false
	}
	g.heldMu.Lock()
	g.held[heldID{sp.Key, sp.Inc}] = struct{}{}
	g.heldMu.Unlock()
	r.Spawn(sp)
	return true
}

// ended notes that nothing is left of an incarnation.
func (g *gate) ended(k sup.Key, inc sup.Incarnation) {
	g.heldMu.Lock()
	defer g.heldMu.Unlock()
	delete(g.held, heldID{k, inc})
	if len(g.held) == 0 {
		g.wake()
	}
}

// empty reports whether nothing is held.
func (g *gate) empty() bool {
	g.heldMu.Lock()
	defer g.heldMu.Unlock()
	return len(g.held) == 0
}

// fence closes the gate before the deadline.
func (g *gate) fence() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.close()
	g.wake()
}

func (g *gate) close() {
	if g.closed {
		return
	}
	g.closed = true
	g.exitAt = max(g.deadline+g.budget, g.clock.Now()+g.budget/2)
	for _, r := range g.runners {
		r.Fence()
	}
}

func (g *gate) wake() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

// run keeps the deadline until ctx ends.
func (g *gate) run(ctx context.Context) {
	for {
		at, why := g.turn()
		if why != "" {
			g.exit(why)
			return
		}
		var rang <-chan struct{}
		stop := func() {}
		if at != never {
			rang, stop = g.clock.After(at)
		}
		select {
		case <-ctx.Done():
			stop()
			return
		case <-g.kick:
		case <-rang:
		}
		stop()
	}
}

// turn does what is due and says when the next thing is. Something left at deadline + F is why the process ends.
func (g *gate) turn() (next Instant, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	switch {
	case !g.closed && now >= g.deadline:
		g.close()
		g.sink(GuardianLapsed{Session: g.session})
	case !g.closed:
		return g.deadline, ""
	}
	switch {
	case g.empty():
		return never, ""
	case now >= g.exitAt:
		return never, "children did not stop within the fence budget of a lease that is over"
	}
	return g.exitAt, ""
}
