package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/supnode/supnode/bench/figure"
	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/proc"
)

const (
	crashes  = 150
	crashers = 10 // children that crash in turn
)

// crash measures kill -9 of a command on a follower → the start record of its next incarnation.
func (b *bench) crash(ctx context.Context, s *stage) error {
	b.say("crashes")
	_, follower, err := s.roles(ctx)
	if err != nil {
		return err
	}
	p, lives, err := s.fill(ctx, crashers, map[string]any{"node": follower})
	if err != nil {
		return err
	}
	took := make([]time.Duration, crashes)
	for i := range took {
		key := history.Key{Supervisor: p.name, Child: fmt.Sprintf("w%d", i%crashers+1)}
		victim := newest(lives)[key]
		if err := errors.Join(anywhere(ctx, rest), p.forget()); err != nil {
			return err
		}
		if running, ok := proc.Get(victim.PID); !ok || running.Exe != b.child {
			return fmt.Errorf("%s does not run", victim)
		}
		killed := history.Now()
		if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
			return fmt.Errorf("kill of %s: %w", victim, err)
		}
		lives, err = p.until(1, b.lease.Takeover(), func(lives []history.Life) error {
			return all(crashers, newest(lives), map[history.Key]history.Life{key: victim})
		})
		if err != nil {
			return err
		}
		took[i] = newest(lives)[key].Start.Sub(killed)
	}
	spread := figure.Of(took)
	without := max(spread.P50-b.base.process, 0)
	b.add(figure.Figure{What: "crash of a command on a follower → its next incarnation's start record", Spread: spread,
		Beside: append(figure.Over(spread.P50, b.base.commit, "bare commit"), figure.Over(spread.P50, b.base.cold, "rested one")...),
		Note: fmt.Sprintf("without the program's bare start %.1f ms = %.1f and %.1f × (G1, of actors: ≤ 1.5 × bare commit)",
			without, without/b.base.commit, without/b.base.cold)})
	return p.empty(ctx)
}
