package check

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

const ms = history.Instant(time.Millisecond)

var (
	a, b, c = history.Key{Supervisor: "pool", Child: "a"}, history.Key{Supervisor: "pool", Child: "b"}, history.Key{Supervisor: "pool", Child: "c"}
	epoch   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func wall(at history.Instant) time.Time { return epoch.Add(time.Duration(at)) }

func life(k history.Key, node string, inc uint64, from, to history.Instant) history.Life {
	l := history.Life{Key: k, Node: node, Incarnation: inc, PID: int(inc), Role: history.Main, Start: from}
	for at := from; at <= to; at += 10 * ms {
		l.Ticks = append(l.Ticks, at)
	}
	return l
}

// good is a history of one pause of n1 that went well: a and b ran there, c on n2; a and b moved to n2; c was terminated.
func good() *history.History {
	h := &history.History{
		Timing: history.Timing{H: 100 * time.Millisecond, TTL: time.Second}, Nodes: []string{"n1", "n2", "n3"},
		Clocks: []history.Sync{{Mono: 0, Wall: epoch}, {Mono: 20_000 * ms, Wall: wall(20_000 * ms)}},
		Lives: []history.Life{
			life(a, "n1", 10, 100*ms, 1900*ms), life(b, "n1", 11, 100*ms, 1900*ms), life(c, "n2", 12, 100*ms, 3990*ms),
			life(a, "n2", 20, 2600*ms, 9000*ms), life(b, "n2", 20, 2600*ms, 9000*ms),
		},
		Ops: []history.Op{
			{Key: a, Kind: history.OpStart, Invoked: 50 * ms, Returned: 150 * ms, Outcome: history.OK},
			{Key: b, Kind: history.OpStart, Invoked: 50 * ms, Returned: 150 * ms, Outcome: history.OK},
			{Key: c, Kind: history.OpStart, Invoked: 50 * ms, Returned: 150 * ms, Outcome: history.OK},
			{Key: c, Kind: history.OpTerminate, Invoked: 3980 * ms, Returned: 4000 * ms, Outcome: history.OK},
		},
		Actions: []history.Action{
			{At: 1, Node: "n1", What: history.Started}, {At: 1000 * ms, Node: "n1", What: history.Paused},
			{At: 3000 * ms, Node: "n1", What: history.Resumed},
		},
		Writes: []history.Write{
			{At: 1000 * ms, Key: a, Node: "n1", Incarnation: 10, Accepted: true},
			{At: 2700 * ms, Key: a, Node: "n2", Incarnation: 20, Accepted: true},
			{At: 3010 * ms, Key: a, Node: "n1", Incarnation: 10, Late: true},
		},
		Rounds: []history.Round{{
			Fault: "pause", Victims: []string{"n1"}, Failed: []string{"n1"}, Pause: true, Takeover: true, Affected: []history.Key{a, b},
			Inject: 1000 * ms, Taken: 2700 * ms, Heal: 3000 * ms, Converged: 4500 * ms,
			Quiet: history.Interval{From: 4500 * ms, To: 6000 * ms}, Wanted: []history.Key{a, b},
			Dump:       []history.Running{{Key: a, Status: "running", Node: "n2", Incarnation: 20}, {Key: b, Status: "running", Node: "n2", Incarnation: 20}},
			FirstEvent: 4, LastEvent: 13,
		}},
	}
	events := []history.Event{
		{Index: 9, Type: history.SupervisorStarted, Supervisor: "pool", Time: wall(90 * ms)},
		run(a, "n1", 10, history.ChildStarted, 110), run(b, "n1", 11, history.ChildStarted, 110), run(c, "n2", 12, history.ChildStarted, 110),
		{Index: 20, Type: history.NodeFailureDetected, Node: "n1", Affected: []history.Key{a, b}, Time: wall(2500 * ms)},
		stop(a, "n1", "node_down", 2500), stop(b, "n1", "node_down", 2500),
		run(a, "n2", 20, history.ChildRestarted, 2610), move(a, "n1", "n2", 20, 2610),
		run(b, "n2", 20, history.ChildRestarted, 2610), move(b, "n1", "n2", 20, 2610),
		{Index: 25, Type: history.NodeJoined, Node: "n1", Time: wall(3500 * ms)},
		stop(c, "n2", "shutdown", 3995),
	}
	for i := range events {
		events[i].ID = uint64(i + 1)
		if i > 0 {
			events[i].Index = max(events[i].Index, events[i-1].Index)
		}
	}
	h.Streams = []history.Stream{{Consumer: "first", Events: events}, {Consumer: "second", Events: append([]history.Event(nil), events...)}}
	return h
}

func run(k history.Key, node string, inc uint64, kind string, at history.Instant) history.Event {
	return history.Event{Type: kind, Supervisor: k.Supervisor, Child: k.Child, Node: node, Incarnation: inc, Time: wall(at * ms)}
}

func stop(k history.Key, node, reason string, at history.Instant) history.Event {
	return history.Event{Type: history.ChildStopped, Supervisor: k.Supervisor, Child: k.Child, Node: node, Reason: reason, Time: wall(at * ms)}
}

func move(k history.Key, from, to string, inc uint64, at history.Instant) history.Event {
	return history.Event{Type: history.ChildMigrated, Supervisor: k.Supervisor, Child: k.Child, FromNode: from, ToNode: to, Incarnation: inc, Time: wall(at * ms)}
}

// intensity adds a supervisor whose child crashes at these times (seconds); told is how the story ends in the events.
func intensity(h *history.History, max int, crashes []float64, told bool) {
	h.Limits = map[string]history.Limit{"loop": {Max: max, Within: 2 * time.Minute}}
	k := history.Key{Supervisor: "loop", Child: "x"}
	for s := range h.Streams {
		events := h.Streams[s].Events
		add := func(e history.Event) {
			e.ID, e.Index = events[len(events)-1].ID+1, 100
			events = append(events, e)
		}
		for i, at := range crashes {
			kind := history.ChildRestarted
			if i == 0 {
				kind = history.ChildStarted
			}
			add(run(k, "n2", uint64(1000+i), kind, history.Instant(at*1000-500)))
			add(stop(k, "n2", "error", history.Instant(at*1000)))
		}
		if told {
			add(history.Event{Type: history.IntensityExceeded, Supervisor: "loop"})
			add(history.Event{Type: history.SupervisorStopped, Supervisor: "loop", Reason: "max_restarts_exceeded"})
		}
		h.Streams[s].Events = events
	}
	for i, at := range crashes {
		h.Lives = append(h.Lives, life(k, "n2", uint64(1000+i), history.Instant(at*1000-500)*ms, history.Instant(at*1000-1)*ms))
	}
	h.Clocks[1] = history.Sync{Mono: 1e6 * ms, Wall: wall(1e6 * ms)}
}

func TestAGoodHistoryPasses(t *testing.T) {
	h := good()
	intensity(h, 3, []float64{10, 20, 30, 40}, true)
	if r := All(h); !r.OK() {
		t.Error("\n" + r.String())
	} else if d := r.Doubts(); d != "" {
		t.Error(d)
	}
}

func TestNothingCheckedHasFailed(t *testing.T) {
	r := All(&history.History{Streams: []history.Stream{{}, {}}})
	for _, v := range r {
		if v.OK() && !v.Optional {
			t.Errorf("%s passed without any evidence", v.Invariant)
		}
	}
	if r.OK() {
		t.Error("an empty history passed")
	}
	if !strings.Contains(r.String(), "NOTHING CHECKED") {
		t.Error("the report does not say that nothing was checked")
	}
}

// every bad history differs from the good one in one thing, and exactly the invariants named must say so.
func TestABadHistoryIsToldSo(t *testing.T) {
	events := func(h *history.History, change func([]history.Event) []history.Event) {
		for i := range h.Streams {
			h.Streams[i].Events = change(h.Streams[i].Events)
			for j := range h.Streams[i].Events {
				h.Streams[i].Events[j].ID = uint64(j + 1)
			}
		}
	}
	without := func(n int) func([]history.Event) []history.Event {
		return func(e []history.Event) []history.Event {
			return append(append([]history.Event(nil), e[:n]...), e[n+1:]...)
		}
	}
	for name, x := range map[string]struct {
		change func(*history.History)
		want   string // invariants, by a space
		says   string
	}{
		"a start is acknowledged and never runs": {func(h *history.History) {
			h.Ops = append(h.Ops, history.Op{Key: history.Key{Supervisor: "pool", Child: "lost"}, Kind: history.OpStart, Outcome: history.OK})
		}, "I1", "never ran"},
		"a child that nobody terminated is lost": {func(h *history.History) {
			h.Lives[4] = life(b, "n2", 20, 2600*ms, 4000*ms)
		}, "I1 I4", "lost"},
		"a refused start runs": {func(h *history.History) {
			k := history.Key{Supervisor: "pool", Child: "kept"}
			h.Ops = append(h.Ops, history.Op{Key: k, Kind: history.OpStart, Outcome: history.Refused, Returned: 200 * ms})
			h.Lives = append(h.Lives, life(k, "n3", 30, 100*ms, 9000*ms))
		}, "I1 I4 I8t", "nobody wants it"},
		"a child lives after its termination": {func(h *history.History) {
			h.Lives[2] = life(c, "n2", 12, 100*ms, 4030*ms)
		}, "I2 I8t", "after its termination"},
		"two incarnations overlap": {func(h *history.History) {
			h.Lives[0] = life(a, "n1", 10, 100*ms, 2650*ms)
		}, "I3a I8t", "after the start of incarnation 20"},
		"even by one record": {func(h *history.History) {
			h.Lives[0].Ticks = append(h.Lives[0].Ticks, 2601*ms)
		}, "I3a I8t", "1 records after the start"},
		"a detached grandchild overlaps": {func(h *history.History) {
			l := life(a, "n1", 10, 110*ms, 2700*ms)
			l.Role = history.Grandchild
			h.Lives = append(h.Lives, l)
		}, "I3a I8t", "(grandchild"},
		"an incarnation runs twice": {func(h *history.History) {
			h.Lives = append(h.Lives, life(a, "n2", 20, 9100*ms, 9200*ms))
		}, "I3a", "started twice"},
		"incarnations fall": {func(h *history.History) {
			h.Lives[3].Incarnation = 9
		}, "I3a I4 I8t", "incarnation 9 started after 10"},
		"the register goes back": {func(h *history.History) {
			h.Writes[2].Accepted = true
		}, "I3b", "was accepted after 20"},
		"a pause without teeth": {func(h *history.History) {
			h.Writes = h.Writes[:2]
		}, "I3b", "refused nothing"},
		"the register refuses the rightful": {func(h *history.History) {
			h.Writes[0].Accepted = false
		}, "I3b", "none higher was there"},
		"the set settles too late": {func(h *history.History) {
			h.Rounds[0].Converged = h.Rounds[0].Heal.Add(h.Timing.Recovery()) + 1
		}, "I4", "after the repair"},
		"it never settles": {func(h *history.History) {
			h.Rounds[0].Converged = 0
			h.Rounds[0].Stalled = time.Second
		}, "I4", "never ran after the repair"},
		"the others take over too late": {func(h *history.History) {
			h.Rounds[0].Taken = 0
		}, "I4", "did not run without [n1]"},
		"a proof of death is not heeded": {func(h *history.History) {
			h.Rounds[0].FastFailover = "loopback"
			h.Actions[1].What = history.Killed
		}, "I4", "all the same"},
		"a proof of death is heeded where it is none": {func(h *history.History) {
			h.Rounds[0].FastFailover = "off"
			h.Rounds[0].Taken = 1700 * ms
			h.Actions[1].What = history.Killed
		}, "I4", "before a lease could end"},
		"something starts in the quiet time": {func(h *history.History) {
			h.Lives[3] = life(a, "n2", 20, 2600*ms, 5000*ms)
			h.Lives = append(h.Lives, life(a, "n2", 21, 5100*ms, 9000*ms))
		}, "I1 I4 I8t", "started in the quiet time"},
		"two of a and none of b": {func(h *history.History) {
			h.Lives[4].Key = a
			h.Lives[4].Incarnation = 19
		}, "I1 I3a I4 I8t", "pool/b does not run"},
		"the cluster's list is wrong": {func(h *history.History) {
			h.Rounds[0].Dump[0].Node = "n3"
		}, "I4", "says that pool/a runs on n3"},
		"the cluster's list lacks one": {func(h *history.History) {
			h.Rounds[0].Dump[0].Status = "pending"
		}, "I4", "does not list pool/a"},
		"a node does not come back": {func(h *history.History) {
			h.Rounds[0].Down = []string{"n1"}
		}, "I4", "n1 does not serve"},
		"a consumer misses an event": {func(h *history.History) {
			h.Streams[1].Events = without(6)(h.Streams[1].Events)
		}, "I8", "event 8 came after 6"},
		"a consumer misses the end": {func(h *history.History) {
			h.Streams[1].Events = h.Streams[1].Events[:12]
		}, "I8", "saw 12 events, there are 13"},
		"a consumer misses the beginning": {func(h *history.History) {
			h.Streams[1].Events = h.Streams[1].Events[1:]
		}, "I8", "first event has id 2"},
		"consumers differ": {func(h *history.History) {
			h.Streams[1].Events[3].Node = "n3"
		}, "I8", "event 4"},
		"indexes fall": {func(h *history.History) {
			for i := range h.Streams {
				h.Streams[i].Events[12].Index = 1
			}
		}, "I8", "log entry 1"},
		"a run is told that nobody lived": {func(h *history.History) {
			h.Lives = h.Lives[:4]
			h.Ops = append(h.Ops[:1], h.Ops[2:]...)
			h.Rounds[0].Wanted, h.Rounds[0].Dump = h.Rounds[0].Wanted[:1], h.Rounds[0].Dump[:1]
			h.Actions = h.Actions[:1]
		}, "I8t", "has no record of it"},
		"a run is told from the wrong node": {func(h *history.History) {
			h.Lives[2].Node = "n3"
		}, "I8t", "its records are from n3"},
		"a stop is told too early": {func(h *history.History) {
			events(h, func(e []history.Event) []history.Event { e[12].Time = wall(3900 * ms); return e })
		}, "I8t", "after it was told to have stopped"},
		"a life is untold": {func(h *history.History) {
			h.Lives = append(h.Lives, life(a, "n3", 15, 0, 90*ms), life(history.Key{Supervisor: "pool", Child: "z"}, "n3", 15, 100*ms, 4000*ms))
		}, "I3a I8t", "no event tells of it"},
		"a move is untold": {func(h *history.History) {
			events(h, without(8))
			h.Rounds[0].LastEvent--
		}, "I8t", "without child_migrated"},
		"a move is told wrong": {func(h *history.History) {
			events(h, func(e []history.Event) []history.Event { e[8].FromNode = "n3"; return e })
		}, "I8t", "migrated from n3"},
		"a stop between two runs is untold": {func(h *history.History) {
			events(h, func(e []history.Event) []history.Event { e[4].Affected = e[4].Affected[1:]; return without(5)(e) })
			h.Rounds[0].LastEvent--
		}, "I8t", "does not name pool/a"},
		"a lost child's stop is untold": {func(h *history.History) {
			events(h, without(5))
			h.Rounds[0].LastEvent--
		}, "I8t", "comes before its child_stopped"},
		"the loss of a node is untold": {func(h *history.History) {
			events(h, without(4))
			h.Rounds[0].LastEvent--
		}, "F", "the loss of n1 was not told"},
		"the fault hit nothing": {func(h *history.History) {
			h.Rounds[0].Affected = nil
		}, "F", "hit nothing"},
		"a round broke off": {func(h *history.History) {
			h.Rounds[0].Trouble = "no leader"
		}, "F I4", "broke off"},
		"a way around the proxies": {func(h *history.History) {
			h.Around = []string{"from port 1"}
		}, "F", "a way around"},
		"a panic": {func(h *history.History) {
			h.Trouble = []string{"n1: panic: oh"}
		}, "F", "panic: oh"},
		"a process falls over": {func(h *history.History) {
			h.Actions = append(h.Actions, history.Action{At: 500 * ms, Node: "n2", What: history.Exited, Detail: "exit status 2"})
		}, "F", "n2 ended by itself"},
		"a process falls over in a round on a machine with time": {func(h *history.History) {
			h.Actions = append(h.Actions, history.Action{At: 1500 * ms, Node: "n2", What: history.Exited, Detail: "exit status 70"})
			h.Rounds[0].Stalled = 49 * time.Millisecond
		}, "F", "n2 ended by itself"},
		"one restart too many": {func(h *history.History) {
			intensity(h, 3, []float64{10, 20, 30, 40, 50}, true)
		}, "I5", "4 are allowed|3 are allowed"},
		"stopped one crash early": {func(h *history.History) {
			intensity(h, 3, []float64{10, 20, 30}, true)
		}, "I5", "stopped for its intensity"},
		"never stopped": {func(h *history.History) {
			intensity(h, 3, []float64{10, 20, 30, 40}, false)
		}, "I5", "did not stop it"},
		"stopped though the window has passed": {func(h *history.History) {
			intensity(h, 1, []float64{10, 200}, true)
		}, "I5", "stopped for its intensity"},
	} {
		t.Run(name, func(t *testing.T) {
			h := good()
			x.change(h)
			r := All(h)
			var got []string
			for _, v := range r {
				if !v.OK() {
					got = append(got, v.Invariant)
				}
			}
			if want := sorted(x.want); sorted(strings.Join(got, " ")) != want {
				t.Errorf("%v said so, want %s\n%s", got, want, r)
			}
			said := false
			for _, s := range strings.Split(x.says, "|") {
				said = said || strings.Contains(r.String(), s)
			}
			if !said {
				t.Errorf("the report does not say %q:\n%s", x.says, r)
			}
		})
	}
}

func sorted(words string) string {
	f := strings.Fields(words)
	for i := range f {
		for j := i; j > 0 && f[j] < f[j-1]; j-- {
			f[j], f[j-1] = f[j-1], f[j]
		}
	}
	return strings.Join(f, " ")
}

func TestWhatNobodyCouldStopIsAmbiguous(t *testing.T) {
	h := good()
	// The guardian is paused with its supnode: a runs on until the guardian's word can reach it again.
	h.Actions = append(h.Actions, history.Action{At: 1001 * ms, Node: "n1", What: history.GuardianPaused},
		history.Action{At: 3001 * ms, Node: "n1", What: history.GuardianResumed})
	h.Lives[0] = life(a, "n1", 10, 100*ms, 3010*ms)
	r := All(h)
	if !r.OK() {
		t.Error("\n" + r.String())
	}
	if d := r.Doubts(); !strings.Contains(d, "I3a ambiguous") {
		t.Errorf("the overlap is not even told: %s", d)
	}
	// Beyond F + δ after that there is no excuse.
	h.Lives[0] = life(a, "n1", 10, 100*ms, 3400*ms)
	if All(h).OK() {
		t.Error("a command that lived on after its guardian was back was excused")
	}
}

func TestOneLateEffectOfAStoppedCommandIsAmbiguous(t *testing.T) {
	h := good()
	h.Actions = append(h.Actions, history.Action{At: 1001 * ms, Node: "n1", What: history.Frozen},
		history.Action{At: 3001 * ms, Node: "n1", What: history.Thawed})
	h.Lives[0] = life(a, "n1", 10, 100*ms, 1000*ms)
	h.Lives[0].Ticks = append(h.Lives[0].Ticks, 3002*ms)
	if r := All(h); !r.OK() || !strings.Contains(r.Doubts(), "I3a ambiguous") {
		t.Errorf("\n%s%s", r, r.Doubts())
	}
	h.Lives[0].Ticks = append(h.Lives[0].Ticks, 3012*ms)
	if All(h).OK() {
		t.Error("a second late effect was excused")
	}
}

func TestARunThatWasStoppedAtOnceNeedsNoRecord(t *testing.T) {
	for _, x := range []struct {
		lasted history.Instant
		reason string
		asked  history.Instant // when a client asked for its end, after its start; 0 = none did
		ok     bool
	}{{250, "shutdown", 0, true}, {251, "shutdown", 0, false}, {1, "error", 0, false}, {251, "shutdown", 250, true}, {251, "shutdown", 251, false}, {251, "error", 1, false}} {
		h := good()
		k := history.Key{Supervisor: "pool", Child: "brief"}
		if x.asked > 0 {
			h.Ops = append(h.Ops, history.Op{Key: k, Kind: history.OpTerminate, Invoked: (8000 + x.asked) * ms, Returned: 9000 * ms, Outcome: history.Maybe})
		}
		for i := range h.Streams {
			events := []history.Event{run(k, "n2", 30, history.ChildStarted, 8000), stop(k, "n2", x.reason, 8000+x.lasted)}
			for j := range events {
				events[j].ID, events[j].Index = uint64(14+j), 100
			}
			h.Streams[i].Events = append(h.Streams[i].Events, events...)
		}
		if v := Truth(h); v.OK() != x.ok || x.ok && v.Ambiguous != 1 {
			t.Errorf("a run of %d ms without a record that ended with %s: %+v", x.lasted, x.reason, v)
		}
	}
}

func TestUnknownOutcomesAreAmbiguous(t *testing.T) {
	h := good()
	for i := range h.Ops {
		h.Ops[i].Outcome = history.Maybe
	}
	r := All(h)
	if r[0].Ambiguous != 3 || r[1].Ambiguous != 1 || r[0].OK() {
		t.Errorf("unknown outcomes were counted as checked:\n%s", r)
	}
}

func TestABoundMissedOnABusyMachineIsAmbiguous(t *testing.T) {
	h := good()
	h.Rounds[0].Taken, h.Rounds[0].Stalled = 0, 50*time.Millisecond
	if r := All(h); !r.OK() || r[4].Ambiguous != 1 {
		t.Errorf("\n%s%s", r, r.Doubts())
	}
	h.Rounds[0].Stalled, h.Rounds[0].Waited = 0, 0.5
	if r := All(h); !r.OK() || r[4].Ambiguous != 1 {
		t.Errorf("\n%s%s", r, r.Doubts())
	}
	h.Rounds[0].Stalled, h.Rounds[0].Waited = 49*time.Millisecond, 0.49
	if All(h).OK() {
		t.Error("it is excused though every process had its turn")
	}
}

func TestALeaseThatEndedOnAMachineThatStoodStillIsAmbiguous(t *testing.T) {
	for stalled, ok := range map[time.Duration]bool{time.Second / 3: true, time.Second/3 - 1: false} {
		h := good()
		h.Ops, h.Lives[4] = h.Ops[2:], life(b, "n2", 20, 2600*ms, 5000*ms)
		h.Rounds[0].Stalled = stalled
		if v := Settled(h); v.OK() != ok {
			t.Errorf("stood still for %v: %+v", stalled, v)
		}
	}
	h := good()
	h.Rounds[0].Stalled = time.Minute
	h.Rounds[0].Wanted = h.Rounds[0].Wanted[:1]
	if Settled(h).OK() {
		t.Error("a child that nobody wants was excused")
	}
}

func TestReportsAddUp(t *testing.T) {
	var sum Report
	sum = sum.Add(All(good()))
	one := sum[3].Checked
	sum = sum.Add(All(good()))
	if sum[3].Checked != 2*one || !sum.OK() {
		t.Errorf("%d and %d checks\n%s", one, sum[3].Checked, sum)
	}
	b, err := json.Marshal(sum)
	if err != nil || !strings.Contains(string(b), `"invariant":"I3a"`) {
		t.Error(err, string(b))
	}
}
