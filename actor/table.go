package actor

import "hash/maphash"

// table finds the cells by their keys. It keeps a key's hash in place of its two strings, which the cell's slot has anyway: of
// what an actor at rest costs that is a sixth.
type table struct {
	seed   maphash.Seed
	byHash map[uint64]*cell
	others map[Key]*cell // whose hash is another one's
}

func newTable() table { return table{seed: maphash.MakeSeed(), byHash: map[uint64]*cell{}} }

func (t *table) len() int { return len(t.byHash) + len(t.others) }

func (t *table) get(k Key) *cell {
	if c := t.byHash[maphash.Comparable(t.seed, k)]; c != nil && c.slot.key == k {
		return c
	}
	return t.others[k]
}

// add adds the cell of a key that has none.
func (t *table) add(c *cell) {
	h := maphash.Comparable(t.seed, c.slot.key)
	if t.byHash[h] == nil {
		t.byHash[h] = c
		return
	}
	if t.others == nil {
		t.others = map[Key]*cell{}
	}
	t.others[c.slot.key] = c
}

func (t *table) drop(c *cell) {
	if h := maphash.Comparable(t.seed, c.slot.key); t.byHash[h] == c {
		delete(t.byHash, h)
		return
	}
	delete(t.others, c.slot.key)
}

// all calls f with every cell, in no order.
func (t *table) all(f func(*cell)) {
	for _, c := range t.byHash {
		f(c)
	}
	for _, c := range t.others {
		f(c)
	}
}
