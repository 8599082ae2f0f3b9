package guardian

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
)

func TestS5ExitReasons(t *testing.T) {
	r := newRig(t)
	deaf := `trap '' TERM; echo on > $0; while :; do sleep 0.05; done`
	polite := `trap 'exit 7' TERM; while :; do sleep 0.01; done`
	for _, c := range []struct {
		name, script string
		act          func(agent.Spawn)
		reason       sup.ExitReason
		detail       string
	}{
		{"status 0", "exit 0", nil, sup.ExitNormal, ""},
		{"status 3", "exit 3", nil, sup.ExitError, "exit status 3"},
		{"a signal", "kill -KILL $$", nil, sup.ExitError, "signal: killed"},
		{"another signal", "kill -SEGV $$", nil, sup.ExitError, "signal: segmentation fault"},
		{"asked to stop", "sleep 1000", stopIn(r, time.Minute), sup.ExitShutdown, "signal: terminated"},
		{"asked for ever", "sleep 1000", func(s agent.Spawn) { r.Stop(agent.Stop{Key: s.Key, Inc: s.Inc, Timeout: -1}) }, sup.ExitShutdown, "signal: terminated"},
		{"asked and says 7", polite, stopIn(r, time.Minute), sup.ExitShutdown, "exit status 7"},
		{"does not stop in time", deaf, stopIn(r, 50*time.Millisecond), sup.ExitKilled, "did not stop within 50ms"},
		{"no time to stop", polite, stopIn(r, 0), sup.ExitKilled, "killed at once, as its shutdown_timeout is 0s"},
		{"killed", polite, func(s agent.Spawn) { r.Kill(agent.Kill{Key: s.Key, Inc: s.Inc}) }, sup.ExitKilled, "killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := filepath.Join(t.TempDir(), "up")
			s := r.start(Program{Command: "/bin/sh", Args: []string{"-c", c.script, up}})
			r.waitStarted(s)
			if c.script == deaf { // its trap is set
				eventually(t, "the script is up", func() bool { _, err := os.Stat(up); return err == nil })
			}
			if c.act != nil {
				c.act(s)
			}
			e := r.waitEnd(s)
			if e.Reason != c.reason || !strings.HasPrefix(e.Detail, c.detail) || e.InitFailed {
				t.Errorf("ended %+v, want %s %q", e, c.reason, c.detail)
			}
		})
	}
}

func stopIn(r *rig, d time.Duration) func(agent.Spawn) {
	return func(s agent.Spawn) { r.Stop(agent.Stop{Key: s.Key, Inc: s.Inc, Timeout: int64(d)}) }
}
