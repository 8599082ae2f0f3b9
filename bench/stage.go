package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// program is what children are where only their number counts.
const program = "/bin/sleep"

// stage is a cluster that is measured.
type stage struct {
	*cluster.Cluster
	client   *cluster.Client
	bench    *bench
	failover string
	pools    int // so far: each has a name and a folder of its own
}

// open starts a cluster of three processes with the current lease.
func open(ctx context.Context, b *bench, failover string) (*stage, error) {
	b.say("a cluster, fast_failover " + failover)
	dir := filepath.Join(b.dir, fmt.Sprintf("%v-%s", b.lease.TTL, failover))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	sleep, err := filepath.EvalSymlinks(program)
	if err != nil {
		return nil, err
	}
	c, err := cluster.New(cluster.Config{Binary: b.binary, Dir: dir, Nodes: 3, Timing: b.lease, FastFailover: failover,
		Allow: []string{b.child, sleep}})
	if err != nil {
		return nil, err
	}
	s := &stage{Cluster: c, client: c.Client(), bench: b, failover: failover}
	starting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := c.Start(starting); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close kills what is left of the cluster.
func (s *stage) close() error {
	s.client.Close()
	return s.Cluster.Close()
}

// tails are the ends of the nodes' logs, for a measure that failed.
func (s *stage) tails() (all string) {
	for _, n := range s.Names() {
		all += "---- " + n + "\n" + s.Node(n).Tail(20) + "\n"
	}
	return all
}

// roles names the leader and one of the followers.
func (s *stage) roles(ctx context.Context) (leader, follower string, err error) {
	if leader, err = s.Leader(ctx); err != nil {
		return "", "", err
	}
	others := s.Others(leader)
	return leader, others[rand.IntN(len(others))], nil
}

// pool is a supervisor whose children keep journals.
type pool struct {
	*journals
	name  string
	size  int
	stage *stage
}

// fill starts a supervisor of n children and waits until each has written its start record. selector is as in a manifest;
// children may be restarted without bound.
func (s *stage) fill(ctx context.Context, n int, selector any) (p *pool, lives []history.Life, err error) {
	s.pools++
	p = &pool{name: fmt.Sprintf("pool%d", s.pools), size: n, stage: s}
	if p.journals, err = watch(filepath.Join(s.Dir, "journals", p.name)); err != nil {
		return nil, nil, err
	}
	var children []any
	for i := range n {
		children = append(children, map[string]any{"id": fmt.Sprintf("w%d", i+1), "behavior": "exec",
			"args": []any{map[string]any{"command": s.bench.child, "args": childArgs(p.dir)}}})
	}
	manifest := map[string]any{"name": p.name, "strategy": "one_for_one", "selector": selector, "children": children,
		"restart_intensity": map[string]any{"max_restarts": 10_000, "within": "1s"}}
	if err := s.client.StartSupervisor(ctx, manifest, p.name); err != nil {
		return nil, nil, errors.Join(err, p.close())
	}
	lives, err = p.until(1, history.Boot, func(lives []history.Life) error { return all(n, newest(lives), nil) })
	if err != nil {
		return nil, nil, errors.Join(err, p.close())
	}
	return p, lives, nil
}

// empty stops the supervisor.
func (p *pool) empty(ctx context.Context) error {
	return errors.Join(p.stage.client.StopSupervisor(ctx, p.name, "stop-"+p.name), p.close())
}

// newest is the newest incarnation of each child.
func newest(lives []history.Life) map[history.Key]history.Life {
	now := make(map[history.Key]history.Life)
	for _, l := range lives {
		if l.Incarnation >= now[l.Key].Incarnation {
			now[l.Key] = l
		}
	}
	return now
}

// all says why n children do not all run with an incarnation above that of before.
func all(n int, now, before map[history.Key]history.Life) error {
	if len(now) < n {
		return fmt.Errorf("%d of %d children have started", len(now), n)
	}
	missing := 0
	for k, was := range before {
		if l := now[k]; l.Incarnation <= was.Incarnation || l.Start == 0 {
			missing++
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d children are not back", missing, len(before))
	}
	for _, l := range now {
		if l.Start == 0 {
			return fmt.Errorf("%s has written nothing", l)
		}
	}
	return nil
}

// anywhere is a random time below d: faults should come at any phase of what is periodic.
func anywhere(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(rand.N(d)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
