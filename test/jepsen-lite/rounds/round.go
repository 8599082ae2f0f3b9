package rounds

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/nemesis"
)

// Play plays one round and reports whether it went through: the next one needs a cluster that has settled. What it saw is
// in the history either way.
func (s *Stage) Play(ctx context.Context, f nemesis.Fault) bool {
	r := &history.Round{Fault: f.Name, FastFailover: s.FastFailover, Seed: s.Seed, Pause: f.Pause, Takeover: f.Takeover}
	s.Log("-- round %d: %s", len(s.rounds)+1, f.Name)
	err := s.play(ctx, f, r)
	if err != nil {
		r.Trouble = err.Error()
	}
	r.Stalled = s.takeStalled()
	s.rounds = append(s.rounds, *r)
	s.Log("   %s of %v: took over in %v, recovered in %v, machine stalled %v, some process waited %.0f %% of the time, trouble %q", r.Fault, r.Victims, r.TakeoverTime.Round(time.Millisecond),
		r.RecoveryTime.Round(time.Millisecond), r.Stalled.Round(time.Millisecond), 100*r.Waited, r.Trouble)
	return err == nil && r.Converged != 0
}

func (s *Stage) play(ctx context.Context, f nemesis.Fault, r *history.Round) error {
	before, cancel := context.WithTimeout(ctx, s.Timing.Recovery()+10*history.Commits)
	defer cancel()
	if err := s.Settle(before, nil); err != nil {
		return fmt.Errorf("before the fault: %w", err)
	}
	if err := s.Spread(before); err != nil {
		return fmt.Errorf("before the fault: %w", err)
	}
	p, err := s.Client.Events(before, 1<<53, false)
	if err != nil {
		return fmt.Errorf("before the fault: %w", err)
	}
	r.FirstEvent = p.LastID
	s.takeStalled()
	waited, began := processorWaits(), time.Now()
	defer func() { r.Waited = float64(processorWaits()-waited) / float64(time.Since(began)) }()

	stop, churned := make(chan struct{}), make(chan struct{})
	go func() { defer close(churned); s.churn(ctx, stop) }()
	endChurn := func() {
		close(stop)
		<-churned
	}
	// A fault hits at any time of a lease.
	if err := cluster.Pause(ctx, time.Duration(s.Rand.Int64N(int64(3*s.Timing.H)))); err != nil {
		endChurn()
		return err
	}
	above, err := s.hit(ctx, f, r)
	endChurn()
	if err != nil {
		return err
	}
	return s.settled(ctx, r, above)
}

// hit inflicts the fault, waits for the others to take over, and heals. It returns the incarnations that the fault ended.
func (s *Stage) hit(ctx context.Context, f nemesis.Fault, r *history.Round) (above map[history.Key]uint64, err error) {
	running, _, err := s.running()
	if err != nil {
		return nil, err
	}
	r.Inject = history.Now()
	bounded, cancel := context.WithTimeout(ctx, 2*s.Timing.Takeover()+s.Cluster.ShutdownTimeout)
	defer cancel()
	w, err := f.Hit(bounded, &nemesis.Scene{Cluster: s.Cluster, Register: s.Register, Rand: s.Rand})
	r.Victims, r.Failed = w.Victims, w.Failed
	above = make(map[history.Key]uint64)
	for k, lives := range running {
		for _, l := range lives {
			if slices.Contains(w.Victims, l.Node) {
				above[k] = max(above[k], l.Incarnation)
				r.Affected = append(r.Affected, k)
			}
		}
	}
	slices.SortFunc(r.Affected, func(a, b history.Key) int { return cmpKeys(a, b) })
	if err == nil && f.Takeover {
		s.takeover(ctx, r, above)
	}
	if w.Heal == nil {
		return above, err
	}
	if healed := w.Heal(ctx); healed != nil && err == nil {
		err = fmt.Errorf("repair: %w", healed)
	}
	r.Heal = history.Now()
	return above, err
}

