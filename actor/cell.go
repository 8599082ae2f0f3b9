package actor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type phase uint32

const (
	starting phase = iota // its init has not returned
	running
	stopping // no message is taken any more; Terminate follows
	killed   // nothing more is called
	over
)

// cell is one incarnation on this node. It has a goroutine only while there is something to do: the one that finds the
// mailbox idle starts it. A million of them idle are meant to fit.
type cell struct {
	slot    *slot
	inc     Incarnation
	server  Server
	mailbox *Mailbox
	ctx     Context
	waiting atomic.Pointer[chain] // who waits for the handler that runs
	serving atomic.Pointer[call]  // which a handler has begun; whoever takes it answers it
	phase   atomic.Uint32         // a phase; written under mu

	mu    sync.Mutex // guards what follows
	busy  bool       // a goroutine works on it
	grace grace      // for a Terminate of its own accord; never changes
	in    *buffer    // nil = empty
	more  *more
}

// envelope is a message in a mailbox.
type envelope struct {
	Message
	call *call // nil = cast
}

// more is what most cells at rest do without.
type more struct {
	done, gone chan struct{} // of Context.Done and of Terminate's; made when asked for
	exit       Exit
	cause      error
	deadline   time.Time   // of the init
	timer      *time.Timer // kills at the end of a shutdown timeout; before, ends the init
	killAt     time.Time   // of a stopping one; zero = never
	killed     time.Time   // since when it is to be gone
}

// extra is c.more; mu is held.
func (c *cell) extra() *more {
	if c.more == nil {
		c.more = &more{}
	}
	return c.more
}

func (c *cell) is(p phase) bool { return c.phase.Load() == uint32(p) }

// post queues a message.
func (c *cell) post(e envelope) error {
	c.mu.Lock()
	if !c.is(running) {
		c.mu.Unlock()
		return errEnded
	}
	in := c.in
	if in == nil {
		in = c.slot.sys.buffers.get()
		c.in = in
	}
	if len(in.s) >= c.mailbox.Size {
		if c.mailbox.Policy == RefuseNew {
			c.mu.Unlock()
			return ErrBusy
		}
		c.slot.sys.drop(in.s[0], ErrBusy)
		copy(in.s, in.s[1:])
		in.s = in.s[:len(in.s)-1]
	}
	in.s = append(in.s, e)
	start := !c.busy
	c.busy = true
	c.mu.Unlock()
	if start {
		go c.work()
	}
	return nil
}

// work is the goroutine of a cell. Should the behavior's code end it, the incarnation ends with it.
func (c *cell) work() {
	returned := false
	defer func() {
		if !returned {
			c.exited()
		}
	}()
	c.batches()
	returned = true
}

// batches takes what has come until the mailbox is empty or the incarnation is to end. Between batches the two buffers
// change places; an idle actor keeps neither.
func (c *cell) batches() {
	var spare *buffer
	linger := false
	for {
		c.mu.Lock()
		if !c.is(running) {
			c.mu.Unlock()
			c.finish()
			return
		}
		in := c.in
		idle := in == nil || len(in.s) == 0
		if idle && linger {
			c.mu.Unlock()
			runtime.Gosched() // a caller that is answered often calls again at once
			linger = false
			continue
		}
		if idle {
			c.in, c.busy = nil, false
			c.mu.Unlock()
			c.slot.sys.buffers.put(in)
			c.slot.sys.buffers.put(spare)
			return
		}
		c.in = spare
		c.mu.Unlock()
		done := c.handle(in.s)
		linger = in.s[len(in.s)-1].call != nil
		c.slot.sys.dropAll(in.s[done:])
		clear(in.s)
		in.s = in.s[:0]
		spare = in
	}
}

