package fsm

import (
	"fmt"
	"strings"

	sup "github.com/supnode/supnode/supervisor"
)

// trace prints what an entry did: results that are not simply OK, slots, nodes, events, requests that ended.
func (p *player) trace(a Applied) {
	for _, r := range a.Results {
		switch r.Status {
		case Stale:
			p.printf("%d stale", a.Index)
		case Pending:
			p.printf("%d pending", a.Index)
		case Refused:
			p.printf("%d refused %s", a.Index, r.Problem.Code)
		}
		if !r.Session.IsZero() {
			p.printf("%d session %s", a.Index, r.Session)
		}
	}
	for _, k := range a.Changed {
		p.printf("%d %s %s", a.Index, k, slot(p.s.Child(k), p.s.clock))
	}
	events, _, _ := p.s.Events(p.since(a), 100_000)
	for _, e := range events {
		p.event(e)
	}
	for _, c := range a.Completed {
		p.printf("%d %s %s", a.Index, c.Key, outcome(c.Outcome))
	}
}

// since is the id of the newest event before an entry.
func (p *player) since(a Applied) uint64 {
	events, _, _ := p.s.Events(0, 100_000)
	last := uint64(0)
	for _, e := range events {
		if e.Index < a.Index {
			last = e.ID
		}
	}
	return last
}

func (p *player) event(e sup.Event) {
	var b strings.Builder
	fmt.Fprintf(&b, "%d event %s", e.Index, e.Type)
	add := func(name string, v any, set bool) {
		if set {
			fmt.Fprintf(&b, " %s=%v", name, v)
		}
	}
	if e.Child != "" {
		add("child", key(e.Supervisor, e.Child), true)
	} else {
		add("supervisor", e.Supervisor, e.Supervisor != "")
	}
	add("node", e.Node, e.Node != "")
	add("from", e.FromNode, e.FromNode != "")
	add("to", e.ToNode, e.ToNode != "")
	add("incarnation", fmt.Sprintf("%d.%d", e.Incarnation>>40, e.Incarnation&(1<<40-1)), e.Incarnation != 0)
	add("attempt", e.Attempt, e.Attempt != 0)
	add("reason", e.Reason, e.Reason != "")
	add("affected", e.AffectedChildren, e.Type == sup.EventNodeFailureDetected || len(e.AffectedChildren) > 0)
	add("leader", e.Leader, e.Leader != "")
	if e.MaxRestarts != nil {
		add("max", fmt.Sprintf("%d/%s", *e.MaxRestarts, *e.Within), true)
	}
	p.printf("%s", b.String())
}

func slot(c *Child, now int64) string {
	switch {
	case c == nil:
		return "removed"
	case c.IsSupervisor() && c.Phase == Stopping:
		return "stopping its tree: " + c.Why.String()
	case c.IsSupervisor() && c.Phase != Unplaced:
		return map[Phase]string{Placed: "starting its tree", Running: "running its tree"}[c.Phase]
	case c.Wants:
		text := "wants a node"
		if c.NotBefore > now {
			text += " in " + sup.Duration(c.NotBefore-now).String()
		}
		if len(c.Avoid) > 0 {
			text += fmt.Sprintf(", not %s", c.Avoid)
		}
		if c.PendingReason != "" {
			text += ": " + c.PendingReason
		}
		return text
	case c.Due:
		text := "due"
		if len(c.Avoid) > 0 {
			text += fmt.Sprintf(", not on %s", c.Avoid)
		}
		return text
	case c.Phase == Unplaced && c.Why != 0:
		return "owes a stop: " + c.Why.String()
	case c.Phase == Stopping:
		return fmt.Sprintf("stopping on %s %s: %s", c.Node, c.Inc, c.Why)
	case c.Phase == Unplaced:
		return "down"
	}
	text := fmt.Sprintf("%s on %s %s", c.Phase, c.Node, c.Inc)
	if c.Toward != "" {
		text += ", to move to " + string(c.Toward)
	}
	return text
}

