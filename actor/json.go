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
// CallMessage.Call.
func (s *System) CallJSON(ctx context.Context, to Ref, in Incoming) (json.RawMessage, error) {
	sl := s.slot(to.Key())
	deadline, ok := ctx.Deadline()
	if !ok && s.o.CallTimeout > 0 {
		deadline = time.Now().Add(s.o.CallTimeout)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	ch := chainOf(in.Chain)
	for {
		c := sl.cell.Load()
		if c == nil {
			if to.Incarnation() != 0 {
				return nil, ErrStale
			}
			if err := s.await(ctx, deadline, sl); err != nil {
				return nil, err
			}
			continue
		}
		switch {
		case to.Incarnation() != 0 && c.inc != to.Incarnation():
			return nil, ErrStale
		case ch.waits(sl.key, c.inc):
			return nil, ErrDeadlock
		}
		m, err := s.decode(c, in, true)
		if err != nil {
			return nil, err
		}
		v, err := s.ask(ctx, c, deadline, ch, m)
		switch {
		case (err == errEnded || err == errUndelivered) && to.Incarnation() != 0:
			return nil, ErrStale
		case err == errEnded || err == errUndelivered:
			sl.cell.CompareAndSwap(c, nil)
			continue
		case err != nil:
			return nil, err
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, &MessageError{s.o.Node, sl.key, in.Type, fmt.Errorf("the answer has no JSON form: %w", err)}
		}
		return raw, nil
	}
}

// CastJSON queues a message that came as JSON, for a child of this node. Errors are those of CastMessage.Cast, and a
// *MessageError for a message that the behavior does not know.
func (s *System) CastJSON(to Ref, in Incoming) error {
	sl := s.slot(to.Key())
	c := sl.cell.Load()
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

// decode makes a message as the behavior of a cell wants it.
func (s *System) decode(c *cell, in Incoming, isCall bool) (Message, error) {
	wrong := func(err error) (Message, error) {
		return Message{}, &MessageError{s.o.Node, c.slot.key, in.Type, err}
	}
	if why := badName(in.Type); why != "" {
		return wrong(errors.New("the name of the type is bad: " + why))
	}
	d, ok := c.server.(interface {
		decode(string, bool, json.RawMessage) (Message, error)
	})
	if !ok {
		return Message{&definition{name: in.Type, id: -1, call: isCall}, in.Value}, nil
	}
	m, err := d.decode(in.Type, isCall, in.Value)
	if err != nil {
		return wrong(err)
	}
	return m, nil
}
