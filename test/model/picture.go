package model

import (
	"fmt"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// Picture is all that a reader sees, one line a supervisor and one line a child.
func (c *Cluster) Picture() []string {
	lines := []string{}
	for _, n := range c.Nodes {
		lines = append(lines, fmt.Sprintf("node %s %s session=%d", n.Name, n.Status(), n.Session))
	}
	for _, s := range c.Sups {
		active, subs := 0, 0
		for _, ch := range s.Children {
			if ch.isSup() {
				subs++
			}
			if ch.State == Running {
				active++
			}
		}
		reason := s.Reason
		if s.undo {
			reason = ""
		}
		lines = append(lines, supLine(s.Name, s.Status(), reason, len(s.Children), active, subs, s.Total, s.ForNodes, s.InWindow()))
		for _, ch := range s.Children {
			lines = append(lines, childLine(ch.Key(), ch.Status(), ch.Node, ch.Inc, ch.Restarts, ch.Exit, ch.State == Wanted, ch.Avoid))
		}
	}
	return lines
}

func picture(st *fsm.State) []string {
	lines := []string{}
	for n := range st.Nodes() {
		lines = append(lines, fmt.Sprintf("node %s %s session=%d", n.Name, n.Status, n.Session.Seq))
	}
	for h := range st.Supervisors() {
		i, _ := st.Info(h.Name)
		n := st.Counts(h.Name)
		reason := i.Reason
		if h.Op != nil && h.Op.Remove { // it undoes a start: nobody is promised a word
			reason = ""
		}
		lines = append(lines, supLine(i.Name, i.Status, reason, n.Specs, n.Active, n.Supervisors, i.TotalRestarts, i.NodeFailureRestarts, i.RestartsInWindow))
		children, _ := st.Children(h.Name, "", 1000, nil)
		for _, c := range children {
			record := st.Child(sup.Key{Supervisor: h.Name, Child: c.ID})
			exit, avoid := sup.ExitReason(""), sup.NodeName("")
			if c.LastExit != nil {
				exit = c.LastExit.Reason
			}
			for _, a := range record.Avoid {
				avoid += a
			}
			lines = append(lines, childLine(sup.Key{Supervisor: h.Name, Child: c.ID}, c.Status, c.Node, record.Inc.Index, c.RestartCount, exit, record.Wants, avoid))
		}
	}
	return lines
}

func supLine(n sup.Name, status sup.Status, reason string, children, active, subs int, total, forNodes uint64, window int) string {
	return fmt.Sprintf("%s %s (%s) children=%d active=%d supervisors=%d restarts=%d for nodes=%d in window=%d", n, status, reason, children, active, subs, total, forNodes, window)
}

func childLine(k sup.Key, status sup.Status, node sup.NodeName, inc, restarts uint64, exit sup.ExitReason, wants bool, avoid sup.NodeName) string {
	text := fmt.Sprintf("%s %s restarts=%d exit=%s", k, status, restarts, exit)
	if node != "" {
		text += fmt.Sprintf(" on %s #%d", node, inc)
	}
	if wants {
		text += fmt.Sprintf(" wants a node, not [%s]", avoid)
	}
	return text
}

func printEvent(e sup.Event) string {
	text := string(e.Type)
	add := func(name string, v any, set bool) {
		if set {
			text += fmt.Sprintf(" %s=%v", name, v)
		}
	}
	add("sup", e.Supervisor, e.Supervisor != "")
	add("child", e.Child, e.Child != "")
	add("node", e.Node, e.Node != "")
	add("from", e.FromNode, e.FromNode != "")
	add("to", e.ToNode, e.ToNode != "")
	add("inc", e.Incarnation&(1<<40-1), e.Incarnation != 0)
	add("attempt", e.Attempt, e.Attempt != 0)
	add("reason", e.Reason, e.Reason != "")
	add("affected", e.AffectedChildren, len(e.AffectedChildren) > 0)
	add("leader", e.Leader, e.Leader != "")
	add("term", e.Term, e.Term != 0)
	if e.MaxRestarts != nil {
		add("max", fmt.Sprintf("%d/%s", *e.MaxRestarts, *e.Within), true)
	}
	return text
}
