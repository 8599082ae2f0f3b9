package cluster

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// poll is how often a condition over HTTP is asked for.
const poll = 25 * time.Millisecond

// Until polls until ok says yes, and returns why it did not when ctx is over.
func Until(ctx context.Context, what string, ok func(context.Context) error) error {
	for {
		err := ok(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gave up waiting for %s: %w", what, err)
		case <-time.After(poll):
		}
	}
}

// Pause waits for no condition but time, unless ctx is over before.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Ready waits until each of the nodes says that it is ready.
func (c *Cluster) Ready(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := Until(ctx, name+" to be ready", func(ctx context.Context) error { return c.Node(name).IsReady(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// IsReady asks the node once whether it is ready, and returns its own words when it is not.
func (n *Node) IsReady(ctx context.Context) error {
	if !n.Running() {
		return ErrNotRunning
	}
	cl := n.cluster.Client(n.Name)
	defer cl.Close()
	cl.try = time.Second
	return cl.Once(ctx, cl.bases[0], http.MethodGet, "/readyz", nil, nil, nil, "")
}

// Status asks the node for its own view.
func (n *Node) Status(ctx context.Context) (s Status, err error) {
	if !n.Running() {
		return s, ErrNotRunning
	}
	cl := n.cluster.Client(n.Name)
	defer cl.Close()
	cl.try = 500 * time.Millisecond
	err = cl.Once(ctx, cl.bases[0], http.MethodGet, "/v1/status", url.Values{}, nil, &s, "")
	return s, err
}

// Leader waits for a node, none of but, that says it leads, and that most nodes of the cluster call the leader.
func (c *Cluster) Leader(ctx context.Context, but ...string) (leader string, err error) {
	err = Until(ctx, "a leader", func(ctx context.Context) error {
		votes := make(map[string]int)
		var claims []string
		for _, name := range c.Others(but...) {
			s, err := c.Node(name).Status(ctx)
			if err != nil {
				continue
			}
			votes[s.Leader]++
			if s.Role == "leader" {
				claims = append(claims, name)
			}
		}
		for _, name := range claims {
			if votes[name] > len(c.nodes)/2 {
				leader = name
				return nil
			}
		}
		return fmt.Errorf("%v claim it, the votes are %v", claims, votes)
	})
	return leader, err
}
