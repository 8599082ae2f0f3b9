package node_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

// seen gathers what a callback is told.
type seen struct {
	mu   sync.Mutex
	list []sup.Event
}

func (s *seen) add(e sup.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, e)
}

func (s *seen) all() []sup.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

func (s *seen) has(typ sup.EventType, child sup.ChildID) bool {
	return slices.ContainsFunc(s.all(), func(e sup.Event) bool { return e.Type == typ && e.Child == child })
}

// Subscribers of every node are told of what happens from their subscription on, in order, without a gap and each once, also
// while the leader changes; and one that starts from an id is told what came after it.
func TestLifecycleEventsComeInOrderWhoeverLeads(t *testing.T) {
	c := newCluster(t, 3, 1, func(cfg *node.Config) { cfg.Exec.Enabled = false; cfg.Behaviors = greeters() })
	c.start("n1", "n2", "n3", "a1")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	leader := c.leader()
	watched := []sup.NodeName{"a1", c.follower()}
	told, up, down := map[sup.NodeName]*seen{}, map[sup.NodeName]*seen{}, map[sup.NodeName]*seen{}
	began, first := map[sup.NodeName]uint64{}, map[sup.NodeName]uint64{}
	for _, name := range watched {
		n := c.nodes[name]
		told[name], up[name], down[name] = &seen{}, &seen{}, &seen{}
		newest, err := n.LastEvent(ctx)
		if err != nil {
			t.Fatal(err)
		}
		began[name] = newest
		n.OnLifecycleEvent(told[name].add)
		n.OnNodeUp(func(who sup.NodeName) { up[name].add(sup.Event{Node: who}) })
		n.OnNodeDown(func(who sup.NodeName, why string) { down[name].add(sup.Event{Node: who, Reason: why}) })
	}
	pool, err := sup.Start(ctx, c.nodes["a1"], sup.Options{Name: "pool", Selector: sup.RoundRobin, Children: []sup.ChildSpec{
		{ID: "w1", Behavior: "greeter"}, {ID: "w2", Behavior: "greeter"}, {ID: "w3", Behavior: "greeter"}, {ID: "w4", Behavior: "greeter"}}})
	if err != nil {
		t.Fatal(err)
	}
	c.stop(leader)
	for i := range 5 {
		if _, err := pool.StartChild(ctx, sup.ChildSpec{ID: sup.ChildID(fmt.Sprintf("late%d", i)), Behavior: "greeter"}); err != nil {
			t.Fatal(err)
		}
	}
	c.start(leader)
	if err := pool.Stop(ctx, "enough"); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the leader is back", func() bool {
		return slices.ContainsFunc(up["a1"].all(), func(e sup.Event) bool { return e.Node == leader })
	})
	for _, name := range watched {
		await.True(t, "all is told at "+string(name), func() bool {
			return told[name].has(sup.EventSupervisorStopped, "") && len(up[name].all()) > 0
		})
		if first[name] = told[name].all()[0].ID; first[name] <= began[name] {
			t.Errorf("%s: told of event %d, which was there before %d", name, first[name], began[name])
		}
		if !slices.ContainsFunc(told[name].all(), func(e sup.Event) bool { return e.Type == sup.EventChildStarted && e.Child == "w1" }) {
			t.Errorf("%s: %+v", name, told[name].all()) // it was told from the subscription on
		}
		for i, e := range told[name].all() {
			if e.ID != first[name]+uint64(i) {
				t.Fatalf("%s: event %d is %d, want %d", name, i, e.ID, first[name]+uint64(i))
			}
		}
		if d := down[name].all(); len(d) != 1 || d[0].Node != leader || d[0].Reason == "" {
			t.Errorf("%s: down: %+v", name, d)
		}
		// Whoever knows what it has seen goes on from there, anywhere.
		enough := errors.New("enough")
		var again []sup.Event
		err := c.nodes[name].Follow(ctx, first["a1"]+2, func(e sup.Event) error {
			if again = append(again, e); e.Type == sup.EventSupervisorStopped {
				return enough
			}
			return nil
		})
		if err != enough || again[0].ID != first["a1"]+3 || !again[0].Time.Equal(told[watched[0]].all()[3].Time) {
			t.Errorf("%s: %v, %+v", name, err, again)
		}
	}
}

