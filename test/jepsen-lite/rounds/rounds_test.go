package rounds

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/journal"
)

func key(child string) history.Key { return history.Key{Supervisor: Pool, Child: child} }

// stage is one whose journals are written by the test.
func stage(t *testing.T) *Stage {
	t.Helper()
	dir := t.TempDir()
	return &Stage{journals: dir, Journals: journal.NewReader(dir), Options: Options{Log: t.Logf}}
}

// ticking writes a journal of a child that ticks now.
func (s *Stage) ticking(t *testing.T, child, node string, incarnation uint64) {
	t.Helper()
	w, err := journal.Open(s.journals, journal.Identity{Key: key(child), Node: node, Incarnation: incarnation, PID: int(incarnation), Role: history.Main})
	if err == nil {
		err = w.Tick()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWantedIsWhatWasStartedAndNotAskedToEnd(t *testing.T) {
	s := stage(t)
	for _, op := range []history.Op{
		{Key: key("runs"), Kind: history.OpStart, Outcome: history.OK},
		{Key: key("refused"), Kind: history.OpStart, Outcome: history.Refused},
		{Key: key("ended"), Kind: history.OpStart, Outcome: history.OK},
		{Key: key("ended"), Kind: history.OpTerminate, Outcome: history.OK},
		{Key: key("perhaps"), Kind: history.OpStart, Outcome: history.OK},
		{Key: key("perhaps"), Kind: history.OpTerminate, Outcome: history.Maybe},
		{Key: key("kept"), Kind: history.OpStart, Outcome: history.OK},
		{Key: key("kept"), Kind: history.OpTerminate, Outcome: history.Refused},
	} {
		s.did(op)
	}
	if got, want := s.Wanted(), []history.Key{key("runs"), key("kept")}; !slices.Equal(got, want) {
		t.Errorf("wanted %v, want %v", got, want)
	}
}

func TestTheSetThatRunsMustBeTheSetWanted(t *testing.T) {
	s := stage(t)
	s.ticking(t, "a", "n1", 5)
	s.ticking(t, "b", "n2", 6)
	both := []history.Key{key("a"), key("b")}
	if err := s.exactly(both, nil); err != nil {
		t.Error("what runs is what is wanted:", err)
	}
	for name, err := range map[string]error{
		"pool/b runs, nobody wants it": s.exactly(both[:1], nil),
		"pool/c runs 0 times":          s.exactly(append(both, key("c")), nil),
		"pool/b runs 0 times":          s.exactly(both, nil, "n2"), // only on a victim

		"pool/a still runs as incarnation 5": s.exactly(both, map[history.Key]uint64{key("a"): 5}),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
	s.ticking(t, "a", "n3", 7)
	if err := s.exactly(both, nil); err == nil || !strings.Contains(err.Error(), "pool/a runs 2 times") {
		t.Error("two copies were not seen:", err)
	}
	// They have ticked once, and no more.
	ctx, cancel := context.WithTimeout(t.Context(), 20*alive)
	defer cancel()
	if err := cluster.Until(ctx, "the dead to be seen", func(context.Context) error { return s.exactly(nil, nil) }); err != nil {
		t.Error("what has stopped ticking is said to run:", err)
	}
}

func TestTheClustersListMustAgree(t *testing.T) {
	wanted := []history.Key{key("a"), key("b")}
	a, b := history.Running{Key: key("a"), Status: "running"}, history.Running{Key: key("b"), Status: "running"}
	if err := agrees([]history.Running{a, b}, wanted); err != nil {
		t.Error(err)
	}
	pending := b
	pending.Status = "pending"
	for name, dump := range map[string][]history.Running{
		"one is missing": {a}, "one is pending": {a, pending}, "one is not wanted": {a, b, {Key: key("c"), Status: "running"}},
	} {
		if agrees(dump, wanted) == nil {
			t.Errorf("%s, and it agrees", name)
		}
	}
}

func TestTheEvidenceOfARedBlockIsTold(t *testing.T) {
	r := Result{History: &history.History{Seed: 7, Rerun: "go run it"}, Err: os.ErrDeadlineExceeded, Kept: filepath.Join("kept", "here")}
	for _, want := range []string{"seed 7, again with: go run it", "evidence kept in kept/here", "error:"} {
		if !strings.Contains(r.String(), want) {
			t.Errorf("%q is not in\n%s", want, r)
		}
	}
}
