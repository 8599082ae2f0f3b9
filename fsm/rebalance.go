package fsm

import (
	"cmp"
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// PlanRebalance is which children would have to move so that nodes hold about as many, at most limit of them: first those
// that their selector would have on another node (S29: a local_first child at home, one with a fallback on its own node),
// then, from the fullest node to the emptiest, those to whose selector any node is as good, as long as two nodes differ by
// more than one. Pinned, custom and temporary children stay. It is a function of the state alone.
func (s *State) PlanRebalance(limit int) []sup.Move {
	b := s.newBalance()
	for _, side := range b.sides {
		for i := len(side.free) - 1; i >= 0 && len(b.moves) < limit; i-- {
			c := side.free[i]
			if to := b.rightful(c); to != nil && to != side {
				b.shift(c, side, to)
			}
		}
	}
	for _, side := range b.sides { // who is, or goes, where its selector wants it stays there
		side.free = slices.DeleteFunc(side.free, func(c *Child) bool { return b.rightful(c) != nil })
	}
	for len(b.moves) < limit && b.even() {
	}
	return b.moves
}

// balance is a plan in the making.
type balance struct {
	s     *State
	sides []*side // the nodes that may take children, by name
	moves []sup.Move
}

// side is a node with its load as it will be.
type side struct {
	node  *Node
	load  int
	free  []*Child // that may be moved, longest there first; nil = is moved
	spent bool     // nothing of it can go where there is less, as loads are

	tried map[*side]int // of free, those from this index on can't go there
}

// give takes the newest child that can go to another side; nil = none can. What can't go there never can while a plan is made,
// so that it is looked at once.
func (x *side) give(s *State, to *side) *Child {
	if x.tried == nil {
		x.tried = map[*side]int{}
	}
	i, tried := x.tried[to]
	if !tried {
		i = len(x.free)
	}
	for i--; i >= 0; i-- {
		if c := x.free[i]; c != nil && s.Ineligible(c, to.node) == "" {
			x.free[i], x.tried[to] = nil, i
			return c
		}
	}
	x.tried[to] = 0
	return nil
}

func (s *State) newBalance() *balance {
	b := &balance{s: s}
	toward := map[sup.NodeName]int{}
	for _, m := range s.members {
		up := m.node.Status == MemberUp
		x := &side{node: m.node, load: m.slots.len()}
		for c := range m.slots.all() {
			if c.Toward != "" {
				x.load--
				toward[c.Toward]++
			} else if up && c.Phase == Running && !s.trees.get(c.Key.Supervisor).head.stopping() && s.Moves(c).Stays == "" {
				if sel := s.Selector(c); !sel.Pinned() && sel.Kind != sup.SelectCustom && c.Spec.MaxPerNode == 0 && s.Spread(c.Key.Supervisor) == "" {
					x.free = append(x.free, c)
				}
			}
		}
		if up {
			b.sides = append(b.sides, x)
		}
	}
	for _, x := range b.sides {
		x.load += toward[x.node.Name]
	}
	return b
}

// rightful is where the selector of a child wants it whatever the load; nil = anywhere.
func (b *balance) rightful(c *Child) *side {
	sel := b.s.Selector(c)
	if sel.Kind == sup.SelectNode {
		if x := b.open(sel.Node, c); x != nil {
			return x
		}
		sel.Kind = sel.Fallback
	}
	if sel.Kind == sup.SelectLocalFirst {
		return b.open(b.s.Home(c.Key.Supervisor), c)
	}
	return nil
}

// open is the side of a node if that can take a child.
func (b *balance) open(n sup.NodeName, c *Child) *side {
	i, ok := slices.BinarySearchFunc(b.sides, n, func(x *side, n sup.NodeName) int { return cmp.Compare(x.node.Name, n) })
	if !ok || n != c.Node && b.s.Ineligible(c, b.sides[i].node) != "" {
		return nil
	}
	return b.sides[i]
}

func (b *balance) shift(c *Child, from, to *side) {
	from.load--
	to.load++
	b.moves = append(b.moves, sup.Move{Supervisor: c.Key.Supervisor, Child: c.Key.Child, From: from.node.Name, To: to.node.Name, Incarnation: c.Inc})
}

// even moves one child from the fullest node that can give one to the emptiest that can take it; false when none is to move.
// A node that can give nothing is asked again when another one has given.
func (b *balance) even() bool {
	for {
		from := b.fullest()
		if from == nil {
			return false
		}
		emptiest := slices.Clone(b.sides)
		slices.SortStableFunc(emptiest, func(x, y *side) int { return cmp.Compare(x.load, y.load) })
		for _, to := range emptiest {
			if from.load-to.load < 2 {
				break
			}
			if c := from.give(b.s, to); c != nil {
				b.shift(c, from, to)
				for _, x := range b.sides {
					x.spent = x.spent && x.load-from.load < 2
				}
				return true
			}
		}
		from.spent = true
	}
}

func (b *balance) fullest() *side {
	var best *side
	for _, x := range b.sides {
		if !x.spent && (best == nil || x.load > best.load) {
			best = x
		}
	}
	return best
}

// rebalance takes the moves of a plan that still hold. The leader carries them out, some at a time.
func (s *State) rebalance(c *Rebalance) Result {
	o := &Outcome{Moves: []sup.Move{}}
	for _, m := range c.Moves[:min(len(c.Moves), MaxMoves)] {
		t := s.trees.get(m.Supervisor)
		if t == nil || t.head.stopping() {
			continue
		}
		child, to := t.children.get(m.Child), s.Node(m.To)
		if child == nil || child.Phase != Running || child.Inc != m.Incarnation || child.Toward != "" || child.Node == m.To ||
			to == nil || s.Ineligible(child, to) != "" {
			continue
		}
		child = s.editChild(t, child)
		s.note(child)
		s.aim(child, m.To)
		o.Moves = append(o.Moves, m)
	}
	return Result{Status: OK, Outcome: o}
}
