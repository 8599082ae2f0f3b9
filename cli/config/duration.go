package config

import (
	"fmt"
	"time"
)

// duration is a span of time; in a file it reads as "500ms".
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf(`%q is not a duration; write one like "500ms", "3s" or "1m30s"`, b)
	}
	if v <= 0 {
		return fmt.Errorf("%q is not above zero; write a duration like \"500ms\" or \"3s\"", b)
	}
	*d = duration(v)
	return nil
}
