package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// All lists every fault.
func All() []Fault {
	the := who{"leader", leader}
	other := who{"follower", follower}
	some := who{"any", anyone}
	return []Fault{
		kill(other), kill(the), killSuccessor(), killAll(), restart(some),
		killGuardian(some), killBoth(other), killBoth(the), pauseWithoutGuardian(other),
		pause(other), pause(the), pauseBoth(other), pauseBoth(the), freeze(other), freeze(the),
		term(other), term(the), drain(other), drain(the),
		partition("isolate", other, (*isolation).both), partition("isolate", the, (*isolation).both),
		partition("mute", other, (*isolation).mute), partition("mute", the, (*isolation).mute),
		partition("deafen", other, (*isolation).deafen), partition("deafen", the, (*isolation).deafen),
		isolateAndKill(),
	}
}

// Named is the fault of that name.
func Named(name string) Fault {
	all := All()
	i := slices.IndexFunc(all, func(f Fault) bool { return f.Name == name })
	if i < 0 {
		panic(fmt.Sprintf("there is no fault %q, there are %v", name, all))
	}
	return all[i]
}

// one is a fault of one node.
func one(f Fault, w who, hit func(context.Context, *Scene, string) (heal func(context.Context) error, err error)) Fault {
	f.Name += "-" + w.name
	f.Hit = func(ctx context.Context, s *Scene) (Wound, error) {
		victim, err := w.choose(ctx, s)
		if err != nil {
			return Wound{}, err
		}
		heal, err := hit(ctx, s, victim)
		return Wound{Victims: []string{victim}, Failed: []string{victim}, Heal: heal}, err
	}
	return f
}

// kill: kill -9 of supnode, which takes its guardian and all commands with it.
func kill(w who) Fault {
	return one(Fault{Name: "kill", Takeover: true}, w, func(_ context.Context, s *Scene, n string) (func(context.Context) error, error) {
		return start(s, n), s.Cluster.Node(n).Kill()
	})
}

// restart: kill -9, and it is back before anyone could wait for its lease to end.
func restart(w who) Fault {
	return one(Fault{Name: "restart"}, w, func(ctx context.Context, s *Scene, n string) (func(context.Context) error, error) {
		return func(ctx context.Context) error {
			return errors.Join(cluster.Pause(ctx, s.upTo(s.Cluster.Timing.TTL/4)), s.Cluster.Node(n).Start())
		}, s.Cluster.Node(n).Kill()
	})
}

// killSuccessor: the leader, and as soon as another leads, that one too. No quorum is left.
func killSuccessor() Fault {
	return Fault{Name: "kill-leader-and-successor", Hit: func(ctx context.Context, s *Scene) (Wound, error) {
		first, err := s.Cluster.Leader(ctx)
		if err != nil {
			return Wound{}, err
		}
		if err := s.Cluster.Node(first).Kill(); err != nil {
			return Wound{}, err
		}
		w := Wound{Victims: []string{first}, Failed: []string{first}, Heal: start(s, first)}
		second, err := s.Cluster.Leader(ctx, first)
		if err != nil {
			return w, err
		}
		if err := s.Cluster.Node(second).Kill(); err != nil {
			return w, err
		}
		w.Victims = append(w.Victims, second)
		w.Failed = append(w.Failed, second)
		up := start(s, first, second)
		w.Heal = func(ctx context.Context) error {
			return errors.Join(cluster.Pause(ctx, s.upTo(s.Cluster.Timing.TTL)), up(ctx))
		}
		return w, nil
	}}
}

// killAll: every supnode, one right after another.
func killAll() Fault {
	return Fault{Name: "kill-all", Hit: func(ctx context.Context, s *Scene) (Wound, error) {
		names := s.Cluster.Names()
		s.Rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		up := start(s, names...)
		w := Wound{Victims: names, Failed: names, Heal: func(ctx context.Context) error {
			return errors.Join(cluster.Pause(ctx, s.upTo(s.Cluster.Timing.TTL/2)), up(ctx))
		}}
		for _, n := range names {
			if err := s.Cluster.Node(n).Kill(); err != nil {
				return w, err
			}
		}
		return w, nil
	}}
}

