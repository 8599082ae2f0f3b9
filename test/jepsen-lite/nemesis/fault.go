package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/register"
)

// Scene is what a fault is inflicted on.
type Scene struct {
	Cluster  *cluster.Cluster
	Register *register.Server // nil: nobody writes to one
	Rand     *rand.Rand
}

// Wound is what a fault did.
type Wound struct {
	Victims []string                    // in the order they were hit
	Failed  []string                    // those whose loss the cluster is to tell, once each
	Heal    func(context.Context) error // makes it good again; called once
}

// Fault is one kind of harm.
type Fault struct {
	Name     string
	Links    bool // it works on the links: the cluster must be proxied
	Pause    bool // stale writes come of it, which the register must refuse
	Takeover bool // a quorum is left: what ran on the victims runs elsewhere before the repair
	Hit      func(context.Context, *Scene) (Wound, error)
}

func (f Fault) String() string { return f.Name }

// who chooses one node.
type who struct {
	name   string
	choose func(context.Context, *Scene) (string, error)
}

func leader(ctx context.Context, s *Scene) (string, error) { return s.Cluster.Leader(ctx) }

func follower(ctx context.Context, s *Scene) (string, error) {
	l, err := s.Cluster.Leader(ctx)
	if err != nil {
		return "", err
	}
	return s.pick(s.Cluster.Others(l)), nil
}

func anyone(_ context.Context, s *Scene) (string, error) { return s.pick(s.Cluster.Names()), nil }

func (s *Scene) pick(names []string) string { return names[s.Rand.IntN(len(names))] }

// upTo is a random time below d.
func (s *Scene) upTo(d time.Duration) time.Duration { return time.Duration(s.Rand.Int64N(int64(d))) }

// start starts nodes again and waits until they are ready.
func start(s *Scene, names ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, n := range names {
			if err := s.Cluster.Node(n).Start(); err != nil {
				return err
			}
		}
		return nil
	}
}

// holdWrites keeps the writes of a node's commands on their way, and waits until each has one there.
func (s *Scene) holdWrites(ctx context.Context, node string) error {
	if s.Register == nil {
		return nil
	}
	s.Register.Hold(node)
	bounded, cancel := context.WithTimeout(ctx, s.Cluster.Timing.TTL)
	defer cancel()
	return cluster.Until(bounded, "the writes of "+node+" to be on their way", func(context.Context) error {
		commands, err := s.Cluster.Node(node).Commands()
		if err != nil {
			return err
		}
		if held := s.Register.Waiting(); held == 0 || held < len(commands) {
			return fmt.Errorf("%d of %d are", held, len(commands))
		}
		return nil
	})
}

func (s *Scene) releaseWrites() {
	if s.Register != nil {
		s.Register.Release()
	}
}
