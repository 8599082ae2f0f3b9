package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

var (
	whoAmI = actor.DefineCall[struct{}, greeter]("greeter.who")
	burst  = actor.DefineCast[string]("greeter.burst")
)

type greeter struct {
	Greeting    string
	Node        string
	Incarnation uint64
}

type greeting struct {
	Text string `json:"text"`
	Fail string `json:"fail"`
}

// greeters is the behavior of these tests, as a program would register it on each node.
func greeters() *actor.Registry {
	b := actor.New("greeter", func(c *actor.Context, g greeting) (*greeter, error) {
		switch g.Fail {
		case "error":
			return nil, errors.New("the database is not there")
		case "hang":
			<-c.Done()
		}
		return &greeter{g.Text, c.Node(), uint64(c.Incarnation())}, nil
	})
	actor.OnCall(b, whoAmI, func(_ *actor.Context, g *greeter, _ struct{}) (greeter, error) { return *g, nil })
	actor.OnCast(b, burst, func(_ *actor.Context, _ *greeter, why string) error { panic(why) })
	r := actor.NewRegistry()
	r.Register(b)
	return r
}

func greets(id, args string, pin sup.NodeName) sup.ChildSpec {
	return sup.ChildSpec{ID: sup.ChildID(id), Behavior: "greeter", Selector: sup.OnNode(pin),
		Args: []json.RawMessage{json.RawMessage(args)}}
}

func (c *cluster) child(id sup.ChildID) *sup.ChildInfo {
	c.t.Helper()
	for _, n := range c.nodes {
		a, err := n.Read(bounded(c.t, 10*time.Second), node.Query{Kind: node.QueryChild, Supervisor: "pool", Child: id})
		if err != nil {
			c.t.Fatal(err)
		}
		return a.Child
	}
	return nil
}

// A Go behavior is announced, runs where its supervisor wants it with the args of its spec, crashes with its stack on
// record, comes back, and stops.
func TestGoBehaviorsAreChildren(t *testing.T) {
	c := newCluster(t, 3, 0, func(cfg *node.Config) {
		if cfg.Name != "n3" {
			cfg.Behaviors = greeters()
		}
		cfg.Exec.Enabled = false
	})
	c.start("n1", "n2", "n3")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	if _, err := c.nodes["n1"].Do(ctx, startSupervisor(greets("w1", `{"text": "hello"}`, "n1"), greets("w2", `{"text": "salut"}`, "n2")), ""); err != nil {
		t.Fatal(err)
	}
	who := func(id sup.ChildID, on sup.NodeName) greeter {
		t.Helper()
		g, err := whoAmI.Call(ctx, c.nodes[on].Ref("pool", id), struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	first := who("w2", "n2") // asked for on n1
	if want := (greeter{"salut", "n2", c.child("w2").Incarnation}); first != want {
		t.Errorf("%+v, want %+v", first, want)
	}

	if err := burst.Cast(ctx, c.nodes["n2"].Ref("pool", "w2"), "a bad day"); err != nil {
		t.Fatal(err)
	}
	await.True(t, "w2 runs again", func() bool { ch := c.child("w2"); return ch.RestartCount == 1 && ch.Status == sup.StatusRunning })
	if again := who("w2", "n2"); again.Incarnation <= first.Incarnation || again.Greeting != "salut" {
		t.Errorf("%+v after %+v", again, first)
	}
	exit := c.child("w2").LastExit
	if exit == nil || exit.Reason != sup.ExitError || !strings.Contains(exit.Detail, "panic at greeter.burst: a bad day\n") || !strings.Contains(exit.Detail, "actors_test.go") {
		t.Errorf("last exit: %+v", exit)
	}

	_, err := c.nodes["n3"].Do(ctx, fsm.Command{StartChild: &fsm.StartChild{Supervisor: "pool", Spec: withDefaults(greets("w3", `{}`, "n3"))}}, "")
	if code(err) != sup.CodeBehaviorNotFound {
		t.Errorf("on a node without it: %v", err)
	}
	for _, bad := range []struct{ args, detail string }{
		{`{"fail": "error"}`, "the database is not there"},
		{`{"txt": "x"}`, `unknown field "txt"`},
		{`{"fail": "hang"}`, "init did not return within 300ms"},
	} {
		spec := greets("bad", bad.args, "n2")
		limit := sup.Duration(300 * time.Millisecond)
		spec.InitTimeout = &limit
		_, err := c.nodes["n1"].Do(ctx, fsm.Command{StartChild: &fsm.StartChild{Supervisor: "pool", Spec: withDefaults(spec)}}, "")
		var p *sup.Problem
		if !errors.As(err, &p) || p.Code != sup.CodeInitFailed || p.Node != "n2" || !strings.Contains(p.Detail+p.Reason, bad.detail) {
			t.Errorf("%s: %v", bad.args, err)
		}
	}

	if _, err := c.nodes["n3"].Do(ctx, fsm.Command{TerminateChild: &fsm.TerminateChild{Key: sup.Key{Supervisor: "pool", Child: "w2"}}}, ""); err != nil {
		t.Fatal(err)
	}
	if err := burst.Cast(context.Background(), c.nodes["n2"].Ref("pool", "w2"), "x"); !errors.Is(err, actor.ErrGone) {
		t.Errorf("a cast to a child that was stopped: %v", err)
	}
	if n := c.nodes["n2"].Actors().Stats().Actors; n != 0 {
		t.Errorf("n2 still has %d actors", n)
	}
}
