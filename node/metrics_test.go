package node_test

import (
	"testing"
	"time"

	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

// observed is how often a histogram with a phase was observed at a node.
func observed(t *testing.T, n *node.Node, name, phase string) uint64 {
	t.Helper()
	families, err := n.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == phase {
				return m.GetHistogram().GetSampleCount()
			}
		}
	}
	t.Fatalf("there is no %s of phase %s", name, phase)
	return 0
}

func TestFailoversAreTimedByPhase(t *testing.T) {
	c := newCluster(t, 3, 1, nil)
	c.start("n1", "n2", "n3", "a1")
	c.ready()
	ctx, leader := bounded(t, 60*time.Second), c.leader()
	w1 := sleeper("w1")
	w1.Selector = &sup.Selector{Kind: sup.SelectNode, Node: leader, Fallback: sup.SelectLeastLoaded}
	if _, err := c.nodes[leader].Do(ctx, startSupervisor(w1), ""); err != nil {
		t.Fatal(err)
	}
	child, err := c.nodes[leader].Read(ctx, node.Query{Kind: node.QueryChild, Supervisor: "pool", Child: "w1"})
	if err != nil || child.Child.Node != leader {
		t.Fatalf("%+v, %v", child.Child, err)
	}
	c.stop(leader)
	for name, n := range c.nodes {
		if name == leader || name == "a1" {
			continue
		}
		for _, phase := range []string{"election", "restart"} {
			await.True(t, string(name)+" times the phase "+phase, func() bool { return observed(t, n, "supnode_failover_seconds", phase) == 1 })
		}
	}
	// An agent has figures too, of what it has.
	families, err := c.nodes["a1"].Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "supnode_children" || f.GetName() == "supnode_failover_seconds" {
			t.Errorf("an agent has %s", f.GetName())
		}
	}
}
