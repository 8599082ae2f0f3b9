package history

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTimingIsTheTableOfTheProtocol(t *testing.T) {
	for _, c := range []struct {
		Timing
		raft, election, wait time.Duration
	}{
		{Timing{500 * time.Millisecond, 3 * time.Second}, 300 * time.Millisecond, 1550 * time.Millisecond, 3825 * time.Millisecond},
		{Timing{100 * time.Millisecond, time.Second}, 100 * time.Millisecond, 550 * time.Millisecond, 1275 * time.Millisecond},
	} {
		if got := c.RaftTimeout(); got != c.raft {
			t.Errorf("TTL %v: Raft time-out %v, want %v", c.TTL, got, c.raft)
		}
		if got := c.Election(); got != c.election {
			t.Errorf("TTL %v: E = %v, want %v", c.TTL, got, c.election)
		}
		if got := c.Wait().Round(5 * time.Millisecond); got != c.wait {
			t.Errorf("TTL %v: W = %v, want %v", c.TTL, got, c.wait)
		}
	}
}

func TestUnfencedIsOnlyWhileBothArePaused(t *testing.T) {
	actions := []Action{
		{At: 1, Node: "n1", What: Started}, {At: 10, Node: "n1", What: Paused}, {At: 12, Node: "n2", What: GuardianPaused},
		{At: 20, Node: "n1", What: GuardianPaused}, {At: 30, Node: "n1", What: Resumed}, {At: 40, Node: "n1", What: GuardianResumed},
		{At: 50, Node: "n1", What: Paused}, {At: 60, Node: "n1", What: Resumed},
	}
	if d := cmp.Diff([]Interval{{20, 30}}, Unfenced(actions, "n1")); d != "" {
		t.Error(d)
	}
	if got := Unfenced(actions, "n2"); len(got) != 0 {
		t.Errorf("a paused guardian beside a running supnode is no excuse, got %v", got)
	}
}

func TestIntervalsThatHaveNotEnded(t *testing.T) {
	v := Interval{From: 10}
	if !v.Holds(11) || v.Holds(9) {
		t.Error("an open interval holds everything from its beginning on")
	}
	if w, ok := v.And(Interval{From: 5, To: 20}); !ok || w != (Interval{10, 20}) {
		t.Errorf("got %v %v", w, ok)
	}
	if _, ok := v.And(Interval{From: 5, To: 9}); ok {
		t.Error("nothing in common was reported as something")
	}
}

func TestHistoriesSurviveTheDisk(t *testing.T) {
	limit := 3
	h := &History{
		Timing: Timing{H: 1, TTL: 2}, Seed: 7, Nodes: []string{"n1"},
		Lives:   []Life{{Key: Key{"s", "c"}, Incarnation: 5, Start: 1, Ticks: []Instant{1, 2}}},
		Streams: []Stream{{"a", []Event{{ID: 1, Type: IntensityExceeded, MaxRestarts: &limit}}}},
		Writes:  []Write{{At: 3, Key: Key{"s", "c"}, Accepted: true}},
	}
	dir := t.TempDir()
	if err := h.Save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(h, got); d != "" {
		t.Error(d)
	}
}
