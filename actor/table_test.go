package actor

import (
	"hash/maphash"
	"testing"
)

// Two keys with the same hash are two children all the same.
func TestKeysOfOneHashAreTold(t *testing.T) {
	table := newTable()
	named := func(id string) *cell { return &cell{slot: &slot{key: Key{Supervisor: "s", Child: id}}} }
	a, b, c := named("a"), named("b"), named("c")
	table.byHash[maphash.Comparable(table.seed, b.slot.key)] = a // as if a had b's hash
	for _, cell := range []*cell{b, c} {
		if found := table.get(cell.slot.key); found != nil {
			t.Errorf("%s is found before it is there", found.slot.key)
		}
		table.add(cell)
	}
	if table.get(b.slot.key) != b || table.get(c.slot.key) != c || table.len() != 3 {
		t.Errorf("of %d cells b or c is not found", table.len())
	}
	seen := map[*cell]int{}
	table.all(func(c *cell) { seen[c]++ })
	if len(seen) != 3 || seen[a] != 1 || seen[b] != 1 {
		t.Errorf("all are %v", seen)
	}
	delete(table.byHash, maphash.Comparable(table.seed, b.slot.key)) // a ends
	if table.get(b.slot.key) != b {
		t.Error("b is not found once the one with its hash has ended")
	}
	table.drop(b)
	table.drop(c)
	if table.get(b.slot.key) != nil || table.len() != 0 {
		t.Errorf("%d are left", table.len())
	}
}
