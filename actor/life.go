package actor

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// begin runs the init on the cell's first goroutine, makes the child known, and goes on with its first messages.
func (c *cell) begin(b Behavior, args Args, timeout time.Duration) {
	returned := false
	defer func() {
		if !returned {
			c.exited()
		}
	}()
	c.start(b, args, timeout)
	returned = true
}

func (c *cell) start(b Behavior, args Args, timeout time.Duration) {
	if timeout > 0 {
		c.mu.Lock()
		m := c.extra()
		if c.is(starting) {
			m.deadline = time.Now().Add(timeout)
			m.timer = time.AfterFunc(timeout, func() { c.initTimeout(timeout) })
		}
		c.mu.Unlock()
	}
	err := c.callInit(b, args)
	why := text(err) // the behavior's code: not under the lock
	c.mu.Lock()
	switch {
	case !c.is(starting):
		if err != nil && c.more.exit.Reason != Error {
			// It was asked to stop before it ran: what its init says then is no failure of it.
			c.more.exit.Detail = "during its init: " + why
		}
		if err != nil {
			c.phase.Store(uint32(killed)) // there is no state to terminate
		}
	case err != nil:
		c.end(killed, Error, why, context.Canceled)
	default:
		if c.more != nil && c.more.timer != nil {
			c.more.timer.Stop()
			c.more.timer, c.more.deadline = nil, time.Time{}
			if c.more.done == nil {
				c.more = nil
			}
		}
		c.phase.Store(uint32(running))
		c.mu.Unlock()
		c.slot.sys.publish(c)
		c.batches()
		return
	}
	c.mu.Unlock()
	c.finish()
}

// callInit turns a panic into an error.
func (c *cell) callInit(b Behavior, args Args) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic in init: %v\n%s", v, stackOfPanic())
		}
	}()
	if c.server = b.New(); c.server == nil {
		return fmt.Errorf("behavior %q made no server", b.Name())
	}
	return c.server.Init(&c.ctx, args)
}

// exited is called when the goroutine ends because the behavior's code called runtime.Goexit: another one finishes.
func (c *cell) exited() {
	k := c.serving.Swap(nil)
	c.mu.Lock()
	if phase(c.phase.Load()) < killed {
		c.end(killed, Error, "its code called runtime.Goexit", context.Canceled)
	}
	c.mu.Unlock()
	if k != nil {
		k.answer(nil, ErrOutcomeUnknown)
	}
	go c.finish()
}

// initTimeout asks an init that takes too long to end (S14a).
func (c *cell) initTimeout(limit time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(starting) {
		c.end(stopping, Error, fmt.Sprintf("init did not return within %s", limit), context.DeadlineExceeded)
		c.overdue()
	}
}

// finish is the last that happens to an incarnation: on its goroutine, with no message at work.
func (c *cell) finish() {
	c.mu.Lock()
	terminate, reason := c.is(stopping), c.more.exit.Reason
	c.mu.Unlock()
	if terminate {
		c.callTerminate(reason)
	}
	c.mu.Lock()
	var rest []envelope
	if c.in != nil {
		rest = c.in.s
	}
	c.in = nil
	m := c.more
	if m.timer != nil {
		m.timer.Stop()
	}
	c.phase.Store(uint32(over))
	closeOnce(&m.done)
	closeOnce(&m.gone)
	exit := m.exit
	c.mu.Unlock()
	exit.Key, exit.Incarnation = c.slot.key, c.inc
	c.slot.sys.dropAll(rest)
	c.slot.sys.ended(c, exit)
}

func (c *cell) callTerminate(reason Reason) {
	defer func() {
		if v := recover(); v != nil {
			c.leave(Error, fmt.Sprintf("panic in terminate: %v\n%s", v, stackOfPanic()))
		}
	}()
	c.server.Terminate(&Context{cell: c}, reason)
}

// maxFrames bounds the stack of a panic.
const maxFrames = 32

// stackOfPanic is the stack of the panic that is being recovered, from where it happened up to this package.
func stackOfPanic() string {
	pcs := make([]uintptr, maxFrames+16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	var b strings.Builder
	for seen, n := false, 0; n < maxFrames; {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			seen = true
		case !seen || f.Function == "":
		case strings.HasPrefix(f.Function, "runtime.") && n == 0: // how the runtime came to panic
		case strings.HasSuffix(f.Function, "(*cell).handle"), strings.HasSuffix(f.Function, "(*cell).callInit"), strings.HasSuffix(f.Function, "(*cell).callTerminate"):
			return b.String()
		default:
			fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
			n++
		}
		if !more {
			break
		}
	}
	return b.String()
}
