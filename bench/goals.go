package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/supnode/supnode/bench/actors"
	"github.com/supnode/supnode/bench/figure"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// How much is measured with actors.
const (
	actorCrashes = 300
	aloneStarts  = 500
	manyStarts   = 10_000
	manyCallers  = 1_000
	manifestSize = 10_000
	thawed       = 2 * time.Second // how long a node that was frozen is looked at
)

// sizes are the numbers of children of G3 and G4, with their goals in milliseconds.
var sizes = []struct {
	children, rounds int
	goal             float64
}{{1_000, 5, 60}, {10_000, 5, 150}, {100_000, 2, 1_000}}

// boardSize is the number of places: those of the largest pool, and some for the small ones.
const boardSize = 110_000

// play is a cluster of actors that is measured.
type play struct {
	*actors.Cluster
	bench *bench
	pools int
}

// withActors measures what the goals speak of.
func (b *bench) withActors(ctx context.Context) error {
	on := func(f func(*play, context.Context) error) func(context.Context) error {
		return func(ctx context.Context) error { return b.play(ctx, f) }
	}
	for _, m := range []struct {
		goals string
		f     func(context.Context) error
	}{
		{"G1", on((*play).crashes)}, {"G2 start_child", on((*play).starts)}, {"G2 manifest", on((*play).manifest)},
		{"G3 G4 G6", b.takeovers}, {"G5", b.freezes},
	} {
		if !b.only.MatchString(m.goals) {
			continue
		}
		if err := m.f(ctx); err != nil {
			return err
		}
	}
	return nil
}

// play measures on a cluster of its own: what a pool leaves behind takes no part, and stopping ten thousand children one
// after another (S13) would take longer than all that is measured.
func (b *bench) play(ctx context.Context, f func(*play, context.Context) error) (err error) {
	dir := filepath.Join(b.dir, "actors-"+b.lease.TTL.String())
	c, err := actors.Start(ctx, dir, b.lease, "loopback", boardSize, b.profiles)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(), os.RemoveAll(dir)) }()
	return f(&play{Cluster: c, bench: b}, ctx)
}

// pool is a name that was not used, with places from 0 on.
func (p *play) pool(n int, pin int) actors.Pool {
	p.pools++
	pool := actors.Pool{Name: sup.Name(fmt.Sprintf("pool%d", p.pools)), N: n}
	if pin >= 0 {
		pool.Pin = sup.NodeName(fmt.Sprintf("n%d", pin+1))
	}
	return pool
}

// fill starts a pool, and returns once all its children have begun.
func (p *play) fill(ctx context.Context, pool actors.Pool) error {
	began := history.Now()
	leader, err := p.Leader(ctx)
	if err != nil {
		return err
	}
	if _, err := p.Fill(ctx, leader, pool); err != nil {
		return err
	}
	_, err = p.Back(ctx, places(pool), began)
	return err
}

func places(p actors.Pool) (all []int) {
	for i := range p.N {
		all = append(all, p.First+i)
	}
	return all
}

// follower is a node that does not lead, and the one that does.
func (p *play) follower(ctx context.Context) (follower, leader int, err error) {
	leader, err = p.Leader(ctx)
	return (leader + 1) % 3, leader, err
}

// target starts n actors and names the node to hit: the leader, else a follower.
func (p *play) target(ctx context.Context, n int, hitLeader bool) (pool actors.Pool, victim int, err error) {
	pool = p.pool(n, -1)
	if err := p.fill(ctx, pool); err != nil {
		return pool, 0, err
	}
	victim, leader, err := p.follower(ctx)
	if hitLeader {
		victim = leader
	}
	return pool, victim, err
}

