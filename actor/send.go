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
		k.arm(d)
	}
	if done == nil {
		<-k.answered
	} else {
		select {
		case <-k.answered:
		case <-done:
			if k.abandon() {
				if timed {
					k.timer.Stop()
				}
				return nil, ended(ctx.Err())
			}
			<-k.answered
		}
	}
	v, err := k.reply, k.err
	if !timed || k.timer.Stop() { // otherwise the timer still knows it
		s.calls.put(k)
	}
	return v, err
}

// arm has the call end by itself after d.
func (k *call) arm(d time.Duration) {
	if k.timer == nil {
		k.timer = time.AfterFunc(d, func() {
			if k.abandon() {
				k.err = ErrTimeout
				k.answered <- struct{}{}
			}
		})
		return
	}
	k.timer.Reset(d)
}

// ended says why a caller's context ended a call.
func ended(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return ErrTimeout
	}
	return err
}

// callAway has the router carry a call; when it says that the child belongs to this node, it waits until it runs here, and
// here is true.
func callAway[R any](ctx context.Context, s *System, sl *slot, inc Incarnation, from *cell, m Message) (r R, here bool, err error) {
	deadline, has := ctx.Deadline()
	if !has && s.o.CallTimeout > 0 {
		deadline = time.Now().Add(s.o.CallTimeout)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	err = s.o.Router.Call(ctx, sl.ref(inc), m, from.chain().hops(), &r)
	switch {
	case !errors.Is(err, ErrHere):
		return r, false, ended(err)
	case inc != 0:
		return r, false, ErrStale
	}
	err = s.await(ctx, deadline, sl)
	return r, err == nil, err
}

// await waits until a child runs here (S40).
func (s *System) await(ctx context.Context, deadline time.Time, sl *slot) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	if sl.cell.Load() != nil {
		s.mu.Unlock()
		return nil
	}
	if s.known(sl.key) != sl {
		s.mu.Unlock()
		return ErrGone
	}
	ch := s.wakes[sl]
	if ch == nil {
		ch = make(chan struct{})
		s.wakes[sl] = ch
	}
	s.mu.Unlock()
	var late <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		late = t.C
	}
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return ended(ctx.Err())
	case <-late:
		return ErrTimeout
	}
}
