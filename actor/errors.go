package actor

import (
	"context"
	"errors"
	"fmt"
)

// What a call or cast may end with, to be told apart with errors.Is. An error that a handler returned reaches its caller as
// it is.
var (
	// ErrBusy: the mailbox is full. Nothing was queued.
	ErrBusy = errors.New("the mailbox is full")
	// ErrGone: the child is known not to run; of a call, that there is no such child. Nothing was queued.
	ErrGone = errors.New("the child is not running")
	// ErrNotActor: the child is a command or a supervisor, which take no messages.
	ErrNotActor = errors.New("the child is no actor: it takes no messages")
	// ErrNoNode: no node is known, or can be reached, that has the child. Nothing was queued.
	ErrNoNode = errors.New("no node with this child can be reached")
	// ErrStale: the incarnation that a pinned ref means does not run any more.
	ErrStale = errors.New("this incarnation of the child has ended")
	// ErrDeadlock: the callee waits for the caller, directly or through others: the call could never be answered.
	ErrDeadlock = errors.New("deadlock: the child that is called waits for its caller")
	// ErrTimeout: no answer within the deadline. It is also a context.DeadlineExceeded.
	ErrTimeout error = timeoutError{}
	// ErrOutcomeUnknown: the callee was stopped, or its node lost, while it worked on the call (S41).
	ErrOutcomeUnknown = errors.New("outcome unknown: the child was stopped while it worked on the call")
	// ErrUnhandled: the behavior has no handler for a message of this type. A plain behavior returns it as well.
	ErrUnhandled = errors.New("the behavior does not handle this message")
	// ErrUnbound: the ref was made from its name, and the context is no actor's: bind it with System.Bind.
	ErrUnbound = errors.New("the ref belongs to no node: bind it first")
	// ErrClosed: the node has stopped, or its lease is over: it takes no message and starts nothing.
	ErrClosed = errors.New("this node runs no actors now")
	// ErrHere is for routers: the child runs on the node that asks.
	ErrHere = errors.New("the child runs on the node that asks")
)

type timeoutError struct{}

func (timeoutError) Error() string   { return "call timeout: no answer within the deadline" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Is(e error) bool { return e == context.DeadlineExceeded }

// errEnded and errUndelivered say that a message reached no handler: it may be sent again without acting twice.
var (
	errEnded = errors.New("the incarnation has ended")
	// errElsewhere says that the child does not run here, and that a router may know where it does.
	errElsewhere   = errors.New("the child runs elsewhere")
	errUndelivered = errors.New("the incarnation ended before it took the message")
)

// text is what an error of a behavior says. Its Error may panic, as that of a nil pointer does which a function has returned
// as an error.
func text(err error) string {
	if err == nil {
		return ""
	}
	if s := fmt.Sprint(err); s != "<nil>" {
		return s
	}
	return fmt.Sprintf("a nil %T, which is an error all the same", err)
}

// PanicError is what a caller gets whose call made the actor panic. The actor has ended with reason error.
type PanicError struct {
	Key   Key
	Type  string // of the message
	Value string // of the panic
	Stack string
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("%s panicked at %s: %s", e.Key, e.Type, e.Value)
}

// HandlerError is what a handler returned, for a caller on another node or one that speaks JSON. On the node of the child
// Unwrap gives the handler's own error; elsewhere its text is all there is.
type HandlerError struct {
	Node string
	Key  Key
	Type string
	Text string
	err  error
}

func (e *HandlerError) Error() string {
	return fmt.Sprintf("%s on node %s failed at %s: %s", e.Key, e.Node, e.Type, e.Text)
}

// Unwrap gives the handler's own error, where it is known.
func (e *HandlerError) Unwrap() error { return e.err }

// MessageError says why a message could not be taken: its type has no handler, or its value does not fit. The child goes on.
type MessageError struct {
	Node string
	Key  Key
	Type string
	// Answer says that the call was carried out and that it is the answer that could not be taken.
	Answer bool
	Err    error
}

func (e *MessageError) Error() string {
	return fmt.Sprintf("message %q to %s on node %s: %s", e.Type, e.Key, e.Node, e.Err)
}

// Unwrap gives errors.Is the cause: ErrUnhandled, or what is wrong with the value.
func (e *MessageError) Unwrap() error { return e.Err }
