package node_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/supnode/supnode/node"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// An answer that was forwarded is the answer that was given, to the nanosecond.
func TestAnswerCrossesTheNodePort(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC)
	left, three := sup.Duration(5), 3
	want := node.Answer{
		Index: 7, By: "n1", Leader: "n2",
		Supervisors: []sup.Info{{Name: "a", Selector: sup.OnNode("n1"), ChildrenByNode: map[sup.NodeName]int{"n1": 2}, StartedAt: at}},
		Child: &sup.ChildInfo{ID: "w", Args: []json.RawMessage{json.RawMessage(`{"a":1}`)}, Selector: sup.RoundRobin, ShutdownTimeout: sup.Infinity,
			StartedAt: &at, LastExit: &sup.Exit{Reason: sup.ExitError, Detail: "x", At: at}},
		Children: []sup.ChildInfo{{ID: "v"}}, Next: "v",
		Count: &sup.Counts{Specs: 1}, Nodes: []sup.NodeInfo{{Name: "n1", LeaseExpiresIn: &left, Tags: map[string]string{"a": "b"}}},
		Events:    []sup.Event{{ID: 1, Time: at, Type: sup.EventNodeFailureDetected, AffectedChildren: []sup.Key{{Supervisor: "a", Child: "w"}}, MaxRestarts: &three}},
		LastEvent: 9,
	}
	b, err := rpc.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	var got node.Answer
	if err := rpc.Decode(b, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
