package check

import (
	"slices"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// moment is how much the two clocks may differ by rounding and by the order of two system calls.
const moment = 2 * time.Millisecond

// Truth checks that the events tell what happened: each child's events are a life a stop a life …; a run that is told was
// run, on that node as that incarnation; a stop is told no earlier than the child's last record; a move goes from where it
// was to where it is; a lost node's children are all told, then stopped; and no life that lasted goes untold.
func Truth(h *history.History) *Verdict {
	v := &Verdict{Invariant: "I8t", About: "events tell what the children's records tell"}
	if len(h.Streams) == 0 {
		v.violated("no consumer")
		return v
	}
	t := truth{Verdict: v, h: h, lives: byChild(h.Lives), excuse: excusesOf(h), children: make(map[history.Key]*told)}
	for _, e := range h.Streams[0].Events {
		t.event(e)
	}
	t.untold()
	return v
}

type truth struct {
	*Verdict
	h        *history.History
	lives    map[history.Key][]history.Life
	excuse   excuses
	children map[history.Key]*told
}

// told is what the events have said of a child.
type told struct {
	running     bool
	node        string // where it runs or ran last
	incarnation uint64
	from        string // where it was before that, while a child_migrated is due
	lost        string // the node whose loss was told, until its child_stopped
	ran         map[uint64]bool
	unseen      history.Event // the run that is told now and has no record; ID 0 = it has
}

func (t *truth) child(k history.Key) *told {
	if t.children[k] == nil {
		t.children[k] = &told{ran: make(map[uint64]bool)}
	}
	return t.children[k]
}

func (t *truth) event(e history.Event) {
	switch e.Type {
	case history.ChildStarted, history.ChildRestarted, history.ChildMigrated, history.ChildStopped:
	case history.NodeFailureDetected:
		t.nodeFailed(e)
		return
	default:
		return
	}
	t.Checked++
	c := t.child(e.Key())
	if c.from != "" && e.Type != history.ChildMigrated {
		t.violated("event %d: %s of %s, which had gone from %s to %s without child_migrated", e.ID, e.Type, e.Key(), c.from, c.node)
		c.from = ""
	}
	if c.lost != "" && (e.Type != history.ChildStopped || e.Reason != "node_down" || e.Node != c.lost) {
		t.violated("event %d: %s of %s comes before its child_stopped for the loss of %s", e.ID, e.Type, e.Key(), c.lost)
	}
	c.lost = ""
	switch e.Type {
	case history.ChildStarted, history.ChildRestarted:
		t.runs(e, c)
	case history.ChildMigrated:
		if c.from == "" || e.FromNode != c.from || e.ToNode != c.node || e.Incarnation != c.incarnation {
			t.violated("event %d: %s migrated from %s to %s as %d; it went from %q to %s as %d", e.ID, e.Key(), e.FromNode, e.ToNode,
				e.Incarnation, c.from, c.node, c.incarnation)
		}
		c.from = ""
	case history.ChildStopped:
		t.stopped(e, c)
	}
}

// runs judges a told run against the child's records.
func (t *truth) runs(e history.Event, c *told) {
	if c.running {
		t.violated("event %d: %s runs on %s, incarnation %d on %s has not been told to have stopped", e.ID, e.Key(), e.Node, c.incarnation, c.node)
	}
	if e.Incarnation <= c.incarnation {
		t.violated("event %d: %s runs as incarnation %d after %d", e.ID, e.Key(), e.Incarnation, c.incarnation)
	}
	if e.Type == history.ChildRestarted && c.node != e.Node && c.node != "" {
		c.from = c.node
	}
	c.running, c.node, c.incarnation = true, e.Node, e.Incarnation
	c.ran[e.Incarnation] = true
	c.unseen = history.Event{}
	i := slices.IndexFunc(t.lives[e.Key()], func(l history.Life) bool { return l.Incarnation == e.Incarnation })
	switch {
	case i < 0 && t.hurt(e):
		t.ambiguous("event %d: %s ran as incarnation %d on %s, it has no record of it; its node was hurt just then", e.ID, e.Key(), e.Incarnation, e.Node)
	case i < 0:
		c.unseen = e // unless it is stopped at once
	case t.lives[e.Key()][i].Node != e.Node:
		t.violated("event %d: %s ran on %s, its records are from %s", e.ID, e.Key(), e.Node, t.lives[e.Key()][i].Node)
	}
}

// unseen judges a told run without a record. A command runs once it is forked, and writes its first record when its runtime has
// started: one that is stopped meanwhile ends without a word. One that ends by itself has written some.
func (t *truth) unseen(c *told, brief bool) {
	e := c.unseen
	c.unseen = history.Event{}
	switch {
	case e.ID == 0:
	case brief:
		t.ambiguous("event %d: %s ran as incarnation %d on %s, and was stopped before it had a record of it", e.ID, e.Key(), e.Incarnation, e.Node)
	default:
		t.violated("event %d: %s ran as incarnation %d on %s, it has no record of it", e.ID, e.Key(), e.Incarnation, e.Node)
	}
}

// askedToEnd reports whether a client asked for the end of what ran since then while it may have had no record yet; that it
// has ended can be told much later, when the leader changes meanwhile.
func (t *truth) askedToEnd(k history.Key, since time.Time) bool {
	at, ok := t.mono(since)
	return ok && slices.ContainsFunc(t.h.Ops, func(o history.Op) bool {
		return o.Key == k && o.Kind != history.OpStart && o.Invoked <= at.Add(pulse) && (o.Returned == 0 || o.Returned >= at)
	})
}

// hurt reports whether the event's node was hurt within a start-up time of the event.
func (t *truth) hurt(e history.Event) bool {
	at, ok := t.mono(e.Time)
	if !ok {
		return true
	}
	for _, v := range history.Hurt(t.h.Actions, e.Node) {
		if near, ok := v.And(history.Interval{From: at.Add(-history.Boot), To: at.Add(history.Boot)}); ok && near.From > 0 {
			return true
		}
	}
	return false
}

// stopped judges a told stop against the child's records.
func (t *truth) stopped(e history.Event, c *told) {
	if c.running && e.Node != "" && e.Node != c.node {
		t.violated("event %d: %s stopped on %s, it ran on %s", e.ID, e.Key(), e.Node, c.node)
	}
	if !c.running {
		return // an incarnation that ended before it was told to run
	}
	c.running = false
	asked := e.Reason != "error" && e.Reason != "normal"
	t.unseen(c, asked && (e.Time.Sub(c.unseen.Time) <= pulse || t.askedToEnd(e.Key(), c.unseen.Time)))
	at, ok := t.mono(e.Time)
	if !ok {
		t.ambiguous("event %d: the wall clock was set meanwhile", e.ID)
		return
	}
	for _, l := range t.lives[e.Key()] {
		if l.Incarnation != c.incarnation {
			continue
		}
		late, excused := t.excuse.late(l, at.Add(moment))
		if excused > 0 {
			t.ambiguous("event %d: %s has %d records after it was told to have stopped, from a time when nobody could stop it", e.ID, l, excused)
		}
		if len(late) > 0 {
			t.violated("event %d: %s has %d records after it was told to have stopped, the last %v later", e.ID, l, len(late),
				late[len(late)-1].Sub(at))
		}
	}
}

// nodeFailed judges a told loss of a node: all that was told to run there is affected.
func (t *truth) nodeFailed(e history.Event) {
	t.Checked++
	affected := make(map[history.Key]bool)
	for _, k := range e.Affected {
		affected[k] = true
		if c := t.child(k); c.running && c.node != e.Node {
			t.violated("event %d: the loss of %s affects %s, which runs on %s", e.ID, e.Node, k, c.node)
		}
		t.child(k).lost = e.Node
	}
	for _, k := range sortedKeys(t.children) {
		if c := t.children[k]; c.running && c.node == e.Node && !affected[k] {
			t.violated("event %d: the loss of %s does not name %s, which runs there", e.ID, e.Node, k)
		}
	}
}

// untold looks for lives that no event tells of. One that its node had no time to report is ambiguous.
func (t *truth) untold() {
	for _, k := range sortedKeys(t.lives) {
		for _, l := range t.lives[k] {
			if l.Role != history.Main || t.child(k).ran[l.Incarnation] {
				continue
			}
			if lasted := l.Last().Sub(l.Start); lasted > t.h.Timing.Stopped() && !holds(t.excuse.unfenced[l.Node], l.Last()) {
				t.violated("%s ran for %v, and no event tells of it", l, lasted)
			} else {
				t.ambiguous("%s ran for %v untold", l, lasted)
			}
		}
	}
	for _, k := range sortedKeys(t.children) {
		t.unseen(t.children[k], false)
		if c := t.children[k]; c.from != "" {
			t.violated("%s went from %s to %s without child_migrated", k, c.from, c.node)
		} else if c.lost != "" {
			t.violated("%s was lost with %s, and no event tells that it stopped", k, c.lost)
		}
	}
}

// mono converts a wall time; ok is false when the wall clock did not run evenly.
func (t *truth) mono(wall time.Time) (at history.Instant, ok bool) {
	c := t.h.Clocks
	if len(c) < 2 {
		return 0, false
	}
	first, last := c[0], c[len(c)-1]
	if drift := last.Wall.Sub(first.Wall) - last.Mono.Sub(first.Mono); drift.Abs() > moment {
		return 0, false
	}
	return first.Mono.Add(wall.Sub(first.Wall)), true
}
