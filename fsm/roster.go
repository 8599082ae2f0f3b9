package fsm

import (
	"iter"
	"sort"
)

// roster lists slots by their Seat, ascending: those that want a node, or those that a node holds. It is derived from the
// child records and is rebuilt from them when a state is restored.
type roster struct {
	rows []seat // ascending; child nil = a hole
	head int    // rows before it are holes
	live int
}

type seat struct {
	no    uint64
	child *Child
}

func (r *roster) len() int { return r.live }

// add appends a child whose seat is the highest yet.
func (r *roster) add(c *Child) {
	if n := len(r.rows); n > 0 && r.rows[n-1].no >= c.Seat {
		panic("fsm: roster: seats do not rise")
	}
	r.rows = append(r.rows, seat{c.Seat, c})
	r.live++
}

func (r *roster) find(no uint64) int {
	i := sort.Search(len(r.rows), func(i int) bool { return r.rows[i].no >= no })
	if i == len(r.rows) || r.rows[i].no != no || r.rows[i].child == nil {
		panic("fsm: roster: no such seat")
	}
	return i
}

// set replaces the record of the child in the same seat.
func (r *roster) set(c *Child) { r.rows[r.find(c.Seat)].child = c }

// drop empties a seat.
func (r *roster) drop(no uint64) {
	r.rows[r.find(no)].child = nil
	if r.live--; r.live == 0 {
		r.rows, r.head = nil, 0
		return
	}
	for r.rows[r.head].child == nil {
		r.head++
	}
	if holes := len(r.rows) - r.live; holes > r.live && holes > minHoles {
		rows := make([]seat, 0, r.live+r.live/4)
		for _, s := range r.rows[r.head:] {
			if s.child != nil {
				rows = append(rows, s)
			}
		}
		r.rows, r.head = rows, 0
	}
}

// all yields the children in the order of their seats. The roster may not change meanwhile.
func (r *roster) all() iter.Seq[*Child] {
	return func(yield func(*Child) bool) {
		for _, s := range r.rows[r.head:] {
			if s.child != nil && !yield(s.child) {
				return
			}
		}
	}
}
