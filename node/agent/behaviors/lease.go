package behaviors

import (
	"sync/atomic"
	"time"

	"github.com/supnode/supnode/node/agent"
	"github.com/supnode/supnode/node/clock"
)

// recheck is how old the last reading of the lease's own clock may be at a dispatch. That clock also counts the sleep of
// the host, and costs a system call; in between, the process's monotonic clock decides, which sees everything else, a
// stopped process too. When a host wakes up, a batch at work may go on for that long, as the handler of then does.
const recheck = 100 * time.Microsecond

// lease says whether actors may run (A2). Open is asked from every actor's goroutine; the rest comes one at a time.
type lease struct {
	clock clock.Clock
	start time.Time // the zero of until and checked

	until    atomic.Int64 // 0 = there is no lease
	deadline atomic.Int64 // the same on the lease's clock
	checked  atomic.Int64
}

func newLease(c clock.Clock) *lease { return &lease{clock: c, start: time.Now()} }

// extend has the lease last until an instant.
func (l *lease) extend(deadline agent.Instant) {
	now := int64(time.Since(l.start))
	l.deadline.Store(deadline)
	l.checked.Store(now - int64(recheck))
	l.until.Store(now + deadline - l.clock.Now())
}

func (l *lease) end() { l.until.Store(0) }

// open reports whether the lease lives.
func (l *lease) open() bool {
	now := int64(time.Since(l.start))
	if now >= l.until.Load() {
		return false
	}
	if now-l.checked.Load() < int64(recheck) {
		return true
	}
	l.checked.Store(now)
	return l.clock.Now() < l.deadline.Load()
}
