package supervisor

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestRestartTypes(t *testing.T) { // S1–S3, S24
	for _, c := range []struct {
		restart Restart
		reason  ExitReason
		want    Verdict
	}{
		{Permanent, ExitNormal, RunAgain}, {Permanent, ExitShutdown, RunAgain}, {Permanent, ExitKilled, RunAgain}, {Permanent, ExitError, RunAgain},
		{Transient, ExitNormal, StayDown}, {Transient, ExitShutdown, StayDown}, {Transient, ExitKilled, RunAgain}, {Transient, ExitError, RunAgain},
		{Temporary, ExitNormal, Remove}, {Temporary, ExitShutdown, Remove}, {Temporary, ExitKilled, Remove}, {Temporary, ExitError, Remove},
	} {
		if got := c.restart.OnExit(c.reason); got != c.want {
			t.Errorf("%s after %s: %d, want %d", c.restart, c.reason, got, c.want)
		}
	}
	for r, want := range map[Restart]Verdict{Permanent: RunAgain, Transient: RunAgain, Temporary: Remove} {
		if got := r.OnNodeLoss(); got != want {
			t.Errorf("%s after the loss of its node: %d, want %d", r, got, want)
		}
		if got := r.OnGroupRestart(); got != want {
			t.Errorf("%s in a group restart: %d, want %d", r, got, want)
		}
	}
}

func TestReach(t *testing.T) { // S7–S9, S34
	for _, c := range []struct {
		strategy Strategy
		failed   uint64
		from     uint64
		alone    bool
	}{
		{OneForOne, 2, 2, true}, {SimpleOneForOne, 1, 1, true}, {OneForAll, 2, 1, false}, {OneForAll, 1, 1, false}, {RestForOne, 2, 2, false},
		{RestForOne, 1, 1, false},
	} {
		if from, alone := c.strategy.Reach(c.failed); from != c.from || alone != c.alone {
			t.Errorf("%s, child %d failed: from %d on, alone=%t", c.strategy, c.failed, from, alone)
		}
	}
	if OneForOne.InOrder() || SimpleOneForOne.InOrder() || !OneForAll.InOrder() || !RestForOne.InOrder() { // S10
		t.Error("children of the wrong strategies start in order")
	}
}

// S15 holds for every history of crashes: no window of length within ever has more than max restarts, and a restart is only
// refused when it would have made one.
func TestWindowNeverHoldsMoreThanMaxRestarts(t *testing.T) {
	refusals := 0
	rapid.Check(t, func(rt *rapid.T) {
		in := Intensity{
			MaxRestarts: rapid.IntRange(0, 5).Draw(rt, "max"),
			Within:      Duration(rapid.IntRange(1, 50).Draw(rt, "within")),
		}
		var stamps, all []int64
		now := int64(0)
		for range rapid.IntRange(1, 60).Draw(rt, "crashes") {
			now += int64(rapid.IntRange(0, 30).Draw(rt, "gap"))
			n := 0 // restarts in the window that ends now, counted anew
			for _, s := range all {
				if now-s <= int64(in.Within) {
					n++
				}
			}
			before := slices.Clone(stamps)
			kept, ok := in.Count(stamps, now)
			if !slices.Equal(before, stamps) {
				rt.Fatal("Count changed its argument")
			}
			if ok != (n < in.MaxRestarts) {
				rt.Fatalf("restart at %d after %v under %+v: allowed=%t", now, all, in, ok)
			}
			stamps = kept
			if ok {
				all = append(all, now)
			} else {
				refusals++
			}
			if len(stamps) > in.MaxRestarts {
				rt.Fatalf("%d stamps are kept, max %d", len(stamps), in.MaxRestarts)
			}
		}
	})
	if refusals < 100 && !t.Failed() {
		t.Errorf("only %d restarts were refused", refusals)
	}
}

func TestWindowIsExact(t *testing.T) { // S15
	in := Intensity{MaxRestarts: 1, Within: 5e9}
	stamps, ok := in.Count(nil, 100)
	if !ok || len(stamps) != 1 {
		t.Fatalf("the first restart: %v, %t", stamps, ok)
	}
	if _, ok := in.Count(stamps, 100+5e9); ok {
		t.Error("a restart exactly `within` ago is not counted")
	}
	if kept, ok := in.Count(stamps, 100+5e9+1); !ok || len(kept) != 1 {
		t.Errorf("a restart a nanosecond older is counted: %v", kept)
	}
	if _, ok := (Intensity{MaxRestarts: 0, Within: 5e9}).Count(nil, 0); ok {
		t.Error("a limit of 0 allows a restart")
	}
}

