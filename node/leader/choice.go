package leader

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// maxReasons bounds the nodes whose reasons a refusal lists.
const maxReasons = 64

// entryPlan fills one entry with placements. Loads and cursors advance within it, as Apply will make them.
type entryPlan struct {
	m       *Machine
	p       *proposal
	e       *fsm.Entry
	size    int
	classes map[class]*choice
	list    []*choice
	sharing map[sup.Name]map[string]int // children by the values of the tag over which their supervisor spreads them
}

// class is all that eligibility depends on beside the nodes (S28): children of a class are eligible on the same ones.
type class struct {
	behavior string
	pin      sup.NodeName // of a child that runs nowhere else
	require  string       // the tags that a node must have
	of       sup.Name     // the supervisor of a child with max_per_node
	max      int
}

// choice is what there is to choose from for a class.
type choice struct {
	eligible []sup.Candidate
	problem  *sup.Problem // when there is none and none may turn up
	words    string       // the problem in one line
}

func (w *entryPlan) full() bool {
	return len(w.e.Placements)+len(w.e.Unplaced) >= MaxPlacements || w.size >= MaxEntryBytes
}

// try places a child that wants a node now.
func (w *entryPlan) try(c *fsm.Child) {
	if !c.Wants || w.m.placer.placing[c.Key] {
		return
	}
	if c.NotBefore > w.m.clusterTime() { // S20
		w.m.placer.againAt = min(w.m.placer.againAt, w.m.instantOf(c.NotBefore))
		return
	}
	w.place(w.m.targetOf(c))
}

func (w *entryPlan) place(t target) {
	m, pl := w.m, &w.m.placer
	key := t.child.Key
	if pl.placing[key] {
		return
	}
	from := w.choiceFor(t)
	eligible, problem, words := w.roomy(t, from.eligible), from.problem, from.words
	if len(eligible) == 0 && len(from.eligible) > 0 { // what is on its way there leaves no room; looked at again when it has landed
		pl.crowded = true
		return
	}
	var node sup.NodeName
	ok := false
	if t.sel.Kind != sup.SelectCustom {
		node, ok = w.choose(t, eligible)
	} else if len(eligible) > 0 {
		if node, problem = w.custom(t, without(eligible, t.child.Avoid)); problem != nil {
			words = inWords(problem)
		}
		ok = node != ""
	}
	if ok {
		p := fsm.Placement{Key: key, Node: node, Session: m.members[node].session}
		w.e.Placements = append(w.e.Placements, p)
		w.p.placed = append(w.p.placed, p)
		w.size += 40 + len(key.Supervisor) + len(key.Child) + len(node)
		pl.placing[key] = true
		pl.planned[node]++
		pl.siblings[onNode{key.Supervisor, node}]++
		if t.sel.MovesCursor(node) {
			pl.cursors[key.Supervisor] = node
		}
		w.count(node)
		w.share(t, node)
		return
	}
	if t.child.Spec.MaxPerNode > 0 && !t.predicted {
		pl.full[key.Supervisor] = true
	}
	if t.predicted || problem == nil || pl.told[key] == words {
		return
	}
	u := fsm.Unplaceable{Key: key, Problem: *problem, Seat: t.child.Seat}
	if problem.Detail == "" {
		u.Problem.Detail = nobodyTakes(key, problem.Reasons)
	}
	w.e.Unplaced = append(w.e.Unplaced, u)
	w.p.untaken = append(w.p.untaken, key)
	w.size += 128 + 2*(len(key.Supervisor)+len(key.Child)) + 3*len(words)
	pl.told[key] = words
}