// takeover waits until the children of the victims run elsewhere; in a pause round, until those have also written.
func (s *Stage) takeover(ctx context.Context, r *history.Round, above map[history.Key]uint64) {
	bounded, cancel := context.WithDeadline(ctx, time.Now().Add(s.Timing.Takeover()-history.Now().Sub(r.Inject)))
	defer cancel()
	err := cluster.Until(bounded, "the others to take over", func(context.Context) error {
		// What the client starts and terminates meanwhile is judged at the end.
		var wanted []history.Key
		for _, k := range s.Wanted() {
			if above[k] != 0 {
				wanted = append(wanted, k)
			}
		}
		running, _, err := s.running()
		if err != nil {
			return err
		}
		for _, k := range wanted {
			if !slices.ContainsFunc(running[k], func(l history.Life) bool {
				return l.Incarnation > above[k] && !slices.Contains(r.Victims, l.Node)
			}) {
				return fmt.Errorf("%s has not been taken over", k)
			}
		}
		return nil
	})
	if err != nil {
		s.Log("   %v", err)
		return
	}
	r.Taken = history.Now()
	r.TakeoverTime = r.Taken.Sub(r.Inject)
	if r.Pause {
		s.outwritten(ctx, r, above)
	}
}

// outwritten waits until the new incarnations have written to the register, so that it must refuse a stale write from then
// on; and where no stale writes are on their way already, until it has.
func (s *Stage) outwritten(ctx context.Context, r *history.Round, above map[history.Key]uint64) {
	bounded, cancel := context.WithTimeout(ctx, s.Timing.TTL)
	defer cancel()
	err := cluster.Until(bounded, "stale writes to be refused", func(context.Context) error {
		done, refused := make(map[history.Key]bool), s.Register.Waiting() > 0
		for _, w := range s.Register.Writes() {
			if w.Accepted && w.Incarnation > above[w.Key] {
				done[w.Key] = true
			}
			refused = refused || !w.Accepted && w.At > r.Inject
		}
		for _, k := range s.Wanted() {
			if above[k] != 0 && !done[k] {
				return fmt.Errorf("the new %s has not written", k)
			}
		}
		if !refused {
			return fmt.Errorf("none was")
		}
		return nil
	})
	if err != nil {
		s.Log("   %v", err)
	}
}

// settled waits until the set wanted runs, and then watches that nothing starts and nothing ends. Until T after the repair
// that begins the watch anew; what happens later is in the records.
func (s *Stage) settled(ctx context.Context, r *history.Round, above map[history.Key]uint64) error {
	limit := time.Now().Add(s.Timing.Recovery() - history.Now().Sub(r.Heal))
	// A little more than the bound: by how much it was missed is worth knowing.
	bounded, cancel := context.WithDeadline(ctx, limit.Add(s.Timing.Recovery()))
	defer cancel()
	for {
		if err := s.Settle(bounded, above); err != nil {
			s.Log("   %v", err)
			r.Wanted = s.Wanted()
			return nil // Converged stays 0
		}
		r.Converged = history.Now()
		r.RecoveryTime = r.Converged.Sub(r.Heal)
		r.Quiet = history.Interval{From: r.Converged, To: r.Converged.Add(s.Quiet)}
		disturbed, err := s.quiet(ctx, r.Quiet)
		if err != nil {
			return err
		}
		if disturbed == nil {
			break
		}
		s.Log("   disturbed: %v", disturbed)
		if time.Now().After(limit) {
			break
		}
	}
	r.Wanted = s.Wanted()
	var err error
	if r.Dump, err = s.dump(ctx); err != nil {
		return fmt.Errorf("the cluster's list: %w", err)
	}
	r.Down = s.down(ctx)
	p, err := s.Client.Events(bounded, 1<<53, false)
	if err != nil {
		return fmt.Errorf("the newest event: %w", err)
	}
	r.LastEvent = p.LastID
	return nil
}

// quiet watches until span is over, or the set that runs changes in it; disturbed says how.
func (s *Stage) quiet(ctx context.Context, span history.Interval) (disturbed, err error) {
	wanted := s.Wanted()
	for history.Now() < span.To {
		if err := cluster.Pause(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
		_, newest, err := s.running()
		if err != nil {
			return nil, err
		}
		if newest.Start > span.From {
			return fmt.Errorf("%s started", newest), nil
		}
		if err := s.exactly(wanted, nil); err != nil {
			return err, nil
		}
	}
	return nil, nil
}

func cmpKeys(a, b history.Key) int {
	switch x, y := a.String(), b.String(); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}
