package node_test

import (
	"testing"
	"time"

	"github.com/supnode/supnode/node"
	"github.com/supnode/supnode/test/await"
)

// patient are settings whose Raft time-outs are 4 s at least: what happens earlier did not wait for them.
func patient(cfg *node.Config) {
	cfg.HeartbeatInterval, cfg.LeaseTTL = 5*time.Second, 40*time.Second
}

// The kernel says that the leader's process is gone, so no time-out is waited for; nor when its successor goes too.
func TestALeaderThatIsGoneIsSucceededAtOnce(t *testing.T) {
	c := newCluster(t, 5, 0, patient)
	c.start("n1", "n2", "n3", "n4", "n5")
	c.ready()
	for range 2 {
		first := c.leader()
		await.True(t, "all know who leads", func() bool {
			for _, n := range c.nodes {
				if n.Status().Leader != first {
					return false
				}
			}
			return true
		})
		began := time.Now()
		c.stop(first)
		c.leader()
		if took := time.Since(began); took > 3500*time.Millisecond {
			t.Errorf("the next one led after %s", took)
		}
	}
}