// handle gives the messages of a batch to the server, and says how many it took before the incarnation had to end.
func (c *cell) handle(batch []envelope) (done int) {
	defer func() {
		if v := recover(); v != nil {
			c.panicked(v, batch[done].Type())
			done++
		}
	}()
	open := c.slot.sys.o.Open
	for done < len(batch) {
		if !c.is(running) {
			return done
		}
		if open != nil && !open() { // A2
			c.kill("the lease of its node is over")
			return done
		}
		e := &batch[done]
		if e.call != nil {
			c.serve(e)
		} else if err := c.server.HandleCast(&c.ctx, e.Message); err != nil {
			c.castFailed(e, err)
		}
		done++
	}
	return done
}

func (c *cell) castFailed(e *envelope, err error) {
	if errors.Is(err, ErrUnhandled) {
		c.slot.sys.unhandled(c, e.Type())
		return
	}
	c.leave(Error, fmt.Sprintf("%s: %s", e.Type(), text(err)))
}

// serve answers a call.
func (c *cell) serve(e *envelope) {
	k := e.call
	if !k.begin() {
		return // its caller has given up
	}
	callers, asJSON := k.chain, k.json
	c.serving.Store(k) // from here on a kill may answer it, and k be another call
	if !c.is(running) {
		if k := c.serving.Swap(nil); k != nil {
			k.answer(nil, errUndelivered) // no handler has seen it
		}
		return
	}
	if callers != nil {
		c.waiting.Store(callers)
	}
	reply, err := c.server.HandleCall(&c.ctx, e.Message)
	switch {
	case err != nil && errors.Is(err, ErrUnhandled):
		err = &MessageError{Node: c.slot.sys.o.Node, Key: c.slot.key, Type: e.Type(), Err: err}
	case asJSON:
		reply, err = c.inJSON(e.Type(), reply, err)
	}
	if callers != nil {
		c.waiting.Store(nil)
	}
	if k := c.serving.Swap(nil); k != nil {
		if open := c.slot.sys.o.Open; open != nil && !open() { // A2
			reply, err = nil, ErrOutcomeUnknown
		}
		k.answer(reply, err)
	}
}

// panicked ends the incarnation because its code panicked, and tells the caller.
func (c *cell) panicked(v any, typ string) {
	value, stack := clipped(fmt.Sprint(v)), stackOfPanic()
	k := c.serving.Swap(nil)
	c.waiting.Store(nil)
	c.leave(Error, fmt.Sprintf("panic at %s: %s\n%s", typ, value, stack))
	if k != nil {
		k.answer(nil, &PanicError{c.slot.key, typ, value, stack})
	}
}

// maxPanic bounds what is told of the value of a panic, in bytes: the stack behind it in the detail of the exit is worth more.
const maxPanic = 1024

// clipped cuts what a panic says to maxPanic bytes, as valid UTF-8: it goes to the caller and into the log.
func clipped(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) > maxPanic {
		s = strings.ToValidUTF8(s[:maxPanic], "") + " …"
	}
	return s
}

// leave has the incarnation end for a reason of its own, after the handler of now.
func (c *cell) leave(r Reason, detail string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch phase(c.phase.Load()) {
	case starting:
		if r == Normal {
			detail = "it stopped itself in its init"
		}
	case running:
	case stopping:
		if r == Error && c.more.exit.Reason != Error { // a panic on the way out
			c.more.exit.Reason, c.more.exit.Detail = r, detail
		}
		return
	default:
		return
	}
	c.end(stopping, r, detail, context.Canceled)
	if d := c.grace.span(); d > 0 {
		c.more.killAt = time.Now().Add(d)
		c.more.timer = time.AfterFunc(d, func() { c.kill(fmt.Sprintf("its Terminate did not return within %s", d)) })
	}
}

// DefaultTerminate bounds the Terminate of an incarnation that ends by itself where its Spec says nothing else.
const DefaultTerminate = 5 * time.Second

// grace is a span in tenths of a second, so that a cell at rest has room for it; the largest one means none.
type grace uint16