// killGuardian: kill -9 of the guardian alone. The node stays; its commands die and are placed anew.
func killGuardian(w who) Fault {
	f := one(Fault{Name: "kill-guardian"}, w, func(_ context.Context, s *Scene, n string) (func(context.Context) error, error) {
		return func(context.Context) error { return nil }, s.Cluster.Node(n).KillGuardian()
	})
	return unfailing(f)
}

// killBoth: kill -9 of supnode and of its guardian, one right after the other. What they started directly dies with them.
func killBoth(w who) Fault {
	return one(Fault{Name: "kill-both", Takeover: true}, w, func(_ context.Context, s *Scene, n string) (func(context.Context) error, error) {
		return start(s, n), s.Cluster.Node(n).KillBoth(s.Rand.IntN(2) == 0)
	})
}

// pauseWithoutGuardian: SIGSTOP of supnode, then kill -9 of its guardian, so that neither can do what it should.
func pauseWithoutGuardian(w who) Fault {
	return one(Fault{Name: "pause-without-guardian", Pause: true, Takeover: true}, w, func(ctx context.Context, s *Scene, n string) (func(context.Context) error, error) {
		if err := s.holdWrites(ctx, n); err != nil {
			return nil, err
		}
		node := s.Cluster.Node(n)
		if err := node.Pause(); err != nil {
			return nil, err
		}
		return func(context.Context) error {
			s.releaseWrites()
			return node.Resume()
		}, node.KillGuardian()
	})
}

// term: the node is asked to leave, hands its children over and ends.
func term(w who) Fault {
	f := one(Fault{Name: "term", Takeover: true}, w, func(ctx context.Context, s *Scene, n string) (func(context.Context) error, error) {
		node := s.Cluster.Node(n)
		if err := node.Term(); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, s.Cluster.ShutdownTimeout+history.Boot)
		defer cancel()
		status, err := node.Wait(ctx)
		if err == nil && status != 0 {
			err = fmt.Errorf("%s ended with status %d after a TERM", n, status)
		}
		return start(s, n), err
	})
	return unfailing(f)
}

// drain: an operator drains the node, and undoes it later. Its process runs on.
func drain(w who) Fault {
	f := one(Fault{Name: "drain", Takeover: true}, w, func(ctx context.Context, s *Scene, n string) (func(context.Context) error, error) {
		ask := func(ctx context.Context, verb string) error {
			s.Cluster.Note(n, verb, "")
			client := s.Cluster.Client()
			defer client.Close()
			_, err := client.Do(ctx, "POST", "/v1/nodes/"+n+"/"+verb, nil, nil, nil, "")
			return err
		}
		return func(ctx context.Context) error { return ask(ctx, "undrain") }, ask(ctx, "drain")
	})
	return unfailing(f)
}

// unfailing is f when the cluster is not to tell the loss of a node.
func unfailing(f Fault) Fault {
	hit := f.Hit
	f.Hit = func(ctx context.Context, s *Scene) (Wound, error) {
		w, err := hit(ctx, s)
		w.Failed = nil
		return w, err
	}
	return f
}

// pause: SIGSTOP of supnode, past its lease. The guardian keeps the promise; what a command has sent arrives late.
func pause(w who) Fault {
	return one(Fault{Name: "pause", Pause: true, Takeover: true}, w, func(ctx context.Context, s *Scene, n string) (func(context.Context) error, error) {
		if err := s.holdWrites(ctx, n); err != nil {
			return nil, err
		}
		return func(context.Context) error {
			s.releaseWrites()
			return s.Cluster.Node(n).Resume()
		}, s.Cluster.Node(n).Pause()
	})
}

