package bareraft

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/supnode/supnode/bench/again"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// size is the number of nodes.
const size = 3

// Cluster is three nodes. Its methods are for one goroutine.
type Cluster struct {
	dir      string
	ttl      time.Duration
	servers  []string
	nodes    map[string]*again.Process[line]
	terms    chan term // the first commits of new leaders
	leader   string
	watchers sync.WaitGroup
}

type term struct {
	node string
	at   history.Instant
}

// Start starts a cluster below dir, with Raft's time-outs as of this lease_ttl, and waits for its leader.
func Start(ctx context.Context, dir string, ttl time.Duration) (c *Cluster, err error) {
	c = &Cluster{dir: dir, ttl: ttl, nodes: make(map[string]*again.Process[line]), terms: make(chan term, 64)}
	// A loopback network of one's own: nobody else has taken the ports there when a node comes back.
	net := fmt.Sprintf("127.%d.%d", 1+rand.IntN(254), rand.IntN(256))
	for i := range size {
		c.servers = append(c.servers, fmt.Sprintf("n%d=%s.%d:7946", i+1, net, i+1))
	}
	for i := range size {
		if err := c.launch(fmt.Sprintf("n%d", i+1)); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if _, err := c.elected(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) launch(id string) error {
	dir := filepath.Join(c.dir, id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	n, err := again.Start(&c.watchers, func(l line) bool {
		if l.Committed != 0 {
			c.terms <- term{id, l.Committed}
		}
		return l.Committed != 0
	}, argument, "-id", id, "-dir", dir, "-servers", strings.Join(c.servers, ","), "-lease", c.ttl.String())
	if err == nil {
		c.nodes[id] = n
	}
	return err
}

// elected waits for a leader's first commit.
func (c *Cluster) elected(ctx context.Context) (history.Instant, error) {
	select {
	case t := <-c.terms:
		c.leader = t.node
		return t.at, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("no leader of bare Raft: %w", context.Cause(ctx))
	}
}

func (c *Cluster) ask(ctx context.Context, id string, r request) (line, error) {
	if err := c.nodes[id].Tell(r); err != nil {
		return line{}, err
	}
	l, err := c.nodes[id].Answer(ctx)
	switch {
	case err != nil:
		return l, fmt.Errorf("%s of bare Raft: %w", id, err)
	case l.Error != "":
		return l, fmt.Errorf("%s of bare Raft: %s", id, l.Error)
	}
	return l, nil
}

// Load has appliers beside the leader apply entries for d, one after another each; before each entry an applier rests for a
// random time below rest. It begins again when the leader changes under it, as it may on a busy machine.
func (c *Cluster) Load(ctx context.Context, appliers int, d, rest time.Duration) (Load, error) {
	for {
		for len(c.terms) > 0 {
			c.leader = (<-c.terms).node
		}
		l, err := c.ask(ctx, c.leader, request{Appliers: appliers, For: d, Rest: rest})
		if err == nil {
			return *l.Load, nil
		}
		again, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, lost := c.elected(again)
		cancel()
		if lost != nil {
			return Load{}, errors.Join(err, lost)
		}
	}
}

// Election kills the leader with SIGKILL and returns the time until another one's first commit. The killed node comes back
// and catches up before it returns.
func (c *Cluster) Election(ctx context.Context) (time.Duration, error) {
	// A term that began unasked, as a busy machine makes it, is over with its leader known.
	for len(c.terms) > 0 {
		c.leader = (<-c.terms).node
	}
	old := c.leader
	killed := history.Now()
	if err := c.nodes[old].Cmd.Process.Kill(); err != nil {
		return 0, err
	}
	var at history.Instant
	for at < killed { // a term that began before the kill is not the one
		var err error
		if at, err = c.elected(ctx); err != nil {
			return 0, err
		}
	}
	if err := c.nodes[old].Ended(ctx); err != nil {
		return 0, err
	}
	if err := c.launch(old); err != nil {
		return 0, err
	}
	return at.Sub(killed), c.caughtUp(ctx, old)
}

// caughtUp waits until a node has applied what the leader has.
func (c *Cluster) caughtUp(ctx context.Context, id string) error {
	want, err := c.ask(ctx, c.leader, request{})
	if err != nil {
		return err
	}
	for {
		got, err := c.ask(ctx, id, request{})
		if err != nil || got.Index >= want.Index {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Close ends the nodes and waits for them.
func (c *Cluster) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // they have nothing to finish
	var errs []error
	for _, n := range c.nodes {
		errs = append(errs, n.End(ctx))
	}
	c.watchers.Wait()
	return errors.Join(errs...)
}
