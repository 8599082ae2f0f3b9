package node_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

// Whoever waits for events gets them when they happen, at every node, also at one without a replica.
func TestEventsAreWaitedForAtEveryNode(t *testing.T) {
	c := newCluster(t, 3, 1, nil)
	c.start("n1", "n2", "n3", "a1")
	c.ready()
	ctx := bounded(t, 30*time.Second)
	now, err := c.nodes["n1"].Read(ctx, node.Query{Kind: node.QueryEvents})
	if err != nil {
		t.Fatal(err)
	}
	type got struct {
		name sup.NodeName
		ans  node.Answer
		err  error
	}
	answers := make(chan got)
	for name, n := range c.nodes {
		go func() {
			a, err := n.Read(ctx, node.Query{Kind: node.QueryEvents, Stale: true, Since: now.LastEvent, Wait: node.MaxWait})
			answers <- got{name, a, err}
		}()
	}
	if _, err := c.nodes["n2"].Do(ctx, startSupervisor(sleeper("w1")), ""); err != nil {
		t.Fatal(err)
	}
	for range c.nodes {
		g := <-answers
		if g.err != nil || len(g.ans.Events) == 0 || g.ans.Events[0].ID != now.LastEvent+1 {
			t.Errorf("%s: %+v, %v", g.name, g.ans.Events, g.err)
		}
	}
	// Nothing happens: the wait has its end.
	newest, err := c.nodes["a1"].Read(ctx, node.Query{Kind: node.QueryEvents, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []sup.NodeName{"n1", "a1"} {
		a, err := c.nodes[name].Read(ctx, node.Query{Kind: node.QueryEvents, Stale: true, Since: newest.LastEvent, Wait: 50 * time.Millisecond})
		if err != nil || len(a.Events) != 0 {
			t.Errorf("%s: %+v, %v", name, a.Events, err)
		}
	}
	// Nothing is too old about the events after an id that nobody will ever see.
	for _, name := range []sup.NodeName{"n1", "a1"} {
		a, err := c.nodes[name].Read(ctx, node.Query{Kind: node.QueryEvents, Since: math.MaxUint64})
		if err != nil || len(a.Events) != 0 {
			t.Errorf("%s: %+v, %v", name, a.Events, err)
		}
	}
	// The end of the caller's patience, or of the node, ends the wait too.
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := c.nodes["n1"].Read(short, node.Query{Kind: node.QueryEvents, Stale: true, Since: newest.LastEvent + 1000, Wait: node.MaxWait}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := c.nodes["n3"].Read(ctx, node.Query{Kind: node.QueryEvents, Stale: true, Since: newest.LastEvent + 1000, Wait: node.MaxWait})
		ended <- err
	}()
	c.stop("n3")
	if err := <-ended; code(err) != sup.CodeNoLeader {
		t.Errorf("%v", err)
	}
}
