package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/machine"
)

// cluster is a cluster of nodes in this process, over real sockets and disks.
type cluster struct {
	t       *testing.T
	configs map[sup.NodeName]node.Config
	nodes   map[sup.NodeName]*node.Node
}

// newCluster makes the configurations of servers n1…, and of plain agents a1….
func newCluster(t *testing.T, servers, agents int, change func(*node.Config)) *cluster {
	t.Helper()
	c := &cluster{t: t, configs: map[sup.NodeName]node.Config{}, nodes: map[sup.NodeName]*node.Node{}}
	var list []node.Server
	for i, addr := range machine.Addrs(servers) {
		list = append(list, node.Server{Name: sup.NodeName(fmt.Sprintf("n%d", i+1)), Addr: addr})
	}
	dir := t.TempDir()
	add := func(name sup.NodeName, addr string) {
		cfg := node.Config{
			Name: name, DataDir: filepath.Join(dir, string(name)), Servers: list,
			HeartbeatInterval: 300 * time.Millisecond, LeaseTTL: 3 * time.Second, ShutdownTimeout: 10 * time.Second,
			RPC:  node.RPCConfig{Listen: addr},
			Exec: node.ExecConfig{Enabled: true, Allow: []string{"/bin/*", "/usr/bin/*"}},
		}
		if os.Getenv("SUPNODE_TEST_LOG") != "" {
			cfg.Logger = hclog.New(&hclog.LoggerOptions{Name: string(name), Level: hclog.Debug})
		}
		if change != nil {
			change(&cfg)
		}
		c.configs[name] = cfg
	}
	for _, s := range list {
		add(s.Name, s.Addr)
	}
	for i, addr := range machine.Addrs(agents) {
		add(sup.NodeName(fmt.Sprintf("a%d", i+1)), addr)
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			if t.Failed() {
				a, err := n.Read(context.Background(), node.Query{Kind: node.QueryEvents, Stale: true})
				events, _ := json.MarshalIndent(a.Events, "", " ")
				t.Logf("events as %s has them: %s %v", n.Name(), events, err)
			}
			n.Close()
		}
	})
	return c
}

// start starts nodes together: the first start of a server asks another one.
func (c *cluster) start(names ...sup.NodeName) {
	c.t.Helper()
	type started struct {
		n   *node.Node
		err error
	}
	done := make(chan started, len(names))
	for _, name := range names {
		cfg := c.configs[name]
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			n, err := node.Start(ctx, cfg)
			done <- started{n, err}
		}()
	}
	for range names {
		s := <-done
		if s.err != nil {
			c.t.Error(s.err)
			continue
		}
		c.nodes[s.n.Name()] = s.n
	}
	if c.t.Failed() {
		c.t.FailNow()
	}
}

func (c *cluster) stop(name sup.NodeName) {
	c.t.Helper()
	if err := c.nodes[name].Close(); err != nil {
		c.t.Fatal(err)
	}
	delete(c.nodes, name)
}

func (c *cluster) ready() {
	c.t.Helper()
	for name, n := range c.nodes {
		await.True(c.t, fmt.Sprintf("%s is ready", name), func() bool { return n.Ready().Ready })
	}
}

// leader is the name of the node that leads.
func (c *cluster) leader() (name sup.NodeName) {
	c.t.Helper()
	await.True(c.t, "a leader", func() bool {
		for n, x := range c.nodes {
			if s := x.Status(); s.Role == "leader" && s.Leader == n {
				name = n
				return true
			}
		}
		return false
	})
	return name
}

func (c *cluster) follower() sup.NodeName {
	leader := c.leader()
	for i := range len(c.configs) {
		if name := sup.NodeName(fmt.Sprintf("n%d", i+1)); name != leader && c.nodes[name] != nil {
			return name
		}
	}
	c.t.Fatal("no follower")
	return ""
}

func sleeper(id string) sup.ChildSpec {
	return sup.ChildSpec{ID: sup.ChildID(id), Behavior: "exec", Args: []json.RawMessage{json.RawMessage(`{"command":"/bin/sleep","args":["1000"]}`)}}
}

func startSupervisor(children ...sup.ChildSpec) fsm.Command {
	spec := sup.Spec{Name: "pool", Selector: sup.RoundRobin, Children: children}
	return fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: spec.WithDefaults()}}
}

func bounded(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func code(err error) sup.Code {
	var p *sup.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

// threeRun says whether three children of the pool run.
func threeRun(ctx context.Context, n *node.Node) func() bool {
	return func() bool {
		a, err := n.Read(ctx, node.Query{Kind: node.QueryCount, Supervisor: "pool"})
		return err == nil && a.Count.Active == 3
	}
}
