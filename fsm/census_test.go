package fsm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	sup "github.com/supnode/supnode/supervisor"
)

// The census says what counting the views says, at every level of a tree.
func TestCensusAgreesWithTheViews(t *testing.T) {
	w := newWorld(t)
	w.register("n1", "exec")
	tree := childOf("db{;d1,deep{;e1}}").WithDefaults()
	w.apply(Command{StartSupervisor: &StartSupervisor{Spec: spec("pool", child("w1", sup.Permanent), child("w2", sup.Temporary), tree), Home: "n1"}})
	w.settle()
	third := child("w3", sup.Permanent)
	w.ask(Command{StartChild: &StartChild{Supervisor: "pool", Spec: &third}})
	s := w.s
	want := map[string]int{}
	for v := range s.Supervisors() {
		infos, _ := s.Children(v.Name, "", 1<<20, nil)
		for _, i := range infos {
			want[string(i.Status)]++
		}
	}
	got := map[string]int{}
	for status, n := range s.Census().Children {
		got[string(status)] = n
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
		t.Error(diff)
	}
}

func TestCensusCountsWhatMoves(t *testing.T) {
	w := newWorld(t)
	w.register("n1")
	w.apply(Command{StartSupervisor: &StartSupervisor{Spec: spec("pool", child("w1", sup.Permanent), child("w2", sup.Temporary), child("w3", sup.Permanent)), Home: "n1"}})
	w.settle()
	w.register("n2")
	w.ask(Command{Drain: &Drain{Node: "n1"}})
	c := w.s.Child(key("pool", "w1"))
	w.apply(Command{Move: &Move{Key: c.Key, Inc: c.Inc}})
	if got := w.s.Census(); got.Moving != 1 || got.ToMove != 2 {
		t.Errorf("%+v", got)
	}
}
