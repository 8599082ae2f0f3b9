package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

// What a program asks for is checked before it reaches the log: a spec that breaks a rule, and text that no replica could read
// back, are refused as invalid_spec, and the cluster goes on.
func TestWhatIsNotValidNeverReachesTheLog(t *testing.T) {
	c := newCluster(t, 1, 1, func(cfg *node.Config) { cfg.Exec.Enabled = false; cfg.Behaviors = greeters() })
	c.start("n1", "a1")
	c.ready()
	ctx := bounded(t, 30*time.Second)
	for _, at := range []sup.NodeName{"n1", "a1"} {
		n := c.nodes[at]
		startWith := func(change func(*sup.Spec)) error {
			o := sup.Options{Name: "bad", Children: []sup.ChildSpec{{ID: "w", Behavior: "greeter"}}}
			change(&o)
			_, err := sup.Start(ctx, n, o)
			return err
		}
		child := func(c sup.ChildSpec) error {
			_, err := n.StartChild(ctx, "pool", c)
			return err
		}
		negative := sup.Duration(-5)
		for what, ask := range map[string]func() error{
			"children[0].id":           func() error { return startWith(func(s *sup.Spec) { s.Children[0].ID = "a b" }) },
			"children[1].id":           func() error { return startWith(func(s *sup.Spec) { s.Children = append(s.Children, s.Children[0]) }) },
			"strategy":                 func() error { return startWith(func(s *sup.Spec) { s.Strategy = "best_effort" }) },
			"selector":                 func() error { return startWith(func(s *sup.Spec) { s.Selector = &sup.Selector{} }) },
			"name":                     func() error { return startWith(func(s *sup.Spec) { s.Name = "\xff" }) },
			"children[0].args[0]":      func() error { return startWith(func(s *sup.Spec) { s.Children[0].Args = sup.Args(math.Inf(1)) }) },
			"restart_intensity.within": func() error { return startWith(func(s *sup.Spec) { s.Intensity = &sup.Intensity{Within: -1} }) },
			"id":                       func() error { return child(sup.ChildSpec{Behavior: "greeter"}) },
			"behavior":                 func() error { return child(sup.ChildSpec{ID: "x", Behavior: "greet\xffer"}) },
			"args[1]": func() error {
				return child(sup.ChildSpec{ID: "x", Behavior: "greeter", Args: []json.RawMessage{[]byte("1"), []byte("{")}})
			},
			"shutdown_timeout": func() error { return child(sup.ChildSpec{ID: "x", Behavior: "greeter", ShutdownTimeout: &negative}) },
			"request":          func() error { return n.StopSupervisor(ctx, "pool", "because\xff") },
			"request ": func() error {
				_, err := sup.Find(ctx, n, "po\xffol")
				return err
			},
			"args[0]": func() error {
				_, err := n.StartChildArgs(ctx, "pool", []json.RawMessage{[]byte("nul")})
				return err
			},
			"Idempotency-Key": func() error {
				return n.TerminateChild(node.WithIdempotencyKey(ctx, "k\xff"), sup.Key{Supervisor: "pool", Child: "x"})
			},
		} {
			var invalid *sup.InvalidSpecError
			if err := ask(); !errors.As(err, &invalid) || len(invalid.Errors) == 0 || invalid.Errors[0].Location != strings.TrimSpace(what) {
				t.Errorf("%s, asked at %s: %v", what, at, err)
			}
		}
		if err := startWith(func(s *sup.Spec) { s.Children[0].Args = sup.Args(func() {}) }); err == nil || !strings.Contains(err.Error(), "has no JSON form: json: unsupported type: func()") {
			t.Errorf("%v", err)
		}
		var large *sup.PayloadTooLargeError
		if err := n.StopSupervisor(ctx, "pool", strings.Repeat("because ", node.MaxRequest/8)); !errors.As(err, &large) || large.Bound != node.MaxRequest {
			t.Errorf("more than the log takes: %.100v", err)
		}
		if _, err := n.Do(ctx, fsm.Command{StartSupervisor: &fsm.StartSupervisor{}}, ""); code(err) != sup.CodeInvalidSpec {
			t.Errorf("without a name: %v", err)
		}
		if _, err := n.Do(ctx, fsm.Command{StartChild: &fsm.StartChild{Supervisor: "none", Spec: &sup.ChildSpec{ID: "w", Behavior: "greeter"}}}, ""); code(err) != sup.CodeSupervisorNotFound {
			t.Errorf("defaults are not needed: %v", err)
		}
	}
	pool, err := sup.Start(ctx, c.nodes["a1"], sup.Options{Children: []sup.ChildSpec{{ID: "w", Behavior: "greeter"}}})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(pool.Name()), "supervisor-") {
		t.Errorf("made the name %q", pool.Name())
	}
}

