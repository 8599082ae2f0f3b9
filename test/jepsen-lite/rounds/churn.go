package rounds

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// churn starts children and terminates them again, one operation after another, until told to stop; then it still makes
// sure that it has done both, and finds out what became of the last one. Children that it has left go on.
func (s *Stage) churn(ctx context.Context, stop <-chan struct{}) {
	var mine []history.Key
	for _, k := range s.Wanted() {
		if churned(k) {
			mine = append(mine, k)
		}
	}
	started, terminated := false, false
	for {
		select {
		case <-stop:
			if started && terminated {
				return
			}
		case <-ctx.Done():
			return
		case <-time.After(150 * time.Millisecond):
		}
		bounded, cancel := context.WithTimeout(ctx, s.Timing.Recovery()+s.Timing.Takeover())
		if len(mine) == 0 || !started || len(mine) < churnTotal && terminated {
			started = true
			s.mu.Lock()
			s.churned++
			k := history.Key{Supervisor: Pool, Child: fmt.Sprintf("x%d", s.churned)}
			s.mu.Unlock()
			if op := s.Operate(bounded, history.OpStart, k, s.Spec(k.Child)); op.Outcome == history.OK {
				mine = append(mine, k)
				s.awaitLife(bounded, k)
			}
		} else {
			terminated = true
			s.Operate(bounded, history.OpTerminate, mine[0], nil)
			mine = mine[1:]
		}
		cancel()
	}
}

// churned reports whether a child is one of the client's own.
func churned(k history.Key) bool { return k.Supervisor == Pool && strings.HasPrefix(k.Child, "x") }

// awaitLife waits until a child has begun its journal: its init is the start of the command, which a termination could
// overtake before it has written a word.
func (s *Stage) awaitLife(ctx context.Context, child history.Key) {
	err := cluster.Until(ctx, "the first record of "+child.String(), func(context.Context) error {
		lives, err := s.Journals.Lives()
		if err == nil && !slices.ContainsFunc(lives, func(l history.Life) bool { return l.Key == child && l.Start != 0 }) {
			err = fmt.Errorf("it has none")
		}
		return err
	})
	if err != nil {
		s.Log("   %v", err)
	}
}
