package stories

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// All stories that break no node are told on one cluster; each has a supervisor of its own.
func TestStories(t *testing.T) {
	s := play(t)
	for _, story := range []struct {
		name string
		tell func(*tale)
	}{
		{"S7 one_for_one restarts the one that failed", oneForOne},
		{"S8 one_for_all stops in reverse and starts in order", oneForAll},
		{"S9 rest_for_one leaves the earlier ones alone", restForOne},
		{"S2 a transient that ended starts again with its group", transientInAGroup},
		{"S3 a temporary bystander is gone", temporaryBystander},
		{"S13 a stop is in reverse order over nodes", stopInReverse},
		{"S14 a child that ignores TERM is killed in time", ignoresTerm},
		{"S15 one crash too many stops a group", intensityOfAGroup},
		{"S32 terminate cuts in on a group restart", terminateCutsIn},
		{"S33 a restart by hand touches one child", restartByHand},
		{"S20 a wait before the restart grows", backoff},
		{"S38 any_significant stops at the first end", anySignificant},
		{"S38 all_significant stops at the last end", allSignificant},
		{"S34 simple_one_for_one numbers its children and stops them together", simple},
		{"a tree starts in order and stops in reverse over its levels", treeInOrder},
		{"a subtree restarts in order with its group", subtreeInAGroup},
		{"a sub-supervisor with too many restarts is restarted with its initial children", treeRestarts},
		{"a transient sub-supervisor with too many restarts stays down", treeStaysDown},
		{"a tree with no restart left stops level by level", treeGivesUp},
		{"a change leaves alone what does not differ", liveChange},
		{"a new order needs no restart", newOrder},
		{"a change of the strategy is refused", otherStrategy},
		{"a change by command shows the differences first", changeByCommand},
		{"a sub-supervisor that differs is restarted as a whole", changeOfATree},
	} {
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			story.tell(s.tell(t))
		})
	}
}

func oneForOne(d *tale) {
	d.begin("one_for_one", nil, kid{id: "a"}, kid{id: "b"}, kid{id: "c"})
	before := d.lives()
	d.crash("b")
	d.again(before, "b")
	d.running("a", "b", "c")
	d.grew(before, map[string]int{"a": 0, "b": 1, "c": 0})
	d.end()
}

func oneForAll(d *tale) {
	d.begin("one_for_all", nil, kid{id: "a"}, kid{id: "b"}, kid{id: "c"}, kid{id: "d"})
	d.startedInOrder("a", "b", "c", "d")
	before := d.lives()
	d.crash("b")
	d.again(before, "a", "b", "c", "d")
	d.running("a", "b", "c", "d")
	now := d.lives()
	endedInOrder(d.t, now["b"][0], now["d"][0], now["c"][0], now["a"][0])
	d.endedBefore("a", now["b"][0], now["d"][0], now["c"][0], now["a"][0])
	d.startedInOrder("a", "b", "c", "d")
	d.grew(before, map[string]int{"a": 1, "b": 1, "c": 1, "d": 1})
	if s := d.supervisor(); s.RestartsInWindow != 1 {
		d.t.Errorf("one group restart counts %d in the window (S8)", s.RestartsInWindow)
	}
	d.end()
}

func restForOne(d *tale) {
	d.begin("rest_for_one", nil, kid{id: "a"}, kid{id: "b"}, kid{id: "c"}, kid{id: "d"})
	before := d.lives()
	d.crash("b")
	d.again(before, "b", "c", "d")
	d.running("a", "b", "c", "d")
	now := d.lives()
	endedInOrder(d.t, now["b"][0], now["d"][0], now["c"][0])
	d.endedBefore("b", now["d"][0], now["c"][0])
	d.startedInOrder("b", "c", "d")
	d.grew(before, map[string]int{"a": 0, "b": 1, "c": 1, "d": 1})
	d.end()
}

func transientInAGroup(d *tale) {
	d.begin("one_for_all", nil, kid{id: "a", flags: []string{"-exit-code", "0"}, more: map[string]any{"restart": "transient"}}, kid{id: "b"})
	before := d.lives()
	d.crash("a")
	d.until("a to be exited", func() error { return d.is("a", "exited") })
	d.grew(before, map[string]int{"a": 0, "b": 0}) // S4: a clean end triggers nothing
	d.crash("b")
	d.again(before, "a", "b")
	d.running("a", "b")
	d.startedInOrder("a", "b")
	d.end()
}

