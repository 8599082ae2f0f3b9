package supervisor

import (
	"fmt"
	"time"
)

// Duration is a span of time in nanoseconds that reads and writes as a Go duration ("250ms") or "infinity".
type Duration int64

// Infinity is the shutdown timeout that waits for ever.
const Infinity Duration = -1

// Of converts a time.Duration.
func Of(d time.Duration) Duration { return Duration(d) }

// Std is d as a time.Duration; Infinity becomes the largest one.
func (d Duration) Std() time.Duration {
	if d == Infinity {
		return 1<<63 - 1
	}
	return time.Duration(d)
}

func (d Duration) String() string {
	if d == Infinity {
		return "infinity"
	}
	return time.Duration(d).String()
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Negative durations are refused.
func (d *Duration) UnmarshalText(b []byte) error {
	if string(b) == "infinity" {
		*d = Infinity
		return nil
	}
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf(`%q is not a duration; write one like "250ms", "5s" or "infinity"`, b)
	}
	if v < 0 {
		return fmt.Errorf(`%q is negative; write a duration like "250ms", "5s" or "infinity"`, b)
	}
	*d = Duration(v)
	return nil
}
