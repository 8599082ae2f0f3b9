package rounds

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/proc"
)

// consumer reads the events from the first one on, as long as it lives.
type consumer struct {
	client *cluster.Client
	stale  bool
	name   string

	mu     sync.Mutex // guards events
	events []history.Event
}

// pollEvents is how often a consumer asks for more.
const pollEvents = 100 * time.Millisecond

func (c *consumer) run(ctx context.Context) {
	for {
		c.step(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pollEvents):
		}
	}
}

// step reads one page. What cannot be read now is read later.
func (c *consumer) step(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	p, err := c.client.Events(ctx, c.last(), c.stale)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, p.Events...)
}

func (c *consumer) last() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.events) == 0 {
		return 0
	}
	return c.events[len(c.events)-1].ID
}

func (c *consumer) stream() history.Stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return history.Stream{Consumer: c.name, Events: c.events[:len(c.events):len(c.events)]}
}

// Events is what the first consumer has seen so far.
func (s *Stage) Events() []history.Event { return s.consumers[0].stream().Events }

// drain waits until every consumer has come to the newest event.
func (s *Stage) drain(ctx context.Context) error {
	p, err := s.Client.Events(ctx, 1<<53, false)
	if err != nil {
		return fmt.Errorf("the newest event: %w", err)
	}
	return cluster.Until(ctx, "the consumers to see the newest event", func(context.Context) error {
		for _, c := range s.consumers {
			if c.last() < p.LastID {
				return fmt.Errorf("%s is at %d of %d", c.name, c.last(), p.LastID)
			}
		}
		return nil
	})
}

// watchTime notes how long the machine keeps the harness waiting for a processor: what a node suffered too, perhaps.
func (s *Stage) watchTime(ctx context.Context) {
	const beat = 5 * time.Millisecond
	for before := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(beat):
		}
		now := time.Now()
		s.mu.Lock()
		s.stalled = max(s.stalled, now.Sub(before)-beat)
		s.mu.Unlock()
		before = now
	}
}

// processorWaits is for how long some process has waited for a processor; 0 where the kernel does not tell.
func processorWaits() time.Duration {
	d, _ := proc.Waited()
	return d
}

func (s *Stage) takeStalled() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.stalled
	s.stalled = 0
	return d
}

// watchAround looks for connections around the links.
func (s *Stage) watchAround(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
		found, err := s.Cluster.Around()
		s.mu.Lock()
		for _, a := range found {
			s.around[a] = true
		}
		if err != nil {
			s.around["cannot look for one: "+err.Error()] = true
		}
		s.mu.Unlock()
	}
}
