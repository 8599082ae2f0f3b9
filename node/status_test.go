package node

import (
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// A server that has just been started knows of no entry but those it has: it is not caught up because it applied all of them.
func TestAServerLagsUntilItKnowsOfItsOwnRegistration(t *testing.T) {
	n := &Node{cfg: Config{Name: "n1"}, fsm: fsm.NewFSM(hclog.NewNullLogger(), func(err error) { t.Error(err) })}
	index := uint64(0)
	apply := func(c fsm.Command) {
		t.Helper()
		index++
		b, err := fsm.Encode(fsm.Entry{Clock: int64(index), Term: 2, Commands: []fsm.Command{c}})
		if err != nil {
			t.Fatal(err)
		}
		n.fsm.ApplyBatch([]*raft.Log{{Index: index, Term: 2, Type: raft.LogCommand, Data: b}})
	}
	register := func(replaces sup.Session) sup.Session {
		t.Helper()
		apply(fsm.Command{Register: &fsm.Register{Node: "n1", ID: "id", Addr: "127.0.0.1:7101", Voter: true, Replaces: replaces}})
		var own sup.Session
		n.fsm.View(func(s *fsm.State) { own = s.Node("n1").Session })
		return own
	}
	if n.lagsBehind(sup.Session{}) {
		t.Error("a server without a session has no lease either, which is said")
	}
	if !n.lagsBehind(sup.Session{Gen: 1, Seq: 1}) {
		t.Error("it has nothing, and does not lag")
	}
	apply(fsm.Command{Bootstrap: &fsm.Bootstrap{Cluster: "c", Settings: fsm.Settings{HeartbeatInterval: 500e6, LeaseTTL: 3e9, FastFailover: "off", EventHistory: 1 << 20}}})
	before := register(sup.Session{})
	if n.lagsBehind(before) {
		t.Error("it has all, and lags")
	}
	now := sup.Session{Gen: before.Gen, Seq: before.Seq + 1}
	if !n.lagsBehind(now) {
		t.Error("it knows the session of its former process alone, and does not lag")
	}
	if got := register(before); got != now || n.lagsBehind(now) {
		t.Errorf("session %s; it has all, and lags: %v", got, n.lagsBehind(now))
	}
}
