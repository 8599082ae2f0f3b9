package actor

import (
	"context"
	"time"
)

// Context is what a handler is called with. It is the context.Context of its incarnation: done once that is asked to stop,
// killed, or fenced by the end of its node's lease; in Terminate, only once it is killed; in Init, also at the init timeout.
// Pass it, or a context made from it, to the calls that the handler makes. It is valid as long as the incarnation.
type Context struct {
	cell *cell
}

// final reports whether c is Terminate's: the only one that is not part of its cell.
func (c *Context) final() bool { return c != &c.cell.ctx }

type contextKey struct{}

// Self is the ref of this child; PinnedTo(c.Incarnation()) makes it mean this incarnation. What a handler leaves to a goroutine
// or a timer comes back as a cast to it. In Init the child does not run yet: a cast to it is refused, a call waits in vain.
func (c *Context) Self() Ref { return c.cell.slot.ref(0) }

// Incarnation is the fencing token of this start of the child.
func (c *Context) Incarnation() Incarnation { return c.cell.inc }

// Node is the name of the node that runs this incarnation.
func (c *Context) Node() string { return c.cell.slot.sys.o.Node }

// Ref makes a ref to a child by its name.
func (c *Context) Ref(supervisor, child string) Ref {
	return c.cell.slot.sys.Ref(supervisor, child)
}

// Bind binds a ref that came in a message from another node, or was made by RefTo, to this node: so that it can be compared
// with ==, and used by goroutines and timers, whose context is not this one.
func (c *Context) Bind(r Ref) Ref { return c.cell.slot.sys.Bind(r) }

// Stop ends this incarnation once the handler has returned: with reason normal, or with reason error when err is given.
// What waits in the mailbox then is not taken: casts are lost and counted, calls wait for the next incarnation. An init that
// calls it has failed.
func (c *Context) Stop(err error) {
	if err != nil {
		c.cell.leave(Error, text(err))
		return
	}
	c.cell.leave(Normal, "")
}

// Done implements context.Context.
func (c *Context) Done() <-chan struct{} { return c.cell.done(c.final()) }

// Err implements context.Context.
func (c *Context) Err() error {
	p := phase(c.cell.phase.Load())
	if p < stopping || (c.final() && p < killed) {
		return nil
	}
	return c.cell.cause()
}

// Deadline implements context.Context: of an init, its timeout.
func (c *Context) Deadline() (time.Time, bool) { return c.cell.initDeadline() }

// Value implements context.Context.
func (c *Context) Value(key any) any {
	if _, ok := key.(contextKey); ok {
		return c
	}
	return nil
}

var _ context.Context = (*Context)(nil)
