package fsm

import (
	"cmp"
	"slices"
	"strings"

	sup "github.com/supnode/supnode/supervisor"
)

// proposer chooses nodes for what an entry will make want one, as a leader does.
type proposer struct {
	*world
	e        *Entry
	load     map[sup.NodeName]int
	cursors  map[sup.Name]sup.NodeName
	siblings map[string]int // placed by this entry, by supervisor and node
	gone     sup.NodeName   // by a command of the entry
	joins    *Register      // likewise
}

// propose gives an entry the placements that a leader would propose with it.
func (w *world) propose(e *Entry) {
	if w.s.held {
		return
	}
	p := &proposer{world: w, e: e, load: map[sup.NodeName]int{}, cursors: map[sup.Name]sup.NodeName{}, siblings: map[string]int{}}
	for _, c := range e.Commands {
		switch {
		case c.NodeDown != nil:
			p.gone = c.NodeDown.Node
		case c.Left != nil:
			p.gone = c.Left.Node
		case c.Leave != nil:
			p.gone = c.Leave.Node
		case c.Register != nil:
			p.joins = c.Register
		}
	}
	for n := range w.s.Nodes() {
		p.load[n.Name] = w.s.CountOn(n.Name)
	}
	for c := range w.s.Wanting() {
		if c.NotBefore > e.Clock {
			continue
		}
		of := c.Key.Supervisor
		p.place(Prospect{Child: c, Selector: w.s.Selector(c), Home: w.s.Home(of), Cursor: w.s.Cursor(of), Spread: w.s.Spread(of)})
	}
	for _, c := range e.Commands {
		for _, x := range w.s.Prospects(c) {
			if x.Selector.Kind == sup.SelectCustom {
				continue // it is asked once the child is there
			}
			for n := x.Nth; n > 0 && placed(e, x.Child.Key); n++ {
				x.Child.Key.Child = sup.NthChild(n + 1)
			}
			if now := w.s.Child(x.Child.Key); now == nil || !now.Wants || now.NotBefore > e.Clock {
				p.place(x)
			}
		}
	}
}

func placed(e *Entry, k sup.Key) bool {
	return slices.ContainsFunc(e.Placements, func(p Placement) bool { return p.Key == k })
}

// field is who could take a child, and why the others could not.
type field struct {
	fit, avoided []sup.Candidate
	why          []sup.NodeReason
	sessions     map[sup.NodeName]sup.Session
}

func (p *proposer) place(x Prospect) {
	c, sel, cursor := x.Child, x.Selector, x.Cursor
	of := c.Key.Supervisor
	if cur, ok := p.cursors[of]; ok {
		cursor = cur
	}
	f := p.survey(c, sel, x.Spread)
	p.draw++
	if x.Spread != "" && sel.Kind != sup.SelectNode {
		f.fit, f.avoided = sup.Spread(f.fit), sup.Spread(f.avoided)
	}
	if sel.Kind == sup.SelectCustom && len(f.fit) > 0 {
		answer, known := p.custom[sel.Custom]
		if words, no := strings.CutPrefix(answer, "!"); !known || no {
			problem := sup.Problem{Code: sup.CodeNoAvailableNode, Detail: "selector \"" + sel.Custom + "\" chose no node: " + words}
			if !known {
				problem = sup.Problem{Code: sup.CodeSelectorNotRegistered, Selector: sel.Custom, Detail: "the leader has no selector \"" + sel.Custom + "\""}
			}
			p.unplaced(c, problem)
			return
		}
		sel = *sup.OnNode(sup.NodeName(answer))
	}
	n, ok := c.Toward, slices.ContainsFunc(f.fit, func(x sup.Candidate) bool { return x.Name == c.Toward })
	if !ok {
		n, ok = sup.Choose(sel, f.fit, x.Home, cursor, p.draw*0x9E3779B97F4A7C15>>7)
	}
	if !ok {
		n, ok = sup.Choose(sel, f.avoided, x.Home, cursor, p.draw)
	}
	if !ok {
		slices.SortFunc(f.why, func(a, b sup.NodeReason) int { return cmp.Compare(a.Node, b.Node) })
		p.unplaced(c, sup.Problem{Code: sup.CodeNoAvailableNode, Reasons: f.why})
		return
	}
	p.load[n]++
	p.siblings[string(of)+"@"+string(n)]++
	if sel.MovesCursor(n) {
		p.cursors[of] = n
	}
	p.e.Placements = append(p.e.Placements, Placement{Key: c.Key, Node: n, Session: f.sessions[n]})
}

// unplaced says why a slot can't be placed: once, or anew for one who asks.
func (p *proposer) unplaced(c *Child, why sup.Problem) {
	asked := slices.ContainsFunc(p.e.Commands, func(x Command) bool { return x.RestartChild != nil || x.ApplyManifest != nil })
	if asked || c.PendingReason != pendingReason(&why) {
		p.e.Unplaced = append(p.e.Unplaced, Unplaceable{Key: c.Key, Problem: why, Seat: c.Seat})
	}
}

// survey looks at every node, and at the one that registers with the entry.
func (p *proposer) survey(c *Child, sel sup.Selector, spread string) *field {
	f := &field{sessions: map[sup.NodeName]sup.Session{}}
	for n := range p.s.Nodes() {
		if p.joins == nil || n.Name != p.joins.Node {
			p.consider(f, c, sel, spread, n)
		}
	}
	if p.joins != nil {
		p.consider(f, c, sel, spread, &Node{
			Name: p.joins.Node, Status: MemberUp, Behaviors: p.joins.Behaviors, Tags: p.joins.Tags,
			Session: sup.Session{Gen: p.s.gen, Seq: p.s.session + 1},
		})
		slices.SortFunc(f.fit, func(a, b sup.Candidate) int { return cmp.Compare(a.Name, b.Name) })
	}
	return f
}

func (p *proposer) consider(f *field, c *Child, sel sup.Selector, spread string, n *Node) {
	of := c.Key.Supervisor
	reason := p.s.Ineligible(c, n)
	if sel.Pinned() && sel.Node != n.Name && reason == "" {
		reason = "the child is pinned to " + string(sel.Node)
	}
	if reason == "" {
		reason = Crowded(c, p.countOf(of, n.Name))
	}
	if n.Name == p.gone && reason == "" {
		reason = "down"
	}
	if reason != "" {
		f.why = append(f.why, sup.NodeReason{Node: n.Name, Reason: reason})
		return
	}
	f.sessions[n.Name] = n.Session
	if slices.Contains(c.Avoid, n.Name) {
		f.avoided = append(f.avoided, p.candidate(of, n, spread))
	} else {
		f.fit = append(f.fit, p.candidate(of, n, spread))
	}
}

func (p *proposer) candidate(of sup.Name, n *Node, spread string) sup.Candidate {
	x := sup.Candidate{Name: n.Name, Children: p.load[n.Name]}
	if spread == "" {
		return x
	}
	var value string
	value, x.Tagged = n.Tag(spread)
	for m := range p.s.Nodes() {
		if v, _ := m.Tag(spread); v == value {
			x.Sharing += p.countOf(of, m.Name)
		}
	}
	return x
}

// countOf is how many children of a supervisor a node has, those that the entry places there among them.
func (p *proposer) countOf(of sup.Name, n sup.NodeName) int {
	return p.s.CountOf(of, n) + p.siblings[string(of)+"@"+string(n)]
}