// pauseBoth: SIGSTOP of supnode and of its guardian. Nobody can stop the commands, which go on and write what is stale.
func pauseBoth(w who) Fault {
	return one(Fault{Name: "pause-both", Pause: true, Takeover: true}, w, func(_ context.Context, s *Scene, n string) (func(context.Context) error, error) {
		node := s.Cluster.Node(n)
		resume, err := node.PauseGuardian()
		if err != nil {
			return nil, err
		}
		heal := []func() error{resume, node.Resume}
		if s.Rand.IntN(2) == 0 {
			slices.Reverse(heal)
		}
		return func(context.Context) error { return errors.Join(heal[0](), heal[1]()) }, node.Pause()
	})
}

// freeze: SIGSTOP of everything on the node, commands too, as when a whole host stands still.
func freeze(w who) Fault {
	return one(Fault{Name: "freeze", Pause: true, Takeover: true}, w, func(ctx context.Context, s *Scene, n string) (func(context.Context) error, error) {
		node := s.Cluster.Node(n)
		if err := s.holdWrites(ctx, n); err != nil {
			return nil, err
		}
		// The guardian first: it would take stopped commands and a paused supnode for its own business.
		resume, err := node.PauseGuardian()
		if err != nil {
			return nil, err
		}
		if err := node.Pause(); err != nil {
			return nil, err
		}
		thaw, err := node.Freeze()
		return func(context.Context) error {
			s.releaseWrites()
			return errors.Join(resume(), node.Resume(), thaw())
		}, err
	})
}

// linked sees that the node's links are in use: a cut of idle ones shows nothing.
func (s *Scene) linked(node string) error {
	made := 0
	for _, other := range s.Cluster.Others(node) {
		made += s.Cluster.Net.Made(node, other) + s.Cluster.Net.Made(other, node)
	}
	if made == 0 {
		return fmt.Errorf("%s has made no connection through its links, and nobody to it", node)
	}
	return nil
}

// isolation is how a node is cut off.
type isolation struct {
	*cluster.Cluster
	node string
}

func (i *isolation) both()   { i.Net.Isolate(i.node) }
func (i *isolation) mute()   { i.Net.Mute(i.node) }
func (i *isolation) deafen() { i.Net.Deafen(i.node) }

// partition: the links of a node hold what they are given, both ways or one way; no process dies. At the end all of it
// arrives, late.
func partition(name string, w who, cut func(*isolation)) Fault {
	return one(Fault{Name: name, Links: true, Takeover: true}, w, func(_ context.Context, s *Scene, n string) (func(context.Context) error, error) {
		if err := s.linked(n); err != nil {
			return nil, err
		}
		s.Cluster.Note(n, history.Cut, name)
		cut(&isolation{s.Cluster, n})
		return func(ctx context.Context) error {
			if err := cluster.Pause(ctx, s.upTo(time.Second/2)); err != nil {
				return err
			}
			s.Cluster.Note(n, history.Joined, name)
			return s.Cluster.Net.Join()
		}, nil
	})
}

// isolateAndKill: a follower is cut off past its lease, and meanwhile the leader is killed. No quorum is left.
func isolateAndKill() Fault {
	return Fault{Name: "isolate-follower-kill-leader", Links: true, Hit: func(ctx context.Context, s *Scene) (Wound, error) {
		first, err := s.Cluster.Leader(ctx)
		if err != nil {
			return Wound{}, err
		}
		other := s.pick(s.Cluster.Others(first))
		w := Wound{Victims: []string{other, first}, Failed: []string{other, first}}
		if err := s.linked(other); err != nil {
			return w, err
		}
		s.Cluster.Note(other, history.Cut, "isolate")
		s.Cluster.Net.Isolate(other)
		up := start(s, first)
		w.Heal = func(ctx context.Context) error {
			err := cluster.Pause(ctx, s.Cluster.Timing.Stopped()+s.upTo(s.Cluster.Timing.TTL/2))
			s.Cluster.Note(other, history.Joined, "isolate")
			return errors.Join(err, s.Cluster.Net.Join(), cluster.Pause(ctx, s.upTo(s.Cluster.Timing.TTL/4)), up(ctx))
		}
		return w, errors.Join(cluster.Pause(ctx, s.upTo(s.Cluster.Timing.TTL)), s.Cluster.Node(first).Kill())
	}}
}