// is says what a child is instead of what it should be.
func (d *tale) is(id, status string) error {
	children, err := d.client.Children(d.ctx, d.name)
	if err != nil {
		return err
	}
	for _, c := range children {
		if c.ID == id && c.Status == status {
			return nil
		}
	}
	return fmt.Errorf("there are %+v", children)
}

func temporaryBystander(d *tale) {
	d.begin("one_for_all", nil, kid{id: "a"}, kid{id: "b", more: map[string]any{"restart": "temporary"}}, kid{id: "c"})
	before := d.lives()
	d.crash("c")
	d.again(before, "a", "c")
	d.running("a", "c")
	d.grew(before, map[string]int{"a": 1, "b": 0, "c": 1})
	d.end()
}

func stopInReverse(d *tale) {
	d.begin("one_for_one", nil, kid{id: "a"}, kid{id: "b"}, kid{id: "c"}, kid{id: "d"}, kid{id: "e"})
	d.end()
	now := d.lives()
	endedInOrder(d.t, now["e"][0], now["d"][0], now["c"][0], now["b"][0], now["a"][0])
	for id, lives := range now {
		if len(lives) != 1 || lives[0].Stop != "SIGTERM" {
			d.t.Errorf("%s ended with %q", id, lives[0].Stop)
		}
	}
	events := d.events()
	want := []string{"child_stopped e shutdown", "child_stopped d shutdown", "child_stopped c shutdown", "child_stopped b shutdown",
		"child_stopped a shutdown", "supervisor_stopped  shutdown"}
	if got := events[max(len(events)-len(want), 0):]; !slices.Equal(got, want) {
		d.t.Errorf("the events end with %q", got)
	}
}

func ignoresTerm(d *tale) {
	d.begin("one_for_all", nil,
		kid{id: "a"},
		kid{id: "b", flags: []string{"-ignore-term"}, more: map[string]any{"shutdown_timeout": "300ms"}},
		kid{id: "c", flags: []string{"-ignore-term"}, more: map[string]any{"shutdown_timeout": "0s"}})
	asked := history.Now()
	d.end()
	now := d.lives()
	endedInOrder(d.t, now["c"][0], now["b"][0], now["a"][0])
	if took := now["b"][0].Last().Sub(asked); took < 280*time.Millisecond {
		d.t.Errorf("b was killed %v after the stop was asked for, before its time was over", took)
	}
	for _, want := range []string{"child_stopped c killed", "child_stopped b killed", "child_stopped a shutdown"} {
		if !slices.Contains(d.events(), want) {
			d.t.Errorf("%q is not among %q", want, d.events())
		}
	}
}

func intensityOfAGroup(d *tale) {
	d.begin("rest_for_one", map[string]any{"restart_intensity": map[string]any{"max_restarts": 1, "within": "1m"}}, kid{id: "a"}, kid{id: "b"}, kid{id: "c"})
	before := d.lives()
	d.crash("b")
	d.again(before, "b", "c")
	d.running("a", "b", "c")
	before = d.lives()
	d.crash("b")
	d.stopped("max_restarts_exceeded")
	now := d.lives()
	endedInOrder(d.t, now["b"][1], now["c"][1], now["a"][0])
	d.grew(before, map[string]int{"a": 0, "b": 0, "c": 0})
	_, err := d.client.Do(d.ctx, "POST", "/v1/supervisors/"+d.name+"/children/a/restart", nil, nil, nil, d.name+"-late")
	if p, ok := err.(*cluster.Problem); !ok || p.Code != "max_restarts_exceeded" {
		d.t.Errorf("S45: a restart answers %v", err)
	}
}

