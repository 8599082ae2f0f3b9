package fsm

import "iter"

// roll keeps records in the order in which they were added and finds them by key. A record that goes leaves a hole; holes
// are squeezed out when they outnumber the records, so every operation is amortised O(1).
type roll[K comparable, R any] struct {
	rows []*R // nil = a hole; the last one is not a hole
	head int  // rows before it are holes
	at   map[K]int
	key  func(*R) K
}

func newRoll[K comparable, R any](key func(*R) K) roll[K, R] {
	return roll[K, R]{at: map[K]int{}, key: key}
}

// minHoles is the number of holes below which a roll is not squeezed.
const minHoles = 32

func (r *roll[K, R]) len() int { return len(r.at) }

// get is the record under k, or nil.
func (r *roll[K, R]) get(k K) *R {
	if i, ok := r.at[k]; ok {
		return r.rows[i]
	}
	return nil
}

// add appends a record whose key is not there yet.
func (r *roll[K, R]) add(x *R) {
	k := r.key(x)
	if _, ok := r.at[k]; ok {
		panic("fsm: roll: a key is added twice")
	}
	r.at[k] = len(r.rows)
	r.rows = append(r.rows, x)
}

// set replaces the record that has the same key.
func (r *roll[K, R]) set(x *R) {
	i, ok := r.at[r.key(x)]
	if !ok {
		panic("fsm: roll: a record that is not there is replaced")
	}
	r.rows[i] = x
}

// drop removes the record under k, which is there.
func (r *roll[K, R]) drop(k K) {
	i, ok := r.at[k]
	if !ok {
		panic("fsm: roll: a record that is not there is dropped")
	}
	r.rows[i] = nil
	delete(r.at, k)
	if len(r.at) == 0 {
		r.rows, r.head = nil, 0
		return
	}
	for r.rows[r.head] == nil {
		r.head++
	}
	for r.rows[len(r.rows)-1] == nil {
		r.rows = r.rows[:len(r.rows)-1]
	}
	if holes := len(r.rows) - len(r.at); holes > len(r.at) && holes > minHoles {
		r.squeeze()
	}
}

func (r *roll[K, R]) squeeze() {
	rows := make([]*R, 0, len(r.at)+len(r.at)/4)
	for _, x := range r.rows[r.head:] {
		if x != nil {
			r.at[r.key(x)] = len(rows)
			rows = append(rows, x)
		}
	}
	r.rows, r.head = rows, 0
}

// first is the oldest record, or nil.
func (r *roll[K, R]) first() *R {
	if len(r.at) == 0 {
		return nil
	}
	return r.rows[r.head]
}

// last is the newest record, or nil.
func (r *roll[K, R]) last() *R {
	if len(r.at) == 0 {
		return nil
	}
	return r.rows[len(r.rows)-1]
}

// all yields the records in order. The roll may not change meanwhile.
func (r *roll[K, R]) all() iter.Seq[*R] {
	return func(yield func(*R) bool) {
		for _, x := range r.rows[r.head:] {
			if x != nil && !yield(x) {
				return
			}
		}
	}
}

// copyRows is a copy of the rows, holes among them.
func (r *roll[K, R]) copyRows() []*R { return append([]*R(nil), r.rows[r.head:]...) }

// place is where the record under k stands in the order.
func (r *roll[K, R]) place(k K) uint64 { return uint64(r.at[k]) }
