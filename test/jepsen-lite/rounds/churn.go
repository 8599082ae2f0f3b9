package rounds

import (
	"context"
	"fmt"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// churn starts children and terminates them again, one operation after another, until told to stop; then it still finds
// out what became of the last one. Children that it has left go on.
func (s *Stage) churn(ctx context.Context, stop <-chan struct{}) {
	var mine []history.Key
	for _, k := range s.Wanted() {
		if k.Supervisor == Pool && k.Child[0] == 'x' {
			mine = append(mine, k)
		}
	}
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-time.After(150 * time.Millisecond):
		}
		bounded, cancel := context.WithTimeout(ctx, s.Timing.Recovery()+s.Timing.Takeover())
		if len(mine) < churnTotal {
			s.mu.Lock()
			s.churned++
			k := history.Key{Supervisor: Pool, Child: fmt.Sprintf("x%d", s.churned)}
			s.mu.Unlock()
			if op := s.Operate(bounded, history.OpStart, k, s.Spec(k.Child)); op.Outcome == history.OK {
				mine = append(mine, k)
			}
		} else {
			s.Operate(bounded, history.OpTerminate, mine[0], nil)
			mine = mine[1:]
		}
		cancel()
	}
}
