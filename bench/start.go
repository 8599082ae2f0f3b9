package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/supnode/supnode/bench/figure"
)

const (
	startsAlone = 300
	startsMany  = 960
)

// start measures start_child over HTTP at the leader, in commands that only sleep.
func (b *bench) start(ctx context.Context, s *stage) error {
	b.say("start_child")
	leader, _, err := s.roles(ctx)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		what          string
		callers, each int
		wait          string
		bare          float64
		to            string
	}{
		{"start_child, 1 caller", 1, startsAlone, "started", b.base.commits, "bare commits/s, 1 applier (G2, actors: ≥ 0.7)"},
		{"start_child?wait=committed, 1 caller", 1, startsAlone, "committed", b.base.commits, "bare commits/s, 1 applier"},
		{"start_child, 32 callers", 32, startsMany / 32, "started", b.base.commits64, "bare commits/s, 64 appliers"},
		{"start_child?wait=committed, 32 callers", 32, startsMany / 32, "committed", b.base.commits64, "bare commits/s, 64 appliers"},
	} {
		s.pools++
		name := fmt.Sprintf("pool%d", s.pools)
		manifest := map[string]any{"name": name, "strategy": "one_for_one", "selector": "round_robin", "children": []any{}}
		if err := s.client.StartSupervisor(ctx, manifest, name); err != nil {
			return err
		}
		took, began := make([][]time.Duration, m.callers), time.Now()
		errs := make([]error, m.callers)
		var callers sync.WaitGroup
		for i := range m.callers {
			callers.Go(func() {
				client := s.Client(leader)
				defer client.Close()
				for j := range m.each {
					id := fmt.Sprintf("c%d-%d", i, j)
					spec := map[string]any{"id": id, "behavior": "exec", "restart": "temporary",
						"args": []any{map[string]any{"command": program, "args": []string{"3600"}}}}
					before := time.Now()
					if _, errs[i] = client.Do(ctx, "POST", "/v1/supervisors/"+name+"/children", url.Values{"wait": {m.wait}}, spec, nil, name+id); errs[i] != nil {
						return
					}
					took[i] = append(took[i], time.Since(before))
				}
			})
		}
		callers.Wait()
		whole := time.Since(began)
		if err := errors.Join(errs...); err != nil {
			return err
		}
		var sum []time.Duration
		for _, t := range took {
			sum = append(sum, t...)
		}
		rate := float64(len(sum)) / whole.Seconds()
		b.add(figure.Figure{What: m.what, Spread: figure.Of(sum), PerSecond: rate, Beside: figure.Over(rate, m.bare, m.to)})
		if err := s.client.StopSupervisor(ctx, name, "stop-"+name); err != nil {
			return err
		}
	}
	return nil
}
