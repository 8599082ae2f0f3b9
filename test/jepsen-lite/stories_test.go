package jepsenlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/nemesis"
	"github.com/supnode/supnode/test/jepsen-lite/rounds"
)

var (
	loop  = history.Key{Supervisor: "loop", Child: "crasher"}
	limit = history.Limit{Max: 3, Within: 2 * time.Minute}
)

// The window is replicated: the leader is killed between the crashes, and the fourth crash stops the supervisor, not the
// third and not the fifth.
func TestCrashLoopAcrossLeaderKills(t *testing.T) {
	for _, failover := range []string{"loopback", "off"} {
		t.Run(failover, func(t *testing.T) {
			s, ctx := stage(t, failover, false)
			trigger := filepath.Join(t.TempDir(), "crash")
			must(t, s.StartSupervisor(ctx, loop.Supervisor, &limit, s.Spec(loop.Child, "-crash-file", trigger)))
			must(t, s.Settle(ctx, nil))
			for crash := 1; crash <= limit.Max+1; crash++ {
				restarts := count(s.Events(), history.ChildRestarted)
				must(t, os.WriteFile(trigger, nil, 0o644))
				if crash > limit.Max {
					break
				}
				await(t, ctx, "the restart after a crash", func() error {
					if count(s.Events(), history.ChildRestarted) == restarts {
						return fmt.Errorf("there are %d", restarts)
					}
					return nil
				})
				leader, err := s.Cluster.Leader(ctx)
				must(t, err)
				must(t, s.Cluster.Node(leader).Kill())
				_, err = s.Cluster.Leader(ctx, leader)
				must(t, err)
				must(t, s.Cluster.Node(leader).Start())
				must(t, s.Settle(ctx, nil))
			}
			stopped(t, ctx, s)
			judgeCrashes(t, ctx, s)
		})
	}
}

// The same with a command that crashes by itself all the time, while the leader is killed under it: what the events report
// decides, since a crash whose report died with its node was a loss of the node.
func TestCrashLoopWhileTheLeaderIsKilled(t *testing.T) {
	s, ctx := stage(t, "off", false)
	must(t, s.StartSupervisor(ctx, loop.Supervisor, &limit, s.Spec(loop.Child, "-exit-after", "300ms")))
	await(t, ctx, "a crash", func() error {
		if n := count(s.Events(), history.ChildStopped); n == 0 {
			return fmt.Errorf("none")
		}
		return nil
	})
	leader, err := s.Cluster.Leader(ctx)
	must(t, err)
	must(t, s.Cluster.Node(leader).Kill())
	_, err = s.Cluster.Leader(ctx, leader)
	must(t, err)
	must(t, s.Cluster.Node(leader).Start())
	stopped(t, ctx, s)
	judgeCrashes(t, ctx, s)
}

// stopped waits until the supervisor has stopped for its intensity, and sees that what asks something of it is told so.
func stopped(t *testing.T, ctx context.Context, s *rounds.Stage) {
	t.Helper()
	await(t, ctx, "the supervisor to stop", func() error {
		sup, err := s.Client.Supervisor(ctx, loop.Supervisor)
		if err != nil || sup.Status != "stopped" {
			return fmt.Errorf("it is %+v %w", sup, err)
		}
		if sup.Reason != "max_restarts_exceeded" {
			t.Fatalf("the supervisor stopped with %+v", sup)
		}
		return nil
	})
	op := s.Operate(ctx, history.OpRestart, loop, nil)
	if op.Outcome != history.Refused || !strings.Contains(op.Detail, "max_restarts_exceeded") {
		t.Errorf("a restart of its child: %+v", op)
	}
}

func judgeCrashes(t *testing.T, ctx context.Context, s *rounds.Stage) {
	t.Helper()
	res := judge(t, ctx, s, "I3a", "I5", "I8", "I8t")
	crashes := 0
	for _, e := range res.History.Streams[0].Events {
		if e.Type == history.ChildStopped && e.Reason == "error" {
			crashes++
		}
	}
	if crashes != limit.Max+1 {
		t.Errorf("the events report %d crashes, want %d: exactly %d restarts and the one that was too many", crashes, limit.Max+1, limit.Max)
	}
	if n := count(res.History.Streams[0].Events, history.IntensityExceeded); n != 1 {
		t.Errorf("restart_intensity_exceeded was told %d times", n)
	}
}

