package actor

import (
	"encoding/json"
	"fmt"
)

// Typed is a behavior with state S and one handler for each type of message. Make it with New, then give it its handlers,
// all before it is registered.
type Typed[S any] struct {
	name      string
	init      func(*Context, Args) (S, error)
	handlers  []*handler[S] // by definition.id
	byName    map[string]*handler[S]
	terminate func(*Context, S, Reason)
	mailbox   Mailbox
}

type handler[S any] struct {
	def  *definition
	call func(*Context, S, any) (any, error)
	cast func(*Context, S, any) error
}

// New makes a behavior whose state is what init returns, usually a pointer. The child spec's args are decoded into A: none
// leave it zero, one is decoded strictly; an A of type Args gets them as they are. It panics when the name is bad or
// init is nil.
func New[A, S any](name string, init func(c *Context, args A) (S, error)) *Typed[S] {
	mustBehavior(name, init != nil)
	return &Typed[S]{
		name: name, byName: map[string]*handler[S]{},
		init: func(c *Context, args Args) (state S, err error) {
			var a A
			if raw, ok := any(&a).(*Args); ok {
				*raw = args
			} else if err := args.Decode(&a); err != nil {
				return state, fmt.Errorf("behavior %q: %w", name, err)
			}
			return init(c, a)
		},
	}
}

// OnCall handles calls of one type: what h returns is what the caller gets; an error leaves the actor running. A caller on
// the same node gets that very value: what it points to is not to be changed any more. OnCall panics when the type has a
// handler already.
func OnCall[S, Q, R any](b *Typed[S], t CallMessage[Q, R], h func(c *Context, state S, q Q) (R, error)) {
	b.add(t.def, h != nil, &handler[S]{call: func(c *Context, s S, v any) (any, error) {
		q, _ := v.(Q) // a nil interface is the zero value
		return h(c, s, q)
	}})
}

// OnCast handles casts of one type: an error ends the actor with reason error. It panics when the type has a handler
// already.
func OnCast[S, Q any](b *Typed[S], t CastMessage[Q], h func(c *Context, state S, q Q) error) {
	b.add(t.def, h != nil, &handler[S]{cast: func(c *Context, s S, v any) error {
		q, _ := v.(Q)
		return h(c, s, q)
	}})
}

// OnTerminate is called at the end of an incarnation whose init succeeded, unless it is killed.
func OnTerminate[S any](b *Typed[S], h func(c *Context, state S, reason Reason)) { b.terminate = h }

// SetMailbox sets the bound of the mailbox and what happens at it.
func (b *Typed[S]) SetMailbox(m Mailbox) { b.mailbox = m }

// Name implements Behavior.
func (b *Typed[S]) Name() string { return b.name }

// New implements Behavior.
func (b *Typed[S]) New() Server { return &typed[S]{b: b} }

// Mailbox implements Behavior.
func (b *Typed[S]) Mailbox() Mailbox { return b.mailbox }

func (b *Typed[S]) add(def *definition, does bool, h *handler[S]) {
	mustDefine(def)
	switch {
	case !does:
		panic(fmt.Sprintf("actor: behavior %q: the handler for %q is nil", b.name, def.name))
	case b.byName[def.name] != nil:
		panic(fmt.Sprintf("actor: behavior %q has a handler for %q already", b.name, def.name))
	}
	h.def = def
	b.byName[h.def.name] = h
	if n := h.def.id + 1; n > len(b.handlers) {
		b.handlers = append(b.handlers, make([]*handler[S], n-len(b.handlers))...)
	}
	b.handlers[h.def.id] = h
}

// handler finds the handler of a message, by its definition; one of the same name that was defined elsewhere will do when
// it has the same type.
func (b *Typed[S]) handler(m Message) (*handler[S], error) {
	if id := m.def.id; id >= 0 && id < len(b.handlers) && b.handlers[id] != nil {
		return b.handlers[id], nil
	}
	h := b.byName[m.def.name]
	switch {
	case h == nil || h.def.call != m.def.call:
		return nil, ErrUnhandled
	case h.def.value != m.def.value:
		return nil, fmt.Errorf("%w: its value is a %s, and %s is wanted", ErrUnhandled, m.def.value, h.def.value)
	}
	return h, nil
}

// typed is one incarnation of a Typed.
type typed[S any] struct {
	b     *Typed[S]
	state S
}

func (t *typed[S]) Init(c *Context, args Args) (err error) {
	t.state, err = t.b.init(c, args)
	return err
}

func (t *typed[S]) HandleCall(c *Context, m Message) (any, error) {
	h, err := t.b.handler(m)
	if err != nil {
		return nil, err
	}
	return h.call(c, t.state, m.Value)
}

func (t *typed[S]) HandleCast(c *Context, m Message) error {
	h, err := t.b.handler(m)
	if err != nil {
		return err
	}
	return h.cast(c, t.state, m.Value)
}

func (t *typed[S]) Terminate(c *Context, reason Reason) {
	if t.b.terminate != nil {
		t.b.terminate(c, t.state, reason)
	}
}

// decode makes a message of JSON.
func (t *typed[S]) decode(typ string, call bool, raw json.RawMessage) (Message, error) {
	h := t.b.byName[typ]
	switch {
	case h == nil:
		return Message{}, ErrUnhandled
	case h.def.call != call && call:
		return Message{}, fmt.Errorf("%w as a call: it is a cast", ErrUnhandled)
	case h.def.call != call:
		return Message{}, fmt.Errorf("%w as a cast: it is a call", ErrUnhandled)
	}
	v, err := h.def.decode(raw)
	return Message{h.def, v}, err
}
