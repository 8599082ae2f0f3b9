package fsm

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestReplicasAgree applies thousands of random, mostly valid commands of every type, in batches, to three replicas: one
// straight, one that decodes the log by itself, and one that is replaced by a restored snapshot again and again. Their
// snapshots are the same bytes, and Check holds after every entry.
func TestReplicasAgree(t *testing.T) {
	seen := tally{}
	check := func(rt *rapid.T) {
		g := &generator{world: newWorld(rt), rt: rt, seen: seen}
		g.world.s.settings.EventHistory = 4 << 10
		g.register("n1")
		g.aGroup()
		second, third := copyOf(rt, g.s), copyOf(rt, g.s)
		for i := range 160 {
			applied := g.step()
			g.count(applied)
			for _, replica := range []*State{second, third} {
				e, err := Decode(g.log[len(g.log)-1])
				if err != nil {
					rt.Fatal(err)
				}
				got := replica.Apply(g.s.index, e)
				if a, b := fmt.Sprintf("%+v", applied.Changed), fmt.Sprintf("%+v", got.Changed); a != b {
					rt.Fatalf("entry %d changed %s on one replica and %s on another", g.s.index, a, b)
				}
			}
			// Each history compares at its own indexes, so that together they restore after every kind of entry.
			if i%5 == int(g.draw)%5 {
				want := snapshot(rt, g.s)
				if !bytes.Equal(want, snapshot(rt, second)) {
					rt.Fatalf("entry %d: two replicas differ", g.s.index)
				}
				if !bytes.Equal(want, snapshot(rt, third)) {
					rt.Fatalf("entry %d: a replica that was restored before differs", g.s.index)
				}
				third = copyOf(rt, third)
				if !bytes.Equal(want, snapshot(rt, third)) {
					rt.Fatalf("entry %d: snapshot and restore change the state", g.s.index)
				}
				if a, b := seats(g.s), seats(third); a != b {
					rt.Fatalf("entry %d: lists differ after a restore:\n%s\n%s", g.s.index, a, b)
				}
			}
		}
	}
	// What is drawn seldom may not come at all: until everything was seen often enough, more is drawn.
	for range 5 {
		if rapid.Check(t, check); t.Failed() || len(seen.missing()) == 0 {
			break
		}
	}
	if t.Failed() {
		return
	}
	seen.assert(t)
}

func copyOf(t tb, s *State) *State {
	c, err := Restore(bytes.NewReader(snapshot(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// seats prints what is derived from the records, in its order.
func seats(s *State) string {
	var b bytes.Buffer
	for c := range s.Wanting() {
		fmt.Fprint(&b, c.Key, " ")
	}
	for n := range s.Nodes() {
		fmt.Fprint(&b, n.Name, ":")
		for c := range s.On(n.Name) {
			fmt.Fprint(&b, c.Key, " ")
		}
	}
	fmt.Fprint(&b, s.stopped, s.running, s.history.size)
	for h := range s.Supervisors() {
		i, _ := s.Info(h.Name)
		fmt.Fprintf(&b, "%s %v %v ", h.Name, i.ChildrenByNode, s.Counts(h.Name))
	}
	return b.String()
}
