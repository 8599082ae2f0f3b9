package leader

import (
	"fmt"
	"slices"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

const (
	// MaxSelecting bounds the custom selectors that are asked at the same time, each for another supervisor.
	MaxSelecting = 64
	// selectAgain is how long after a custom selector's refusal it is asked again for a child that waits.
	selectAgain = int64(5 * sup.Duration(1e9))
)

// customs is what the placer knows of the custom selectors that it asked (S29). They are programs' own code and run beside the
// machine, which goes on meanwhile; for one supervisor one is asked at a time, so that it sees where the former child went.
type customs struct {
	last   uint64 // the number of the last question
	asking map[sup.Name]question
	chosen map[sup.Key]verdictOf // answers that no entry has taken yet
	behind bool                  // others wait until a question is answered
}

// question is one that is asked, about a child in the seat in which it wanted a node then.
type question struct {
	id    uint64
	key   sup.Key
	seat  uint64
	given []sup.NodeName
}

// verdictOf is the answer to a question: a node, or why there is none.
type verdictOf struct {
	question
	node sup.NodeName
	why  string
}

func newCustoms() customs {
	return customs{asking: map[sup.Name]question{}, chosen: map[sup.Key]verdictOf{}}
}

// has reports whether this leader's program has the selector.
func (m *Machine) hasSelector(name string) bool {
	return m.cfg.HasSelector != nil && m.cfg.HasSelector(name)
}

// custom is the node that a child's custom selector chose. With neither a node nor a problem the child waits for the answer.
func (w *entryPlan) custom(t target, eligible []sup.Candidate) (sup.NodeName, *sup.Problem) {
	m, cu, key := w.m, &w.m.placer.customs, t.child.Key
	switch {
	case t.predicted: // it is asked once the child is there
		return "", nil
	case !m.hasSelector(t.sel.Custom):
		return "", &sup.Problem{Code: sup.CodeSelectorNotRegistered, Selector: t.sel.Custom, Detail: fmt.Sprintf(
			"the leader, %s, has no selector %q: register it in the program of every server", m.cfg.Name, t.sel.Custom)}
	}
	if a, ok := cu.chosen[key]; ok {
		delete(cu.chosen, key)
		if node, problem := m.takeChoice(a, t, eligible); node != "" || problem != nil {
			return node, problem
		}
	}
	if _, busy := cu.asking[key.Supervisor]; busy || len(cu.asking) >= MaxSelecting {
		cu.behind = true
		return "", nil
	}
	m.askSelector(t, eligible)
	return "", nil
}

// takeChoice makes a node or a problem of an answer; neither when it was overtaken by what has happened since.
func (m *Machine) takeChoice(a verdictOf, t target, eligible []sup.Candidate) (sup.NodeName, *sup.Problem) {
	refused := func(format string, args ...any) (sup.NodeName, *sup.Problem) {
		m.placer.againAt = min(m.placer.againAt, m.now+selectAgain)
		return "", &sup.Problem{Code: sup.CodeNoAvailableNode, Selector: t.sel.Custom,
			Detail: fsm.KeptText(fmt.Sprintf("selector %q "+format, append([]any{t.sel.Custom}, args...)...))}
	}
	switch {
	case a.seat != t.child.Seat:
		return "", nil
	case a.why != "":
		return refused("chose no node: %s", a.why)
	case !slices.Contains(a.given, a.node):
		return refused("chose node %q, which is not among those that it was given", a.node)
	case !slices.ContainsFunc(eligible, func(c sup.Candidate) bool { return c.Name == a.node }):
		return "", nil
	}
	return a.node, nil
}

// askSelector asks for a child's node.
func (m *Machine) askSelector(t target, eligible []sup.Candidate) {
	cu := &m.placer.customs
	cu.last++
	q := question{id: cu.last, key: t.child.Key, seat: t.child.Seat}
	ask := Select{ID: q.id, Selector: t.sel.Custom, Key: q.key, Child: sup.SelectorChild{
		Supervisor: q.key.Supervisor, Spec: t.child.Spec.Clone(), LastNode: t.child.LastNode, RestartCount: t.child.RestartCount,
	}}
	for _, c := range eligible {
		q.given = append(q.given, c.Name)
		ask.Nodes = append(ask.Nodes, selectorNode(m.st.Node(c.Name), c.Children))
	}
	cu.asking[q.key.Supervisor] = q
	m.do(ask)
}

func selectorNode(n *fsm.Node, children int) sup.SelectorNode {
	tags := make(map[string]string, len(n.Tags))
	for _, t := range n.Tags {
		tags[t.Key] = t.Value
	}
	return sup.SelectorNode{Name: n.Name, Tags: tags, Children: children, Behaviors: slices.Clone(n.Behaviors)}
}

// selected hears an answer.
func (m *Machine) selected(ev Selected) {
	pl := &m.placer
	q, ok := pl.customs.asking[ev.Key.Supervisor]
	if !ok || q.id != ev.ID {
		return
	}
	delete(pl.customs.asking, ev.Key.Supervisor)
	if pl.customs.behind {
		pl.customs.behind, pl.rescan = false, true
	}
	if c := m.st.Child(q.key); c == nil || !c.Wants || c.Seat != q.seat {
		return
	}
	pl.customs.chosen[q.key] = verdictOf{question: q, node: ev.Node, why: ev.Why}
	m.wish(q.key)
}
