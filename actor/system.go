package actor

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// DefaultCallTimeout bounds calls whose context has no deadline, where Options say nothing else.
const DefaultCallTimeout = 5 * time.Second

// Options are what a System works with.
type Options struct {
	Node     string
	Registry *Registry
	// Watch is told of every incarnation that starts and ends. It is set before anything runs, so nothing can run unseen; its
	// methods do not block. Nil = nobody.
	Watch Watch
	// Open says whether actors may run now: it is asked before each dispatch and each reply (A2), from many goroutines. An
	// incarnation that meets a closed gate is killed. Nil = always.
	Open func() bool
	// Router carries messages to children that do not run on this node. Nil = they are waited for here.
	Router Router
	// CallTimeout bounds calls whose context has no deadline; 0 = DefaultCallTimeout, negative = they wait for ever.
	CallTimeout time.Duration
}

// Watch observes incarnations.
type Watch interface {
	// Started: an init has returned. It comes before the incarnation takes its first message.
	Started(Key, Incarnation)
	// Ended: nothing of an incarnation is left.
	Ended(Exit)
	// Unhandled: a cast came that the behavior has no handler for.
	Unhandled(Key, string)
	// Hanging: an incarnation was to be gone for HangAfter, and its code has not returned (S14). Ended follows if it ever does.
	Hanging(Key, Incarnation)
}

// HangAfter is how long the code of an incarnation that is killed, or whose init timed out, may go on before that is told.
const HangAfter = time.Second

// Router carries messages to children elsewhere. Order from one goroutine to one incarnation is to be kept (S42), a call
// carried out at most once (S41).
type Router interface {
	// Cast queues a message towards the child's node: nil, ErrBusy, ErrGone, ErrNoNode, ErrStale, ErrNotActor, or ErrHere.
	Cast(ctx context.Context, to Ref, m Message) error
	// Call sends a message and decodes the answer into reply, a pointer, until ctx ends; it waits for a child that does not
	// run (S40). ErrHere = the child runs on this node now, which System.Woken tells: the call is to go to it. Chain is who
	// waits for the caller, nearest first, the caller itself included; the callee's node is to give it to Deliver.
	Call(ctx context.Context, to Ref, m Message, chain []Hop, reply any) error
}

// Spec is an incarnation to be started.
type Spec struct {
	Key         Key
	Incarnation Incarnation
	Behavior    string
	Args        Args
	InitTimeout time.Duration // 0 = none
	// ShutdownTimeout bounds the Terminate of an incarnation that ends by itself, as Stop's bounds that of one that is asked
	// to; 0 = DefaultTerminate, negative = none. It is kept in tenths of a second.
	ShutdownTimeout time.Duration
}

// Stats counts what a System has seen since it was made.
type Stats struct {
	Actors    int
	Busy      uint64 // messages refused because a mailbox was full
	Lost      uint64 // casts that were queued and never handled
	Unhandled uint64 // casts without a handler
}

// Hang is an incarnation that was to be gone and whose code has not returned (S14).
type Hang struct {
	Key         Key
	Incarnation Incarnation
	For         time.Duration
}

// System runs the actors of one node.
type System struct {
	o Options

	calls                 calls
	buffers               buffers
	busy, lost, noHandler atomic.Uint64

	mu     sync.RWMutex               // guards what follows
	cells  table                      // those that are not over
	loose  map[Key]weak.Pointer[slot] // that refs know and no cell has
	wakes  map[*slot]*wake            // of slots that have no cell, and for whose next one somebody waits
	boxes  map[string]*Mailbox
	closed bool
	empty  chan struct{} // closed when closed and no cell is left
}

// slot is where a ref finds the incarnation that runs here. There is one for each key, as long as a ref or a cell has it.
type slot struct {
	sys  *System
	key  Key
	cell atomic.Pointer[cell]
}

// NewSystem makes a System that runs nothing yet.
func NewSystem(o Options) *System {
	if o.Registry == nil {
		o.Registry = NewRegistry()
	}
	if o.CallTimeout == 0 {
		o.CallTimeout = DefaultCallTimeout
	}
	return &System{o: o, cells: newTable(), loose: map[Key]weak.Pointer[slot]{}, wakes: map[*slot]*wake{},
		boxes: map[string]*Mailbox{}, empty: make(chan struct{})}
}

// Ref makes a ref to a child, whether or not it runs here.
func (s *System) Ref(supervisor, child string) Ref {
	k := Key{Supervisor: supervisor, Child: child}
	return s.slot(k).ref(0)
}

// Bind makes a ref usable outside of actors, and comparable with == to other refs of this node.
func (s *System) Bind(r Ref) Ref {
	if !r.IsZero() {
		r = s.slot(r.Key()).ref(r.Incarnation())
	}
	return r
}

