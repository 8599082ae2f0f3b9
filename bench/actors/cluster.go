package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/supnode/supnode/bench/again"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// Cluster is three nodes. Its methods are for one goroutine.
type Cluster struct {
	dir      string
	args     []string
	board    *board
	profiled bool
	running  [nodes]*again.Process[answer]
	watchers sync.WaitGroup
}

// Start starts a cluster below dir whose board has size places, and waits until all nodes are ready. profiles is where the
// nodes write CPU profiles of themselves when they end by themselves; empty = nowhere.
func Start(ctx context.Context, dir string, lease history.Timing, failover string, size int, profiles string) (c *Cluster, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	c = &Cluster{dir: dir, profiled: profiles != ""}
	if c.board, err = openBoard(filepath.Join(dir, "board"), size); err != nil {
		return nil, err
	}
	// A loopback network of one's own: nobody else has taken the ports there when a node comes back.
	net := fmt.Sprintf("127.%d.%d", 1+rand.IntN(254), rand.IntN(256))
	var servers []string
	for i := range nodes {
		servers = append(servers, fmt.Sprintf("%s.%d:7946", net, i+1))
	}
	c.args = []string{argument, "-dir", dir, "-places", fmt.Sprint(size), "-servers", strings.Join(servers, ","),
		"-ttl", lease.TTL.String(), "-h", lease.H.String(), "-failover", failover, "-profiles", profiles}
	for i := range nodes {
		if err := c.launch(i); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	for i := range nodes {
		if err := c.ready(ctx, i); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

func (c *Cluster) launch(i int) (err error) {
	c.running[i], err = again.Start[answer](&c.watchers, nil, append(c.args, "-node", fmt.Sprint(i))...)
	return err
}

func (c *Cluster) ready(ctx context.Context, i int) error {
	_, err := c.answer(ctx, i)
	return err
}

func (c *Cluster) answer(ctx context.Context, i int) (answer, error) {
	a, err := c.running[i].Answer(ctx)
	switch {
	case err != nil:
		return a, fmt.Errorf("%s: %w; see %s", nodeName(i), err, filepath.Join(c.dir, string(nodeName(i))+".log"))
	case a.Error != "":
		return a, fmt.Errorf("%s: %s", nodeName(i), a.Error)
	}
	return a, nil
}

func (c *Cluster) ask(ctx context.Context, i int, r request) (answer, error) {
	if err := c.running[i].Tell(r); err != nil {
		return answer{}, err
	}
	return c.answer(ctx, i)
}

// Leader is the number of the node that leads, as node by knows it.
func (c *Cluster) Leader(ctx context.Context) (int, error) {
	for {
		a, err := c.ask(ctx, 0, request{})
		if err != nil {
			return 0, err
		}
		for i := range nodes {
			if nodeName(i) == a.Leader {
				return i, nil
			}
		}
	}
}

// Fill starts a pool through node i, and returns how long that took.
func (c *Cluster) Fill(ctx context.Context, i int, p Pool) (time.Duration, error) {
	a, err := c.ask(ctx, i, request{Start: &p})
	return a.For, err
}

// Load has callers in node i start the children of the pool p, which is there and empty.
func (c *Cluster) Load(ctx context.Context, i int, p Pool, callers int) (took []time.Duration, whole time.Duration, err error) {
	a, err := c.ask(ctx, i, request{Load: &load{Pool: p, Callers: callers}})
	return a.Took, a.For, err
}

// Crash has child i of a pool crash, and returns the time from the crash to the start of its next life.
func (c *Cluster) Crash(ctx context.Context, node int, p Pool, i int) (time.Duration, error) {
	at := p.First + i
	began := history.Now()
	if _, err := c.ask(ctx, node, request{Crash: &sup.Key{Supervisor: p.Name, Child: childID(i)}}); err != nil {
		return 0, err
	}
	for {
		crashed := c.board.crashed(at)
		if l := c.board.life(at); crashed >= began && l.Start > crashed {
			return l.Start.Sub(crashed), nil
		}
		if err := pause(ctx, 200*time.Microsecond); err != nil {
			return 0, fmt.Errorf("%s/%s does not run again: %w", p.Name, childID(i), err)
		}
	}
}

// On are the places of a pool's children whose newest life is on a node.
func (c *Cluster) On(node int, p Pool) (all []int) {
	for i := range p.N {
		if c.board.life(p.First+i).Node == node {
			all = append(all, p.First+i)
		}
	}
	return all
}

// Back waits until all those places have a life that began after began, and returns when the last of them did.
func (c *Cluster) Back(ctx context.Context, places []int, began history.Instant) (last history.Instant, err error) {
	for len(places) > 0 {
		var rest []int
		for _, i := range places {
			if l := c.board.life(i); l.Start > began {
				last = max(last, l.Start)
			} else {
				rest = append(rest, i)
			}
		}
		if places = rest; len(places) > 0 {
			if err := pause(ctx, time.Millisecond); err != nil {
				return 0, fmt.Errorf("%d children are not back: %w", len(places), err)
			}
		}
	}
	return last, nil
}

// Gaps are the times from each place's last stop to its newest start, of those that were stopped after began.
func (c *Cluster) Gaps(places []int, began history.Instant) (gaps []time.Duration) {
	for _, i := range places {
		if at := c.board.stopped(i); at > began {
			gaps = append(gaps, c.board.life(i).Start.Sub(at))
		}
	}
	return gaps
}

// Twice touches, on a node, what it has of a pool for d, and counts the children that answered there although their newest
// life had begun elsewhere before.
func (c *Cluster) Twice(ctx context.Context, node int, p Pool, d time.Duration) (twice int, err error) {
	seen := map[int]bool{}
	for end := time.Now().Add(d); time.Now().Before(end); {
		if _, err := c.ask(ctx, node, request{Touch: &p}); err != nil {
			return 0, err
		}
		for i := p.First; i < p.First+p.N; i++ {
			if l := c.board.life(i); l.Node != node && c.board.touched(i, node) > l.Start {
				seen[i] = true
			}
		}
	}
	return len(seen), nil
}

// Signal sends a signal to a node.
func (c *Cluster) Signal(node int, s syscall.Signal) error {
	return c.running[node].Cmd.Process.Signal(s)
}

// Close ends the nodes and waits for their ends.
func (c *Cluster) Close() error {
	patience := time.Duration(0)
	if c.profiled {
		patience = 10 * time.Second // a node writes its profile when it ends by itself
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var errs []error
	for _, r := range c.running {
		if r != nil {
			errs = append(errs, r.End(ctx))
		}
	}
	c.watchers.Wait()
	return errors.Join(append(errs, c.board.close())...)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