// crashes measures G1.
func (p *play) crashes(ctx context.Context) error {
	b := p.bench
	b.say("G1: crashes of actors")
	follower, _, err := p.follower(ctx)
	if err != nil {
		return err
	}
	pool := p.pool(crashers, follower)
	if err := p.fill(ctx, pool); err != nil {
		return err
	}
	for _, m := range []struct {
		what string
		rest time.Duration
		bare float64
		to   string
	}{
		{"G1 crash of an actor on a follower → its next incarnation's init, one after another", 0, b.base.commit, "× bare commit, one after another"},
		{"G1 the same, now and then", rest, b.base.cold, "× bare commit, now and then"},
	} {
		var took []time.Duration
		for i := range actorCrashes {
			if m.rest > 0 {
				if err := anywhere(ctx, m.rest); err != nil {
					return err
				}
			}
			d, err := p.Crash(ctx, follower, pool, i%pool.N)
			if err != nil {
				return err
			}
			took = append(took, d)
		}
		s := figure.Of(took)
		b.goal(figure.Figure{What: m.what, Spread: s}, s.P50/m.bare, "≤", 1.5, m.to)
	}
	return nil
}

// starts measures G2's start_child.
func (p *play) starts(ctx context.Context) error {
	b := p.bench
	b.say("G2: start_child of actors")
	leader, err := p.Leader(ctx)
	if err != nil {
		return err
	}
	for _, m := range []struct{ callers, n int }{{1, aloneStarts}, {manyCallers, manyStarts}} {
		pool := p.pool(0, -1)
		if _, err := p.Fill(ctx, leader, pool); err != nil {
			return err
		}
		pool.N = m.n
		took, whole, err := p.Load(ctx, leader, pool, m.callers)
		if err != nil {
			return err
		}
		rate := float64(len(took)) / whole.Seconds()
		f := figure.Figure{What: fmt.Sprintf("G2 start_child of actors, %d callers beside the leader", m.callers), Spread: figure.Of(took), PerSecond: rate}
		if m.callers == 1 {
			f.Beside = figure.Over(rate, b.base.commits, "bare commits/s, 1 applier")
			b.goal(f, rate/b.base.commits, "≥", 0.7, "× bare commits/s")
		} else {
			f.Beside = figure.Over(rate, b.base.commits64, "bare commits/s, 64 appliers")
			b.goal(f, rate, "≥", 10_000, "/s")
		}
	}
	return nil
}