func terminateCutsIn(d *tale) {
	slow := map[string]any{"shutdown_timeout": "2s"}
	d.begin("one_for_all", nil, kid{id: "a"}, kid{id: "b", flags: []string{"-ignore-term"}, more: slow}, kid{id: "c"})
	before := d.lives()
	d.crash("c") // b is now asked to stop, and does not for 2 s
	d.until("b to stop", func() error { return d.is("b", "stopping") })
	op := d.client.Operate(d.ctx, history.OpTerminate, history.Key{Supervisor: d.name, Child: "c"}, nil, d.name+"-cut")
	if op.Outcome != history.OK {
		d.t.Fatalf("terminate: %+v", op)
	}
	d.again(before, "a", "b")
	d.running("a", "b")
	d.grew(before, map[string]int{"a": 1, "b": 1, "c": 0})
	d.end()
}

func restartByHand(d *tale) {
	d.begin("one_for_all", nil, kid{id: "a"}, kid{id: "b"}, kid{id: "c"})
	before := d.lives()
	op := d.client.Operate(d.ctx, history.OpRestart, history.Key{Supervisor: d.name, Child: "b"}, nil, d.name+"-hand")
	if op.Outcome != history.OK {
		d.t.Fatalf("restart: %+v", op)
	}
	d.running("a", "b", "c")
	d.grew(before, map[string]int{"a": 0, "b": 1, "c": 0})
	if s := d.supervisor(); s.RestartsInWindow != 0 {
		d.t.Errorf("a restart by hand counts %d in the window (S16)", s.RestartsInWindow)
	}
	d.end()
}

func simple(d *tale) {
	must(d.t, d.client.StartSupervisor(d.ctx, map[string]any{"name": d.name, "strategy": "simple_one_for_one", "selector": "round_robin",
		"child_template": d.spec(kid{flags: []string{"-exit-code", "0"}, more: map[string]any{"restart": "transient"}}), "max_children": 3}, d.name))
	children := "/v1/supervisors/" + d.name + "/children"
	start := func(n int) error {
		_, err := d.client.Do(d.ctx, "POST", children, nil, map[string]any{"args": []any{}}, nil, fmt.Sprint(d.name, n))
		return err
	}
	for n := range 3 {
		must(d.t, start(n))
	}
	d.running("child_1", "child_2", "child_3")
	if p, ok := start(3).(*cluster.Problem); !ok || p.Code != "quota_exceeded" {
		d.t.Errorf("the fourth child of three answers %v", p)
	}
	op := d.client.Operate(d.ctx, history.OpTerminate, history.Key{Supervisor: d.name, Child: "child_2"}, nil, d.name+"-2")
	if op.Outcome != history.OK {
		d.t.Fatalf("terminate: %+v", op)
	}
	must(d.t, start(4))
	d.running("child_1", "child_3", "child_4")
	d.end()
	if got := len(d.lives()["child_1"]); got != 1 {
		d.t.Errorf("child_1 lived %d times", got)
	}
}

func backoff(d *tale) {
	d.begin("one_for_one", nil, kid{id: "a", more: map[string]any{
		"backoff": map[string]any{"initial": "200ms", "max": "1s", "factor": 3, "jitter": 0, "reset_after": "1m"}}})
	var waits []time.Duration
	for range 2 {
		before := d.lives()
		d.crash("a")
		d.again(before, "a")
		d.running("a")
		now := d.lives()["a"]
		waits = append(waits, now[len(now)-1].Start.Sub(now[len(now)-2].Last()))
	}
	if waits[0] < 200*time.Millisecond || waits[1] < 600*time.Millisecond {
		d.t.Errorf("it waited for %v", waits)
	}
	d.end()
}

// significant children end by themselves with status 0, and are not restarted then.
func significant(id string) kid {
	return kid{id: id, flags: []string{"-exit-code", "0"}, more: map[string]any{"restart": "transient", "significant": true}}
}

func anySignificant(d *tale) {
	d.begin("one_for_one", map[string]any{"auto_shutdown": "any_significant"}, kid{id: "a"}, significant("b"), kid{id: "c"})
	d.crash("b")
	d.stopped("shutdown")
	now := d.lives()
	endedInOrder(d.t, now["b"][0], now["c"][0], now["a"][0])
	d.grew(now, map[string]int{"a": 0, "b": 0, "c": 0})
}

