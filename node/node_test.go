package node_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	"github.com/supnode/supnode/node/agent/guardian"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/machine"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	guardian.RunIfGuardian()
	machine.Alone()
	goleak.VerifyTestMain(m)
}

// Requests and reads work on every node, a plain agent too; they reach the leader by themselves.
func TestEveryNodeAnswers(t *testing.T) {
	c := newCluster(t, 3, 1, nil)
	c.start("n1", "n2", "n3", "a1")
	c.ready()
	ctx := bounded(t, 30*time.Second)
	if _, err := c.nodes["a1"].Do(ctx, startSupervisor(sleeper("w1"), sleeper("w2"), sleeper("w3"), sleeper("w4")), ""); err != nil {
		t.Fatal(err)
	}
	on := map[sup.NodeName]bool{}
	for name, n := range c.nodes {
		a, err := n.Read(ctx, node.Query{Kind: node.QueryChildren, Supervisor: "pool"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(a.Children) != 4 {
			t.Fatalf("%s answers %d children", name, len(a.Children))
		}
		for _, ch := range a.Children {
			if ch.Status != sup.StatusRunning {
				t.Errorf("%s: %s is %s", name, ch.ID, ch.Status)
			}
			on[ch.Node] = true
		}
		if _, err := n.Read(ctx, node.Query{Kind: node.QueryNodes, Stale: true}); err != nil {
			t.Errorf("%s: stale read: %v", name, err)
		}
		if _, err := n.Read(ctx, node.Query{Kind: node.QueryChild, Supervisor: "pool", Child: "none"}); code(err) != sup.CodeChildNotFound {
			t.Errorf("%s: %v, want child_not_found", name, err)
		}
		if _, err := n.Read(ctx, node.Query{Kind: node.QueryChildren, Supervisor: "pool", After: "w1"}); code(err) != sup.CodeInvalidSpec {
			t.Errorf("%s: a cursor that is none: %v, want invalid_spec", name, err)
		}
	}
	if len(on) != 4 {
		t.Errorf("round_robin used the nodes %v, want all four", on)
	}
	if _, err := c.nodes["n1"].Do(ctx, fsm.Command{StopSupervisor: &fsm.StopSupervisor{Name: "pool"}}, ""); err != nil {
		t.Fatal(err)
	}
}

// A log that was removed is written to as before, and gone when the process ends.
func TestARemovedLogIsTold(t *testing.T) {
	c := newCluster(t, 1, 0, nil)
	c.start("n1")
	c.ready()
	if err := os.RemoveAll(filepath.Join(c.configs["n1"].DataDir, "raft")); err != nil {
		t.Fatal(err)
	}
	ready := c.nodes["n1"].Ready()
	if said := fmt.Sprint(ready.Checks); ready.Ready || !strings.Contains(said, "raft.db was removed while this process uses it") {
		t.Errorf("ready: %v, %s", ready.Ready, said)
	}
}

// The same key and body has its effect once, whatever node is asked and whoever leads (S36).
func TestRule_S36_KeyAcrossLeaders(t *testing.T) {
	c := newCluster(t, 3, 0, nil)
	c.start("n1", "n2", "n3")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	for _, name := range []sup.NodeName{"n1", "n2"} { // through another node it is the same request
		start := startSupervisor(sleeper("w1"))
		start.StartSupervisor.Home = name
		if _, err := c.nodes[name].Do(ctx, start, "start"); err != nil {
			t.Fatal(err)
		}
	}
	add := fsm.Command{StartChild: &fsm.StartChild{Supervisor: "pool", Spec: withDefaults(sleeper("extra"))}}
	first, err := c.nodes["n2"].Do(ctx, add, "add-extra")
	if err != nil {
		t.Fatal(err)
	}
	old := c.leader()
	c.stop(old)
	again, err := c.nodes[c.follower()].Do(ctx, add, "add-extra")
	if err != nil {
		t.Fatal(err)
	}
	if again.Index != first.Index || again.Child != "extra" {
		t.Errorf("repeated: %+v, first: %+v", again, first)
	}
	other := fsm.Command{StartChild: &fsm.StartChild{Supervisor: "pool", Spec: withDefaults(sleeper("another"))}}
	if _, err := c.nodes[c.follower()].Do(ctx, other, "add-extra"); code(err) != sup.CodeIdempotencyKeyReused {
		t.Errorf("another body under the same key: %v", err)
	}
}

func withDefaults(c sup.ChildSpec) *sup.ChildSpec {
	s := sup.Spec{Name: "x", Children: []sup.ChildSpec{c}}.WithDefaults()
	return &s.Children[0]
}

// Without a quorum a write is answered no_leader in time, and the children of the minority stop at their lease; all resumes
// with the quorum (S27).
func TestNoQuorum(t *testing.T) {
	c := newCluster(t, 3, 0, nil)
	c.start("n1", "n2", "n3")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	if _, err := c.nodes["n1"].Do(ctx, startSupervisor(sleeper("w1"), sleeper("w2"), sleeper("w3")), ""); err != nil {
		t.Fatal(err)
	}
	c.stop("n2")
	c.stop("n3")
	begin := time.Now()
	_, err := c.nodes["n1"].Do(node.WithLeaderTimeout(ctx, time.Second), startSupervisor(sleeper("w1")), "")
	if took := time.Since(begin); code(err) != sup.CodeNoLeader || took > 3*time.Second {
		t.Errorf("after %s: %v, want no_leader after 1s", took, err)
	}
	await.True(t, "n1 fences itself", func() bool { return !c.nodes["n1"].Ready().Ready })
	c.start("n2", "n3")
	c.ready()
	await.True(t, "all children run again", threeRun(ctx, c.nodes["n1"]))
}

// A node that leaves hands its children over: they run elsewhere when Leave returns, and nothing is counted (P3, S16).
func TestRule_P3_Leave(t *testing.T) {
	c := newCluster(t, 3, 0, nil)
	c.start("n1", "n2", "n3")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	if _, err := c.nodes["n1"].Do(ctx, startSupervisor(sleeper("w1"), sleeper("w2"), sleeper("w3")), ""); err != nil {
		t.Fatal(err)
	}
	for _, who := range []sup.NodeName{c.leader()} {
		if err := c.nodes[who].Leave(ctx); err != nil {
			t.Fatal(err)
		}
		delete(c.nodes, who)
	}
	rest := c.nodes[c.follower()]
	await.True(t, "all run on the rest", threeRun(ctx, rest))
	a, err := rest.Read(ctx, node.Query{Kind: node.QuerySupervisor, Supervisor: "pool"})
	if err != nil {
		t.Fatal(err)
	}
	if a.Supervisor.RestartsInWindow != 0 || a.Supervisor.NodeFailureRestarts != 0 {
		t.Errorf("a move was counted: %+v", a.Supervisor)
	}
}

// A whole cluster that was down runs every child again, once, with a larger incarnation (S27).
func TestRule_S27_WholeClusterDown(t *testing.T) {
	c := newCluster(t, 3, 0, nil)
	c.start("n1", "n2", "n3")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	if _, err := c.nodes["n1"].Do(ctx, startSupervisor(sleeper("w1"), sleeper("w2"), sleeper("w3")), ""); err != nil {
		t.Fatal(err)
	}
	before := incarnations(t, ctx, c.nodes["n1"])
	for _, n := range []sup.NodeName{"n1", "n2", "n3"} {
		c.stop(n)
	}
	c.start("n1", "n2", "n3")
	c.ready()
	await.True(t, "all run again", threeRun(ctx, c.nodes["n2"]))
	for id, inc := range incarnations(t, ctx, c.nodes["n3"]) {
		if inc <= before[id] {
			t.Errorf("%s: incarnation %d after %d", id, inc, before[id])
		}
	}
}

func incarnations(t *testing.T, ctx context.Context, n *node.Node) map[sup.ChildID]uint64 {
	t.Helper()
	a, err := n.Read(ctx, node.Query{Kind: node.QueryChildren, Supervisor: "pool"})
	if err != nil {
		t.Fatal(err)
	}
	m := map[sup.ChildID]uint64{}
	for _, c := range a.Children {
		m[c.ID] = c.Incarnation
	}
	return m
}

// The whole runs under mutual TLS too.
func TestClusterUnderTLS(t *testing.T) {
	dir := t.TempDir()
	ca, err := rpc.NewCA(dir, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c := newCluster(t, 3, 0, func(cfg *node.Config) {
		files, err := ca.IssueNode(dir, cfg.Name, []string{"127.0.0.1"}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		cfg.RPC.TLS = &node.TLSFiles{CA: files.CA, Cert: files.Cert, Key: files.Key}
	})
	c.start("n1", "n2", "n3")
	c.ready()
	if _, err := c.nodes["n2"].Do(bounded(t, 20*time.Second), startSupervisor(sleeper("w1"), sleeper("w2"), sleeper("w3")), ""); err != nil {
		t.Fatal(err)
	}
}

// A node whose file differs from the replicated settings is refused, and both values are named.
func TestOtherSettingsAreRefused(t *testing.T) {
	c := newCluster(t, 3, 1, nil)
	c.start("n1", "n2", "n3")
	c.ready()
	cfg := c.configs["a1"]
	cfg.LeaseTTL = 4 * time.Second
	n, err := node.Start(bounded(t, 10*time.Second), cfg)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-n.Done():
	case <-time.After(20 * time.Second):
		n.Close()
		t.Fatal("the node was not refused")
	}
	for _, want := range []string{"3s", "4s"} {
		if err := n.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

// A server that comes back with an empty data_dir has forgotten its votes: it is refused.
func TestEmptiedDataDirIsRefused(t *testing.T) {
	c := newCluster(t, 3, 0, nil)
	c.start("n1", "n2", "n3")
	c.ready()
	c.stop("n3")
	if err := os.RemoveAll(c.configs["n3"].DataDir); err != nil {
		t.Fatal(err)
	}
	if n, err := node.Start(bounded(t, 10*time.Second), c.configs["n3"]); err == nil {
		n.Close()
		t.Fatal("a server with an emptied data_dir was let in")
	}
}

// A server that has a log but no leader may lag: that it does not know a node says nothing, and one with an emptied
// data_dir must not vote on its word.
func TestEmptiedDataDirIsNotLetInByAServerThatLags(t *testing.T) {
	c := newCluster(t, 3, 0, nil)
	c.start("n1", "n2", "n3")
	c.ready()
	for _, name := range []sup.NodeName{"n1", "n2", "n3"} {
		c.stop(name)
	}
	if err := os.RemoveAll(c.configs["n3"].DataDir); err != nil {
		t.Fatal(err)
	}
	c.start("n1")
	n, err := node.Start(bounded(t, 2*time.Second), c.configs["n3"])
	if err == nil {
		n.Close()
		t.Fatal("a server with an emptied data_dir was let in by one that has no leader")
	}
	if !strings.Contains(err.Error(), "n1") {
		t.Errorf("%v does not say whom it waits for", err)
	}
}

// Servers whose files name different voters could elect two leaders: the first start finds that out.
func TestServersWithDifferentListsDoNotBegin(t *testing.T) {
	c := newCluster(t, 3, 0, nil)
	c.start("n1", "n2")
	c.ready()
	cfg := c.configs["n3"]
	cfg.Servers = append(slices.Clone(cfg.Servers), node.Server{Name: "n4", Addr: machine.Addr()}, node.Server{Name: "n5", Addr: machine.Addr()})
	n, err := node.Start(bounded(t, 5*time.Second), cfg)
	if err == nil {
		n.Close()
		t.Fatal("it was let in")
	}
	if !strings.Contains(err.Error(), "cluster.servers") || !strings.Contains(err.Error(), "n5") {
		t.Errorf("%v does not name the difference", err)
	}
}

// A server that starts for the first time when the others serve already is let in by their leader.
func TestALateServerIsLetIn(t *testing.T) {
	c := newCluster(t, 3, 0, nil)
	c.start("n1", "n2")
	c.ready()
	c.start("n3")
	c.ready()
}

// A supervisor of the config file is started once in the cluster's life, and never again after a stop.
func TestManifestsStartOnce(t *testing.T) {
	c := newCluster(t, 1, 0, func(cfg *node.Config) {
		cfg.Manifests = []sup.Spec{{Name: "pool", Children: []sup.ChildSpec{sleeper("w1")}}}
	})
	c.start("n1")
	c.ready()
	ctx := bounded(t, 30*time.Second)
	status := func() sup.Status {
		a, err := c.nodes["n1"].Read(ctx, node.Query{Kind: node.QuerySupervisor, Supervisor: "pool"})
		if err != nil {
			return ""
		}
		return a.Supervisor.Status
	}
	await.True(t, "it runs", func() bool { return status() == sup.StatusRunning })
	if _, err := c.nodes["n1"].Do(ctx, fsm.Command{StopSupervisor: &fsm.StopSupervisor{Name: "pool"}}, ""); err != nil {
		t.Fatal(err)
	}
	c.stop("n1")
	c.start("n1")
	c.ready()
	once := sup.Spec{Name: "pool", Children: []sup.ChildSpec{sleeper("w1")}}.WithDefaults()
	if _, err := c.nodes["n1"].Do(ctx, fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: once, Once: true}}, ""); err != nil {
		t.Errorf("asked once more: %v", err)
	}
	if s := status(); s != sup.StatusStopped {
		t.Errorf("after a stop and a restart of the node it is %q", s)
	}
}

// Another list of servers in the file of a cluster that lives is refused, and both are named; so is a server's address
// under a name that is none of theirs.
func TestMistakesInServersAreRefused(t *testing.T) {
	c := newCluster(t, 3, 0, nil)
	c.start("n1", "n2", "n3")
	c.ready()
	c.stop("n1")
	fewer := c.configs["n1"]
	fewer.Servers = fewer.Servers[:1]
	mistyped := c.configs["n1"]
	mistyped.Name, mistyped.DataDir = "m1", mistyped.DataDir+"-new"
	for _, wrong := range []struct {
		cfg  node.Config
		want []string
	}{{fewer, []string{"cluster.servers", "n2", "n3"}}, {mistyped, []string{"node.name", "m1", "n1"}}} {
		n, err := node.Start(bounded(t, 10*time.Second), wrong.cfg)
		if err == nil {
			n.Close()
			t.Errorf("started in spite of a wrong %s", wrong.want[0])
			continue
		}
		for _, w := range wrong.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v does not name %s", err, w)
			}
		}
	}
}
