package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/proc"
	"github.com/supnode/supnode/test/jepsen-lite/proxy"
	"github.com/supnode/supnode/test/machine"
)

// Cluster is a set of nodes on loopback.
type Cluster struct {
	Config
	Net *proxy.Net // nil: the nodes reach each other directly

	nodes    []*Node
	launcher *launcher
	waiters  sync.WaitGroup // one per process

	mu      sync.Mutex // guards actions
	actions []history.Action
}

// New writes the config files and the folders of a cluster, and makes its links. Nothing is started.
func New(cfg Config) (*Cluster, error) {
	if cfg.ShutdownTimeout == 0 {
		cfg.ShutdownTimeout = 5 * time.Second
	}
	if cfg.LogLevel == "" {
		cfg.LogLevel = "info"
	}
	if cfg.Log == nil {
		cfg.Log = func(string, ...any) {}
	}
	var err error
	if cfg.Dir, err = filepath.EvalSymlinks(cfg.Dir); err != nil {
		return nil, err
	}
	ports := machine.Addrs(2 * cfg.Nodes)
	c := &Cluster{Config: cfg, launcher: newLauncher()}
	addrs := make(map[string]string)
	for i := range cfg.Nodes {
		name := fmt.Sprintf("n%d", i+1)
		n := &Node{
			Name: name, cluster: c,
			RPC: ports[2*i], Admin: ports[2*i+1],
			File: filepath.Join(cfg.Dir, name+".yaml"), LogFile: filepath.Join(cfg.Dir, name+".log"),
			Data: filepath.Join(cfg.Dir, name), Temp: filepath.Join(cfg.Dir, "tmp", name),
		}
		addrs[name] = n.RPC
		c.nodes = append(c.nodes, n)
	}
	if cfg.Proxied {
		if c.Net, err = proxy.New(addrs); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	for _, n := range c.nodes {
		if err := errors.Join(os.MkdirAll(n.Temp, 0o755), n.write()); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// Start starts every node and waits until all are ready.
func (c *Cluster) Start(ctx context.Context) error {
	for _, n := range c.nodes {
		if err := n.Start(); err != nil {
			return err
		}
	}
	return c.Ready(ctx, c.Names()...)
}

// Stop asks every running node to leave, all at once, and waits until all have. An exit status other than 0 is an error.
func (c *Cluster) Stop(ctx context.Context) error {
	var asked []*Node
	for _, n := range c.nodes {
		if n.Running() {
			if err := n.Term(); err != nil {
				return err
			}
			asked = append(asked, n)
		}
	}
	var errs []error
	for _, n := range asked {
		switch status, err := n.Wait(ctx); {
		case err != nil:
			errs = append(errs, errors.Join(err, n.quit()))
		case status != 0:
			errs = append(errs, fmt.Errorf("%s ended with status %d after a TERM", n.Name, status))
		}
	}
	return errors.Join(errs...)
}

// Close kills what still runs, ends the links and waits for all of it. What the cluster wrote stays.
func (c *Cluster) Close() error {
	for _, n := range c.nodes {
		if n.Running() {
			n.Kill()
		}
	}
	c.waiters.Wait()
	c.launcher.close()
	if c.Net != nil {
		c.Net.Close()
	}
	// A guardian that was paused when its supnode was killed would stay; and so would what it guards.
	left, err := proc.Of(c.Dir)
	for _, p := range left {
		if proc, err := os.FindProcess(p.PID); err == nil {
			proc.Kill()
		}
	}
	return err
}

// Left lists what the cluster left behind, though all its nodes have ended: processes, ports, temp files. It gives what
// the kernel is still ending a moment.
func (c *Cluster) Left() (left []string, err error) {
	var ports []int
	for _, n := range c.nodes {
		ports = append(ports, portOf(n.RPC), portOf(n.Admin))
	}
	look := func() bool {
		left = nil
		var procs []proc.Process
		if procs, err = proc.Of(c.Dir); err != nil {
			return true
		}
		for _, p := range procs {
			left = append(left, "process "+p.String())
		}
		var open []int
		if open, err = proc.Listening(ports...); err != nil {
			return true
		}
		for _, p := range open {
			left = append(left, fmt.Sprintf("someone listens on port %d", p))
		}
		for _, n := range c.nodes {
			var entries []os.DirEntry
			if entries, err = os.ReadDir(n.Temp); err != nil {
				return true
			}
			for _, e := range entries {
				left = append(left, "temp file "+filepath.Join(n.Temp, e.Name()))
			}
		}
		return len(left) == 0
	}
	_ = await("nothing to be left", look) // left says what is
	return left, err
}

// Names lists the nodes.
func (c *Cluster) Names() []string {
	var out []string
	for _, n := range c.nodes {
		out = append(out, n.Name)
	}
	return out
}

// Node is the node of that name.
func (c *Cluster) Node(name string) *Node {
	i := slices.IndexFunc(c.nodes, func(n *Node) bool { return n.Name == name })
	if i < 0 {
		panic(fmt.Sprintf("there is no node %q", name))
	}
	return c.nodes[i]
}

// Others lists the nodes that are not named.
func (c *Cluster) Others(names ...string) []string {
	return slices.DeleteFunc(c.Names(), func(n string) bool { return slices.Contains(names, n) })
}

// Revive starts the nodes whose process ended though nobody asked it to, as a service manager does, and names them.
func (c *Cluster) Revive() (revived []string, err error) {
	for _, n := range c.nodes {
		n.mu.Lock()
		unasked := n.process != nil && !n.process.running() && !n.process.ordered
		n.mu.Unlock()
		if unasked {
			if err := n.Start(); err != nil {
				return revived, err
			}
			revived = append(revived, n.Name)
		}
	}
	return revived, nil
}

// Around lists the connections between nodes that go around the links.
func (c *Cluster) Around() ([]string, error) {
	return c.Net.Around(func(node string) int {
		pid, _ := c.Node(node).PID()
		return pid
	})
}

// Actions is what was done so far, in order.
func (c *Cluster) Actions() []history.Action {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.actions)
}

// Note writes down something that was done to a node by other means.
func (c *Cluster) Note(node, what, detail string) { c.note(node, what, detail) }

func (c *Cluster) note(node, what, detail string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.actions = append(c.actions, history.Action{At: history.Now(), Node: node, What: what, Detail: detail})
	c.Log("%s: %s %s", node, what, detail)
}

// Trouble lists the lines of the nodes' logs that no fault excuses: panics, data races, a diverged replica.
func (c *Cluster) Trouble() ([]string, error) {
	var out []string
	for _, n := range c.nodes {
		b, err := os.ReadFile(n.LogFile)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(b)) {
			for _, bad := range []string{"panic:", "fatal error:", "DATA RACE", "SIGSEGV", "invariant"} {
				if strings.Contains(line, bad) {
					out = append(out, n.Name+": "+strings.TrimSpace(line))
					break
				}
			}
		}
	}
	return out, nil
}

// Tail is the last lines of a node's log.
func (n *Node) Tail(lines int) string {
	b, err := os.ReadFile(n.LogFile)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func portOf(addr string) int {
	var p int
	if _, err := fmt.Sscanf(addr[strings.LastIndexByte(addr, ':')+1:], "%d", &p); err != nil {
		panic(fmt.Sprintf("%q has no port", addr))
	}
	return p
}