// manifest measures G2's manifest.
func (p *play) manifest(ctx context.Context) error {
	b := p.bench
	b.say("G2: a manifest of actors")
	var took []time.Duration
	for range rounds {
		leader, err := p.Leader(ctx)
		if err != nil {
			return err
		}
		pool := p.pool(manifestSize, -1)
		d, err := p.Fill(ctx, leader, pool)
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	s := figure.Of(took)
	rate := manifestSize / s.P50 * 1000
	b.goal(figure.Figure{What: fmt.Sprintf("G2 one manifest of %d actors → all run", manifestSize), Spread: s, PerSecond: rate}, rate, "≥", 50_000, "children/s")
	return nil
}

// takeovers measures G3, G4 and G6.
func (b *bench) takeovers(ctx context.Context) error {
	for _, size := range sizes {
		b.say(fmt.Sprintf("G3, G4, G6: %d actors", size.children))
		followers, _, err := b.faults(ctx, size.children, size.rounds, false, syscall.SIGKILL)
		if err != nil {
			return err
		}
		killed := figure.Of(followers)
		b.goal(figure.Figure{What: fmt.Sprintf("G3 kill -9 of a follower, %d actors on 3 nodes → all back", size.children), Spread: killed}, killed.P50, "≤", size.goal, "ms")
		leaders, _, err := b.faults(ctx, size.children, size.rounds, true, syscall.SIGKILL)
		if err != nil {
			return err
		}
		s := figure.Of(leaders)
		b.goal(figure.Figure{What: fmt.Sprintf("G4 kill -9 of the leader, %d actors on 3 nodes → all back", size.children), Spread: s,
			Beside: figure.Over(s.P50, b.base.election, "bare election")}, s.P50, "≤", b.base.election+size.goal, "ms = bare election + G3")
		if size.children > 1_000 {
			continue
		}
		left, gaps, err := b.faults(ctx, size.children, size.rounds, false, syscall.SIGTERM)
		if err != nil {
			return err
		}
		s = figure.Of(left)
		b.goal(figure.Figure{What: fmt.Sprintf("G6 TERM of a follower, %d actors on 3 nodes → all back elsewhere", size.children), Spread: s,
			Beside: figure.Over(s.P50, killed.P50, "its kill -9")}, s.P50/killed.P50, "≤", 1, "× its kill -9")
		if s = figure.Of(gaps); s != nil {
			b.add(figure.Figure{What: "   each child: told to stop → its next init", Spread: s, Beside: figure.Over(s.P50, b.base.commit, "bare commit"),
				Note: "G6: its own stop + start, which is G1"})
		}
	}
	return nil
}

// faults sends a signal to a node with its part of n actors, each time of a cluster of its own, and measures until they all
// have begun elsewhere.
func (b *bench) faults(ctx context.Context, n, rounds int, toLeader bool, s syscall.Signal) (back, gaps []time.Duration, err error) {
	for range rounds {
		err := b.play(ctx, func(p *play, ctx context.Context) error {
			pool, victim, err := p.target(ctx, n, toLeader)
			if err != nil {
				return err
			}
			hit := p.On(victim, pool)
			if err := anywhere(ctx, b.lease.H); err != nil {
				return err
			}
			began := history.Now()
			if err := p.Signal(victim, s); err != nil {
				return err
			}
			last, err := p.Back(ctx, hit, began)
			if err != nil {
				return err
			}
			back, gaps = append(back, last.Sub(began)), append(gaps, p.Gaps(hit, began)...)
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	slices.Sort(gaps)
	return back, gaps, nil
}

// freezes measures G5.
func (b *bench) freezes(ctx context.Context) error {
	const n = 1_000
	g3 := time.Duration(sizes[0].goal) * time.Millisecond
	for _, m := range []struct {
		what    string
		leader  bool
		allowed time.Duration
		of      string
	}{
		{"a follower", false, b.lease.Wait() + g3, "W + G3"},
		{"the leader", true, b.lease.Election() + b.lease.Wait() + g3, "E + W + G3"},
	} {
		b.say("G5: SIGSTOP of " + m.what)
		var took []time.Duration
		twice := 0
		for range roundsOff {
			err := b.play(ctx, func(p *play, ctx context.Context) error {
				pool, victim, err := p.target(ctx, n, m.leader)
				if err != nil {
					return err
				}
				hit := p.On(victim, pool)
				began := history.Now()
				if err := p.Signal(victim, syscall.SIGSTOP); err != nil {
					return err
				}
				last, err := p.Back(ctx, hit, began)
				if err := errors.Join(err, p.Signal(victim, syscall.SIGCONT)); err != nil {
					return err
				}
				took = append(took, last.Sub(began))
				again, err := p.Twice(ctx, victim, pool, thawed)
				twice += again
				return err
			})
			if err != nil {
				return err
			}
		}
		s := figure.Of(took)
		allowed := float64(m.allowed) / 1e6
		b.goal(figure.Figure{What: fmt.Sprintf("G5 SIGSTOP of %s, %d actors on 3 nodes → all back", m.what, n), Spread: s}, s.Max, "≤", allowed, "ms = "+m.of)
		b.goal(figure.Figure{What: "   thawed again: children that run twice"}, float64(twice), "≤", 0, "")
	}
	return nil
}

// goal adds a figure with its goal: value is to be at most or at least that many of what.
func (b *bench) goal(f figure.Figure, value float64, relation string, bound float64, what string) {
	met := value <= bound
	if relation == "≥" {
		met = value >= bound
	}
	f.Goal = &figure.Goal{Text: fmt.Sprintf("%s %g %s", relation, bound, what), Value: value, Met: met}
	if bound >= 100 {
		f.Goal.Text = fmt.Sprintf("%s %.0f %s", relation, bound, what)
	}
	b.add(f)
}
