package fsm

import (
	"sort"
	"strconv"

	sup "github.com/supnode/supnode/supervisor"
)

// Info is a supervisor as users see it, a stopped one too (S37).
func (s *State) Info(n sup.Name) (sup.Info, bool) {
	t := s.trees.get(n)
	if t == nil {
		return sup.Info{}, false
	}
	return t.info(s.clock, s.wall), true
}

// ChildInfo is a child as users see it.
func (s *State) ChildInfo(k sup.Key) (sup.ChildInfo, bool) {
	c := s.Child(k)
	if c == nil {
		return sup.ChildInfo{}, false
	}
	return c.info(s.clock, s.wall, s.Selector(c)), true
}

// Children are at most limit children of a supervisor in start order that keep wants (nil wants all), from the one behind
// after on; after is empty or the next of the answer before. next is empty when there are no more.
func (s *State) Children(n sup.Name, after string, limit int, keep func(*sup.ChildInfo) bool) (infos []sup.ChildInfo, next string) {
	t := s.trees.get(n)
	if t == nil || limit <= 0 {
		return nil, ""
	}
	from, _ := strconv.ParseUint(after, 10, 64)
	var last uint64
	for _, c := range t.from(from) {
		if c == nil {
			continue
		}
		i := c.info(s.clock, s.wall, s.Selector(c))
		if keep != nil && !keep(&i) {
			continue
		}
		if len(infos) >= limit {
			return infos, strconv.FormatUint(last, 10)
		}
		infos, last = append(infos, i), c.Order
	}
	return infos, ""
}

// from are the rows of the children whose Order is above order, holes among them.
func (t *tree) from(order uint64) []*Child {
	rows := t.children.rows[t.children.head:]
	if order == 0 {
		return rows
	}
	i := sort.Search(len(rows), func(i int) bool {
		for rows[i] == nil { // the last row is never a hole
			i++
		}
		return rows[i].Order > order
	})
	return rows[i:]
}

// Obstacle is the child that the operation of a supervisor waits for: one that is to stop, else one whose init was to end and
// hangs (S14a); of a child that is a supervisor, what that waits for. nil = no such child.
func (s *State) Obstacle(n sup.Name) (hangs *Child) {
	t := s.trees.get(n)
	if t == nil || t.head.Op == nil || t.held == t.active {
		return nil
	}
	from := t.head.Op.Cursor
	if t.head.simple() {
		from = 0
	}
	for _, c := range t.from(max(from, 1) - 1) {
		switch {
		case c == nil:
		case c.Phase == Stopping:
			return s.Within(c)
		case c.Phase == Placed && hangs == nil:
			if x := s.Within(c); x != nil && x.Hanging {
				hangs = x
			}
		}
	}
	return hangs
}

// Within is a child that stops or starts or, of one that is a supervisor, what that waits for.
func (s *State) Within(c *Child) *Child {
	if c.IsSupervisor() {
		return s.Obstacle(c.Key.Supervisor.Sub(c.Key.Child))
	}
	return c
}

// Counts is what count_children answers (S35); zero for a supervisor that is not there.
func (s *State) Counts(n sup.Name) sup.Counts {
	t := s.trees.get(n)
	if t == nil {
		return sup.Counts{}
	}
	return sup.Counts{Specs: t.children.len(), Active: t.active, Supervisors: t.subs, Workers: t.children.len() - t.subs}
}
