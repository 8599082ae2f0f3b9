package node_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

// A handle does all that a program wants of a supervisor, at any node, with typed errors.
func TestAHandleOnASupervisor(t *testing.T) {
	var mu sync.Mutex // guards logged
	var logged bytes.Buffer
	c := newCluster(t, 3, 1, func(cfg *node.Config) {
		cfg.Exec.Enabled, cfg.Behaviors = false, greeters()
		cfg.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: &logged, Mutex: &mu})
	})
	c.start("n1", "n2", "n3", "a1")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	none := sup.Name("pool")
	if _, err := sup.Find(ctx, c.nodes["a1"], none); !errors.As(err, new(*sup.SupervisorNotFoundError)) {
		t.Errorf("%v", err)
	}
	pool, err := sup.Start(ctx, c.nodes["a1"], sup.Options{
		Name: "pool", Strategy: sup.OneForOne, Selector: sup.RoundRobin,
		Intensity: &sup.Intensity{MaxRestarts: 1, Within: sup.Of(time.Minute)},
		Children: []sup.ChildSpec{
			{ID: "w1", Behavior: "greeter", Args: sup.Args(greeting{Text: "hello"})},
			{ID: "w2", Behavior: "greeter", Selector: sup.OnNode("a1")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := pool.StartChild(ctx, sup.ChildSpec{ID: "w3", Behavior: "greeter", Args: sup.Args(greeting{Text: "salut"}), Selector: sup.OnNode("a1")})
	if err != nil {
		t.Fatal(err)
	}
	if g, err := whoAmI.Call(ctx, ref, struct{}{}); err != nil || g.Greeting != "salut" || g.Node != "a1" {
		t.Errorf("%+v, %v", g, err)
	}
	children, err := pool.Children(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var ids []sup.ChildID
	for _, ch := range children {
		ids = append(ids, ch.ID)
		if ch.Ref.Key().Child != string(ch.ID) || ch.StartedAt == nil || ch.RestartCount != 0 {
			t.Errorf("%+v", ch)
		}
	}
	if !slices.Equal(ids, []sup.ChildID{"w1", "w2", "w3"}) || children[2].Ref != ref {
		t.Errorf("children %v", ids)
	}

	again, err := pool.RestartChild(ctx, "w3")
	if err != nil || again != ref {
		t.Errorf("%v %v", again, err)
	}
	w3, err := pool.Child(ctx, "w3")
	if err != nil || w3.RestartCount != 1 || w3.Node != "a1" || w3.Incarnation <= children[2].Incarnation {
		t.Errorf("%+v, %v", w3, err)
	}
	if g, err := whoAmI.Call(ctx, w3.Ref, struct{}{}); err != nil || g.Incarnation != w3.Incarnation {
		t.Errorf("%+v, %v", g, err)
	}

	for what, err := range map[string]error{
		"duplicate": func() error { _, err := pool.StartChild(ctx, sup.ChildSpec{ID: "w1", Behavior: "greeter"}); return err }(),
		"missing":   pool.TerminateChild(ctx, "w9"),
		"behavior":  func() error { _, err := pool.StartChild(ctx, sup.ChildSpec{ID: "w4", Behavior: "nobodys"}); return err }(),
		"pin": func() error {
			_, err := pool.StartChild(ctx, sup.ChildSpec{ID: "w4", Behavior: "greeter", Selector: sup.OnNode("n9")})
			return err
		}(),
		"init": func() error {
			_, err := pool.StartChild(ctx, sup.ChildSpec{ID: "w4", Behavior: "greeter", Args: sup.Args(greeting{Fail: "error"})})
			return err
		}(),
		"args": func() error { _, err := pool.StartChildArgs(ctx, 1); return err }(),
		"name": func() error { _, err := sup.Start(ctx, c.nodes["n1"], sup.Options{Name: "pool"}); return err }(),
	} {
		var (
			duplicate *sup.DuplicateChildError
			missing   *sup.ChildNotFoundError
			behavior  *sup.BehaviorNotFoundError
			nobody    *sup.NoAvailableNodeError
			failed    *sup.InitFailedError
			strategy  *sup.WrongStrategyError
			name      *sup.DuplicateSupervisorError
		)
		ok := false
		switch what {
		case "duplicate":
			ok = errors.As(err, &duplicate) && *duplicate == sup.DuplicateChildError{Supervisor: "pool", Child: "w1"}
		case "missing":
			ok = errors.As(err, &missing) && *missing == sup.ChildNotFoundError{Supervisor: "pool", Child: "w9"}
		case "behavior":
			ok = errors.As(err, &behavior) && *behavior == sup.BehaviorNotFoundError{Behavior: "nobodys"}
		case "pin":
			ok = errors.As(err, &nobody) && nobody.Child == "w4" && len(nobody.Reasons) == 5
		case "init":
			ok = errors.As(err, &failed) && failed.Child == "w4" && failed.Node != "" && failed.Reason == "the database is not there"
		case "args":
			ok = errors.As(err, &strategy) && strategy.Strategy == sup.OneForOne
		case "name":
			ok = errors.As(err, &name) && name.Supervisor == "pool"
		}
		if !ok {
			t.Errorf("%s: %v", what, err)
		}
	}

	if err := pool.TerminateChild(ctx, "w2"); err != nil {
		t.Fatal(err)
	}
	if n, err := pool.CountChildren(ctx); err != nil || n != (sup.Counts{Specs: 2, Active: 2, Workers: 2}) {
		t.Errorf("%+v, %v", n, err)
	}
	found, err := sup.Find(ctx, c.nodes["n2"], "pool") // a handle on another node
	if err != nil {
		t.Fatal(err)
	}
	if s, err := found.Stats(ctx); err != nil || s.ChildCount != 2 || s.ChildrenByNode["a1"] < 1 || s.UptimeMS <= 0 || found.Name() != "pool" {
		t.Errorf("%+v, %v", s, err)
	}
	if on, err := found.IsRunning(ctx); err != nil || !on {
		t.Errorf("running: %v, %v", on, err)
	}

	// Too many crashes: the supervisor stops, and says so to whoever asks something of it (S15, S45).
	for range 2 {
		before, err := pool.Child(ctx, "w3")
		if err != nil {
			t.Fatal(err)
		}
		if err := burst.Cast(ctx, ref, "a bad day"); err != nil {
			t.Fatal(err)
		}
		await.True(t, "w3 runs again, or the supervisor has stopped", func() bool {
			s, err := pool.Stats(ctx)
			if err != nil {
				t.Fatal(err)
			}
			now, err := pool.Child(ctx, "w3")
			return s.Status == sup.StatusStopped || err == nil && now.Status == sup.StatusRunning && now.Incarnation > before.Incarnation
		})
	}
	_, err = pool.RestartChild(ctx, "w1")
	var exceeded *sup.MaxRestartsExceededError
	if !errors.As(err, &exceeded) || exceeded.MaxRestarts != 1 || exceeded.Within.Std() != time.Minute {
		t.Errorf("%v", err)
	}
	if on, err := pool.IsRunning(ctx); err != nil || on {
		t.Errorf("running: %v, %v", on, err)
	}
	if s, err := pool.Stats(ctx); err != nil || s.Reason != sup.ReasonMaxRestartsExceeded {
		t.Errorf("%+v, %v", s, err)
	}

	// The name is free again, and a stop by hand is another error than one by intensity.
	pool, err = sup.Start(ctx, c.nodes["n3"], sup.Options{Name: "pool", Children: []sup.ChildSpec{{ID: "w1", Behavior: "greeter"}}})
	if err != nil {
		t.Fatal(err)
	}
	if w1, err := pool.Child(ctx, "w1"); err != nil || w1.Node != "n3" { // local_first: the home
		t.Errorf("%+v, %v", w1, err)
	}
	changes, err := pool.Apply(ctx, sup.Options{Selector: sup.Random, Children: []sup.ChildSpec{{ID: "w1", Behavior: "greeter"}, {ID: "w2", Behavior: "greeter", Significant: true}}})
	if err != nil || len(changes) != 2 || changes[0].Action != sup.ChangeSet || changes[1].Action != sup.ChangeStart || changes[1].Child != "w2" {
		t.Errorf("%+v, %v", changes, err)
	}
	mu.Lock()
	if !strings.Contains(logged.String(), "significant has no effect") { // S39
		t.Errorf("of the manifest that was applied the log says %q", logged.String())
	}
	mu.Unlock()
	if _, err := pool.Apply(ctx, sup.Options{Name: "other"}); code(err) != sup.CodeInvalidSpec {
		t.Errorf("%v", err)
	}
	if err := pool.Stop(ctx, sup.ReasonShutdown); err != nil {
		t.Fatal(err)
	}
	var stopped *sup.SupervisorStoppedError
	if err := pool.Stop(ctx, ""); !errors.As(err, &stopped) || stopped.Reason != sup.ReasonShutdown {
		t.Errorf("%v", err)
	}
}

// A program that goes on with a node that has ended is told so at once, whatever it asks, and may start it again; a start
// heeds its context.
func TestANodeThatHasEnded(t *testing.T) {
	c := newCluster(t, 1, 0, func(cfg *node.Config) { cfg.Exec.Enabled = false; cfg.Behaviors = greeters() })
	c.start("n1")
	c.ready()
	n := c.nodes["n1"]
	ctx := bounded(t, 60*time.Second)
	if _, err := sup.Start(ctx, n, sup.Options{Name: "pool", Children: []sup.ChildSpec{{ID: "w1", Behavior: "greeter"}}}); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := node.Start(soon, c.configs["n1"]); err == nil || !strings.Contains(err.Error(), "in use by this very process") {
		t.Errorf("a second start: %v", err)
	}
	c.stop("n1")
	ref := n.Ref("pool", "w1")
	_, called := whoAmI.Call(ctx, ref, struct{}{})
	_, asked := sup.Find(ctx, n, "pool")
	stop := n.OnLifecycleEvent(func(e sup.Event) { t.Errorf("%+v", e) })
	stop()
	for what, err := range map[string]error{
		"a call": called, "a cast": burst.Cast(ctx, ref, ""), "a question": asked, "events": n.Follow(ctx, 0, func(sup.Event) error { return nil }),
	} {
		if !errors.Is(err, actor.ErrClosed) && code(err) != sup.CodeNoLeader {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := errors.Join(n.Leave(ctx), n.Close(), n.Err()); err != nil {
		t.Errorf("ended once more: %v", err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := node.Start(over, c.configs["n1"]); !errors.Is(err, context.Canceled) {
		t.Errorf("a start that is cancelled: %v", err)
	}
	c.start("n1")
}
