package history

import (
	"time"

	"golang.org/x/sys/unix"
)

// Instant is a reading of CLOCK_MONOTONIC in nanoseconds. All processes of one kernel share it.
type Instant int64

// Now reads CLOCK_MONOTONIC.
func Now() Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("clock_gettime(CLOCK_MONOTONIC): " + err.Error())
	}
	return Instant(ts.Nano())
}

// Add is i later by d.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub is the time from j to i.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// Interval is a span of time; To 0 = it has not ended.
type Interval struct {
	From Instant `json:"from"`
	To   Instant `json:"to,omitempty"`
}

// Holds reports whether at lies in v.
func (v Interval) Holds(at Instant) bool { return at >= v.From && (v.To == 0 || at <= v.To) }

// And is the part that v and w share; ok is false when there is none.
func (v Interval) And(w Interval) (x Interval, ok bool) {
	x.From = max(v.From, w.From)
	switch {
	case v.To == 0:
		x.To = w.To
	case w.To == 0:
		x.To = v.To
	default:
		x.To = min(v.To, w.To)
	}
	return x, x.To == 0 || x.From <= x.To
}
