//go:build mutants

package guardian

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/supnode/supnode/test/await"
)

// Mutant 15 lives in a supnode that is stopped: what a test of the deadline sees is that the commands tick on.
func TestMutant15TicksOnAfterTheDeadline(t *testing.T) {
	t.Setenv(mutantVariable, "guardian_no_deadline")
	dir := t.TempDir()
	one, file := ticker(dir, "tick")
	l := newPlay(t, playing{Dir: dir, TTL: time.Second, Renew: 50 * time.Millisecond, Programs: []Program{one}})
	waitTicks(t, file)
	l.signal(unix.SIGSTOP)
	deadline := lastDeadline(t, dir)
	await.True(t, "a tick well after the deadline", func() bool {
		_, last, _ := ticks(file)
		return last > deadline+int64(2*late)
	})
}
