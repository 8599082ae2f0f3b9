package stories

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// apply makes the supervisor as a manifest says and returns what that changed, in short.
func (d *tale) apply(m map[string]any, dryRun bool, key string) (changes []string, err error) {
	var out struct {
		Changes []struct{ Action, Child string } `json:"changes"`
	}
	query := url.Values{}
	if dryRun {
		query.Set("dry_run", "true")
	}
	_, err = d.client.Do(d.ctx, "PUT", d.path(), query, m, &out, key)
	for _, c := range out.Changes {
		changes = append(changes, strings.TrimSpace(c.Action+" "+c.Child))
	}
	return changes, err
}

func (d *tale) changes(want []string, m map[string]any, dryRun bool) {
	d.t.Helper()
	got, err := d.apply(m, dryRun, "")
	must(d.t, err)
	if !slices.Equal(got, want) {
		d.t.Errorf("the changes are %q, not %q", got, want)
	}
}

func liveChange(d *tale) {
	d.begin("one_for_all", nil, kid{id: "a"}, kid{id: "b"}, kid{id: "c"}, kid{id: "d"})
	before := d.lives()
	// c is gone, b is another, e and f are new, and f stands first.
	kids := []kid{{id: "f"}, {id: "a"}, {id: "b", flags: []string{"-tick", "20ms"}}, {id: "d"}, {id: "e"}}
	next := d.manifest("one_for_all", limit(7), kids...)
	want := []string{"stop c", "set", "reorder", "start f", "restart b", "start e"}
	d.changes(want, next, true)
	d.running("a", "b", "c", "d") // a dry run changes nothing
	d.grew(before, map[string]int{"a": 0, "b": 0, "c": 0, "d": 0})

	d.changes(want, next, false)
	d.allRun(kids)
	d.grew(before, map[string]int{"a": 0, "b": 1, "c": 0, "d": 0, "e": 1, "f": 1})
	now := d.lives()
	endedInOrder(d.t, now["c"][0], now["b"][0])
	d.endedBefore("f", now["c"][0], now["b"][0])
	d.startedInOrder("f", "b", "e")
	if s := d.supervisor(); s.RestartsInWindow != 0 || s.TotalRestarts != 0 {
		d.t.Errorf("a change counts as a restart: %+v", s)
	}
	d.changes(nil, next, false) // it is so already

	// The new order is the one in which they stop.
	d.end()
	now = d.lives()
	endedInOrder(d.t, now["e"][0], now["d"][0], now["b"][1], now["a"][0], now["f"][0])
}

func newOrder(d *tale) {
	d.begin("rest_for_one", nil, kid{id: "a"}, kid{id: "b"}, kid{id: "c"})
	before := d.lives()
	d.changes([]string{"reorder"}, d.manifest("rest_for_one", nil, kid{id: "c"}, kid{id: "b"}, kid{id: "a"}), false)
	d.running("c", "b", "a")
	d.grew(before, map[string]int{"a": 0, "b": 0, "c": 0})
	d.crash("b")
	d.again(before, "b", "a")
	d.running("c", "b", "a")
	d.startedInOrder("b", "a")
	d.grew(before, map[string]int{"c": 0, "b": 1, "a": 1})
	d.end()
}

func otherStrategy(d *tale) {
	d.begin("one_for_one", nil, kid{id: "a"}, kid{id: "b"})
	before := d.lives()
	for _, dryRun := range []bool{true, false} {
		_, err := d.apply(d.manifest("one_for_all", nil, kid{id: "a"}), dryRun, "")
		if p, ok := err.(*cluster.Problem); !ok || p.Status != 409 || p.Code != "wrong_strategy" {
			d.t.Errorf("another strategy answers %v", err)
		}
	}
	d.running("a", "b")
	d.grew(before, map[string]int{"a": 0, "b": 0})
	d.end()
}

// A sub-supervisor whose manifest differs is one child that differs: it goes down and comes up as a whole.
func changeOfATree(d *tale) {
	tree := func(more ...kid) kid {
		return kid{id: "db", tree: map[string]any{"strategy": "one_for_all"}, kids: append([]kid{{id: "d1"}, {id: "d2"}}, more...)}
	}
	still := kid{id: "still", tree: map[string]any{}, kids: []kid{{id: "s1"}}}
	d.begin("rest_for_one", nil, kid{id: "a"}, tree(), still, kid{id: "b"})
	before := d.lives()
	kids := []kid{{id: "a"}, tree(kid{id: "d3"}), still, {id: "b"}}
	d.changes([]string{"restart db"}, d.manifest("rest_for_one", nil, kids...), false)
	d.allRun(kids)
	now := d.lives()
	endedInOrder(d.t, now["d2"][0], now["d1"][0])
	d.startedInOrder("d1", "d2", "d3")
	d.grew(before, map[string]int{"a": 0, "b": 0, "s1": 0, "d1": 1, "d2": 1, "d3": 1})
	d.end()
}

