package actor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// Message is what a plain behavior is handed: the type's name and the value, which is the sender's Go value, or a
// json.RawMessage when it came as JSON.
type Message struct {
	def   *definition
	Value any
}

// Type is the name of the message's type.
func (m Message) Type() string { return m.def.name }

// JSON is the value as it travels to other nodes.
func (m Message) JSON() (json.RawMessage, error) {
	if raw, ok := m.Value.(json.RawMessage); ok {
		return raw, nil
	}
	raw, err := json.Marshal(m.Value)
	if err != nil {
		return nil, fmt.Errorf("the value of %s has no JSON form: %w", m.def.name, err)
	}
	return raw, nil
}

// definition is what one DefineCall or DefineCast made.
type definition struct {
	name   string
	id     int // index into the handlers of a behavior
	call   bool
	value  reflect.Type
	decode func(json.RawMessage) (any, error)
}

var definitions atomic.Int64 // how many there are

// MaxNameBytes bounds the names of behaviors and of message types.
const MaxNameBytes = 128

func define[Q any](name string, call bool) *definition {
	if why := badName(name); why != "" {
		panic(fmt.Sprintf("actor: %q is no name for a message: %s", name, why))
	}
	return &definition{
		name: name, id: int(definitions.Add(1)) - 1, call: call, value: reflect.TypeFor[Q](),
		decode: func(raw json.RawMessage) (any, error) {
			var v Q
			err := decodeStrict(raw, &v)
			return v, err
		},
	}
}

// mustDefine panics when a message was not made by DefineCall or DefineCast.
func mustDefine(d *definition) {
	if d == nil {
		panic("actor: a message that was not made by DefineCall or DefineCast")
	}
}

func badName(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > MaxNameBytes:
		return fmt.Sprintf("it has more than %d bytes", MaxNameBytes)
	case !utf8.ValidString(name):
		return "it is not valid UTF-8"
	}
	for _, r := range name {
		if unicode.IsControl(r) || unicode.IsSpace(r) {
			return "it has a space or a control character"
		}
	}
	return ""
}

// CallMessage is a type of message that is answered: Q asks, R answers. Make one with DefineCall.
type CallMessage[Q, R any] struct{ def *definition }

// DefineCall names a type of message that is answered. The name is what other nodes, HTTP and the CLI know it by, so it is
// to be the same on every node; it panics when the name is bad. It is meant for package variables.
//
// To another node Q and R travel as JSON, read strictly: exported fields, numbers of an any as float64. On one node the value
// itself is handed over, so the sender does not change any more what it points to.
func DefineCall[Q, R any](name string) CallMessage[Q, R] {
	return CallMessage[Q, R]{define[Q](name, true)}
}

// Name is the name of the type.
func (t CallMessage[Q, R]) Name() string { return t.def.name }

// Call sends q to the child that to names and waits for the answer, until ctx ends; a ctx without a deadline gets the
// node's default one. A child that does not run is waited for (S40). A call is carried out at most once (S41): an error
// is the handler's own, which from another node comes as a *HandlerError, a *PanicError, a *MessageError, or one of
// ErrTimeout, ErrBusy, ErrGone, ErrNotActor, ErrNoNode, ErrStale, ErrDeadlock, ErrOutcomeUnknown, ErrClosed and
// ErrUnbound; only after ErrTimeout, ErrOutcomeUnknown, a *PanicError and a *MessageError about the answer may it have had
// an effect besides the handler's.
//
// Inside a handler, ctx is the handler's Context or made from it: so a call back into a waiting caller is told
// (ErrDeadlock), and ends when this actor must. A goroutine that a handler leaves behind uses a context of its own.
func (t CallMessage[Q, R]) Call(ctx context.Context, to Ref, q Q) (R, error) {
	mustDefine(t.def)
	var none R
	s, sl, from, err := resolve(ctx, to)
	if err != nil {
		return none, err
	}
	m := Message{t.def, q}
	for {
		v, err := s.call(ctx, sl, to.Incarnation(), from, m)
		if err == errElsewhere {
			if r, here, err := callAway[R](ctx, s, sl, to.Incarnation(), from, m); !here {
				return r, err
			}
			continue // it runs here
		}
		r, ok := v.(R)
		if err == nil && !ok && v != nil {
			err = &MessageError{Node: s.o.Node, Key: sl.key, Type: t.def.name, Answer: true, Err: fmt.Errorf("the answer is a %T, and the caller expects %s", v, reflect.TypeFor[R]())}
		}
		return r, err
	}
}

// CastMessage is a type of message without an answer. Make one with DefineCast.
type CastMessage[Q any] struct{ def *definition }

// DefineCast names a type of message without an answer, as DefineCall does.
func DefineCast[Q any](name string) CastMessage[Q] { return CastMessage[Q]{define[Q](name, false)} }

// Name is the name of the type.
func (t CastMessage[Q]) Name() string { return t.def.name }

// Cast queues q for the child that to names. Nil says that it is queued, on this node or towards the child's; messages of
// one goroutine to one incarnation arrive in order (S42). Errors: ErrBusy, ErrGone, ErrNotActor, ErrNoNode, ErrStale,
// ErrClosed, ErrUnbound. It does not wait, but for the leader's word when this node does not know the child to run.
func (t CastMessage[Q]) Cast(ctx context.Context, to Ref, q Q) error {
	mustDefine(t.def)
	s, sl, _, err := resolve(ctx, to)
	if err != nil {
		return err
	}
	return s.cast(ctx, sl, to.Incarnation(), Message{t.def, q})
}

// decodeStrict reads exactly one JSON value; unknown fields are errors. An absent value is null.
func decodeStrict(raw json.RawMessage, into any) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = json.RawMessage("null")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			at := wrong.Field
			if at == "" {
				at = "the value"
			}
			return fmt.Errorf("%s is a JSON %s, and a Go %s is wanted", at, wrong.Value, wrong.Type)
		}
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON value")
	}
	return nil
}
