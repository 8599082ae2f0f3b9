package actor

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// Behavior is what children can be: a name and a maker of servers. New makes one with typed handlers, Plain one of the
// plain interface.
type Behavior interface {
	// Name is what child specs say.
	Name() string
	// New makes the server of one incarnation.
	New() Server
	// Mailbox says how many messages may wait.
	Mailbox() Mailbox
}

// Server is one incarnation of a behavior. Its methods are called one at a time; a panic ends the incarnation with reason
// error and is told to the caller.
type Server interface {
	// Init prepares it. c ends at the init timeout and when the child is to be stopped (S14a). Its error is the reason why
	// the child could not start.
	Init(c *Context, args Args) error
	// HandleCall answers a call. Its error goes to the caller; the actor goes on.
	HandleCall(c *Context, m Message) (reply any, err error)
	// HandleCast takes a message that nobody waits for. An error, but for ErrUnhandled, ends the actor with reason error.
	HandleCast(c *Context, m Message) error
	// Terminate is called at the end of an incarnation that is not killed, and whose Init succeeded; c ends when it takes
	// too long.
	Terminate(c *Context, reason Reason)
}

// Args are the arguments of a child spec.
type Args []json.RawMessage

// Decode reads the arguments strictly: none leaves into as it is, one is decoded into it; more are an error, because only
// an init that takes Args itself knows what they mean.
func (a Args) Decode(into any) error {
	switch len(a) {
	case 0:
		return nil
	case 1:
		if err := decodeStrict(a[0], into); err != nil {
			return fmt.Errorf("args[0] does not fit %s: %w", reflect.TypeOf(into).Elem(), err)
		}
		return nil
	}
	return fmt.Errorf("%d args, and one of type %s is taken", len(a), reflect.TypeOf(into).Elem())
}

// Policy says what happens to a message for which the mailbox has no room.
type Policy uint8

// The policies of a mailbox.
const (
	RefuseNew  Policy = iota // the sender gets ErrBusy
	DropOldest               // the oldest waiting cast is dropped and counted as lost; a waiting call gets ErrBusy
)

// DefaultMailbox is how many messages wait at most where a behavior says nothing else.
const DefaultMailbox = 10_000

// Mailbox bounds the messages that wait for an actor. The ones of the batch at which it works come on top.
type Mailbox struct {
	Size   int // 0 = DefaultMailbox
	Policy Policy
}

// Plain makes a behavior of the plain interface; server makes that of one incarnation. It panics when the name is bad or
// server is nil.
func Plain(name string, server func() Server) Behavior {
	mustBehavior(name, server != nil)
	return &plain{name, server}
}

// mustBehavior panics when a behavior can't be called so, or does nothing.
func mustBehavior(name string, does bool) {
	if why := badName(name); why != "" {
		panic(fmt.Sprintf("actor: %q is no name for a behavior: %s", name, why))
	}
	if !does {
		panic(fmt.Sprintf("actor: behavior %q is nil", name))
	}
}

type plain struct {
	name   string
	server func() Server
}

func (p *plain) Name() string     { return p.name }
func (p *plain) New() Server      { return p.server() }
func (p *plain) Mailbox() Mailbox { return Mailbox{} }