// A key makes a repeated request the same one, for handles too (S36).
func TestRule_S36_HandlesTakeAKey(t *testing.T) {
	c := newCluster(t, 1, 0, func(cfg *node.Config) { cfg.Exec.Enabled = false; cfg.Behaviors = greeters() })
	c.start("n1")
	c.ready()
	ctx := node.WithIdempotencyKey(bounded(t, 30*time.Second), "start-1")
	var names [2]sup.Name
	for i := range names {
		pool, err := sup.Start(ctx, c.nodes["n1"], sup.Options{Children: []sup.ChildSpec{{ID: "w", Behavior: "greeter"}}})
		if err != nil {
			t.Fatal(err)
		}
		names[i] = pool.Name()
	}
	if names[0] != names[1] {
		t.Errorf("two names: %v", names)
	}
	_, err := sup.Start(ctx, c.nodes["n1"], sup.Options{Name: "other", Children: []sup.ChildSpec{{ID: "w", Behavior: "greeter"}}})
	var reused *sup.IdempotencyKeyReusedError
	if !errors.As(err, &reused) {
		t.Errorf("another request under the key: %v", err)
	}
	if err := c.nodes["n1"].StopSupervisor(context.WithoutCancel(bounded(t, time.Second)), names[0], ""); err != nil {
		t.Error(err)
	}
}

// Whose patience is over while a request waits for others is told what it waits for.
func TestARequestThatIsGivenUpSaysWhatItWaitedFor(t *testing.T) {
	c := newCluster(t, 3, 1, func(cfg *node.Config) { cfg.Exec.Enabled = false; cfg.Behaviors = greeters() })
	c.start("n1", "n2", "n3", "a1")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	child := func(id sup.ChildID, on sup.NodeName) sup.ChildSpec {
		return sup.ChildSpec{ID: id, Behavior: "greeter", Selector: sup.OnNode(on)}
	}
	_, err := sup.Start(ctx, c.nodes["n1"], sup.Options{Name: "pool", Strategy: sup.RestForOne, Children: []sup.ChildSpec{
		child("w1", "n1"), {ID: "sub", Supervisor: &sup.Spec{Strategy: sup.OneForAll, Children: []sup.ChildSpec{child("far", "a1")}}}, child("w2", "n1")}})
	if err != nil {
		t.Fatal(err)
	}
	c.stop("a1")
	await.True(t, "the group to wait for a node", func() bool {
		a, err := c.nodes["n1"].Read(ctx, node.Query{Kind: node.QueryChild, Supervisor: "pool/sub", Child: "far"})
		return err == nil && a.Child.Status == sup.StatusPending
	})
	for _, at := range []sup.NodeName{"n1", "n2"} {
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		err := c.nodes[at].RestartChild(short, sup.Key{Supervisor: "pool/sub", Child: "far"})
		var none *sup.NoAvailableNodeError
		if !errors.As(err, &none) {
			t.Errorf("what waits itself is told at once: %v", err)
		}
		cancel()
		short, cancel = context.WithTimeout(ctx, 300*time.Millisecond)
		_, err = c.nodes[at].StartChild(short, "pool/sub", child("more", "n1"))
		if !errors.Is(err, context.DeadlineExceeded) ||
			!strings.Contains(err.Error(), "supervisor pool/sub is not done with child far: child pool/sub/far is pending (no_available_node") {
			t.Errorf("%s: %v", at, err)
		}
		cancel()
	}
	// The node that was asked ends meanwhile: what the leader has goes on, and its client is not told that nothing was done.
	leader, follower := c.nodes[c.leader()], c.nodes[c.follower()]
	waits := func() float64 { return labelled(t, leader, "supnode_queue_length", "requests") }
	await.True(t, "the requests to be given up", func() bool { return waits() == 0 })
	answer := make(chan error, 1)
	go func() { _, err := follower.StartChild(ctx, "pool/sub", child("last", "n1")); answer <- err }()
	await.True(t, "the leader to have the request", func() bool { return waits() == 1 })
	c.stop(follower.Name())
	if err := <-answer; code(err) != sup.CodeOutcomeUnknown || !strings.Contains(err.Error(), "shutting down; a leader had the request before") {
		t.Errorf("%v", err)
	}
}
