package fsm

import "testing"

// What begins a cluster, a term or a generation does so once: a command that comes again, from a leader that did not hear of it, is
// stale and changes nothing.
func TestWhatHasBegunIsStale(t *testing.T) {
	w := newWorld(t)
	w.apply(Command{Establish: &Establish{Term: 3, Leader: "n2"}})
	w.apply(Command{Bump: &Bump{Gen: 5}})
	for what, c := range map[string]Command{
		"another cluster":                  {Bootstrap: &Bootstrap{Cluster: "other"}},
		"the same term":                    {Establish: &Establish{Term: 3, Leader: "n3"}},
		"an earlier term":                  {Establish: &Establish{Term: 2, Leader: "n1"}},
		"the same generation":              {Bump: &Bump{Gen: 5}},
		"an earlier generation":            {Bump: &Bump{Gen: 4}},
		"the end of another one's hold":    {Released: &Released{Gen: 4}},
		"a TTL that none waits for to end": {TTLRetired: &TTLRetired{}},
	} {
		if res := w.apply(c).Results[0]; res.Status != Stale {
			t.Errorf("%s: %+v", what, res)
		}
	}
	if s := w.s; s.cluster != "c" || s.term != 3 || s.leader != "n2" || s.gen != 5 || !s.held {
		t.Errorf("cluster %q, term %d of %s, generation %d, held=%t", s.cluster, s.term, s.leader, s.gen, s.held)
	}
	if res := New().Apply(1, Entry{Commands: []Command{{Bootstrap: &Bootstrap{}}}}).Results[0]; res.Status != Stale {
		t.Errorf("a cluster without a name begins: %+v", res)
	}
}
