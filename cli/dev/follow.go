package dev

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/supnode/supnode/cli/client"
	sup "github.com/supnode/supnode/supervisor"
)

// The rhythm of looking for events.
const (
	lookEvery   = 100 * time.Millisecond
	lookTimeout = time.Second // a paused node takes the question and does not answer
)

type page struct {
	Events []sup.Event `json:"events"`
	Next   uint64      `json:"next"`
	LastID uint64      `json:"last_id"`
}

// follow sends every event after since until ctx ends. It asks one node for what that node knows, and another one when
// it does not answer.
func follow(ctx context.Context, nodes []*client.Client, since uint64, to chan<- sup.Event) {
	for asked := 0; ctx.Err() == nil; {
		p, err := look(ctx, nodes[asked%len(nodes)], since)
		if err != nil {
			asked++
		}
		for _, e := range p.Events {
			select {
			case to <- e:
				since = e.ID
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
		}
	}
}

// before is the id of the last event that is older than a time; 0 when none is.
func before(ctx context.Context, node *client.Client, t time.Time) (uint64, error) {
	since := uint64(0)
	for {
		var p page
		err := node.Get(ctx, &p, url.Values{"since": {strconv.FormatUint(since, 10)}}, "v1", "events")
		if refused := (*client.Problem)(nil); errors.As(err, &refused) && refused.Code == string(sup.CodeEventsCompacted) && refused.Bound > since {
			since = refused.Bound - 1
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("find the first new event: %w", err)
		}
		for _, e := range p.Events {
			if !e.Time.Before(t) {
				return since, nil
			}
			since = e.ID
		}
		if since >= p.LastID {
			return since, nil
		}
	}
}

func look(ctx context.Context, node *client.Client, since uint64) (page, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var p page
	err := node.Get(ctx, &p, url.Values{"since": {strconv.FormatUint(since, 10)}, "consistency": {"stale"}}, "v1", "events")
	return p, err
}
