package handover

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/journal"
	"github.com/supnode/supnode/test/machine"
)

const (
	children = 100 // on three nodes
	atATime  = 4   // commands of a node that move together (docs/operations.md)
	turn     = 200 * time.Millisecond
	patience = 60 * time.Second
)

var supnode, child string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		defer machine.Alone()()
		dir, err := os.MkdirTemp("", "handover-test-")
		if err == nil {
			defer os.RemoveAll(dir)
			if child, err = journal.Build(dir); err == nil {
				supnode, err = cluster.Build(dir, false)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// stage is a cluster whose children keep journals.
type stage struct {
	*cluster.Cluster
	t       *testing.T
	ctx     context.Context
	client  *cluster.Client
	journal *journal.Reader
	dir     string
}

func open(t *testing.T) *stage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	dir := t.TempDir()
	s := &stage{t: t, ctx: ctx, dir: filepath.Join(dir, "journals")}
	s.check(os.Mkdir(s.dir, 0o755))
	s.journal = journal.NewReader(s.dir)
	c, err := cluster.New(cluster.Config{Binary: supnode, Dir: dir, Nodes: 3, FastFailover: "loopback", Allow: []string{child},
		Timing: history.Timing{H: 500 * time.Millisecond, TTL: 3 * time.Second}, ShutdownTimeout: 20 * time.Second})
	s.check(err)
	s.Cluster, s.client = c, c.Client()
	t.Cleanup(func() {
		if t.Failed() {
			for _, n := range c.Names() {
				t.Logf("---- %s\n%s", n, c.Node(n).Tail(30))
			}
		}
		s.client.Close()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	s.check(c.Start(ctx))
	return s
}

func (s *stage) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// fill starts the pool and waits until every child has written its start record.
func (s *stage) fill() {
	s.t.Helper()
	var specs []any
	for i := range children {
		specs = append(specs, map[string]any{"id": fmt.Sprintf("w%d", i+1), "behavior": "exec",
			"args": []any{map[string]any{"command": child, "args": []string{"-tick", "1h", "-dir", s.dir}}}})
	}
	// One restart that is counted would stop it all.
	s.check(s.client.StartSupervisor(s.ctx, map[string]any{"name": "pool", "selector": "round_robin", "children": specs,
		"restart_intensity": map[string]any{"max_restarts": 0, "within": "1h"}}, "fill"))
	s.await("every child to have started", func(now map[string]history.Life) bool { return len(now) == children })
}

// now are the newest lives, by child.
func (s *stage) now() map[string]history.Life {
	s.t.Helper()
	now, _ := s.lives()
	return now
}

func (s *stage) lives() (newest map[string]history.Life, all []history.Life) {
	s.t.Helper()
	all, err := s.journal.Lives()
	s.check(err)
	newest = map[string]history.Life{}
	for _, l := range all {
		if l.Start != 0 && l.Incarnation > newest[l.Child].Incarnation {
			newest[l.Child] = l
		}
	}
	return newest, all
}

func (s *stage) await(what string, ok func(map[string]history.Life) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	s.check(cluster.Until(ctx, what, func(context.Context) error {
		if now := s.now(); !ok(now) {
			on := map[string]int{}
			for _, l := range now {
				on[l.Node]++
			}
			return fmt.Errorf("they run on %v", on)
		}
		return nil
	}))
}

// replaced checks that every child that ran on a node has ended there and lived once since, by its own records, and that no
// other child was touched. It returns how many there were, and how long the one in the middle was missing.
func (s *stage) replaced(before map[string]history.Life, node string) (moved int, missing time.Duration) {
	s.t.Helper()
	now, all := s.lives()
	type process struct {
		incarnation uint64
		pid         int
	}
	ended := map[process]history.Life{}
	count := map[string]int{}
	for _, l := range all {
		if l.Incarnation >= before[l.Child].Incarnation {
			count[l.Child]++
		}
		ended[process{l.Incarnation, l.PID}] = l
	}
	var gaps []time.Duration
	for id, was := range before {
		last := ended[process{was.Incarnation, was.PID}]
		switch {
		case was.Node != node && count[id] != 1:
			s.t.Errorf("%s was not to be touched and has lived %d times since", id, count[id])
		case was.Node != node:
		case count[id] != 2 || last.Stop == "":
			s.t.Errorf("%s has lived %d times, and said at its end %q", id, count[id], last.Stop)
		default:
			gaps = append(gaps, now[id].Start.Sub(last.Last()))
		}
	}
	if len(gaps) == 0 {
		s.t.Fatalf("nothing ran on %s", node)
	}
	slices.Sort(gaps)
	return len(gaps), gaps[len(gaps)/2]
}

// together is the largest number of children that were being moved at one time, by the events: stopped, and not yet started
// again. One that takes longer than a turn makes room for the next, so it no longer counts.
func together(events []history.Event) (most int) {
	since := map[string]time.Time{}
	for _, e := range events {
		switch e.Type {
		case history.ChildStopped:
			since[e.Child] = e.Time
		case history.ChildStarted, history.ChildMigrated:
			delete(since, e.Child)
		case history.LeaderChanged:
			clear(since) // another leader knows of those that it sees stop
		}
		n := 0
		for _, at := range since {
			if e.Time.Sub(at) < turn {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// lastEvent is the id of the newest event.
func (s *stage) lastEvent() uint64 {
	s.t.Helper()
	p, err := s.client.Events(s.ctx, math.MaxInt64, false)
	s.check(err)
	return p.LastID
}

// eventsSince are the events after one, to the newest.
func (s *stage) eventsSince(id uint64) (all []history.Event) {
	s.t.Helper()
	for {
		p, err := s.client.Events(s.ctx, id, false)
		s.check(err)
		if all = append(all, p.Events...); len(p.Events) == 0 {
			return all
		}
		id = p.Next
	}
}

// handsOver does something to a node after which everything that ran on it is to run elsewhere, some at a time and without
// being counted, and undoes it.
func (s *stage) handsOver(what string, who func() string, do, undo func(node string)) {
	s.t.Helper()
	s.even()
	node, before, since := who(), s.now(), s.lastEvent()
	began := time.Now()
	do(node)
	s.empty(node)
	took := time.Since(began)
	moved, missing := s.replaced(before, node)
	most := together(s.eventsSince(since))
	s.t.Logf("%s: %d are elsewhere after %v, %d at a time, half of them missing no longer than %v", what, moved, took.Round(time.Millisecond), most,
		missing.Round(time.Millisecond))
	if moved < children/3 || most > atATime {
		s.t.Errorf("%s: %d were handed over, %d at a time", what, moved, most)
	}
	in, err := s.client.Supervisor(s.ctx, "pool")
	s.check(err)
	if in.Status != "running" || in.TotalRestarts != 0 || in.NodeFailures != 0 || in.RestartsInWindow != 0 {
		s.t.Errorf("%s: a move was counted: %+v", what, in)
	}
	undo(node)
}

// empty waits until every child's newest life is on another node.
func (s *stage) empty(node string) {
	s.t.Helper()
	s.await("nothing to run on "+node, func(now map[string]history.Life) bool {
		for _, l := range now {
			if l.Node == node {
				return false
			}
		}
		return true
	})
}

// run runs the command line tool against the cluster and returns what it prints.
func (s *stage) run(args ...string) string {
	s.t.Helper()
	var addrs []string
	for _, n := range s.Names() {
		addrs = append(addrs, "http://"+s.Node(n).Admin)
	}
	cmd := exec.CommandContext(s.ctx, supnode, append(args, "--addr", strings.Join(addrs, ","))...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("supnode %s: %v: %s", strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}

// term has a node leave, and waits until its process has ended well.
func (s *stage) term(node string) {
	s.t.Helper()
	s.check(s.Node(node).Term())
	status, err := s.Node(node).Wait(s.ctx)
	s.check(err)
	if status != 0 {
		s.t.Fatalf("%s ended with status %d", node, status)
	}
}

func (s *stage) member(name string) (m cluster.Member) {
	s.t.Helper()
	all, err := s.client.Members(s.ctx)
	s.check(err)
	for _, m := range all {
		if m.Name == name {
			return m
		}
	}
	s.t.Fatalf("there is no member %s", name)
	return m
}

// even spreads the children again, and waits until that is done.
func (s *stage) even() {
	s.t.Helper()
	s.run("nodes", "rebalance")
	s.await("the children to be even", func(now map[string]history.Life) bool {
		on := map[string]int{}
		for _, l := range now {
			on[l.Node]++
		}
		for _, n := range s.Names() {
			if on[n] < children/3 || on[n] > children/3+1 {
				return false
			}
		}
		return true
	})
}

func (s *stage) leader() string {
	s.t.Helper()
	leader, err := s.Leader(s.ctx)
	s.check(err)
	return leader
}

func (s *stage) follower() string { return s.Others(s.leader())[0] }

func (s *stage) drain(node string) { s.run("nodes", "drain", node) }

// undrain looks at what the drain has come to, and undoes it.
func (s *stage) undrain(node string) {
	s.t.Helper()
	if m := s.member(node); m.Status != "draining" || m.ChildCount != 0 || m.Role == "leader" {
		s.t.Errorf("drained: %+v", m)
	}
	if out := s.run("nodes", "show", node); !strings.Contains(out, "draining") {
		s.t.Errorf("%s", out)
	}
	s.run("nodes", "undrain", node)
}

// start starts a node again.
func (s *stage) start(node string) {
	s.t.Helper()
	s.check(s.Node(node).Start())
	s.check(s.Ready(s.ctx, s.Names()...))
}

// The children of a node that is drained, or whose process gets a TERM, move a few at a time, so that each is missing hardly
// longer than its own stop and start take: not as long as all of them together.
func TestAFewChildrenMoveAtATime(t *testing.T) {
	s := open(t)
	s.fill()
	s.handsOver("drain of a follower", s.follower, s.drain, s.undrain)
	s.handsOver("drain of the leader", s.leader, s.drain, s.undrain)
	s.handsOver("TERM of a follower", s.follower, s.term, s.start)
	s.handsOver("TERM of the leader", s.leader, s.term, s.start)
}

// A rolling restart: every node gets a TERM in turn and is started again. Nothing is lost, nothing is counted.
func TestARollingRestartLosesAndCountsNothing(t *testing.T) {
	s := open(t)
	s.fill()
	for _, n := range s.Names() {
		s.term(n)
		s.empty(n)
		s.start(n)
	}
	in, err := s.client.Supervisor(s.ctx, "pool")
	s.check(err)
	if in.Status != "running" || in.ChildCount != children || in.TotalRestarts != 0 || in.NodeFailures != 0 || in.RestartsInWindow != 0 {
		t.Errorf("%+v", in)
	}
	all, err := s.client.Children(s.ctx, "pool")
	s.check(err)
	now := s.now()
	for _, c := range all {
		if c.Status != "running" || now[c.ID].Incarnation != c.Incarnation {
			t.Errorf("%+v, by its own records incarnation %d", c, now[c.ID].Incarnation)
		}
	}
	if m := s.member("n3"); m.ChildCount != 0 {
		t.Errorf("nothing comes back by itself: %+v", m)
	}
}
