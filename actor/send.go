package actor

import (
	"context"
	"errors"
	"time"
)

// cast queues a message for a child.
func (s *System) cast(ctx context.Context, sl *slot, inc Incarnation, m Message) error {
	c := sl.cell.Load()
	if c == nil {
		return s.castAway(ctx, sl, inc, m)
	}
	if inc != 0 && c.inc != inc {
		return ErrStale
	}
	err := c.post(envelope{Message: m})
	switch err {
	case nil:
	case ErrBusy:
		s.busy.Add(1)
	case errEnded:
		return s.castAway(ctx, sl, inc, m)
	}
	return err
}

// castAway casts to a child that does not run here.
func (s *System) castAway(ctx context.Context, sl *slot, inc Incarnation, m Message) error {
	gone := ErrGone
	if inc != 0 {
		gone = ErrStale
	}
	if s.o.Router == nil {
		return gone
	}
	err := s.o.Router.Cast(ctx, sl.ref(inc), m)
	if errors.Is(err, ErrHere) {
		return gone
	}
	return err
}

// call carries a call out, wherever the child is.
func (s *System) call(ctx context.Context, sl *slot, inc Incarnation, from *cell, m Message) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, ended(err)
	}
	ch := from.chain()
	deadline, has := ctx.Deadline()
	for {
		c := sl.cell.Load()
		if c == nil {
			if ch.waits(sl.key, 0) {
				return nil, ErrDeadlock
			}
			if inc != 0 && s.o.Router == nil {
				return nil, ErrStale
			}
			if s.o.Router != nil {
				return nil, errElsewhere
			}
			if !has && s.o.CallTimeout > 0 {
				deadline, has = time.Now().Add(s.o.CallTimeout), true
			}
			if err := s.await(ctx, deadline, sl); err != nil {
				return nil, err
			}
			continue
		}
		switch {
		case inc != 0 && c.inc != inc:
			return nil, ErrStale
		case ch.waits(sl.key, c.inc):
			return nil, ErrDeadlock
		}
		v, err := s.ask(ctx, c, deadline, ch, m)
		if err != errEnded && err != errUndelivered {
			return v, err
		}
		if inc != 0 {
			return nil, ErrStale
		}
		sl.cell.CompareAndSwap(c, nil) // it has ended: wait for the next
	}
}

// ask puts a call into a mailbox and waits for the answer.
func (s *System) ask(ctx context.Context, c *cell, deadline time.Time, ch *chain, m Message) (any, error) {
	k := s.calls.get(deadline, ch)
	if err := c.post(envelope{m, k}); err != nil {
		s.calls.put(k)
		if err == ErrBusy {
			s.busy.Add(1)
		}
		return nil, err
	}
	done := ctx.Done()
	_, bounded := ctx.Deadline()
	timed := !bounded && s.o.CallTimeout > 0
	if timed {
		d := s.o.CallTimeout
		if !deadline.IsZero() {
			d = time.Until(deadline)
		}
		k.expireIn(d)
	}
	if done == nil {
		<-k.answered
	} else {
		select {
		case <-k.answered:
		case <-done:
			if k.abandon() {
				return nil, ended(ctx.Err())
			}
			<-k.answered
		}
	}
	v, err := k.reply, k.err
	if err != ErrTimeout { // else its cell may still know it
		s.calls.put(k)
	}
	return v, err
}

// ended says why a caller's context ended a call.
func ended(err error) error {
	if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrTimeout) {
		return ErrTimeout
	}
	return err
}

// callAway has the router carry a call; here says that the child runs on this node by now.
func callAway[R any](ctx context.Context, s *System, sl *slot, inc Incarnation, from *cell, m Message) (r R, here bool, err error) {
	if _, has := ctx.Deadline(); !has && s.o.CallTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.o.CallTimeout)
		defer cancel()
	}
	err = s.o.Router.Call(ctx, sl.ref(inc), m, from.chain().hops(), &r)
	if errors.Is(err, ErrHere) {
		return r, true, nil
	}
	return r, false, ended(err)
}

// wake is a channel that is closed once a slot has a cell, and how many wait for that.
type wake struct {
	ch      chan struct{}
	waiting int
}

// Woken gives a channel that is closed once a child runs on this node, which may be at once, or once the System is closed,
// when it also fails. release is to be called when nobody waits any more.
func (s *System) Woken(to Ref) (woken <-chan struct{}, release func(), err error) {
	return s.woken(s.slot(to.Key()))
}

func (s *System) woken(sl *slot) (<-chan struct{}, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return closedChannel, func() {}, ErrClosed
	case sl.cell.Load() != nil:
		return closedChannel, func() {}, nil
	case s.known(sl.key) != sl:
		return closedChannel, func() {}, ErrGone
	}
	w := s.wakes[sl]
	if w == nil {
		w = &wake{ch: make(chan struct{})}
		s.wakes[sl] = w
	}
	w.waiting++
	return w.ch, func() { s.unwake(sl, w) }, nil
}

func (s *System) unwake(sl *slot, w *wake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.waiting--; w.waiting == 0 && s.wakes[sl] == w {
		delete(s.wakes, sl)
	}
}

// await waits until a child runs here (S40).
func (s *System) await(ctx context.Context, deadline time.Time, sl *slot) error {
	woken, release, err := s.woken(sl)
	if err != nil {
		return err
	}
	defer release()
	var late <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		late = t.C
	}
	select {
	case <-woken:
		return nil
	case <-ctx.Done():
		return ended(ctx.Err())
	case <-late:
		return ErrTimeout
	}
}
