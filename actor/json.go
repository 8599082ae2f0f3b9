package actor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Incoming is a message that came from elsewhere, by the name of its type.
type Incoming struct {
	Type  string
	Value json.RawMessage
	Chain []Hop // who waits for the caller, nearest first, the caller itself included
}

// CallJSON carries out a call that came as JSON, to a child of this node, and answers in JSON. Errors are those of
// CallMessage.Call; the handler's own is wrapped in a *HandlerError.
func (s *System) CallJSON(ctx context.Context, to Ref, in Incoming) (json.RawMessage, error) {
	sl := s.slot(to.Key())
	deadline, ok := ctx.Deadline()
	if !ok && s.o.CallTimeout > 0 {
		deadline = time.Now().Add(s.o.CallTimeout)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	for {
		d, err := s.Deliver(deadline, to, in)
		if err == nil {
			var raw json.RawMessage
			raw, err = d.Wait(ctx)
			if !errors.Is(err, errUndelivered) {
				return raw, err
			}
		} else if err != ErrGone {
			return nil, err
		}
		if err := s.await(ctx, deadline, sl); err != nil {
			return nil, err
		}
	}
}

// Delivered is a call in the mailbox of a child of this node.
type Delivered struct {
	s    *System
	call *call
}

// Deliver puts a call that came as JSON into the mailbox of a child of this node, without waiting: so calls and casts that
// are delivered one after another are taken in that order (S42). A call that is not begun by the deadline (zero = none) is
// not carried out. ErrGone says that the child does not run here; after any error the call has had no effect.
func (s *System) Deliver(deadline time.Time, to Ref, in Incoming) (Delivered, error) {
	none := Delivered{}
	c := s.slot(to.Key()).cell.Load()
	ch := chainOf(in.Chain)
	switch {
	case to.Incarnation() != 0 && (c == nil || c.inc != to.Incarnation()):
		return none, ErrStale
	case c == nil:
		return none, ErrGone
	case ch.waits(to.Key(), c.inc):
		return none, ErrDeadlock
	}
	m, err := s.decode(c, in, true)
	if err != nil {
		return none, err
	}
	k := s.calls.get(deadline, ch)
	k.json = true
	switch err := c.post(envelope{m, k}); {
	case err == nil:
		return Delivered{s, k}, nil
	case err == ErrBusy:
		s.busy.Add(1)
		s.calls.put(k)
		return none, ErrBusy
	default: // it has ended
		s.calls.put(k)
		c.slot.cell.CompareAndSwap(c, nil)
		if to.Incarnation() != 0 {
			return none, ErrStale
		}
		return none, ErrGone
	}
}

// Wait waits for the answer until ctx ends, and is called once. Errors are those of CallJSON, and one that Undelivered
// knows.
func (d Delivered) Wait(ctx context.Context) (json.RawMessage, error) {
	k := d.call
	select {
	case <-k.answered:
	case <-ctx.Done():
		if k.abandon() {
			return nil, ended(ctx.Err())
		}
		<-k.answered
	}
	v, err := k.reply, k.err
	d.s.calls.put(k)
	raw, _ := v.(json.RawMessage)
	return raw, err
}

// inJSON makes of what a handler answered what leaves the node. It is called by the cell's goroutine: an answer may be the
// actor's own state, which the next handler changes.
func (c *cell) inJSON(typ string, reply any, err error) (any, error) {
	node, key := c.slot.sys.o.Node, c.slot.key
	if err != nil {
		return nil, &HandlerError{node, key, typ, text(err), err}
	}
	raw, err := json.Marshal(reply)
	if err != nil {
		return nil, &MessageError{Node: node, Key: key, Type: typ, Answer: true, Err: fmt.Errorf("the answer has no JSON form: %w", err)}
	}
	return json.RawMessage(raw), nil
}

// Undelivered reports whether an error of Delivered.Wait says that the incarnation ended before it took the call: it may
// be sent again without acting twice.
func Undelivered(err error) bool { return errors.Is(err, errUndelivered) }

// CastJSON queues a message that came as JSON, for a child of this node. Errors are those of CastMessage.Cast, and a
// *MessageError for a message that the behavior does not know.
func (s *System) CastJSON(to Ref, in Incoming) error {
	c := s.slot(to.Key()).cell.Load()
	switch {
	case c == nil && to.Incarnation() != 0, c != nil && to.Incarnation() != 0 && to.Incarnation() != c.inc:
		return ErrStale
	case c == nil:
		return ErrGone
	}
	m, err := s.decode(c, in, false)
	if err != nil {
		if errors.Is(err, ErrUnhandled) {
			s.unhandled(c, in.Type)
		}
		return err
	}
	err = c.post(envelope{Message: m})
	switch err {
	case ErrBusy:
		s.busy.Add(1)
	case errEnded:
		return ErrGone
	}
	return err
}

// decode makes a message as the behavior of a cell wants it. A value that panics as it is read fails that message alone.
func (s *System) decode(c *cell, in Incoming, isCall bool) (m Message, err error) {
	wrong := func(err error) (Message, error) {
		return Message{}, &MessageError{Node: s.o.Node, Key: c.slot.key, Type: in.Type, Err: err}
	}
	defer func() {
		if v := recover(); v != nil {
			m, err = wrong(errors.New("panic as its value was read: " + clipped(fmt.Sprint(v))))
		}
	}()
	if why := badName(in.Type); why != "" {
		return wrong(errors.New("the name of the type is bad: " + why))
	}
	d, ok := c.server.(interface {
		decode(string, bool, json.RawMessage) (Message, error)
	})
	if !ok {
		return Message{&definition{name: in.Type, id: -1, call: isCall}, in.Value}, nil
	}
	m, err = d.decode(in.Type, isCall, in.Value)
	if err != nil {
		return wrong(err)
	}
	return m, nil
}