// The leader dies in the middle of a change, while a child takes its time to stop; the next one finishes it, and who asked
// for it is answered.
func changeSurvivesItsLeader(d *tale) {
	leader, err := d.Leader(d.ctx)
	must(d.t, err)
	others := d.Others(leader)
	d.begin("rest_for_one", nil, kid{id: "a", node: others[0]},
		kid{id: "b", node: others[1], flags: []string{"-ignore-term"}, more: map[string]any{"shutdown_timeout": "1500ms"}},
		kid{id: "c", node: others[0]})
	before := d.lives()
	kids := []kid{{id: "a", node: others[0]}, {id: "b", node: others[0]}, {id: "d", node: others[1]}}
	next := d.manifest("rest_for_one", nil, kids...)
	type answer struct {
		changes []string
		err     error
	}
	answers := make(chan answer, 1)
	go func() {
		changes, err := d.apply(next, false, d.name+"-change")
		answers <- answer{changes, err}
	}()
	d.until("b to stop", func() error { return d.is("b", "stopping") })
	killed := d.killLeader()
	got := <-answers
	must(d.t, got.err)
	if want := []string{"stop c", "restart b", "start d"}; !slices.Equal(got.changes, want) {
		d.t.Errorf("the changes are %q, not %q", fmt.Sprint(got.changes), want)
	}
	d.allRun(kids)
	now := d.lives()
	endedInOrder(d.t, now["c"][0], now["b"][0])
	d.endedBefore("b", now["c"][0], now["b"][0])
	d.startedInOrder("b", "d")
	d.grew(before, map[string]int{"a": 0, "b": 1, "c": 0, "d": 1})
	d.back(killed)
	d.end()
}

// A group that waits for a node that is away, and a subtree of it that is restarted meanwhile, wait and count nothing; another
// manifest helps at once.
func changeFreesAGroup(d *tale) {
	leader, err := d.Leader(d.ctx)
	must(d.t, err)
	others := d.Others(leader)
	away, here := others[0], others[1]
	pinned := func(node string) kid {
		return kid{id: "d1", more: map[string]any{"selector": map[string]any{"node": node}}}
	}
	kids := func(node string) []kid {
		return []kid{{id: "a", node: here}, {id: "db", tree: limit(0), kids: []kid{pinned(node)}}, {id: "b", node: leader}}
	}
	d.begin("one_for_all", limit(1), kids(away)...)
	before := d.lives()
	must(d.t, d.Node(away).Kill())
	d.until("d1 to wait", func() error { return d.of("db").is("d1", "pending") })
	d.crash("a")
	d.again(before, "a")
	d.until("d1 to wait in its restart", func() error { return d.of("db").is("d1", "pending") })
	op := d.client.Operate(d.ctx, history.OpRestart, history.Key{Supervisor: d.name + "/db", Child: "d1"}, nil, d.name+"-hand")
	if op.Outcome != history.Refused || !strings.Contains(op.Detail, "no_available_node") {
		d.t.Errorf("restart: %+v", op)
	}
	d.changes([]string{"restart db"}, d.manifest("one_for_all", limit(1), kids(here)...), false)
	d.allRun(kids(here))
	d.startedInOrder("a", "d1", "b")
	d.grew(before, map[string]int{"a": 1, "d1": 1, "b": 1})
	if got := d.supervisor(); got.RestartsInWindow != 1 {
		d.t.Errorf("the supervisor is %+v", got)
	}
	d.back(away)
	d.end()
}

// The same from the command line: the differences first, then what was done.
func changeByCommand(d *tale) {
	d.begin("one_for_one", nil, kid{id: "a"}, kid{id: "b"})
	before := d.lives()
	kids := []kid{{id: "a"}, {id: "c"}}
	file := filepath.Join(d.t.TempDir(), "pool.json")
	manifest, err := json.Marshal(d.manifest("one_for_one", nil, kids...))
	must(d.t, err)
	must(d.t, os.WriteFile(file, manifest, 0o644))
	supnode := func(args ...string) []string {
		cmd := exec.CommandContext(d.ctx, programs.supnode, args...)
		cmd.Env = append(os.Environ(), "SUPNODE_ADDR=http://"+d.Node("n2").Admin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			d.t.Fatalf("supnode %q: %v\n%s", args, err, out)
		}
		return strings.Fields(string(out))
	}
	differences := []string{d.name, "stop", "b", "-", d.name, "start", "c", "-"}
	if out := supnode("apply", "--dry-run", file); len(out) < 4 || !slices.Equal(out[4:], differences) {
		d.t.Errorf("supnode apply --dry-run says %q", out)
	}
	d.grew(before, map[string]int{"a": 0, "b": 0})
	d.running("a", "b")
	if out := supnode("apply", file); len(out) < 12 || !slices.Equal(out[4:12], differences) {
		d.t.Errorf("supnode apply says %q", out)
	}
	d.allRun(kids)
	d.grew(before, map[string]int{"a": 0, "b": 0, "c": 1})
	d.end()
}
