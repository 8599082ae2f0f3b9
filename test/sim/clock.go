package sim

// Spans of time, in nanoseconds.
const (
	microsecond int64 = 1_000
	millisecond       = 1_000 * microsecond
	second            = 1_000 * millisecond
)

// never is later than any history lasts.
const never int64 = 1 << 60

// The bounds of a clock's rate: ρ = 1 % both ways (protocol.md, Names), in millionths.
const (
	slowest int64 = 990_100
	fastest int64 = 1_010_000
)

// clock is a host's CLOCK_BOOTTIME: its own rate and origin. Clocks are never compared.
type clock struct {
	origin int64 // true time at which it read start
	start  int64
	rate   int64 // millionths of true time
}

// read is what the clock shows at a true time.
func (c clock) read(now int64) int64 { return c.start + (now-c.origin)*c.rate/1_000_000 }

// when is the first true time at which the clock shows at.
func (c clock) when(at int64) int64 {
	if at-c.start > 1<<42 { // an hour and more: later than any history
		return never
	}
	t := c.origin + (at-c.start)*1_000_000/c.rate
	for c.read(t) < at {
		t++
	}
	return t
}
