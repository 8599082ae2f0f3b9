package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/supnode/supnode/bench/bareraft"
	"github.com/supnode/supnode/bench/figure"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// leases are the settings that are measured: the default ones, and the short ones of the tests.
var leases = []history.Timing{
	{H: 500 * time.Millisecond, TTL: 3 * time.Second},
	{H: 100 * time.Millisecond, TTL: time.Second},
}

// How much is measured.
const (
	loadFor    = 3 * time.Second       // of each load of bare commits
	rest       = 40 * time.Millisecond // at most, between two crashes, and between two commits that they are compared to
	elections  = 7
	rounds     = 5 // of each fault
	roundsOff  = 2 // of each fault with fast_failover off: they take long
	commands   = 100
	noisyTries = 3 // of a round in which more happened than was done
)

// bench is one run. It belongs to one goroutine.
type bench struct {
	figure.Report
	dir           string
	binary, child string         // programs
	only          *regexp.Regexp // the goals that are measured
	goalsAlone    bool
	ttl           time.Duration // of the one lease that is measured; 0 = all
	profiles      string        // the folder for the actors' CPU profiles; empty = none
	lease         history.Timing
	base          base
}

// base is what figures of the same lease are compared to, in milliseconds or per second; 0 = not measured.
type base struct {
	commit    float64 // p50 of a bare commit, one after another
	cold      float64 // p50 of a bare commit now and then, as crashes come
	commits   float64 // per second, one applier
	commits64 float64 // per second, 64 appliers
	election  float64 // p50 of a bare election
	process   float64 // p50 of a bare process start
	third     float64 // p50 of as many at once as a node of three has of the commands
}

func (b *bench) all(ctx context.Context) error {
	if err := b.disk(); err != nil {
		return err
	}
	if err := b.processes(); err != nil {
		return err
	}
	process, third := b.base.process, b.base.third
	for _, b.lease = range leases {
		if b.ttl > 0 && b.ttl != b.lease.TTL {
			continue
		}
		b.base = base{process: process, third: third}
		if err := b.bare(ctx); err != nil {
			return err
		}
		if err := b.withActors(ctx); err != nil {
			return err
		}
		if b.goalsAlone {
			continue
		}
		if err := b.on(ctx, "loopback", b.crash, b.start, b.killFollower, b.killLeader, b.leave); err != nil {
			return err
		}
		if err := b.on(ctx, "off", b.killFollower, b.killLeader); err != nil {
			return err
		}
	}
	return nil
}

// on measures on a cluster of its own.
func (b *bench) on(ctx context.Context, failover string, measures ...func(context.Context, *stage) error) error {
	s, err := open(ctx, b, failover)
	if err != nil {
		return err
	}
	for _, m := range measures {
		if err = m(ctx, s); err != nil {
			err = fmt.Errorf("%w\n%s", err, s.tails())
			break
		}
	}
	return errors.Join(err, s.close())
}

// bare measures what Raft alone does with the Raft configuration of this lease.
func (b *bench) bare(ctx context.Context) (err error) {
	dir := filepath.Join(b.dir, "bare-"+b.lease.TTL.String())
	b.say("bare Raft")
	c, err := bareraft.Start(ctx, dir, b.lease.TTL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(), os.RemoveAll(dir)) }()
	if _, err := c.Load(ctx, 1, loadFor/6, 0); err != nil { // so that files and connections are there
		return err
	}
	one, err := c.Load(ctx, 1, loadFor, 0)
	if err != nil {
		return err
	}
	f := b.add(figure.Figure{What: "bare commit, 1 applier", Spread: figure.Of(one.Took), PerSecond: one.PerSecond()})
	b.base.commit, b.base.commits = f.Spread.P50, f.PerSecond
	now, err := c.Load(ctx, 1, loadFor, rest)
	if err != nil {
		return err
	}
	f = b.add(figure.Figure{What: "bare commit, 1 applier that rests (as long as the crashes below are apart)", Spread: figure.Of(now.Took)})
	b.base.cold = f.Spread.P50
	many, err := c.Load(ctx, 64, loadFor, 0)
	if err != nil {
		return err
	}
	b.base.commits64 = many.PerSecond()
	b.add(figure.Figure{What: "bare commit, 64 appliers", Spread: figure.Of(many.Took), PerSecond: b.base.commits64})
	b.say("bare elections")
	var took []time.Duration
	for range elections {
		d, err := c.Election(ctx)
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	f = b.add(figure.Figure{What: "bare election: leader killed → next commit", Spread: figure.Of(took),
		Note: fmt.Sprintf("Raft time-outs %v; E = %v at worst", b.lease.RaftTimeout(), b.lease.Election())})
	b.base.election = f.Spread.P50
	return nil
}

// add adds a figure of the current lease.
func (b *bench) add(f figure.Figure) figure.Figure {
	if b.lease.TTL > 0 {
		f.Lease = fmt.Sprintf("%v/%v", b.lease.H, b.lease.TTL)
	}
	b.Add(f)
	return f
}

// say tells a person who waits what is being measured.
func (b *bench) say(what string) {
	if b.lease.TTL > 0 {
		what = fmt.Sprintf("%s (lease %v/%v)", what, b.lease.H, b.lease.TTL)
	}
	fmt.Fprintln(os.Stderr, "bench:", what)
}
