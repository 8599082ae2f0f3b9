package stories

import (
	"slices"
	"testing"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// counts is what count_children says.
type counts struct{ Specs, Active, Supervisors, Workers int }

func (d *tale) counts(want counts) {
	d.t.Helper()
	var got counts
	_, err := d.client.Do(d.ctx, "GET", d.path()+"/count", nil, nil, &got, "")
	must(d.t, err)
	if got != want {
		d.t.Errorf("the counts of %s are %+v, not %+v", d.name, got, want)
	}
}

// limit is a restart intensity.
func limit(restarts int) map[string]any {
	return map[string]any{"restart_intensity": map[string]any{"max_restarts": restarts, "within": "1m"}}
}

func treeInOrder(d *tale) {
	inOrder := func(strategy string) map[string]any { return map[string]any{"strategy": strategy} }
	d.begin("rest_for_one", nil, kid{id: "a"},
		kid{id: "db", tree: inOrder("one_for_all"), kids: []kid{{id: "d1"},
			{id: "deep", tree: inOrder("rest_for_one"), kids: []kid{{id: "e1"}, {id: "e2"}}}, {id: "d2"}}},
		kid{id: "b"})
	d.startedInOrder("a", "d1", "e1", "e2", "d2", "b")
	d.counts(counts{Specs: 3, Active: 3, Supervisors: 1, Workers: 2})
	d.of("db").counts(counts{Specs: 3, Active: 3, Supervisors: 1, Workers: 2})
	d.of("db").of("deep").counts(counts{Specs: 2, Active: 2, Workers: 2})
	d.end()
	now := d.lives()
	endedInOrder(d.t, now["b"][0], now["d2"][0], now["e2"][0], now["e1"][0], now["d1"][0], now["a"][0])
	d.grew(now, map[string]int{"a": 0, "b": 0, "d1": 0, "d2": 0, "e1": 0, "e2": 0})
	d.of("db").of("deep").stopped("shutdown")
	events := d.events()
	want := []string{"child_stopped b shutdown", "child_stopped db shutdown", "child_stopped a shutdown", "supervisor_stopped  shutdown"}
	if got := events[max(len(events)-len(want), 0):]; !slices.Equal(got, want) {
		d.t.Errorf("the events end with %q", got)
	}
}

// A subtree goes down in reverse and comes up in order, with the group that it is in.
func subtreeInAGroup(d *tale) {
	d.begin("rest_for_one", nil, kid{id: "a"}, kid{id: "b"},
		kid{id: "db", tree: map[string]any{"strategy": "one_for_all"}, kids: []kid{{id: "d1"}, {id: "d2"}}}, kid{id: "c"})
	before := d.lives()
	d.crash("b")
	d.again(before, "b", "d1", "d2", "c")
	d.running("a", "b", "db", "c")
	d.of("db").running("d1", "d2")
	now := d.lives()
	endedInOrder(d.t, now["b"][0], now["c"][0], now["d2"][0], now["d1"][0])
	d.endedBefore("b", now["d1"][0], now["c"][0])
	d.startedInOrder("b", "d1", "d2", "c")
	d.grew(before, map[string]int{"a": 0, "b": 1, "d1": 1, "d2": 1, "c": 1})
	d.end()
}

func treeRestarts(d *tale) {
	d.begin("one_for_one", nil, kid{id: "a"}, kid{id: "db", tree: limit(0), kids: []kid{{id: "d1"}, {id: "d2"}}})
	db := d.of("db")
	_, err := d.client.Do(d.ctx, "POST", db.path()+"/children", nil, d.spec(kid{id: "added"}), nil, d.name+"-add")
	must(d.t, err)
	op := d.client.Operate(d.ctx, history.OpTerminate, history.Key{Supervisor: db.name, Child: "d2"}, nil, d.name+"-d2")
	if op.Outcome != history.OK {
		d.t.Fatalf("terminate: %+v", op)
	}
	db.running("d1", "added")
	before := d.lives()
	d.crash("d1")
	d.again(before, "d1", "d2")
	db.running("d1", "d2")
	d.running("a", "db")
	now := d.lives()
	endedInOrder(d.t, now["d1"][0], now["added"][0])
	d.endedBefore("d1", now["added"][0])
	d.grew(before, map[string]int{"a": 0, "d1": 1, "d2": 1, "added": 0})
	if s := d.supervisor(); s.RestartsInWindow != 1 {
		d.t.Errorf("the restart of a sub-supervisor counts %d in its parent's window", s.RestartsInWindow)
	}
	if s := db.supervisor(); s.RestartsInWindow != 0 || s.Status != "running" {
		d.t.Errorf("the restarted sub-supervisor is %+v", s)
	}
	d.end()
}

func treeStaysDown(d *tale) {
	d.begin("one_for_all", nil, kid{id: "a"},
		kid{id: "db", tree: limit(0), kids: []kid{{id: "d1"}, {id: "d2"}}, more: map[string]any{"restart": "transient"}})
	before := d.lives()
	d.crash("d1")
	d.until("db to be exited", func() error { return d.is("db", "exited") })
	d.of("db").stopped("max_restarts_exceeded")
	d.grew(before, map[string]int{"a": 0, "d1": 0, "d2": 0})
	d.counts(counts{Specs: 2, Active: 1, Supervisors: 1, Workers: 1})
	_, err := d.client.Do(d.ctx, "POST", d.of("db").path()+"/children/d2/restart", nil, nil, nil, d.name+"-late")
	if p, ok := err.(*cluster.Problem); !ok || p.Code != "max_restarts_exceeded" {
		d.t.Errorf("S45: a restart answers %v", err)
	}
	op := d.client.Operate(d.ctx, history.OpRestart, history.Key{Supervisor: d.name, Child: "db"}, nil, d.name+"-hand")
	if op.Outcome != history.OK {
		d.t.Fatalf("restart: %+v", op)
	}
	d.running("a", "db")
	d.of("db").running("d1", "d2")
	d.grew(before, map[string]int{"a": 0, "d1": 1, "d2": 1})
	d.end()
}

// One crash at the bottom, with no restart left at any level, takes the whole tree down, each level once.
func treeGivesUp(d *tale) {
	d.begin("one_for_one", limit(0), kid{id: "a"},
		kid{id: "db", tree: limit(0), kids: []kid{{id: "d1"}, {id: "deep", tree: limit(0), kids: []kid{{id: "e1"}, {id: "e2"}}}}})
	before := d.lives()
	d.crash("e1")
	d.stopped("max_restarts_exceeded")
	now := d.lives()
	endedInOrder(d.t, now["e1"][0], now["e2"][0], now["d1"][0], now["a"][0])
	d.grew(before, map[string]int{"a": 0, "d1": 0, "e1": 0, "e2": 0})
	d.of("db").stopped("max_restarts_exceeded")
	d.of("db").of("deep").stopped("max_restarts_exceeded")
}

// The trees that lose nodes are told on one cluster, one after another.
func TestTreesThatLoseNodes(t *testing.T) {
	s := play(t)
	t.Run("S23 one decision at each level of a tree", func(t *testing.T) { lossAtTwoLevels(s.tell(t)) })
	t.Run("a subtree that restarts survives its leader", func(t *testing.T) { subtreeSurvivesItsLeader(s.tell(t)) })
	t.Run("a change frees a group that waits for a node", func(t *testing.T) { changeFreesAGroup(s.tell(t)) })
	t.Run("a change survives its leader", func(t *testing.T) { changeSurvivesItsLeader(s.tell(t)) })
}

func lossAtTwoLevels(d *tale) {
	leader, err := d.Leader(d.ctx)
	must(d.t, err)
	others := d.Others(leader)
	victim, other := others[0], others[1]
	none := limit(0)
	none["strategy"] = "one_for_all"
	d.begin("rest_for_one", limit(0), kid{id: "a", node: other}, kid{id: "b", node: victim},
		kid{id: "db", tree: none, kids: []kid{{id: "d1", node: leader}, {id: "d2", node: victim}}}, kid{id: "c", node: leader})
	before := d.lives()
	must(d.t, d.Node(victim).Kill())
	d.again(before, "b", "d1", "d2", "c")
	d.running("a", "b", "db", "c")
	d.of("db").running("d1", "d2")
	now := d.lives()
	// Each level decides for itself, in one entry (S23): db's group and that of its parent go down side by side.
	d.endedBefore("b", now["c"][0], now["d1"][0])
	d.startedInOrder("b", "d1", "d2", "c")
	d.grew(before, map[string]int{"a": 0, "b": 1, "c": 1})
	for _, id := range []string{"d1", "d2"} { // db's group may be back for a moment before its parent's takes it down
		if got := len(now[id]) - len(before[id]); got > 2 {
			d.t.Errorf("%s had %d new lives", id, got)
		}
	}
	if got := d.supervisor(); got.RestartsInWindow != 0 || got.NodeFailures != 1 {
		d.t.Errorf("the supervisor is %+v", got)
	}
	d.back(victim)
	d.end()
}

func subtreeSurvivesItsLeader(d *tale) {
	leader, err := d.Leader(d.ctx)
	must(d.t, err)
	others := d.Others(leader)
	d.begin("rest_for_one", nil, kid{id: "a", node: others[0]},
		kid{id: "db", tree: map[string]any{"strategy": "one_for_all", "restart_intensity": map[string]any{"max_restarts": 0, "within": "1m"}}, kids: []kid{
			{id: "d1", node: others[0]},
			{id: "d2", node: others[1], flags: []string{"-ignore-term"}, more: map[string]any{"shutdown_timeout": "1500ms"}},
			{id: "d3", node: others[1]}}},
		kid{id: "b", node: others[0]})
	before := d.lives()
	d.crash("d1") // one too many: db stops by itself
	d.until("d2 to stop", func() error { return d.of("db").is("d2", "stopping") })
	killed := d.killLeader()
	d.again(before, "d1", "d2", "d3", "b")
	d.running("a", "db", "b")
	d.of("db").running("d1", "d2", "d3")
	now := d.lives()
	endedInOrder(d.t, now["d1"][0], now["d3"][0], now["d2"][0], now["b"][0])
	d.endedBefore("d1", now["d2"][0], now["b"][0])
	d.startedInOrder("d1", "d2", "d3", "b")
	d.grew(before, map[string]int{"a": 0, "d1": 1, "d2": 1, "d3": 1, "b": 1})
	if got := d.supervisor(); got.RestartsInWindow != 1 {
		d.t.Errorf("the restart of the subtree counts %d in the window", got.RestartsInWindow)
	}
	d.back(killed)
	d.end()
}
