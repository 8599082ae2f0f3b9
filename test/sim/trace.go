package sim

import (
	"fmt"
	"io"
)

// trace is the history's fingerprint and, when asked for, its text.
type trace struct {
	sum uint64
	out io.Writer // nil: no text
}

// num mixes a number into the fingerprint.
func (t *trace) num(v uint64) {
	x := (t.sum ^ v) * 0x9e3779b97f4a7c15
	t.sum = x ^ x>>29
}

// digest is FNV-1a, eight bytes at a time.
func digest(b []byte) uint64 {
	sum := uint64(14695981039346656037) ^ uint64(len(b))
	for len(b) >= 8 {
		v := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		sum = (sum ^ v) * 0x9e3779b97f4a7c15
		sum ^= sum >> 29
		b = b[8:]
	}
	for _, c := range b {
		sum = (sum ^ uint64(c)) * 1099511628211
	}
	return sum
}

// tracing reports whether the history's text is wanted: formatting it costs more than living it.
func (w *World) tracing() bool { return w.trace.out != nil }

// tell writes a line of the history. Callers whose arguments cost something ask tracing first.
func (w *World) tell(format string, args ...any) {
	if w.trace.out != nil {
		fmt.Fprintf(w.trace.out, "%12.6f  %s\n", float64(w.now)/1e9, fmt.Sprintf(format, args...))
	}
}