func outcome(o *Outcome) string {
	if o == nil {
		return "is free again"
	}
	if o.Problem == nil && o.Supervisor == "" && o.Node == "" && o.Moves == nil && o.Reply == nil {
		return "done, of nobody"
	}
	if o.Problem != nil {
		text := "fails: " + o.Problem.Error()
		if len(o.Problem.Reasons) > 0 {
			text += fmt.Sprint(" ", o.Problem.Reasons)
		}
		return text
	}
	text := "done"
	for _, m := range o.Moves {
		text += fmt.Sprintf(", %s from %s to %s", m.Key(), m.From, m.To)
	}
	if o.Node != "" && o.Incarnation == 0 {
		return text + ": " + string(o.Node)
	}
	if o.Node != "" {
		text += fmt.Sprintf(": on %s %d.%d", o.Node, o.Incarnation>>40, o.Incarnation&(1<<40-1))
	}
	if o.Changes != nil {
		text += ": " + inWords(o.Changes)
	}
	if len(o.Reply) > 0 {
		text += ", answered " + string(o.Reply)
	}
	return text
}

func inWords(changes []sup.Change) string {
	words := make([]string, len(changes))
	for i, c := range changes {
		words[i] = string(c.Action)
		if c.Child != "" {
			words[i] += " " + string(c.Child)
		}
		if len(c.Fields) > 0 {
			words[i] += " " + strings.Join(c.Fields, "+")
		}
		if c.From != nil {
			words[i] += fmt.Sprintf(" from %s to %s", c.From, c.To)
		}
	}
	if len(words) == 0 {
		return "nothing to change"
	}
	return strings.Join(words, ", ")
}

// show prints supervisors and children as readers see them, and the lease.
func (p *player) show() {
	for h := range p.s.Supervisors() {
		i, _ := p.s.Info(h.Name)
		n := p.s.Counts(h.Name)
		p.printf("  %s %s%s children=%d active=%d by node=%v restarts=%d for nodes=%d in window=%d", i.Name, i.Status, brackets(i.Reason), n.Specs, n.Active,
			i.ChildrenByNode, i.TotalRestarts, i.NodeFailureRestarts, i.RestartsInWindow)
		children, _ := p.s.Children(h.Name, "", 1000, nil)
		for _, c := range children {
			text := fmt.Sprintf("  %s/%s %s%s", h.Name, c.ID, c.Status, brackets(c.PendingReason))
			if len(c.Args) > 0 {
				text += fmt.Sprintf(" args=%s", c.Args)
			}
			if c.Node != "" {
				text += " on " + string(c.Node)
			}
			if c.Hanging {
				text += ", hanging"
			}
			if c.RestartCount > 0 {
				text += fmt.Sprintf(" restarts=%d", c.RestartCount)
			}
			if c.LastExit != nil {
				text += fmt.Sprintf(" last exit=%s%s", c.LastExit.Reason, brackets(c.LastExit.Detail))
			}
			p.printf("%s", text)
		}
	}
	if p.s.Retiring() != 0 {
		p.printf("  lease %s, wait as for %s", sup.Duration(p.s.Lease().TTL), sup.Duration(p.s.WaitLease().TTL))
	}
	if p.s.Held() {
		p.printf("  held")
	}
}

// members prints the nodes, and what stays on those that are draining.
func (p *player) members() {
	for n := range p.s.Nodes() {
		text := fmt.Sprintf("  %s %s children=%d", n.Name, n.Status, p.s.CountOn(n.Name))
		if n.Drained {
			text += " drained"
		}
		if n.Leaving() {
			text += " leaving"
		}
		p.printf("%s", text)
		for _, s := range p.s.Staying(n.Name, 100) {
			p.printf("    %s/%s stays: %s", s.Supervisor, s.Child, s.Reason)
		}
	}
}

func brackets(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}