func count(events []history.Event, kind string) (n int) {
	for _, e := range events {
		if e.Type == kind {
			n++
		}
	}
	return n
}

func await(t *testing.T, ctx context.Context, what string, ok func() error) {
	t.Helper()
	must(t, cluster.Until(ctx, what, func(context.Context) error { return ok() }))
}

// Without a quorum: writes are refused in time, what the minority runs stops at its lease, and all of it goes on when the
// quorum is back.
func TestNoQuorum(t *testing.T) {
	for _, c := range []struct {
		name    string
		proxied bool
	}{{"two of three are killed", false}, {"all are cut off from each other", true}} {
		t.Run(c.name, func(t *testing.T) {
			s, ctx := stage(t, "off", c.proxied)
			must(t, s.StartPool(ctx))
			must(t, s.Settle(ctx, nil))
			must(t, s.Spread(ctx))
			minority := s.Cluster.Names()
			at := history.Now()
			if c.proxied {
				for _, n := range minority {
					s.Cluster.Note(n, history.Cut, "from all others")
					s.Cluster.Net.Isolate(n)
				}
			} else {
				leader, err := s.Cluster.Leader(ctx)
				must(t, err)
				minority = []string{leader}
				for _, n := range s.Cluster.Others(leader) {
					must(t, s.Cluster.Node(n).Kill())
				}
			}
			cutOff := history.Now()
			for _, n := range minority {
				refusesWrites(t, ctx, s, n)
			}
			await(t, ctx, "the children of the minority to stop", func() error { return nothingRuns(s) })
			checkLeases(t, s, at, cutOff, minority)
			if c.proxied {
				for _, n := range minority {
					s.Cluster.Note(n, history.Joined, "to all others")
				}
				must(t, s.Cluster.Net.Join())
			} else {
				for _, n := range s.Cluster.Others(minority...) {
					must(t, s.Cluster.Node(n).Start())
				}
			}
			must(t, s.Settle(ctx, nil))
			judge(t, ctx, s, "I1", "I3a", "I8", "I8t", "F")
		})
	}
}

// refusesWrites asks one node for a write: 503 no_leader, with Retry-After, within the time-out that was asked for.
func refusesWrites(t *testing.T, ctx context.Context, s *rounds.Stage, node string) {
	t.Helper()
	const timeout = time.Second
	await(t, ctx, node+" to have no leader", func() error { // before that a write may still be accepted, and have its effect later
		st, err := s.Cluster.Node(node).Status(ctx)
		if err == nil && st.Leader != "" {
			err = fmt.Errorf("its leader is %s", st.Leader)
		}
		return err
	})
	await(t, ctx, node+" to refuse a write", func() error {
		spec, err := json.Marshal(s.Spec("never"))
		must(t, err)
		began := time.Now()
		resp, err := http.Post(fmt.Sprintf("http://%s/v1/supervisors/pool/children?timeout=%v", s.Cluster.Node(node).Admin, timeout),
			"application/json", strings.NewReader(string(spec)))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		took := time.Since(began)
		var problem cluster.Problem
		if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusServiceUnavailable || problem.Code != "no_leader" || resp.Header.Get("Retry-After") == "" {
			return fmt.Errorf("it answers %d %+v, Retry-After %q", resp.StatusCode, problem, resp.Header.Get("Retry-After"))
		}
		if took > timeout+time.Second {
			return fmt.Errorf("it took %v, with a time-out of %v", took, timeout)
		}
		return nil
	})
}

func nothingRuns(s *rounds.Stage) error {
	lives, err := s.Journals.Lives()
	if err != nil {
		return err
	}
	for _, l := range lives {
		if history.Now().Sub(l.Last()) < 200*time.Millisecond {
			return fmt.Errorf("%s runs", l)
		}
	}
	return nil
}