// Spawn starts an incarnation; its init runs on a goroutine of its own, and Started or Ended follows. One that is here
// already is left alone, and an error says why another one of the same child cannot start: a lower one never may, a higher
// one when its predecessor has ended. Which ones have ended is not kept here: that is the node agent's memory (A5).
func (s *System) Spawn(sp Spec) error {
	b, ok := s.o.Registry.Get(sp.Behavior)
	if !ok {
		return fmt.Errorf("this node has no behavior %q", sp.Behavior)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.cells.get(sp.Key); old != nil {
		switch {
		case old.inc == sp.Incarnation:
			return nil
		case old.inc > sp.Incarnation:
			return ErrStale
		}
		return fmt.Errorf("incarnation %d of %s has not ended", old.inc, sp.Key)
	}
	if s.closed {
		return ErrClosed
	}
	c := &cell{inc: sp.Incarnation, mailbox: s.box(b), busy: true, grace: graceOf(sp.ShutdownTimeout)}
	c.ctx.cell = c
	if w, ok := s.loose[sp.Key]; ok {
		c.slot = w.Value()
	}
	if c.slot == nil {
		c.slot = &slot{sys: s, key: sp.Key}
	}
	s.cells.add(c)
	go c.begin(b, sp.Args, sp.InitTimeout)
	return nil
}

// box is the mailbox of a behavior, with its defaults. mu is held.
func (s *System) box(b Behavior) *Mailbox {
	m := s.boxes[b.Name()]
	if m == nil {
		set := b.Mailbox()
		if set.Size <= 0 {
			set.Size = DefaultMailbox
		}
		m = &set
		s.boxes[b.Name()] = m
	}
	return m
}

// Stop asks an incarnation to stop and kills it after timeout: 0 at once, negative never. One that is not here is ignored;
// of two stops the nearer end counts.
func (s *System) Stop(k Key, inc Incarnation, timeout time.Duration) {
	if c := s.find(k, inc); c != nil {
		c.stop(timeout)
	}
}

// Kill ends an incarnation as far as that is possible: no message reaches it, its context is done, nobody finds it. Ended
// follows when its goroutine has returned (S14). One that is not here is ignored.
func (s *System) Kill(k Key, inc Incarnation) {
	if c := s.find(k, inc); c != nil {
		c.kill("killed")
	}
}

// KillAll kills everything that runs, for why.
func (s *System) KillAll(why string) {
	s.mu.RLock()
	all := make([]*cell, 0, s.cells.len())
	s.cells.all(func(c *cell) { all = append(all, c) })
	s.mu.RUnlock()
	for _, c := range all {
		c.kill(why)
	}
}

// Close kills everything and waits until nothing is left; hanging code makes it wait.
func (s *System) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		for _, w := range s.wakes {
			close(w.ch)
		}
		clear(s.wakes)
		if s.cells.len() == 0 {
			close(s.empty)
		}
	}
	s.mu.Unlock()
	s.KillAll("its node stops")
	<-s.empty
}

// Open reports whether actors may run now (A2): an answer must not leave the node once they may not.
func (s *System) Open() bool { return s.o.Open == nil || s.o.Open() }

// Stats returns the counters.
func (s *System) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Stats{Actors: s.cells.len(), Busy: s.busy.Load(), Lost: s.lost.Load(), Unhandled: s.noHandler.Load()}
}

// Hanging lists the incarnations that were to be gone for at least a time and whose code has not returned, in no order.
func (s *System) Hanging(atLeast time.Duration) (all []Hang) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.cells.all(func(c *cell) {
		c.mu.Lock()
		if m := c.more; m != nil && !m.killed.IsZero() && time.Since(m.killed) >= atLeast {
			all = append(all, Hang{c.slot.key, c.inc, time.Since(m.killed)})
		}
		c.mu.Unlock()
	})
	return all
}

func (s *System) find(k Key, inc Incarnation) *cell {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c := s.cells.get(k); c != nil && c.inc == inc {
		return c
	}
	return nil
}

// slot is the one slot of a key.
func (s *System) slot(k Key) *slot {
	s.mu.RLock()
	sl := s.known(k)
	s.mu.RUnlock()
	if sl != nil {
		return sl
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sl := s.known(k); sl != nil {
		return sl
	}
	sl = &slot{sys: s, key: k}
	s.loosen(sl)
	return sl
}

// known is the slot of a key, if there is one. mu is held.
func (s *System) known(k Key) *slot {
	if c := s.cells.get(k); c != nil {
		return c.slot
	}
	if w, ok := s.loose[k]; ok {
		return w.Value()
	}
	return nil
}

// loosen keeps a slot only as long as a ref or a cell has it. mu is held.
func (s *System) loosen(sl *slot) {
	if w, ok := s.loose[sl.key]; ok && w.Value() == sl {
		return
	}
	s.loose[sl.key] = weak.Make(sl)
	runtime.AddCleanup(sl, s.forget, sl.key)
}

func (s *System) forget(k Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := s.loose[k]; ok && w.Value() == nil {
		delete(s.loose, k)
	}
}

// publish lets an incarnation be found, and tells its watcher. Its messages wait until its goroutine returns from here.
func (s *System) publish(c *cell) {
	s.mu.Lock()
	c.mu.Lock()
	if c.is(running) { // otherwise it was stopped meanwhile, and is not to be found any more
		c.slot.cell.Store(c)
		if w := s.wakes[c.slot]; w != nil {
			close(w.ch)
			delete(s.wakes, c.slot)
		}
	}
	c.mu.Unlock()
	s.mu.Unlock()
	if s.o.Watch != nil {
		s.o.Watch.Started(c.slot.key, c.inc)
	}
}

// ended forgets an incarnation and tells its watcher.
func (s *System) ended(c *cell, e Exit) {
	s.mu.Lock()
	s.cells.drop(c)
	s.loosen(c.slot)
	last := s.closed && s.cells.len() == 0
	s.mu.Unlock()
	if s.o.Watch != nil {
		s.o.Watch.Ended(e)
	}
	if last {
		close(s.empty)
	}
}

func (s *System) unhandled(c *cell, typ string) {
	s.noHandler.Add(1)
	if s.o.Watch != nil {
		s.o.Watch.Unhandled(c.slot.key, typ)
	}
}

// drop accounts for a message that no handler will see.
func (s *System) drop(e envelope, why error) {
	if e.call != nil {
		e.call.refuse(why)
		return
	}
	s.lost.Add(1)
}

func (s *System) dropAll(es []envelope) {
	for _, e := range es {
		s.drop(e, errUndelivered)
	}
}
