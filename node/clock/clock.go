package clock

import (
	"sync"
	"time"
)

// Clock tells instants and rings at them.
type Clock interface {
	// Now is the instant, in nanoseconds.
	Now() int64
	// After returns a channel that gets one value as soon as the instant is at or later; stop releases the alarm, and
	// may be called at any time, more than once. The channel is never closed.
	After(at int64) (rang <-chan struct{}, stop func())
}

// Timed is a Clock over package time, for tests inside a testing/synctest bubble. It knows nothing of a sleeping host.
type Timed struct{ start time.Time }

// NewTimed makes a Timed clock; its first instant is one second.
func NewTimed() *Timed { return &Timed{start: time.Now().Add(-time.Second)} }

// Now implements Clock.
func (c *Timed) Now() int64 { return int64(time.Since(c.start)) }

// After implements Clock.
func (c *Timed) After(at int64) (<-chan struct{}, func()) {
	rang := make(chan struct{}, 1)
	t := time.AfterFunc(time.Duration(at-c.Now()), func() { rang <- struct{}{} })
	return rang, func() { t.Stop() }
}

// Fake is a Clock that a test moves by hand.
type Fake struct {
	mu     sync.Mutex // guards now and alarms
	now    int64
	alarms alarms
}

// NewFake makes a Fake clock that shows now.
func NewFake(now int64) *Fake { return &Fake{now: now} }

// Now implements Clock.
func (c *Fake) Now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// After implements Clock.
func (c *Fake) After(at int64) (<-chan struct{}, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.alarms.add(at)
	c.alarms.ring(c.now)
	return a.rang, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.alarms.remove(a)
	}
}

// Set moves the clock to an instant, which must not be earlier, and rings what is due.
func (c *Fake) Set(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = max(c.now, now)
	c.alarms.ring(c.now)
}

// Advance moves the clock by d.
func (c *Fake) Advance(d time.Duration) { c.Set(c.Now() + int64(d)) }

// Next is the earliest instant that somebody waits for.
func (c *Fake) Next() (at int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alarms.next()
}