// S29: spread keeps the candidates whose value of the tag fewest children share, and untagged ones only when there are no others.
func TestSpread(t *testing.T) {
	tagged := func(n NodeName, sharing int) Candidate { return Candidate{Name: n, Tagged: true, Sharing: sharing} }
	for _, c := range []struct {
		from []Candidate
		want []NodeName
	}{
		{nil, nil},
		{[]Candidate{tagged("n1", 2), tagged("n2", 2)}, []NodeName{"n1", "n2"}},
		{[]Candidate{tagged("n1", 3), tagged("n2", 1), tagged("n3", 2), tagged("n4", 1)}, []NodeName{"n2", "n4"}},
		{[]Candidate{{Name: "n1"}, tagged("n2", 5), {Name: "n3"}, tagged("n4", 7)}, []NodeName{"n2"}},
		{[]Candidate{tagged("n1", 5), {Name: "n2"}}, []NodeName{"n1"}},
		{[]Candidate{{Name: "n1", Sharing: 2}, {Name: "n2", Sharing: 1}}, []NodeName{"n2"}},
	} {
		var got []NodeName
		for _, k := range Spread(c.from) {
			got = append(got, k.Name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.from, got, c.want)
		}
	}
}

func TestChoose(t *testing.T) { // S29
	three := []Candidate{{Name: "n1", Children: 4}, {Name: "n2", Children: 2}, {Name: "n3", Children: 2}}
	for _, c := range []struct {
		name         string
		sel          Selector
		from         []Candidate
		home, cursor NodeName
		draw         uint64
		want         NodeName
	}{
		{"local_first is the home", *LocalFirst, three, "n1", "", 0, "n1"},
		{"local_first without its home is least_loaded", *LocalFirst, three, "n9", "", 0, "n2"},
		{"least_loaded, then the name", *LeastLoaded, three, "n1", "", 0, "n2"},
		{"round_robin begins at the first", *RoundRobin, three, "", "", 0, "n1"},
		{"round_robin goes on", *RoundRobin, three, "", "n1", 0, "n2"},
		{"round_robin wraps", *RoundRobin, three, "", "n3", 0, "n1"},
		{"round_robin goes on from a name that is gone", *RoundRobin, []Candidate{{Name: "n1"}, {Name: "n3"}}, "", "n2", 0, "n3"},
		{"random is the draw", *Random, three, "", "", 5, "n3"},
		{"a node", *OnNode("n3"), three, "n1", "", 0, "n3"},
		{"a pin waits for its node", *OnNode("n4"), three, "n1", "", 0, ""},
		{"a fallback", Selector{Kind: SelectNode, Node: "n4", Fallback: SelectLeastLoaded}, three, "n1", "", 0, "n2"},
		{"a fallback is not used before it must", Selector{Kind: SelectNode, Node: "n1", Fallback: SelectLeastLoaded}, three, "", "", 0, "n1"},
		{"custom is for others", Selector{Kind: SelectCustom, Custom: "x"}, three, "n1", "", 0, ""},
		{"nobody", *LocalFirst, nil, "n1", "", 0, ""},
	} {
		got, ok := Choose(c.sel, c.from, c.home, c.cursor, c.draw)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %t", c.name, got, ok)
		}
	}
	fallback := Selector{Kind: SelectNode, Node: "n1", Fallback: SelectRoundRobin}
	if !RoundRobin.MovesCursor("n1") || LeastLoaded.MovesCursor("n1") || fallback.MovesCursor("n1") || !fallback.MovesCursor("n2") {
		t.Error("the wrong selectors move the cursor")
	}
	if !OnNode("n1").Pinned() || fallback.Pinned() || LocalFirst.Pinned() {
		t.Error("the wrong selectors pin")
	}
}

// round_robin gives each of n nodes its turn, whatever the names are.
func TestRoundRobinIsFair(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(rt, "nodes")
		var nodes []Candidate
		for i := range n {
			nodes = append(nodes, Candidate{Name: NodeName(fmt.Sprintf("n%d", i))})
		}
		cursor := NodeName(rapid.StringMatching("n[0-9]?").Draw(rt, "cursor"))
		times := map[NodeName]int{}
		for range 3 * n {
			cursor, _ = Choose(*RoundRobin, nodes, "", cursor, 0)
			times[cursor]++
		}
		for _, c := range nodes {
			if times[c.Name] != 3 {
				rt.Fatalf("%s had %d turns of 3", c.Name, times[c.Name])
			}
		}
	})
}
