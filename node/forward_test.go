package node

import (
	"context"
	"testing"

	"github.com/supnode/supnode/fsm"
)

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
