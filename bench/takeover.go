package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/supnode/supnode/bench/figure"
	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// execWait is what P2 waits beyond a refused connection where there are commands.
const execWait = 100 * time.Millisecond

// killFollower measures kill -9 of a follower → everything that it ran runs elsewhere.
func (b *bench) killFollower(ctx context.Context, s *stage) error {
	b.say("kill -9 of a follower")
	took, odd, err := b.repeat(ctx, s, func(ctx context.Context, s *stage) (string, error) { _, f, err := s.roles(ctx); return f, err }, kill)
	if err != nil {
		return err
	}
	note := fmt.Sprintf("P2 waits %v for commands; %d starts at once %.0f ms (G3, 1,000 actors: ≤ 60 ms)", execWait, aThird, b.base.third)
	if s.failover == "off" {
		note = fmt.Sprintf("W = %v after the last renewal", b.lease.Wait().Round(10*time.Millisecond))
	}
	b.add(figure.Figure{What: s.title("kill -9 of a follower, %d commands on 3 nodes → all back"), Spread: figure.Of(took.back), Note: join(note, odd)})
	return nil
}

// killLeader measures kill -9 of the leader likewise.
func (b *bench) killLeader(ctx context.Context, s *stage) error {
	b.say("kill -9 of the leader")
	took, odd, err := b.repeat(ctx, s, func(ctx context.Context, s *stage) (string, error) { return s.Leader(ctx) }, kill)
	if err != nil {
		return err
	}
	f := figure.Figure{What: s.title("kill -9 of the leader, %d commands on 3 nodes → all back"), Spread: figure.Of(took.back),
		Beside: figure.Over(figure.Of(took.back).P50, b.base.election, "bare election")}
	f.Note = fmt.Sprintf("bare election %.0f ms + P2 %v + starts %.0f ms (G4: bare election + G3)", b.base.election, execWait, b.base.third)
	if s.failover == "off" {
		f.Note = fmt.Sprintf("bare election %.0f ms + W = %v (L3)", b.base.election, b.lease.Wait().Round(10*time.Millisecond))
	}
	f.Note = join(f.Note, odd)
	b.add(f)
	return nil
}

// leave measures TERM of a follower: everything that it ran is handed over, and how long each child was missing.
func (b *bench) leave(ctx context.Context, s *stage) error {
	b.say("TERM of a node")
	took, odd, err := b.repeat(ctx, s, func(ctx context.Context, s *stage) (string, error) { _, f, err := s.roles(ctx); return f, err }, term)
	if err != nil {
		return err
	}
	b.add(figure.Figure{What: s.title("TERM of a follower, %d commands on 3 nodes → all back elsewhere"), Spread: figure.Of(took.back),
		Note: join("G6: not slower than its kill -9", odd)})
	b.add(figure.Figure{What: "  each child: its own stop record → its next start record", Spread: figure.Of(took.gaps), Note: "G6: its own stop + start"})
	return nil
}

// title is what a figure of this stage is called.
func (s *stage) title(format string) string {
	t := fmt.Sprintf(format, commands)
	if s.failover != "loopback" {
		t += ", fast_failover " + s.failover
	}
	return t
}

// takeovers are the times of a number of rounds.
type takeovers struct {
	back []time.Duration // of each round, from the fault to the last child's start record
	gaps []time.Duration // of each child that said when it stopped, from there to its next start record
}

// fault is done to a node; it returns when it began and what waits for its end.
type fault func(*cluster.Node) (began history.Instant, ended func(context.Context) error, err error)

func kill(n *cluster.Node) (history.Instant, func(context.Context) error, error) {
	began := history.Now()
	return began, func(context.Context) error { return nil }, n.Kill()
}

func term(n *cluster.Node) (history.Instant, func(context.Context) error, error) {
	began := history.Now()
	return began, func(ctx context.Context) error {
		status, err := n.Wait(ctx)
		if err == nil && status != 0 {
			err = fmt.Errorf("%s ended with status %d after a TERM", n.Name, status)
		}
		return err
	}, n.Term()
}

// repeat plays the rounds of a fault. A round in which children were restarted that the fault did not touch, as happens
// when a machine is so busy that another node loses its lease too, is played again, and odd tells how many were.
func (b *bench) repeat(ctx context.Context, s *stage, who func(context.Context, *stage) (string, error), f fault) (sum takeovers, odd string, err error) {
	want, spoilt := rounds, 0
	if s.failover == "off" {
		want = roundsOff
	}
	for len(sum.back) < want {
		victim, err := who(ctx, s)
		if err != nil {
			return sum, "", err
		}
		back, gaps, others, err := b.round(ctx, s, victim, f)
		if err != nil {
			return sum, "", err
		}
		if others > 0 && spoilt < noisyTries {
			spoilt++
			continue
		}
		sum.back, sum.gaps = append(sum.back, back), append(sum.gaps, gaps...)
	}
	if spoilt > 0 {
		odd = fmt.Sprintf("%d rounds not counted: children of other nodes were restarted too", spoilt)
	}
	return sum, odd, nil
}

// round does f to victim and returns how long it took until all was back, and how many children restarted that were not on it.
func (b *bench) round(ctx context.Context, s *stage, victim string, f fault) (back time.Duration, gaps []time.Duration, others int, err error) {
	p, lives, err := s.fill(ctx, commands, "round_robin")
	if err != nil {
		return 0, nil, 0, err
	}
	before := newest(lives)
	hit := make(map[history.Key]history.Life)
	for k, l := range before {
		if l.Node == victim {
			hit[k] = l
		}
	}
	if len(hit) == 0 {
		return 0, nil, 0, fmt.Errorf("%s runs none of the %d commands", victim, commands)
	}
	if err := errors.Join(anywhere(ctx, b.lease.H), p.forget()); err != nil {
		return 0, nil, 0, err
	}
	began, ended, err := f(s.Node(victim))
	if err != nil {
		return 0, nil, 0, err
	}
	lives, err = p.until(len(hit), 2*b.lease.Takeover(), func(lives []history.Life) error { return all(commands, newest(lives), hit) })
	if err != nil {
		return 0, nil, 0, err
	}
	after, stopped := newest(lives), make(map[history.Key]history.Life)
	for _, l := range lives {
		if was, ok := hit[l.Key]; ok && l.Incarnation == was.Incarnation && l.Stop != "" {
			stopped[l.Key] = l
		}
	}
	for k, l := range after {
		_, touched := hit[k]
		switch {
		case touched && l.Node == victim:
			return 0, nil, 0, fmt.Errorf("%s is back on the node that was hit", l)
		case touched:
			back = max(back, l.Start.Sub(began))
			if was, ok := stopped[k]; ok {
				gaps = append(gaps, l.Start.Sub(was.Last()))
			}
		case l.Incarnation > before[k].Incarnation:
			others++
		}
	}
	ending, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := errors.Join(ended(ending), p.empty(ending), s.Node(victim).Start()); err != nil {
		return 0, nil, 0, err
	}
	return back, gaps, others, s.Ready(ending, s.Names()...)
}

func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + "; " + b
}