func allSignificant(d *tale) {
	d.begin("one_for_one", map[string]any{"auto_shutdown": "all_significant"}, kid{id: "a"}, significant("b"), significant("c"))
	d.crash("c")
	d.until("c to be exited", func() error { return d.is("c", "exited") })
	if s := d.supervisor(); s.Status != "running" {
		d.t.Fatalf("one of two has ended, and the supervisor is %s", s.Status)
	}
	d.crash("b")
	d.stopped("shutdown")
	now := d.lives()
	endedInOrder(d.t, now["c"][0], now["b"][0], now["a"][0])
}

// S23: the loss of a node is one group action, not one per child, and counts nothing in the window.
func TestRule_S23_NodeLossIsOneGroupAction(t *testing.T) {
	s := play(t)
	d := s.tell(t)
	leader, err := s.Leader(s.ctx)
	must(t, err)
	others := s.Others(leader)
	victim, other := others[0], others[1]
	d.begin("one_for_all", map[string]any{"restart_intensity": map[string]any{"max_restarts": 0, "within": "1m"}},
		kid{id: "a", node: other}, kid{id: "b", node: victim}, kid{id: "c", node: leader}, kid{id: "d", node: victim})
	before := d.lives()
	must(t, s.Node(victim).Kill())
	d.again(before, "a", "b", "c", "d")
	d.running("a", "b", "c", "d")
	now := d.lives()
	endedInOrder(t, now["c"][0], now["a"][0])
	d.startedInOrder("a", "b", "c", "d")
	d.grew(before, map[string]int{"a": 1, "b": 1, "c": 1, "d": 1})
	if got := d.supervisor(); got.RestartsInWindow != 0 || got.Status != "running" {
		t.Errorf("the supervisor is %+v", got)
	}
	d.back(victim)
	d.running("a", "b", "c", "d")
	d.grew(before, map[string]int{"a": 1, "b": 1, "c": 1, "d": 1}) // S25: nothing moves back
}

// A group restart is replicated: the leader dies in the middle of it, while a child takes its time to stop, and the next
// one finishes it, in order, starting nothing twice and skipping nothing.
func TestAGroupRestartSurvivesItsLeader(t *testing.T) {
	s := play(t)
	d := s.tell(t)
	leader, err := s.Leader(s.ctx)
	must(t, err)
	others := s.Others(leader)
	d.begin("one_for_all", nil, kid{id: "a", node: others[0]},
		kid{id: "b", node: others[1], flags: []string{"-ignore-term"}, more: map[string]any{"shutdown_timeout": "1500ms"}},
		kid{id: "c", node: others[0]}, kid{id: "d", node: others[1]})
	before := d.lives()
	d.crash("c")
	d.until("b to stop", func() error { return d.is("b", "stopping") })
	killed := d.killLeader()
	d.again(before, "a", "b", "c", "d")
	d.running("a", "b", "c", "d")
	now := d.lives()
	endedInOrder(t, now["c"][0], now["d"][0], now["b"][0], now["a"][0])
	d.endedBefore("a", now["b"][0], now["a"][0])
	d.startedInOrder("a", "b", "c", "d")
	d.grew(before, map[string]int{"a": 1, "b": 1, "c": 1, "d": 1})
	if got := d.supervisor(); got.RestartsInWindow != 1 {
		t.Errorf("the group restart counts %d in the window", got.RestartsInWindow)
	}
	d.back(killed)
}

// S20: the wait is replicated: a new leader neither forgets nor restarts it.
func TestRule_S20_BackoffSurvivesTheLeader(t *testing.T) {
	s := play(t)
	d := s.tell(t)
	leader, err := s.Leader(s.ctx)
	must(t, err)
	const wait = 3 * time.Second
	d.begin("one_for_one", nil, kid{id: "a", node: s.Others(leader)[0], more: map[string]any{
		"backoff": map[string]any{"initial": wait.String(), "max": "10s", "factor": 2, "jitter": 0, "reset_after": "1m"}}})
	before := d.lives()
	d.crash("a")
	killed := d.killLeader()
	d.again(before, "a")
	now := d.lives()["a"]
	// Cluster time stands still while nobody leads: by so much it may be longer.
	if took := now[1].Start.Sub(now[0].Last()); took < wait || took > wait+timing.Takeover()+2*time.Second {
		t.Errorf("it waited %v of %v", took, wait)
	}
	d.back(killed)
	d.running("a")
}
