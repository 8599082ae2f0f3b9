package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// L6 holds for the barrier too: what moves is waited for, what does not is given up.
func TestL6ABarrierThatNothingMovesIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		moving := func() [2]uint64 { // entries are applied for ten periods, then the log hangs
			return [2]uint64{7, uint64(min(time.Since(begin), 10*time.Second))}
		}
		if !stalls(context.Background(), time.Second, moving) {
			t.Error("a log that hangs was waited for")
		}
		if d := time.Since(begin); d < 12*time.Second || d > 13*time.Second {
			t.Errorf("given up after %s", d)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second/2)
		defer cancel()
		if stalls(ctx, time.Second, moving) {
			t.Error("the end of the reign is no stall")
		}
	})
}
