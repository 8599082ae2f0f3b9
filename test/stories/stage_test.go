package stories

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
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

var programs struct{ supnode, child string }

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "stories-")
	if err == nil {
		if programs.supnode, err = cluster.Build(dir, false); err == nil {
			programs.child, err = journal.Build(dir)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := machine.Run(m)
	os.RemoveAll(dir)
	os.Exit(status)
}

// timing is the short lease of the tests.
var timing = history.Timing{H: 100 * time.Millisecond, TTL: time.Second}

// stage is a cluster on which stories are played, one after another.
type stage struct {
	*cluster.Cluster
	client *cluster.Client
	ctx    context.Context
}

// play starts a cluster of three.
func play(t *testing.T) *stage {
	t.Helper()
	c, err := cluster.New(cluster.Config{
		Binary: programs.supnode, Dir: t.TempDir(), Nodes: 3, Timing: timing, FastFailover: "loopback",
		Allow: []string{programs.child}, Log: t.Logf,
	})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	s := &stage{Cluster: c, client: c.Client(), ctx: ctx}
	t.Cleanup(func() {
		cancel()
		s.client.Close()
		if t.Failed() {
			for _, n := range c.Names() {
				t.Logf("---- log of %s\n%s", n, c.Node(n).Tail(40))
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	must(t, c.Start(ctx))
	return s
}

// tale is one supervisor and what its children say.
type tale struct {
	*stage
	t      *testing.T
	name   string
	dir    string // of the journals
	orders string // where a child finds its trigger
	reader *journal.Reader
}

// kid is a child of a manifest.
type kid struct {
	id    string
	node  string   // pinned; empty: round_robin
	flags []string // of the child program
	more  map[string]any
	tree  map[string]any // a supervisor in place of a command: its manifest but for the children
	kids  []kid          // of the tree
}

// tell makes a tale whose supervisor has the test's name.
func (s *stage) tell(t *testing.T) *tale {
	t.Helper()
	d := &tale{stage: s, t: t, name: strings.ReplaceAll(t.Name()[strings.LastIndex(t.Name(), "/")+1:], " ", "_"), dir: t.TempDir(), orders: t.TempDir()}
	d.reader = journal.NewReader(d.dir)
	return d
}

// spec is a child spec, or a template when the kid has no id.
func (d *tale) spec(k kid) map[string]any {
	if k.tree != nil {
		tree := maps.Clone(k.tree)
		tree["children"] = d.specs(k.kids)
		spec := map[string]any{"id": k.id, "supervisor": tree}
		maps.Copy(spec, k.more)
		return spec
	}
	args := append([]string{"-dir", d.dir, "-crash-file", d.trigger(k.id)}, k.flags...)
	spec := map[string]any{"behavior": "exec", "args": []any{map[string]any{"command": programs.child, "args": args}}}
	if k.id != "" {
		spec["id"] = k.id
	}
	if k.node != "" {
		spec["selector"] = map[string]any{"node": k.node, "fallback": "least_loaded"}
	}
	maps.Copy(spec, k.more)
	return spec
}

func (d *tale) specs(kids []kid) (all []any) {
	for _, k := range kids {
		all = append(all, d.spec(k))
	}
	return all
}

// begin starts the supervisor.
func (d *tale) begin(strategy string, more map[string]any, kids ...kid) {
	d.t.Helper()
	must(d.t, d.client.StartSupervisor(d.ctx, d.manifest(strategy, more, kids...), d.name))
	d.allRun(kids)
}

// manifest is what the supervisor starts from, or what it is to become.
func (d *tale) manifest(strategy string, more map[string]any, kids ...kid) map[string]any {
	m := map[string]any{"name": d.name, "strategy": strategy, "selector": "round_robin", "children": d.specs(kids)}
	maps.Copy(m, more)
	return m
}

// allRun waits until exactly these children are there and run, at every level of the tree.
func (d *tale) allRun(kids []kid) {
	d.t.Helper()
	d.running(ids(kids)...)
	for _, k := range kids {
		if k.tree != nil {
			d.of(k.id).allRun(k.kids)
		}
	}
}

// of is the tale of a child that is a supervisor.
func (d *tale) of(id string) *tale {
	sub := *d
	sub.name = d.name + "/" + id
	return &sub
}

// path is where the API has the supervisor.
func (d *tale) path() string { return "/v1/supervisors/" + url.PathEscape(d.name) }

func ids(kids []kid) (all []string) {
	for _, k := range kids {
		all = append(all, k.id)
	}
	return all
}

// trigger is the file whose making ends a child.
func (d *tale) trigger(id string) string { return filepath.Join(d.orders, "end-of-"+id) }

// crash ends a child: with the status of its -exit-code, by default 1.
func (d *tale) crash(id string) {
	d.t.Helper()
	must(d.t, os.WriteFile(d.trigger(id), nil, 0o644))
}

// lives are the records so far, by child, oldest first.
func (d *tale) lives() map[string][]history.Life {
	d.t.Helper()
	all, err := d.reader.Lives()
	must(d.t, err)
	by := map[string][]history.Life{}
	for _, l := range all {
		if l.Role == history.Main && l.Start != 0 {
			by[l.Child] = append(by[l.Child], l)
		}
	}
	for id := range by {
		slices.SortFunc(by[id], func(a, b history.Life) int { return cmp.Compare(a.Incarnation, b.Incarnation) })
	}
	return by
}

// newest is the newest life of a child.
func (d *tale) newest(id string) (l history.Life) {
	d.t.Helper()
	if all := d.lives()[id]; len(all) > 0 {
		l = all[len(all)-1]
	}
	return l
}

// until waits for a condition, which says what is missing.
func (d *tale) until(what string, ok func() error) {
	d.t.Helper()
	must(d.t, cluster.Until(d.ctx, what, func(context.Context) error { return ok() }))
}

// running waits until exactly these children are listed, in this order, and run, each having said so itself.
func (d *tale) running(want ...string) {
	d.t.Helper()
	d.until("all to run", func() error {
		children, err := d.client.Children(d.ctx, d.name)
		if err != nil {
			return err
		}
		var got []string
		for _, c := range children {
			if c.Status != "running" {
				return fmt.Errorf("%s is %s %s", c.ID, c.Status, c.Pending)
			}
			if l := d.newest(c.ID); l.Incarnation != c.Incarnation {
				return fmt.Errorf("%s has not said that it runs as %d", c.ID, c.Incarnation)
			}
			got = append(got, c.ID)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("there are %v", got)
		}
		return nil
	})
}

// again waits until these children run in lives newer than those of before.
func (d *tale) again(before map[string][]history.Life, want ...string) {
	d.t.Helper()
	d.until("a new life", func() error {
		for _, id := range want {
			old := before[id]
			if l := d.newest(id); l.Incarnation <= old[len(old)-1].Incarnation {
				return fmt.Errorf("%s has none", id)
			}
		}
		return nil
	})
}

// stopped waits until the supervisor has stopped, for that reason.
func (d *tale) stopped(reason string) {
	d.t.Helper()
	d.until("the supervisor to stop", func() error {
		s, err := d.client.Supervisor(d.ctx, d.name)
		if err != nil || s.Status != "stopped" {
			return errors.Join(err, fmt.Errorf("it is %s", s.Status))
		}
		if s.Reason != reason {
			d.t.Fatalf("it stopped with %q, not %q", s.Reason, reason)
		}
		return nil
	})
}

// startedInOrder sees that the newest lives of these children began one after another.
func (d *tale) startedInOrder(want ...string) {
	d.t.Helper()
	for i := 1; i < len(want); i++ {
		a, b := d.newest(want[i-1]), d.newest(want[i])
		if a.Incarnation >= b.Incarnation {
			d.t.Errorf("%s did not begin before %s", a, b)
		}
	}
}

// endedInOrder sees that lives ended one after another.
func endedInOrder(t *testing.T, lives ...history.Life) {
	t.Helper()
	for i := 1; i < len(lives); i++ {
		if a, b := lives[i-1], lives[i]; a.Last() >= b.Last() {
			t.Errorf("%s did not end before %s", a, b)
		}
	}
}

// endedBefore sees that these lives ended before a child's newest began.
func (d *tale) endedBefore(id string, lives ...history.Life) {
	d.t.Helper()
	for _, l := range lives {
		if n := d.newest(id); l.Last() >= n.Start {
			d.t.Errorf("%s had not ended when %s began", l, n)
		}
	}
}

// grew tells how many lives each child had beyond those of before.
func (d *tale) grew(before map[string][]history.Life, want map[string]int) {
	d.t.Helper()
	now := d.lives()
	for id, n := range want {
		if got := len(now[id]) - len(before[id]); got != n {
			d.t.Errorf("%s had %d new lives, not %d", id, got, n)
		}
	}
}

// supervisor is the supervisor as the API shows it.
func (d *tale) supervisor() cluster.Supervisor {
	d.t.Helper()
	s, err := d.client.Supervisor(d.ctx, d.name)
	must(d.t, err)
	return s
}

// end stops the supervisor.
func (d *tale) end() {
	d.t.Helper()
	must(d.t, d.client.StopSupervisor(d.ctx, d.name, d.name+"-end"))
}

// killLeader kills the leader and returns its name; it is not started again.
func (d *tale) killLeader() string {
	d.t.Helper()
	leader, err := d.Leader(d.ctx)
	must(d.t, err)
	must(d.t, d.Node(leader).Kill())
	return leader
}

// back starts a node again and waits until it is ready.
func (d *tale) back(node string) {
	d.t.Helper()
	must(d.t, d.Node(node).Start())
	must(d.t, d.Ready(d.ctx, node))
}

// events are those of this supervisor, in short.
func (d *tale) events() (all []string) {
	d.t.Helper()
	for since := uint64(0); ; {
		var page struct {
			Events []json.RawMessage `json:"events"`
			Next   uint64            `json:"next"`
		}
		_, err := d.client.Do(d.ctx, "GET", "/v1/events", map[string][]string{"since": {fmt.Sprint(since)}}, nil, &page, "")
		must(d.t, err)
		if len(page.Events) == 0 {
			return all
		}
		for _, raw := range page.Events {
			var e struct{ Type, Supervisor, Child, Reason string }
			must(d.t, json.Unmarshal(raw, &e))
			if e.Supervisor == d.name {
				all = append(all, strings.TrimSpace(strings.Join([]string{e.Type, e.Child, e.Reason}, " ")))
			}
		}
		since = page.Next
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
