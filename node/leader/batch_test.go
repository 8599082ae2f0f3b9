package leader

import (
	"fmt"
	"strings"
	"testing"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// The bound of an entry holds whatever its commands say.
func TestTheSizeOfACommandIsEstimatedFromAbove(t *testing.T) {
	child := sup.ChildSpec{ID: "c", Behavior: "exec", Args: sup.Args(strings.Repeat("x", 1000)), Require: map[string]string{},
		Selector: &sup.Selector{Kind: sup.SelectNode, Node: "n1", Fallback: sup.SelectLeastLoaded},
		Backoff:  &sup.Backoff{Initial: 1e9, Max: 30e9, Factor: 2, Jitter: 0.2, ResetAfter: 60e9}, MaxPerNode: 3, Significant: true}
	for i := range 20 {
		child.Require[fmt.Sprintf("%032d", i)] = strings.Repeat("v", 64)
	}
	simple := sup.Spec{Strategy: sup.SimpleOneForOne, ChildTemplate: &child}
	under := sup.ChildSpec{ID: "s", Supervisor: &sup.Spec{Children: []sup.ChildSpec{child, {ID: "t", Supervisor: &simple}}}}
	for _, c := range []fsm.Command{
		{StartChild: &fsm.StartChild{Supervisor: "pool", Spec: &child}},
		{StartChild: &fsm.StartChild{Supervisor: "pool", Spec: &under}},
		{StartSupervisor: &fsm.StartSupervisor{Spec: simple.WithDefaults(), Home: "n1"}},
		{ApplyManifest: &fsm.ApplyManifest{Spec: sup.Spec{Name: "pool", Children: []sup.ChildSpec{child, under}}.WithDefaults(), Home: "n1"}},
	} {
		b, err := fsm.Encode(fsm.Entry{Commands: []fsm.Command{c}})
		if err != nil {
			t.Fatal(err)
		}
		if n := sizeOf(&c); n < len(b) {
			t.Errorf("%d bytes are estimated as %d: %+v", len(b), n, c)
		}
	}
}
