package node_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

// on counts the running children of pool by node, as a node that still runs answers.
func (c *cluster) on(ctx context.Context) map[sup.NodeName]int {
	c.t.Helper()
	by := map[sup.NodeName]int{}
	for _, n := range c.nodes {
		a, err := n.Read(ctx, node.Query{Kind: node.QueryChildren, Supervisor: "pool"})
		if err != nil {
			c.t.Fatal(err)
		}
		for _, ch := range a.Children {
			if ch.Status == sup.StatusRunning {
				by[ch.Node]++
			}
		}
		return by
	}
	return by
}

func (c *cluster) member(ctx context.Context, through, name sup.NodeName) sup.NodeInfo {
	c.t.Helper()
	a, err := c.nodes[through].Read(ctx, node.Query{Kind: node.QueryNode, Node: name})
	if err != nil {
		c.t.Fatal(err)
	}
	return *a.Node
}

func (c *cluster) do(ctx context.Context, through sup.NodeName, cmd fsm.Command) fsm.Outcome {
	c.t.Helper()
	o, err := c.nodes[through].Do(ctx, cmd, "")
	if err != nil {
		c.t.Fatal(err)
	}
	return o
}

func drain(n sup.NodeName) fsm.Command { return fsm.Command{Drain: &fsm.Drain{Node: n}} }

func undrain(n sup.NodeName) fsm.Command { return fsm.Command{Drain: &fsm.Drain{Node: n, Undo: true}} }

func pinned(id string, to sup.NodeName) sup.ChildSpec {
	c := sleeper(id)
	c.Selector = sup.OnNode(to)
	return c
}

func sleepers(n int) (all []sup.ChildSpec) {
	for i := range n {
		all = append(all, sleeper(fmt.Sprintf("w%d", i+1)))
	}
	return all
}

// A drained node hands over what can run elsewhere and keeps the rest, and says why. It stays drained when it starts again,
// until it is undrained; a rebalance brings children back, and a dry run says which.
func TestADrainedNodeStaysDrainedUntilItIsUndrained(t *testing.T) {
	c := newCluster(t, 3, 1, nil)
	c.start("n1", "n2", "n3", "a1")
	c.ready()
	ctx := bounded(t, 90*time.Second)
	c.do(ctx, "n1", startSupervisor(append(sleepers(8), pinned("p", "a1"))...))
	c.do(ctx, "a1", drain("a1"))
	await.True(t, "only the pinned child is on a1", func() bool { by := c.on(ctx); return by["a1"] == 1 && by["n1"]+by["n2"]+by["n3"] == 8 })
	m := c.member(ctx, "n1", "a1")
	if m.Status != "draining" || !m.Drained || m.ChildCount != 1 || len(m.Staying) != 1 || m.Staying[0].Child != "p" || !strings.Contains(m.Staying[0].Reason, "pinned") {
		t.Errorf("%+v", m)
	}
	if err := c.nodes["a1"].Leave(ctx); err != nil {
		t.Fatal(err)
	}
	delete(c.nodes, "a1")
	a, err := c.nodes["n1"].Read(ctx, node.Query{Kind: node.QueryChild, Supervisor: "pool", Child: "p"})
	if err != nil || a.Child.Status != sup.StatusPending && a.Child.Status != sup.StatusRestarting {
		t.Errorf("the pinned child is %+v, %v", a.Child, err)
	}
	c.start("a1")
	c.ready()
	if m := c.member(ctx, "n1", "a1"); m.Status != "draining" || m.ChildCount != 0 {
		t.Errorf("started again: %+v", m)
	}
	c.do(ctx, "n1", undrain("a1"))
	await.True(t, "the pinned child runs on a1", func() bool { return c.on(ctx)["a1"] == 1 })
	dry, err := c.nodes["n2"].Read(ctx, node.Query{Kind: node.QueryRebalance, Limit: 1})
	if err != nil || len(dry.Moves) != 1 || dry.Moves[0].To != "a1" {
		t.Errorf("dry: %+v, %v", dry.Moves, err)
	}
	if by := c.on(ctx); by["a1"] != 1 {
		t.Errorf("a dry run moved something: %v", by)
	}
	o := c.do(ctx, "a1", fsm.Command{Rebalance: &fsm.Rebalance{Max: 10}})
	if len(o.Moves) != 1 || o.Moves[0] != dry.Moves[0] {
		t.Errorf("moved %+v, the dry run said %+v", o.Moves, dry.Moves)
	}
	await.True(t, "the children are even", func() bool {
		by := c.on(ctx)
		return by["a1"] == 2 && by["n1"]+by["n2"]+by["n3"] == 7
	})
	in, err := c.nodes["n1"].Read(ctx, node.Query{Kind: node.QuerySupervisor, Supervisor: "pool"})
	if err != nil || in.Supervisor.TotalRestarts != 0 || in.Supervisor.RestartsInWindow != 0 {
		t.Errorf("counted: %+v, %v", in.Supervisor, err)
	}
}

