package handover

import (
	"context"
	"fmt"
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
	singles  = 10  // restarts one at a time, before each measure, to compare with
	// Four commands of a node move at a time and share the cores, so each may take some times as long as alone.
	typically = 4
	tries     = 3 // a machine that is busy with something else spoils a measure
	patience  = 60 * time.Second
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
	alone   int // children restarted alone so far
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

// figures are times in ascending order.
type figures []time.Duration

func (f figures) p50() time.Duration { return f[len(f)/2] }
func (f figures) max() time.Duration { return f[len(f)-1] }

func (f figures) String() string {
	return fmt.Sprintf("p50 %v, max %v of %d", f.p50().Round(100*time.Microsecond), f.max().Round(100*time.Microsecond), len(f))
}

// gap is a time in which a child was missing, by its own records.
type gap struct{ from, to history.Instant }

// gaps are how long each child was missing between its life in before and the one now: from the last record of the one to
// the first of the other. There must be no life in between, and none for a child that was not touched.
func (s *stage) gaps(before map[string]history.Life, touched func(history.Life) bool) (gaps []gap) {
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
	for id, was := range before {
		if !touched(was) {
			if count[id] != 1 {
				s.t.Errorf("%s was not to be touched and has lived %d times since", id, count[id])
			}
			continue
		}
		last := ended[process{was.Incarnation, was.PID}]
		if count[id] != 2 || last.Stop == "" {
			s.t.Errorf("%s has lived %d times, and said at its end %q", id, count[id], last.Stop)
			continue
		}
		gaps = append(gaps, gap{last.Last(), now[id].Start})
	}
	return gaps
}

func lengths(gaps []gap) (f figures) {
	for _, g := range gaps {
		f = append(f, g.to.Sub(g.from))
	}
	slices.Sort(f)
	return f
}

// together is the largest number of children that were missing at one time.
func together(gaps []gap) (most int) {
	for _, g := range gaps {
		n := 0
		for _, h := range gaps {
			if h.from <= g.from && g.from < h.to {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// restartAlone measures restarts one at a time.
func (s *stage) restartAlone() figures {
	s.t.Helper()
	var gaps []gap
	for range singles {
		s.alone++
		before, id := s.now(), fmt.Sprintf("w%d", s.alone*7%children+1)
		s.post("/v1/supervisors/pool/children/" + id + "/restart")
		s.await(id+" to be back", func(now map[string]history.Life) bool { return now[id].Incarnation > before[id].Incarnation })
		gaps = append(gaps, s.gaps(before, func(l history.Life) bool { return l.Child == id })...)
	}
	return lengths(gaps)
}

// handsOver does something to a node after which everything that ran on it is to run elsewhere, undoes it, and judges how long
// the children were missing, by the best of some tries.
func (s *stage) handsOver(what string, who func() string, do, undo func(node string)) {
	s.t.Helper()
	for try := 1; ; try++ {
		alone := s.restartAlone()
		s.even()
		node := who()
		f := s.handOver(what, node, do)
		undo(node)
		s.t.Logf("%s: missing %v; restarted alone %v", what, f, alone)
		switch {
		case f.p50() <= typically*alone.p50():
			return
		case try == tries:
			s.t.Errorf("%s: missing more than %d times as long as when restarted alone, %d times in a row", what, typically, tries)
			return
		}
	}
}

func (s *stage) handOver(what, node string, do func(string)) figures {
	s.t.Helper()
	before := s.now()
	on := 0
	for _, l := range before {
		if l.Node == node {
			on++
		}
	}
	began := time.Now()
	do(node)
	s.empty(node)
	gaps := s.gaps(before, func(l history.Life) bool { return l.Node == node })
	most := together(gaps)
	s.t.Logf("%s: all %d are elsewhere after %v, at most %d were missing together", what, on, time.Since(began).Round(time.Millisecond), most)
	if len(gaps) != on || on < children/3 {
		s.t.Fatalf("%s: %d of %d were handed over", what, len(gaps), on)
	}
	if most > on/2 { // four, unless some take very long
		s.t.Errorf("%s: %d of %d were missing together", what, most, on)
	}
	in, err := s.client.Supervisor(s.ctx, "pool")
	s.check(err)
	if in.Status != "running" || in.TotalRestarts != 0 || in.NodeFailures != 0 || in.RestartsInWindow != 0 {
		s.t.Errorf("%s: a move was counted: %+v", what, in)
	}
	return lengths(gaps)
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

func (s *stage) post(path string) {
	s.t.Helper()
	_, err := s.client.Do(s.ctx, "POST", path, nil, nil, nil, "")
	s.check(err)
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

// Every child of a node that is drained, or whose process gets a TERM, is missing no longer than its own stop and start take,
// and a little: not as long as all of them together.
func TestNothingIsMissingLongerThanItsOwnStopAndStart(t *testing.T) {
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
