package actors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// Cluster is three nodes. Its methods are for one goroutine.
type Cluster struct {
	dir      string
	args     []string
	board    *board
	profiled bool
	running  [nodes]*running
	watchers sync.WaitGroup
}

type running struct {
	cmd     *exec.Cmd
	in      *json.Encoder
	close   func() error
	answers chan answer // closed when the process has been waited for
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

func (c *Cluster) launch(i int) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, append(c.args, "-node", fmt.Sprint(i))...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r := &running{cmd: cmd, in: json.NewEncoder(in), close: in.Close, answers: make(chan answer, 1)}
	c.running[i] = r
	c.watchers.Go(func() {
		defer close(r.answers)
		for d := json.NewDecoder(out); ; {
			var a answer
			if d.Decode(&a) != nil {
				cmd.Wait()
				return
			}
			r.answers <- a
		}
	})
	return nil
}

func (c *Cluster) ready(ctx context.Context, i int) error {
	_, err := c.answer(ctx, i)
	return err
}

func (c *Cluster) answer(ctx context.Context, i int) (answer, error) {
	select {
	case a, ok := <-c.running[i].answers:
		switch {
		case !ok:
			return a, fmt.Errorf("%s has ended; see %s", nodeName(i), filepath.Join(c.dir, string(nodeName(i))+".log"))
		case a.Error != "":
			return a, fmt.Errorf("%s: %s", nodeName(i), a.Error)
		}
		return a, nil
	case <-ctx.Done():
		return answer{}, context.Cause(ctx)
	}
}

func (c *Cluster) ask(ctx context.Context, i int, r request) (answer, error) {
	if err := c.running[i].in.Encode(r); err != nil {
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
	return c.running[node].cmd.Process.Signal(s)
}

// Close kills the nodes and waits for their ends.
func (c *Cluster) Close() error {
	var errs []error
	for _, r := range c.running {
		if r == nil {
			continue
		}
		_ = r.close() // closed already, when the node was killed
		if c.profiled {
			r.await()
		}
		if err := r.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
		}
		go func() { // until the watcher has seen the end
			for range r.answers {
			}
		}()
	}
	c.watchers.Wait()
	return errors.Join(append(errs, c.board.close())...)
}

// await gives a node that was told to end the time to write its profile.
func (r *running) await() {
	for end := time.After(10 * time.Second); ; {
		select {
		case _, open := <-r.answers:
			if !open {
				return
			}
		case <-end:
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