func (w *entryPlan) choose(t target, eligible []sup.Candidate) (sup.NodeName, bool) {
	m := w.m
	if to := t.child.Toward; to != "" && slices.ContainsFunc(eligible, func(c sup.Candidate) bool { return c.Name == to }) {
		return to, true
	}
	if eligible = without(eligible, t.child.Avoid); t.spread != "" && !prefers(t.sel, eligible) {
		eligible = w.spread(t, eligible)
	}
	cursor, ok := m.placer.cursors[t.child.Key.Supervisor]
	if !ok {
		cursor = m.st.Cursor(t.child.Key.Supervisor)
	}
	var draw uint64
	if m.cfg.Draw != nil && (t.sel.Kind == sup.SelectRandom || t.sel.Fallback == sup.SelectRandom) {
		draw = m.cfg.Draw()
	}
	return sup.Choose(t.sel, eligible, t.home, cursor, draw)
}

// roomy leaves out the nodes that hold max_per_node of the supervisor's children, with those on their way there.
func (w *entryPlan) roomy(t target, eligible []sup.Candidate) []sup.Candidate {
	if t.child.Spec.MaxPerNode == 0 {
		return eligible
	}
	of := t.child.Key.Supervisor
	return slices.DeleteFunc(slices.Clone(eligible), func(c sup.Candidate) bool {
		return fsm.Crowded(t.child, w.m.st.CountOf(of, c.Name)+w.m.placer.siblings[onNode{of, c.Name}]) != ""
	})
}

// prefers reports whether a selector names one of the nodes itself: then there is nothing to spread over.
func prefers(sel sup.Selector, eligible []sup.Candidate) bool {
	return sel.Kind == sup.SelectNode && slices.ContainsFunc(eligible, func(c sup.Candidate) bool { return c.Name == sel.Node })
}

// spread leaves the nodes whose value of the supervisor's tag fewest of its children share (S29).
func (w *entryPlan) spread(t target, eligible []sup.Candidate) []sup.Candidate {
	of := t.child.Key.Supervisor
	counts := w.sharing[of]
	if counts == nil {
		counts = map[string]int{}
		for n := range w.m.st.Nodes() {
			value, _ := n.Tag(t.spread)
			counts[value] += w.m.st.CountOf(of, n.Name) + w.m.placer.siblings[onNode{of, n.Name}]
		}
		if w.sharing == nil {
			w.sharing = map[sup.Name]map[string]int{}
		}
		w.sharing[of] = counts
	}
	eligible = slices.Clone(eligible)
	for i := range eligible {
		value, tagged := w.m.st.Node(eligible[i].Name).Tag(t.spread)
		eligible[i].Tagged, eligible[i].Sharing = tagged, counts[value]
	}
	return sup.Spread(eligible)
}

// share counts a slot among those that share a node's value of the tag.
func (w *entryPlan) share(t target, n sup.NodeName) {
	if counts := w.sharing[t.child.Key.Supervisor]; counts != nil {
		value, _ := w.m.st.Node(n).Tag(t.spread)
		counts[value]++
	}
}

// without leaves out the nodes to avoid, unless no other one is left (S18, S25).
func without(eligible []sup.Candidate, avoid []sup.NodeName) []sup.Candidate {
	avoided := func(c sup.Candidate) bool { return slices.Contains(avoid, c.Name) }
	if len(avoid) == 0 || !slices.ContainsFunc(eligible, avoided) {
		return eligible
	}
	if rest := slices.DeleteFunc(slices.Clone(eligible), avoided); len(rest) > 0 {
		return rest
	}
	return eligible
}

// count adds a slot to a node's load in every class.
func (w *entryPlan) count(n sup.NodeName) {
	for _, c := range w.list {
		if i, ok := slices.BinarySearchFunc(c.eligible, n, func(c sup.Candidate, n sup.NodeName) int {
			return strings.Compare(string(c.Name), string(n))
		}); ok {
			c.eligible[i].Children++
		}
	}
}

func (w *entryPlan) choiceFor(t target) *choice {
	k := class{behavior: t.child.Spec.Behavior}
	if t.sel.Pinned() {
		k.pin = t.sel.Node
	}
	for _, key := range slices.Sorted(maps.Keys(t.child.Spec.Require)) {
		k.require += key + "\x00" + t.child.Spec.Require[key] + "\x00"
	}
	if k.max = t.child.Spec.MaxPerNode; k.max > 0 {
		k.of = t.child.Key.Supervisor
	}
	c := w.classes[k]
	if c == nil {
		c = w.m.survey(t, k)
		w.classes[k] = c
		w.list = append(w.list, c)
	}
	return c
}