// A subscriber that is slow keeps its own pace, and delays neither the cluster nor others; when the history no longer holds
// what it has not seen, who follows is told so, and a subscription goes on with what is left.
func TestASlowSubscriberDelaysOnlyItself(t *testing.T) {
	c := newCluster(t, 1, 0, func(cfg *node.Config) {
		cfg.Exec.Enabled = false
		cfg.Behaviors = greeters()
		cfg.EventHistory = 64 << 10
	})
	c.start("n1")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	n := c.nodes["n1"]
	var slow, quick seen
	began, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	stopSlow := n.OnLifecycleEvent(func(e sup.Event) {
		once.Do(func() { close(began) })
		<-goOn
		slow.add(e)
	})
	stopQuick := n.OnLifecycleEvent(quick.add)
	pool, err := sup.Start(ctx, n, sup.Options{Name: "pool"})
	if err != nil {
		t.Fatal(err)
	}
	<-began
	start := n.Status().AppliedIndex
	for compacted := false; !compacted; {
		for i := range 50 {
			id := sup.ChildID(fmt.Sprintf("w%d", i))
			if _, err := pool.StartChild(ctx, sup.ChildSpec{ID: id, Behavior: "greeter"}); err != nil {
				t.Fatal(err)
			}
			if err := pool.TerminateChild(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		err := n.Follow(ctx, 0, func(sup.Event) error { return context.Canceled })
		var gap *sup.EventsCompactedError
		compacted = errors.As(err, &gap) && gap.Oldest > 1000
	}
	newest, err := n.LastEvent(ctx)
	if err != nil {
		t.Fatal(err)
	}
	await.True(t, "the quick one has all", func() bool { a := quick.all(); return len(a) > 0 && a[len(a)-1].ID >= newest })
	if got := quick.all(); got[0].ID+uint64(len(got))-1 != got[len(got)-1].ID {
		t.Errorf("the quick one has a gap: %d events from %d to %d", len(got), got[0].ID, got[len(got)-1].ID)
	}
	close(goOn)
	await.True(t, "the slow one goes on", func() bool { a := slow.all(); return len(a) > 0 && a[len(a)-1].ID >= newest })
	got := slow.all()
	gaps := 0
	for i := 1; i < len(got); i++ {
		if got[i].ID <= got[i-1].ID {
			t.Fatalf("%d after %d", got[i].ID, got[i-1].ID)
		}
		if got[i].ID > got[i-1].ID+1 {
			gaps++
		}
	}
	if gaps != 1 {
		t.Errorf("%d gaps in %d events, since index %d", gaps, len(got), start)
	}
	stopSlow()
	stopSlow()
	stopQuick()
	before := len(quick.all())
	if err := pool.Stop(ctx, ""); err != nil {
		t.Fatal(err)
	}
	if after := len(quick.all()); after != before {
		t.Error("told after stop")
	}
}

// stop returns when the callback is not running; the end of the node ends subscriptions and those who follow.
func TestTheEndOfASubscription(t *testing.T) {
	c := newCluster(t, 1, 0, func(cfg *node.Config) { cfg.Exec.Enabled = false })
	c.start("n1")
	c.ready()
	ctx := bounded(t, 30*time.Second)
	n := c.nodes["n1"]
	in, out := make(chan struct{}), make(chan struct{})
	running := false
	stop := n.OnLifecycleEvent(func(sup.Event) {
		running = true
		close(in)
		<-out
		running = false
	})
	if _, err := sup.Start(ctx, n, sup.Options{Name: "pool"}); err != nil {
		t.Fatal(err)
	}
	<-in
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	select {
	case <-stopped:
		t.Error("stop did not wait")
	case <-time.After(20 * time.Millisecond):
	}
	close(out)
	<-stopped
	if running {
		t.Error("it still runs")
	}
	n.OnLifecycleEvent(func(sup.Event) {})
	followed := make(chan error, 1)
	newest, err := n.LastEvent(ctx)
	if err != nil {
		t.Fatal(err)
	}
	go func() { followed <- n.Follow(ctx, newest, func(sup.Event) error { return nil }) }()
	c.stop("n1")
	if err := <-followed; code(err) != sup.CodeNoLeader {
		t.Errorf("%v", err)
	}
	n.OnNodeUp(func(sup.NodeName) {})() // of a node that is over: neither told nor waited for
}
