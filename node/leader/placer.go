package leader

import (
	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// placer finds nodes for the slots that want one. It is level-triggered: todo and ahead only spare it the search; a rescan
// of all that want a node finds the same.
type placer struct {
	placing map[sup.Key]bool          // slots whose placement is proposed
	planned map[sup.NodeName]int      // how many of them on each node
	cursors map[sup.Name]sup.NodeName // where round_robin will be once they are applied
	ahead   []target                  // slots that a proposed command will make want a node, for which its entry had no room
	todo    []sup.Key                 // slots that began to want a node
	told    map[sup.Key]string        // what was proposed as the reason why a slot can't be placed
	rescan  bool                      // look at all that want a node
	againAt Instant                   // rescan then
	customs customs

	siblings map[onNode]int    // how many of placing of one supervisor on each node
	crowded  bool              // a child waits for what is placing to land (max_per_node)
	full     map[sup.Name]bool // supervisors of which a child found nodes with max_per_node of its siblings
}

// onNode is a supervisor's part of a node.
type onNode struct {
	of sup.Name
	on sup.NodeName
}

func newPlacer() placer {
	return placer{
		placing: map[sup.Key]bool{}, planned: map[sup.NodeName]int{}, cursors: map[sup.Name]sup.NodeName{},
		told: map[sup.Key]string{}, againAt: never, customs: newCustoms(), siblings: map[onNode]int{}, full: map[sup.Name]bool{},
	}
}

// target is a slot to find a node for.
type target struct {
	child     *fsm.Child // as it is, or as it is going to be
	sel       sup.Selector
	home      sup.NodeName
	spread    string // the tag over whose values its supervisor spreads its children
	predicted bool   // it does not want a node yet
}

func (m *Machine) targetOf(c *fsm.Child) target {
	return target{child: c, sel: m.st.Selector(c), home: m.st.Home(c.Key.Supervisor), spread: m.st.Spread(c.Key.Supervisor)}
}

// predict is what a command will make want a node, by the same rules that Apply runs. Where it is wrong the placement is
// ignored, and the slot wants one still.
func (m *Machine) predict(c *fsm.Command) []target {
	prospects := m.st.Prospects(*c)
	ts := make([]target, len(prospects))
	for i, p := range prospects {
		if p.Child.Spec.Selector == nil && p.Selector.Pinned() {
			own := *p.Child.Spec // its supervisor may not be in the state yet: the pin goes with the child
			own.Selector = &p.Selector
			p.Child.Spec = &own
		}
		for n := p.Nth; n > 0 && m.placer.placing[p.Child.Key]; n++ { // others are being made: each takes a number
			p.Child.Key.Child = sup.NthChild(n + 1)
		}
		ts[i] = target{child: p.Child, sel: p.Selector, home: p.Home, spread: p.Spread, predicted: true}
	}
	return ts
}

// plan adds to an entry the placements for what its commands will start and for what wants a node already, and says of
// those for which there is none why (S19).
func (m *Machine) plan(p *proposal, e *fsm.Entry, size int) {
	pl := &m.placer
	if m.st.Held() { // nothing is placed before Released; then all is looked at anew
		pl.ahead, pl.todo, pl.rescan = nil, nil, true
		return
	}
	w := &entryPlan{m: m, p: p, e: e, size: size, classes: map[class]*choice{}}
	for i := range e.Commands {
		for _, t := range m.predict(&e.Commands[i]) {
			if w.full() {
				pl.ahead = append(pl.ahead, t)
			} else {
				w.place(t)
			}
		}
	}
	for len(pl.ahead) > 0 && !w.full() {
		t := pl.ahead[0]
		pl.ahead = pl.ahead[1:]
		if now := m.st.Child(t.child.Key); now != nil && now.Wants {
			t = m.targetOf(now)
		}
		w.place(t)
	}
	for len(pl.todo) > 0 && !w.full() {
		k := pl.todo[0]
		pl.todo = pl.todo[1:]
		if c := m.st.Child(k); c != nil {
			w.try(c)
		}
	}
	if !pl.rescan || w.full() {
		return
	}
	pl.rescan = false
	for c := range m.st.Wanting() {
		if w.full() {
			pl.rescan = true
			return
		}
		w.try(c)
	}
}

// wish notes that a slot may want a node since it changed.
func (m *Machine) wish(k sup.Key) {
	pl := &m.placer
	c := m.st.Child(k)
	if c == nil || !c.Wants || c.PendingReason == "" {
		delete(pl.told, k)
	}
	if c == nil || !c.Wants {
		delete(pl.customs.chosen, k)
	}
	if pl.full[k.Supervisor] && (c == nil || !c.Wants) { // there may be room now
		delete(pl.full, k.Supervisor)
		pl.rescan = true
	}
	if c == nil || !c.Wants || pl.placing[k] || pl.rescan {
		return
	}
	if len(pl.todo) >= MaxPlacements {
		pl.todo, pl.rescan = nil, true
		return
	}
	pl.todo = append(pl.todo, k)
}

// landed ends the placements of an applied entry. What Apply ignored although the slot wants a node is tried again within
// H; when something changed about it, at once.
func (m *Machine) landed(p *proposal) {
	pl := &m.placer
	retry := false
	for _, pm := range p.placed {
		delete(pl.placing, pm.Key)
		if pl.planned[pm.Node]--; pl.planned[pm.Node] <= 0 {
			delete(pl.planned, pm.Node)
		}
		at := onNode{pm.Key.Supervisor, pm.Node}
		if pl.siblings[at]--; pl.siblings[at] <= 0 {
			delete(pl.siblings, at)
		}
		if c := m.st.Child(pm.Key); c != nil && c.Wants {
			retry = true
		}
	}
	if pl.crowded {
		pl.crowded, pl.rescan = false, true
	}
	if len(pl.placing) == 0 {
		clear(pl.cursors)
	}
	for _, k := range p.untaken {
		if c := m.st.Child(k); c == nil || !c.Wants || c.PendingReason == "" {
			delete(pl.told, k)
			retry = retry || c != nil && c.Wants
		}
	}
	if retry {
		pl.againAt = min(pl.againAt, m.now+m.st.Lease().H)
	}
}
