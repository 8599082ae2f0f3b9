package fsm

import (
	"testing"

	sup "github.com/supnode/supnode/supervisor"
)

// A supervisor that is started under the name of a stopped one has its own selector, not that one's pin.
func TestProspectsOfAReusedName(t *testing.T) {
	w := newWorld(t)
	w.register("n1")
	w.register("n2")
	pinned := sup.Spec{Name: "pool", Selector: sup.OnNode("n1")}.WithDefaults()
	w.ask(Command{StartSupervisor: &StartSupervisor{Spec: pinned}})
	w.ask(Command{StopSupervisor: &StopSupervisor{Name: "pool"}})
	free := sup.Spec{Name: "pool", Selector: sup.LeastLoaded, Children: []sup.ChildSpec{{ID: "w1", Behavior: "exec"}}}.WithDefaults()
	prospects := w.s.Prospects(Command{StartSupervisor: &StartSupervisor{Spec: free}})
	if len(prospects) != 1 || prospects[0].Selector.Kind != sup.SelectLeastLoaded {
		t.Fatalf("prospects: %+v", prospects)
	}
	for n := range w.s.Nodes() {
		if why := w.s.Ineligible(prospects[0].Child, n); why != "" {
			t.Errorf("%s cannot take it: %s", n.Name, why)
		}
	}
}
