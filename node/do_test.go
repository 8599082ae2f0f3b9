package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// A request that waits at a host that is gone without a word goes to the next leader as soon as one is known.
func TestARequestIsNotLeftWithALeaderOfThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		leader := func() sup.NodeName {
			switch d := time.Since(begin); {
			case d < 2*time.Second:
				return "n1"
			case d < 4*time.Second:
				return "" // an election
			}
			return "n2"
		}
		asked, release := whileLeads(t.Context(), "n1", leader)
		defer release()
		<-asked.Done()
		if d := time.Since(begin); d < 4*time.Second || d > 4*time.Second+leaderLook {
			t.Errorf("left after %s", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		asked, release = whileLeads(ctx, "n2", leader)
		defer release()
		time.Sleep(time.Minute) // of the bubble
		if asked.Err() != nil {
			t.Error("left although it leads")
		}
		cancel()
		<-asked.Done()
	})
}