// checkLeases sees that what ran on the nodes at at ended within a lease of cutOff, and that some of it ended later than
// that: at its lease, not for another reason.
func checkLeases(t *testing.T, s *rounds.Stage, at, cutOff history.Instant, nodes []string) {
	t.Helper()
	lives, err := s.Journals.Lives()
	must(t, err)
	checked := 0
	for _, l := range lives {
		if l.Start > at || l.Last() < at || !slices.Contains(nodes, l.Node) {
			continue
		}
		checked++
		if after := l.Last().Sub(cutOff); after > s.Timing.Stopped() {
			t.Errorf("%s ran for %v without a quorum; its lease ends after %v", l, after, s.Timing.Stopped())
		}
	}
	if checked == 0 {
		t.Error("nothing ran on", nodes)
	}
}

// A command that sets its own session and forks twice cannot get away: it dies with its lease, and with its node.
func TestDetachedCommandsDieWithTheirLeaseAndTheirNode(t *testing.T) {
	s, ctx := stage(t, "off", false)
	child := history.Key{Supervisor: "detached", Child: "d"}
	must(t, s.StartSupervisor(ctx, child.Supervisor, nil, s.Spec(child.Child, "-detach", "-ignore-term")))
	both := func() (lives []history.Life) {
		await(t, ctx, "the command and its grandchild", func() error {
			all, err := s.Journals.Lives()
			must(t, err)
			lives = slices.DeleteFunc(all, func(l history.Life) bool { return history.Now().Sub(l.Last()) > 100*time.Millisecond })
			if len(lives) != 2 {
				return fmt.Errorf("%v run", lives)
			}
			return nil
		})
		return lives
	}
	gone := func(lives []history.Life) (last history.Instant) {
		t.Helper()
		await(t, ctx, "the end of both", func() error {
			all, err := s.Journals.Lives()
			must(t, err)
			for _, l := range all {
				if slices.ContainsFunc(lives, func(o history.Life) bool { return o.PID == l.PID && o.Start == l.Start }) {
					if last = max(last, l.Last()); history.Now().Sub(l.Last()) < 300*time.Millisecond {
						return fmt.Errorf("%s runs", l)
					}
				}
			}
			return nil
		})
		return last
	}

	must(t, s.Settle(ctx, nil))
	lives := both()
	node := s.Cluster.Node(lives[0].Node)
	at := history.Now()
	must(t, node.Pause())
	if after := gone(lives).Sub(at); after > s.Timing.Stopped() {
		t.Errorf("with supnode paused they ran on for %v; the lease ends after %v", after, s.Timing.Stopped())
	}
	must(t, node.Resume())
	must(t, s.Settle(ctx, map[history.Key]uint64{child: lives[0].Incarnation}))

	lives = both()
	node = s.Cluster.Node(lives[0].Node)
	at = history.Now()
	must(t, node.Kill())
	if after := gone(lives).Sub(at); after > s.Timing.Fence() {
		t.Errorf("after the kill of supnode they ran on for %v; the guardian has %v", after, s.Timing.Fence())
	}
	must(t, node.Start())
	must(t, s.Settle(ctx, map[history.Key]uint64{child: lives[0].Incarnation}))
	judge(t, ctx, s, "I1", "I3a", "I8", "I8t", "F")
}

// Many clients start, restart, terminate and read the same few children through all nodes, while leaders are cut off, stopped
// and killed under them: there is one order that explains what all of them were told.
func TestTheAPIIsLinearizable(t *testing.T) {
	s, ctx := stage(t, "off", true)
	must(t, s.StartSupervisor(ctx, rounds.Registers, &history.Limit{Max: 1000, Within: time.Minute}))
	stop, called := make(chan struct{}), make(chan struct{})
	go func() { defer close(called); s.CallRegisters(ctx, stop) }()
	for _, f := range []string{"isolate-leader", "pause-leader", "kill-leader"} {
		w, err := nemesis.Named(f).Hit(ctx, &nemesis.Scene{Cluster: s.Cluster, Rand: s.Rand})
		if err == nil {
			err = cluster.Pause(ctx, s.Timing.Takeover())
		}
		if w.Heal != nil {
			err = errors.Join(err, w.Heal(ctx))
		}
		must(t, err)
		must(t, s.Ready(ctx))
	}
	close(stop)
	<-called
	judge(t, ctx, s, "I3a", "I7", "I8", "I8t")
}
