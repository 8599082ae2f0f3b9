package fsm_test

import (
	"fmt"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// A node joins, a supervisor is started with one child, and the node reports that its init has returned.
func Example() {
	s := fsm.New()
	a := s.Apply(1, fsm.Entry{Commands: []fsm.Command{
		{Register: &fsm.Register{Node: "n1", ID: "one", Behaviors: []string{"exec"}}},
	}})
	session := a.Results[0].Session

	manifest := sup.Spec{Name: "pool", Children: []sup.ChildSpec{{ID: "w1", Behavior: "exec"}}}.WithDefaults()
	w1 := sup.Key{Supervisor: "pool", Child: "w1"}
	s.Apply(2, fsm.Entry{
		Commands: []fsm.Command{{
			Request:         &fsm.Request{Key: "k", Hash: []byte("what was asked")},
			StartSupervisor: &fsm.StartSupervisor{Spec: manifest, Home: "n1"},
		}},
		Placements: []fsm.Placement{{Key: w1, Node: "n1", Session: session}},
	})
	a = s.Apply(3, fsm.Entry{Commands: []fsm.Command{
		{Report: &fsm.Report{Key: w1, Inc: s.Child(w1).Inc, Kind: fsm.ReportRunning}},
	}})

	fmt.Println(a.Completed[0].Key, "is done:", a.Completed[0].Outcome.Problem == nil)
	events, _, _ := s.Events(0, 10)
	for _, e := range events {
		fmt.Printf("%d %s\n", e.ID, e.Type)
	}
	// Output:
	// k is done: true
	// 1 node_joined
	// 2 child_started
	// 3 supervisor_started
}
