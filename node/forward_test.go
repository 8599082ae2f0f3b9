package node

import (
	"context"
	"testing"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// The deepest tree of supervisors crosses the wire to the leader.
func TestTheDeepestTreeIsForwarded(t *testing.T) {
	tree := sup.Spec{Children: []sup.ChildSpec{{ID: "w", Behavior: "exec", Selector: sup.OnNode("n1"), Backoff: &sup.Backoff{Initial: 1}}}}
	for range sup.MaxDepth - 1 {
		inner := tree
		tree = sup.Spec{Children: []sup.ChildSpec{{ID: "s", Supervisor: &inner}}}
	}
	cmd := fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: tree.WithDefaults()}}
	body, err := rpc.Encode(struct{ Command fsm.Command }{cmd})
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Command fsm.Command }
	if err := rpc.Decode(body, &got); err != nil {
		t.Fatal(err)
	}
	if n := got.Command.StartSupervisor.Spec.Levels(); n != sup.MaxDepth {
		t.Errorf("%d levels arrived", n)
	}
}

// What clients may not give never reaches the log, where every replica would stop at it.
func TestOnlyRequestsAreProposedForClients(t *testing.T) {
	for name, c := range map[string]fsm.Command{
		"none":            {},
		"two":             {StopSupervisor: &fsm.StopSupervisor{}, TerminateChild: &fsm.TerminateChild{}},
		"internal":        {NodeDown: &fsm.NodeDown{}},
		"internal beside": {StartChild: &fsm.StartChild{}, Bump: &fsm.Bump{}},
	} {
		if forClients(c) {
			t.Errorf("%s: taken", name)
		}
		if _, err := new(Node).Do(context.Background(), c, ""); err == nil {
			t.Errorf("%s: done", name)
		}
	}
	if !forClients(fsm.Command{Request: &fsm.Request{Key: "k"}, RestartChild: &fsm.RestartChild{}}) {
		t.Error("a request is refused")
	}
}