// survey looks which nodes may take children of a class. While one may still turn up that could, there is no problem to
// report: a live node that is silent comes back, or is declared dead in time.
func (m *Machine) survey(t target, k class) *choice {
	c := &choice{}
	var reasons []sup.NodeReason
	silent, live, able := false, 0, 0
	for n := range m.st.Nodes() {
		v := m.know(n)
		if n.Live() {
			live++
			if _, ok := slices.BinarySearch(n.Behaviors, k.behavior); ok && (k.pin == "" || k.pin == n.Name) {
				able++
			}
		}
		why := m.st.Ineligible(t.child, n)
		switch {
		case why == "" && m.candidate(v):
			c.eligible = append(c.eligible, sup.Candidate{Name: n.Name, Children: m.st.CountOn(n.Name) + m.placer.planned[n.Name]})
			continue
		case why == "" && v.down:
			why = "is being declared down"
		case why == "" && v.leaving:
			why = "draining"
		case why == "":
			silent, why = true, "not connected to the leader"
		}
		reasons = append(reasons, sup.NodeReason{Node: n.Name, Reason: why})
	}
	if settled := m.start + 2*m.st.Lease().H; silent && len(c.eligible) > 0 && k.pin == "" && m.now < settled {
		// A new leader hears of the nodes one after another: the first that comes is not given everything.
		m.placer.againAt = min(m.placer.againAt, settled)
		return &choice{}
	}
	pinLive := false
	if n := m.st.Node(k.pin); n != nil {
		pinLive = n.Live()
	}
	switch {
	case len(c.eligible) > 0, silent, live == 0 && m.now < m.l3:
		return c
	case able == 0 && live > 0 && (k.pin == "" || pinLive):
		who, remedy := "no live node has", "start a node whose program registers it, or mend the name"
		if k.pin != "" {
			who = fmt.Sprintf("node %s does not have", k.pin)
		}
		if k.behavior == sup.ExecBehavior {
			remedy = "commands run on nodes whose config file says exec.enabled: true, and what may run in exec.allow"
		}
		c.problem = &sup.Problem{Code: sup.CodeBehaviorNotFound, Behavior: k.behavior, Node: k.pin,
			Detail: fmt.Sprintf("%s behavior %q: %s", who, k.behavior, remedy)}
	default:
		if k.pin != "" && m.st.Node(k.pin) == nil {
			reasons = append(reasons, sup.NodeReason{Node: k.pin, Reason: "the child is pinned to it, and no node of this name has ever joined"})
			slices.SortFunc(reasons, func(a, b sup.NodeReason) int { return strings.Compare(string(a.Node), string(b.Node)) })
		}
		c.problem = &sup.Problem{Code: sup.CodeNoAvailableNode, Reasons: reasons[:min(len(reasons), maxReasons)]}
	}
	c.words = inWords(c.problem)
	return c
}

// nobodyTakes says which child no node can take, and why: a manifest may have many.
func nobodyTakes(k sup.Key, reasons []sup.NodeReason) string {
	var b strings.Builder
	fmt.Fprintf(&b, "no node can take child %q of supervisor %q now", k.Child, k.Supervisor)
	between := ": "
	for _, r := range reasons {
		if b.Len() > fsm.MaxDetail/2 {
			b.WriteString("; and so on")
			break
		}
		b.WriteString(between + string(r.Node) + ": " + r.Reason)
		between = "; "
	}
	return b.String()
}

// inWords is a problem in one line.
func inWords(p *sup.Problem) string {
	var b strings.Builder
	b.WriteString(p.Error())
	for _, r := range p.Reasons {
		fmt.Fprintf(&b, "; %s: %s", r.Node, r.Reason)
	}
	return b.String()
}