const (
	tenth             = 100 * time.Millisecond
	unlimited   grace = 1<<16 - 1
	largestSpan       = time.Duration(unlimited-1) * tenth
)

func graceOf(d time.Duration) grace {
	switch {
	case d == 0:
		d = DefaultTerminate
	case d < 0 || d > largestSpan:
		return unlimited
	}
	return grace((d + tenth - 1) / tenth)
}

// span is 0 for a grace without limit.
func (g grace) span() time.Duration {
	if g == unlimited {
		return 0
	}
	return time.Duration(g) * tenth
}

// stop asks the incarnation to stop, and kills it after timeout: 0 at once, negative never. Of two stops the nearer end
// counts.
func (c *cell) stop(timeout time.Duration) {
	if timeout == 0 {
		c.kill("stopped at once")
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := phase(c.phase.Load()); p == starting || p == running {
		c.end(stopping, Shutdown, "", context.Canceled)
	} else if p != stopping {
		return
	}
	if timeout < 0 {
		return
	}
	m, at := c.more, time.Now().Add(timeout)
	if !m.killAt.IsZero() && !at.Before(m.killAt) {
		return
	}
	m.killAt = at
	if m.timer != nil {
		m.timer.Stop()
	}
	m.timer = time.AfterFunc(timeout, func() { c.kill(fmt.Sprintf("did not stop within %s", timeout)) })
}

// kill ends the incarnation without Terminate. A handler that runs cannot be ended: its context is, and until it returns
// the incarnation is not over (S14).
func (c *cell) kill(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if phase(c.phase.Load()) >= killed {
		return
	}
	c.end(killed, Killed, why, context.Canceled)
	if k := c.serving.Swap(nil); k != nil {
		k.answer(nil, ErrOutcomeUnknown)
	}
}

// end moves a living incarnation on to stopping or killed: from here on nobody finds it. mu is held.
func (c *cell) end(p phase, r Reason, detail string, cause error) {
	m := c.extra()
	c.slot.cell.CompareAndSwap(c, nil)
	initing := c.is(starting) || m.exit.InitFailed
	if m.exit.Reason != Error {
		m.exit = Exit{Reason: r, Detail: detail, InitFailed: initing}
	}
	if m.cause == nil {
		m.cause = cause
	}
	c.phase.Store(uint32(p))
	closeOnce(&m.done)
	if m.timer != nil {
		m.timer.Stop()
		m.timer = nil
	}
	if p == killed {
		closeOnce(&m.gone)
		c.overdue()
	}
	if !c.busy {
		c.busy = true
		go c.work()
	}
}

// overdue notes that the incarnation is to be gone by now. mu is held.
func (c *cell) overdue() {
	c.more.killed = time.Now()
	if w := c.slot.sys.o.Watch; w != nil && c.busy {
		c.more.timer = time.AfterFunc(HangAfter, func() {
			if !c.is(over) {
				w.Hanging(c.slot.key, c.inc)
			}
		})
	}
}

var closedChannel = func() chan struct{} { ch := make(chan struct{}); close(ch); return ch }()

// closeOnce closes a channel that may not exist yet.
func closeOnce(ch *chan struct{}) {
	if *ch == nil {
		*ch = closedChannel
	} else if *ch != closedChannel {
		close(*ch)
		*ch = closedChannel
	}
}

func (c *cell) done(final bool) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.extra()
	ch := &m.done
	if final {
		ch = &m.gone
	}
	if *ch == nil {
		*ch = make(chan struct{})
	}
	return *ch
}

func (c *cell) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.extra(); m.cause != nil {
		return m.cause
	}
	return context.Canceled
}

func (c *cell) initDeadline() (time.Time, bool) {
	if !c.is(starting) {
		return time.Time{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.more == nil || !c.is(starting) {
		return time.Time{}, false
	}
	return c.more.deadline, !c.more.deadline.IsZero()
}
