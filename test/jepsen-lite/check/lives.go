package check

import (
	"cmp"
	"slices"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// Lives checks I3a: lives of different incarnations of a child do not overlap, an incarnation starts once, and later
// incarnations are larger. A detached grandchild is part of the life of its command.
func Lives(h *history.History) *Verdict {
	v := &Verdict{Invariant: "I3a", About: "lives of a child do not overlap, incarnations grow"}
	excuse := excusesOf(h)
	type incarnation struct {
		number uint64
		start  history.Instant
		lives  []history.Life
	}
	lives := byChild(h.Lives)
	for _, key := range sortedKeys(lives) {
		var incs []*incarnation
		for _, l := range lives[key] {
			i := slices.IndexFunc(incs, func(i *incarnation) bool { return i.number == l.Incarnation })
			if i < 0 {
				i, incs = len(incs), append(incs, &incarnation{number: l.Incarnation, start: l.Start})
			}
			for _, other := range incs[i].lives {
				if other.Role == l.Role {
					v.violated("%s and %s: one incarnation was started twice", other, l)
				}
			}
			incs[i].start = min(incs[i].start, l.Start)
			incs[i].lives = append(incs[i].lives, l)
		}
		slices.SortFunc(incs, func(a, b *incarnation) int { return cmp.Compare(a.start, b.start) })
		v.Checked += len(incs)
		for i, old := range incs {
			for _, young := range incs[i+1:] {
				if young.number < old.number {
					v.violated("%s: incarnation %d started after %d", key, young.number, old.number)
				}
				for _, l := range old.lives {
					late, excused := excuse.late(l, young.start)
					if excused > 0 {
						v.ambiguous("%s has %d records after the start of incarnation %d, from a time when nobody could stop it", l, excused, young.number)
					}
					if len(late) > 0 {
						v.violated("%s has %d records after the start of incarnation %d on %s at %d, the last %v later", l, len(late), young.number,
							young.lives[0].Node, young.start, late[len(late)-1].Sub(young.start))
					}
				}
			}
		}
	}
	return v
}

func sortedKeys[T any](m map[history.Key]T) []history.Key {
	var keys []history.Key
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b history.Key) int {
		return cmp.Or(cmp.Compare(a.Supervisor, b.Supervisor), cmp.Compare(a.Child, b.Child))
	})
	return keys
}
