package node

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A server that is down for a day must not fill a disk with the words of that.
func TestRaftSaysTheSameOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newRaftLog(hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: &out, DisableTime: true}))
		for range 6 * 90 { // for a minute and a half
			l.Error("failed to heartbeat to", "peer", "n2", "error", time.Now())
			l.Warn("failed to contact", "server-id", "n3")
			l.Info("entering candidate state", "node", "n1", "term", time.Now())
			l.Debug("a detail")
			time.Sleep(time.Second / 6)
		}
		l.Error("failed to heartbeat to", "peer", "n3")
		got := map[string]int{}
		for line := range strings.Lines(out.String()) {
			level, _, _ := strings.Cut(line, "]")
			got[level+"]"]++
		}
		if len(got) != 3 || got["[ERROR]"] != 3 || got["[WARN]"] != 2 || got["[INFO]"] != 2 {
			t.Errorf("%v\n%s", got, &out)
		}
	})
}
