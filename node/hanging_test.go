package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

var muleStick = actor.DefineCast[string]("mule.stick")

// mules are behaviors whose code does not return before the test lets go, whatever their contexts say.
func mules(letGo <-chan struct{}) *actor.Registry {
	b := actor.New("mule", func(_ *actor.Context, where string) (string, error) {
		if where == "init" {
			<-letGo
		}
		return where, nil
	})
	actor.OnCast(b, muleStick, func(_ *actor.Context, _ string, where string) error {
		if where == "handler" {
			<-letGo
		}
		return fmt.Errorf("kicked")
	})
	actor.OnTerminate(b, func(_ *actor.Context, where string, _ actor.Reason) {
		if where == "terminate" {
			<-letGo
		}
	})
	r := actor.NewRegistry()
	r.Register(b)
	return r
}

func mule(id, where string) *sup.ChildSpec {
	short := sup.Of(100 * time.Millisecond)
	args, _ := json.Marshal(where)
	spec := sup.ChildSpec{ID: sup.ChildID(id), Behavior: "mule", Args: []json.RawMessage{args}, ShutdownTimeout: &short, InitTimeout: &short,
		Selector: &sup.Selector{Kind: sup.SelectNode, Node: "n2", Fallback: sup.SelectLeastLoaded}}
	spec = spec.WithDefaults()
	return &spec
}

// A behavior that does not return holds its child where it is: that is told by event, readyz and metrics, whoever waits for it
// gets stop_pending, and nothing replaces it before it has returned.
func TestRule_S14_AHangingBehaviorIsToldAndNotReplaced(t *testing.T) {
	letGo := make(chan struct{})
	c := newCluster(t, 3, 0, func(cfg *node.Config) { cfg.Behaviors = mules(letGo) })
	c.start("n1", "n2", "n3")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	if _, err := c.nodes["n1"].Do(ctx, startSupervisor(*mule("handler", "handler"), *mule("terminate", "terminate")), ""); err != nil {
		t.Fatal(err)
	}
	n := c.nodes["n1"]
	before := map[sup.ChildID]uint64{"handler": c.child("handler").Incarnation, "terminate": c.child("terminate").Incarnation}
	group := fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: sup.Spec{
		Name: "group", Strategy: sup.OneForAll, Children: []sup.ChildSpec{*mule("stuck", "handler")},
	}.WithDefaults()}}
	if _, err := n.Do(ctx, group, ""); err != nil {
		t.Fatal(err)
	}
	for _, k := range []sup.Key{inPool("handler"), {Supervisor: "group", Child: "stuck"}} {
		if err := muleStick.Cast(ctx, n.Ref(k.Supervisor, k.Child), "handler"); err != nil {
			t.Fatal(err)
		}
	}
	if err := muleStick.Cast(ctx, n.Ref("pool", "terminate"), "terminate"); err != nil { // it ends by itself, and hangs in that
		t.Fatal(err)
	}
	tree := sup.ChildSpec{ID: "tree", Supervisor: &sup.Spec{Children: []sup.ChildSpec{*mule("deep", "init")}}}.WithDefaults()
	waiting := map[sup.ChildID]fsm.Command{ // by what hangs
		"handler": {RestartChild: &fsm.RestartChild{Key: inPool("handler")}},
		"init":    {StartChild: &fsm.StartChild{Supervisor: "pool", Spec: mule("init", "init")}},
		"deep":    {StartChild: &fsm.StartChild{Supervisor: "pool", Spec: &tree}},
		"stuck":   {RestartChild: &fsm.RestartChild{Key: sup.Key{Supervisor: "group", Child: "stuck"}}},
	}
	answers := make(chan error, len(waiting)+1)
	ask := func(what sup.ChildID, cmd fsm.Command) {
		_, err := n.Do(ctx, cmd, "")
		var p *sup.Problem
		if !errors.As(err, &p) || p.Code != sup.CodeStopPending || p.Child != what {
			err = fmt.Errorf("whoever waits for %s gets %w", what, err)
		} else {
			err = nil
		}
		answers <- err
	}
	for what, cmd := range waiting {
		go ask(what, cmd)
	}
	await.True(t, "all hang", func() bool { return len(c.hung(ctx)) == 5 })
	go ask("stuck", fsm.Command{StartChild: &fsm.StartChild{Supervisor: "group", Spec: mule("behind", "")}})
	for id, node := range c.hung(ctx) {
		if node != "n2" {
			t.Errorf("%s hangs on %s", id, node)
		}
	}
	ready := c.nodes["n2"].Ready()
	text := fmt.Sprint(ready.Checks)
	if !ready.Ready || !strings.Contains(text, "pool/handler (for ") || !strings.Contains(text, "pool/init (for ") || !strings.Contains(text, "pool/terminate (for ") {
		t.Errorf("readyz of n2: %v", ready)
	}
	if v := gathered(t, c.nodes["n2"], "supnode_actors_hanging"); v != 5 {
		t.Errorf("the metric says %v", v)
	}
	for range cap(answers) {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	for id, inc := range before {
		if ch := c.child(id); ch.Node != "n2" || ch.Incarnation != inc || !ch.Hanging {
			t.Errorf("%s: %+v", id, ch)
		}
	}
	close(letGo)
	for id, inc := range before {
		await.True(t, "it runs again", func() bool {
			ch := c.child(id)
			return ch.Status == sup.StatusRunning && ch.Incarnation > inc && !ch.Hanging
		})
	}
	await.True(t, "the one whose init failed is gone", func() bool {
		_, err := n.Read(ctx, node.Query{Kind: node.QueryChild, Supervisor: "pool", Child: "init"})
		return code(err) == sup.CodeChildNotFound
	})
	if text := fmt.Sprint(c.nodes["n2"].Ready().Checks); strings.Contains(text, "hanging") {
		t.Errorf("nothing hangs any more: %s", text)
	}
}

// hung are the children that are said to hang, and where.
func (c *cluster) hung(ctx context.Context) map[sup.ChildID]sup.NodeName {
	a, err := c.nodes["n1"].Read(ctx, node.Query{Kind: node.QueryEvents})
	if err != nil {
		c.t.Fatal(err)
	}
	all := map[sup.ChildID]sup.NodeName{}
	for _, e := range a.Events {
		if e.Type == sup.EventChildHanging {
			if all[e.Child] != "" {
				c.t.Errorf("%s is told twice to hang", e.Child)
			}
			all[e.Child] = e.Node
		}
	}
	return all
}

// gathered is the value of a metric without labels.
func gathered(t *testing.T, n *node.Node, name string) float64 {
	t.Helper()
	return labelled(t, n, name, "")
}

// labelled is the value of a metric with a label; "" = none.
func labelled(t *testing.T, n *node.Node, name, label string) float64 {
	t.Helper()
	families, err := n.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
