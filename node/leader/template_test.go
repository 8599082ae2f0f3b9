package leader

import (
	"fmt"
	"testing"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// S34: the ids of children that several requests make at once are foreseen: all are placed by the entries that make them.
func TestS34ChildrenMadeAtOnceArePlacedByTheEntriesThatMakeThem(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	template := sup.ChildSpec{Behavior: "job"}
	spec := sup.Spec{Name: "a", Strategy: sup.SimpleOneForOne, Selector: sup.RoundRobin, ChildTemplate: &template}.WithDefaults()
	w.ask(fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: spec, Home: "n1"}})
	w.settle()
	w.entries = nil
	for range 30 {
		w.ask(fsm.Command{StartChild: &fsm.StartChild{Supervisor: "a", Args: [][]byte{[]byte("1")}}})
	}
	w.want(len(w.log) == MaxInFlight, "%d in flight", len(w.log))
	w.settle()
	w.want(len(w.entries) == MaxInFlight+1, "30 requests in %d entries", len(w.entries))
	w.want(w.st.WantingCount() == 0 && w.st.Counts("a").Specs == 30, "all are placed: %d want a node", w.st.WantingCount())
	for i := range 30 {
		want := []sup.NodeName{"n1", "n2", "n3"}[i%3]
		w.want(w.node(key("a", fmt.Sprint("child_", i+1))) == want, "child_%d is on %s", i+1, w.node(key("a", fmt.Sprint("child_", i+1))))
	}
}