// A server that is drained does not lead when another one can, and votes on.
func TestADrainedLeaderHandsLeadershipOver(t *testing.T) {
	c := newCluster(t, 3, 0, nil)
	c.start("n1", "n2", "n3")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	c.do(ctx, "n1", startSupervisor(sleepers(6)...))
	first := c.leader()
	c.do(ctx, first, drain(first))
	await.True(t, "another one leads", func() bool { return c.leader() != first })
	await.True(t, "nothing runs on the drained node", func() bool { by := c.on(ctx); return by[first] == 0 && len(by) == 2 })
	second := c.leader()
	c.stop(second) // the drained node's vote elects the third
	await.True(t, "the third one leads", func() bool { l := c.leader(); return l != first && l != second })
}

// What a node that leaves cannot hand over it stops in place, and the event node_left says what and why.
func TestALeavingNodeSaysWhatItLeft(t *testing.T) {
	c := newCluster(t, 3, 0, nil)
	c.start("n1", "n2", "n3")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	who := c.follower()
	c.do(ctx, who, startSupervisor(append(sleepers(3), pinned("p", who))...))
	began := time.Now()
	if err := c.nodes[who].Leave(ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it waited %s, though nobody was to take the child", took)
	}
	delete(c.nodes, who)
	rest := c.nodes[c.leader()]
	var left *sup.Event
	await.True(t, "node_left", func() bool {
		a, err := rest.Read(ctx, node.Query{Kind: node.QueryEvents})
		for i := range a.Events {
			if a.Events[i].Type == sup.EventNodeLeft {
				left = &a.Events[i]
			}
		}
		return err == nil && left != nil
	})
	if left.Node != who || left.Reason == "" || len(left.AffectedChildren) != 1 || left.AffectedChildren[0].Child != "p" {
		t.Errorf("%+v", left)
	}
	await.True(t, "the others run", func() bool { return len(c.on(ctx)) == 2 })
}

// Children that take too long to stop are stopped in place when the shutdown timeout is nearly over, and run elsewhere after.
func TestALeaveIsBoundedByTheShutdownTimeout(t *testing.T) {
	c := newCluster(t, 3, 0, func(cfg *node.Config) { cfg.ShutdownTimeout = 3 * time.Second })
	c.start("n1", "n2", "n3")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	who := c.follower()
	slow := sleeper("slow")
	slow.Args[0] = []byte(`{"command":"/bin/sh","args":["-c","trap '' TERM; while :; do sleep 1; done"]}`)
	forever := sup.Infinity
	slow.ShutdownTimeout, slow.Selector = &forever, &sup.Selector{Kind: sup.SelectNode, Node: who, Fallback: sup.SelectLeastLoaded}
	c.do(ctx, who, startSupervisor(slow))
	began := time.Now()
	if err := c.nodes[who].Leave(ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
	delete(c.nodes, who)
	await.True(t, "it runs elsewhere", func() bool { by := c.on(ctx); return len(by) == 1 && by[who] == 0 })
}

// The last node has nobody to hand over to: it stops everything in place, at once.
func TestTheLastNodeStopsInPlace(t *testing.T) {
	c := newCluster(t, 1, 0, nil)
	c.start("n1")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	c.do(ctx, "n1", startSupervisor(sleepers(4)...))
	began := time.Now()
	if err := c.nodes["n1"].Leave(ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	delete(c.nodes, "n1")
	c.start("n1")
	c.ready()
	await.True(t, "all run again", func() bool { return c.on(ctx)["n1"] == 4 })
}

// An agent that has left is forgotten, and another node may have its name; a server and a node that is there are in use.
func TestAForgottenNodesNameMayBeAnothers(t *testing.T) {
	c := newCluster(t, 3, 1, nil)
	c.start("n1", "n2", "n3", "a1")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	forget := func(n sup.NodeName) error {
		_, err := c.nodes["n1"].Do(ctx, fsm.Command{ForgetNode: &fsm.ForgetNode{Node: n}}, "")
		return err
	}
	for n, want := range map[sup.NodeName]sup.Code{"a1": sup.CodeNodeInUse, "n2": sup.CodeNodeInUse, "a9": sup.CodeNodeNotFound} {
		if err := forget(n); code(err) != want {
			t.Errorf("%s: %v, want %s", n, err, want)
		}
	}
	if err := c.nodes["a1"].Leave(ctx); err != nil {
		t.Fatal(err)
	}
	delete(c.nodes, "a1")
	if err := os.RemoveAll(c.configs["a1"].DataDir); err != nil {
		t.Fatal(err)
	}
	if err := forget("a1"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.nodes["n2"].Read(ctx, node.Query{Kind: node.QueryNode, Node: "a1"}); code(err) != sup.CodeNodeNotFound {
		t.Errorf("a1: %v", err)
	}
	c.start("a1") // with another data_dir it would be refused, were its name not free
	c.ready()
	if m := c.member(ctx, "n1", "a1"); m.Status != "up" {
		t.Errorf("%+v", m)
	}
}
