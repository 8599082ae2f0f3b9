package agent

import (
	"cmp"
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// marks is the highest incarnation of each key that was started or stopped in the session (A5). It is bounded: the lowest
// are forgotten in favour of a floor, and what is not above the floor counts as seen.
type marks struct {
	high  map[sup.Key]sup.Incarnation
	floor sup.Incarnation
}

func newMarks() marks { return marks{high: map[sup.Key]sup.Incarnation{}} }

// below reports whether the mark of k is lower than inc: inc is news.
func (m *marks) below(k sup.Key, inc sup.Incarnation) bool {
	if high, ok := m.high[k]; ok {
		return high.Less(inc)
	}
	return m.floor.Less(inc)
}

// forgotten reports whether only the floor speaks for k.
func (m *marks) forgotten(k sup.Key) bool {
	_, ok := m.high[k]
	return !ok
}

// raise lifts the mark of k to inc; it never falls.
func (m *marks) raise(k sup.Key, inc sup.Incarnation) {
	if m.below(k, inc) {
		m.high[k] = inc
	}
	if len(m.high) > maxMarks {
		m.prune()
	}
}

// prune forgets the lower half. A child that runs on has its own record, and whatever comes for it is compared with that.
func (m *marks) prune() {
	all := make([]sup.Incarnation, 0, len(m.high))
	for _, inc := range m.high { // any order: sorted below
		all = append(all, inc)
	}
	slices.SortFunc(all, func(a, b sup.Incarnation) int {
		return cmp.Or(cmp.Compare(a.Gen, b.Gen), cmp.Compare(a.Index, b.Index))
	})
	m.floor = all[len(all)/2]
	for k, inc := range m.high { // any order: each is judged alone
		if !m.floor.Less(inc) {
			delete(m.high, k)
		}
	}
}
