package model

import (
	"fmt"

	sup "github.com/supnode/supnode/supervisor"
)

// home is the node through which all supervisors of a story were started.
const home = sup.NodeName("n1")

// Rebalance has children move, those of whose moves everything still holds.
func (c *Cluster) Rebalance(key string, moves []sup.Move) Answer {
	return c.ask(key, func() {
		for _, m := range moves {
			ch, to := c.Child(m.Key()), c.Node(m.To)
			if ch != nil && ch.State == Running && ch.Inc == m.Incarnation.Index && ch.toward == "" && ch.Node != m.To && to != nil && c.Eligible(ch, to) {
				ch.toward = m.To
			}
		}
		c.end(key, "")
	})
}

// sensible says what is wrong with a plan (operations.md, Rebalance).
func (c *Cluster) sensible(moves []sup.Move, limit int) error {
	if len(moves) > limit {
		return fmt.Errorf("a plan has %d moves, %d are allowed", len(moves), limit)
	}
	load, at := map[*Node]int{}, map[*Child]*Node{}
	for _, s := range c.Sups {
		for _, ch := range s.Children {
			if !ch.isSup() && ch.held() {
				at[ch] = c.Node(ch.Node)
				if to := c.Node(ch.toward); to != nil { // on its way counts as there
					at[ch] = to
				}
				load[at[ch]]++
			}
		}
	}
	moved := map[*Child]bool{}
	for _, m := range moves {
		ch, from, to := c.Child(m.Key()), c.Node(m.From), c.Node(m.To)
		switch {
		case ch == nil || ch.State != Running || ch.Node != m.From || ch.Inc != m.Incarnation.Index || moved[ch] || ch.toward != "":
			return fmt.Errorf("a plan moves %v, which does not run there", m)
		case !ch.movable():
			return fmt.Errorf("a plan moves %v, which stays", m)
		case from.Status() != "up" || to == nil || !c.Eligible(ch, to):
			return fmt.Errorf("a plan moves %v, and nothing can go there", m)
		case c.rightful(ch) != nil && c.rightful(ch) != to:
			return fmt.Errorf("a plan moves %v away from where its selector wants it", m)
		}
		moved[ch] = true
		load[from]--
		load[to]++
	}
	if len(moves) == limit {
		return nil
	}
	for ch, from := range at { // any order: one that is wrong is enough
		if from == nil || ch.State != Running || moved[ch] || ch.toward != "" || !ch.movable() || from.Status() != "up" {
			continue
		}
		if to := c.rightful(ch); to != nil {
			if to != from {
				return fmt.Errorf("a plan leaves %s on %s, its selector wants %s", ch.Key(), from.Name, to.Name)
			}
			continue
		}
		for _, to := range c.Nodes {
			if to != from && c.Eligible(ch, to) && load[from]-load[to] > 1 {
				return fmt.Errorf("a plan leaves %s on %s with %d, and %d on %s", ch.Key(), from.Name, load[from], load[to], to.Name)
			}
		}
	}
	return nil
}

// movable reports whether a rebalance may move a child.
func (ch *Child) movable() bool {
	return !ch.isSup() && ch.sup.Op != stopping && ch.pin() == "" && !ch.temporary() && ch.Spec.MaxPerNode == 0 && ch.sup.Spec.Spread == ""
}

// rightful is where a child's selector wants it whatever the load, nil = anywhere.
func (c *Cluster) rightful(ch *Child) *Node {
	n := c.Node(home)
	if ch.sup.selector() == sup.SelectLocalFirst && n != nil && n.Status() == "up" && (ch.Node == home || c.Eligible(ch, n)) {
		return n
	}
	return nil
}

// selector is the supervisor's own, or its parent's.
func (s *Sup) selector() sup.SelectorKind {
	switch {
	case s.Spec.Selector != nil && (s.up == nil || s.Spec.Selector.Kind != ""):
		return s.Spec.Selector.Kind
	case s.up != nil:
		return s.up.sup.selector()
	}
	return sup.SelectLocalFirst
}
