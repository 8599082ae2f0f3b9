package fsm

import (
	"reflect"
	"slices"
	"testing"

	sup "github.com/supnode/supnode/supervisor"
)

// tally counts commands by type and result, and situations.
type tally map[string]int

func (c tally) assert(t *testing.T) {
	t.Logf("%v", c)
	if c["commands"] < 10_000 {
		t.Errorf("only %d commands were applied", c["commands"])
	}
	if valid := c["valid"]; valid*100 < 65*c["commands"] {
		t.Errorf("only %d of %d commands were valid", valid, c["commands"])
	}
	for _, kind := range c.missing() {
		t.Errorf("%q was seen only %d times", kind, c[kind])
	}
}

// missing is what was seen too seldom to prove anything.
func (c tally) missing() (few []string) {
	all := []string{
		"op applying, first half", "op applying, second half", "message lost", "drained", "aimed", "forgotten",
		"op starting", "op stopping", "op undoing a start", "queue", "held", "stop owed", "stopped", "slot Unplaced", "slot Placed", "slot Running",
		"slot Stopping", "wants", "pending reason", "exited", "lost at start", "window", "request completed later", "migrated", "intensity exceeded",
		"made from a template", "backoff", "auto shutdown",
		"tree Placed", "tree Running", "tree Stopping", "tree restarted", "tree exceeded", "tree undone", "deep tree",
		"op group", "group goes down", "group of a start goes down", "group comes up", "group waits for a node", "queue behind a group",
		"terminated in a group", "moved in a group", "lost in a group", "never ran in a group",
	}
	for _, f := range kinds {
		all = append(all, f.Name)
	}
	for _, kind := range all {
		if c[kind] < 20 && kind != "Bootstrap" && !(kind == "aimed" && c[kind] >= 5) { // few have where to go
			few = append(few, kind)
		}
	}
	return few
}

// count notes which situations the state is in.
func (g *generator) count(a Applied) {
	saw := func(what string, yes bool) {
		if yes {
			g.seen[what]++
		}
	}
	for _, c := range a.Completed {
		saw("message lost", c.Outcome != nil && c.Outcome.Problem != nil && c.Outcome.Problem.Code == sup.CodeOutcomeUnknown)
	}
	for t := range g.s.trees.all() {
		saw("op starting", t.head.starting())
		saw("op stopping", t.head.stopping())
		saw("op undoing a start", t.head.stopping() && t.head.Op.Remove)
		saw("queue", len(t.head.Queue) > 0)
		saw("stopped", t.head.Status == sup.StatusStopped)
		group := t.head.Op != nil && t.head.Op.Kind == OpGroup
		down := t.head.Op != nil && t.head.Op.Down != 0
		saw("op group", group)
		saw("group goes down", group && down)
		saw("group of a start goes down", t.head.starting() && down)
		saw("group comes up", group && !down && t.dues > 0)
		saw("queue behind a group", group && len(t.head.Queue) > 0)
		saw("intensity exceeded", t.head.Reason == sup.ReasonMaxRestartsExceeded)
		saw("auto shutdown", t.head.Spec.AutoShutdown.Stops(false) && t.head.stopping() && len(t.head.Op.Waiters) == 0 && t.head.Reason == sup.ReasonShutdown)
		saw("window", len(t.head.Stamps) > 1)
		saw("op applying, first half", t.head.applying() && t.head.Op.Next != nil)
		saw("op applying, second half", t.head.applying() && t.head.Op.Next == nil)
		saw("a change missed a child", t.head.applying() && t.head.Op.Missed > 0)
		saw("a group in a change", t.head.applying() && t.head.Op.Down != 0)
		saw("made from a template", t.head.simple() && t.children.len() > 1)
		for c := range t.children.all() {
			g.seen["slot "+map[Phase]string{Unplaced: "Unplaced", Placed: "Placed", Running: "Running", Stopping: "Stopping"}[c.Phase]]++
			saw("wants", c.Wants)
			if c.IsSupervisor() {
				g.seen["tree "+map[Phase]string{Unplaced: "Unplaced", Placed: "Placed", Running: "Running", Stopping: "Stopping"}[c.Phase]]++
				sub := g.s.trees.get(c.Key.Supervisor.Sub(c.Key.Child))
				saw("tree restarted", c.RestartCount > 0 && c.Phase == Running)
				saw("tree exceeded", sub != nil && sub.head.Exceeded)
				saw("tree undone", sub != nil && sub.head.stopping() && sub.head.Op.Remove)
				saw("deep tree", c.Key.Supervisor.Depth() > 1)
			}
			saw("aimed", c.Toward != "")
			saw("stop owed", c.Phase == Unplaced && c.Why != 0)
			saw("pending reason", c.PendingReason != "")
			saw("backoff", c.Status(g.s.clock) == sup.StatusBackoff)
			saw("exited", c.Status(g.s.clock) == sup.StatusExited)
			saw("lost at start", c.Lost > 0)
			saw("group waits for a node", group && t.dues > 0 && c.PendingReason != "")
			saw("terminated in a group", group && t.dues > 0 && c.Why == WhyTerminate)
			saw("moved in a group", group && c.Why == WhyMove)
			saw("lost in a group", down && c.Due && c.LastExit != nil && c.LastExit.Reason == sup.ExitNodeDown)
			saw("never ran in a group", down && !c.Started())
		}
	}
	saw("held", g.s.held)
	saw("forgotten", len(g.s.forgot) > 0)
	saw("drained", len(g.nodes(func(n *Node) bool { return n.Drained })) > 0)
	for _, c := range a.Completed {
		saw("request completed later", !slices.ContainsFunc(a.Results, func(r Result) bool { return r.Outcome == c.Outcome }))
	}
	events, _, _ := g.s.Events(max(a.LastEvent, 20)-20, 100)
	for _, e := range events {
		saw("migrated", e.Index == a.Index && e.Type == sup.EventChildMigrated)
	}
}

// kinds are the types of commands: the fields of the union behind Request.
var kinds = reflect.VisibleFields(reflect.TypeFor[Command]())[1:]

// kindOf names a command's type.
func kindOf(c Command) string {
	v := reflect.ValueOf(c)
	for _, f := range kinds {
		if !v.FieldByIndex(f.Index).IsNil() {
			return f.Name
		}
	}
	return "none"
}
