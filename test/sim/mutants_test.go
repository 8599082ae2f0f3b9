package sim

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/fsm"
)

var (
	onlyMutants = flag.Bool("mutants-only", false, "TestMutantsDie without its baseline")
	mutantRate  = flag.Bool("rate", false, "run TestMutantRate")
)

// Every faults, in the order of their kinds.
type every map[faultKind]int64

// rough makes a plan with few kinds of faults, each often.
func rough(e every, more func(*Plan)) func(*Plan) {
	return func(p *Plan) {
		*p = Plan{Voters: 3, Clients: 4, Settings: p.Settings, Until: 8 * second, Delay: 2 * millisecond, Jitter: millisecond,
			Commit: 4 * millisecond, Lag: 20 * millisecond, Busy: 200 * microsecond, Belief: 100 * millisecond, Skew: true, GoShare: 50}
		p.Settings.LeaseTTL, p.Settings.HeartbeatInterval, p.Settings.FastFailover = second, 100*millisecond, "off"
		for k, d := range e {
			p.Every[k] = d * millisecond
		}
		if more != nil {
			more(p)
		}
	}
}

var safety = []string{"I1", "I2", "I3"}

// mutants is one clause each (or a clause with the layer that makes it unnecessary), the faults that bring it out, how
// many seeds it may take, and which invariants may say so.
var mutants = []struct {
	name  string
	tune  func(*Plan)
	seeds int
	want  []string
}{
	// The agent.
	{"no_self_fence", rough(every{faultPartition: 1200}, func(p *Plan) { p.GoShare = 100 }), 30, safety},
	{"lease_from_answer", rough(every{faultOneWay: 500}, func(p *Plan) { p.Answers, p.Plain = 430*millisecond, 2 }), 150, safety},
	{"spawn_without_session_check", rough(every{faultPartition: 1500, faultKill: 1500}, func(p *Plan) { p.Stale = 20 }), 60, safety},
	{"spawn_without_incarnation_check", rough(every{faultBreak: 500}, func(p *Plan) { p.Stale = 10 }), 20, safety},
	{"stop_does_not_raise_mark", rough(every{faultPartition: 600}, func(p *Plan) {
		p.Stale, p.Long, p.Settings.LeaseTTL, p.Settings.HeartbeatInterval = 50, 1200*millisecond, 3*second, 500*millisecond
		p.Plain, p.Edge = 3, true
	}), 150, safety},
	{"register_before_stopped", rough(every{faultPartition: 1500}, func(p *Plan) { p.GoShare, p.Stubborn = 100, 50 }), 30, safety},
	{"fence_not_first_on_resume", rough(every{faultPause: 700}, func(p *Plan) { p.GoShare = 100 }), 60, safety},
	{"register_any_nonce", rough(every{faultPartition: 1200, faultKill: 800}, func(p *Plan) { p.Stale = 50 }), 150, safety},
	{"register_with_session", rough(every{faultBreak: 700, faultKill: 1500}, func(p *Plan) { p.Stale = 20 }), 60, safety},
	// The leader.
	{"answer_before_commit", rough(nil, nil), 5, safety},
	{"no_wait", rough(every{faultPartition: 1500, faultBreak: 700}, nil), 20, safety},
	{"grant_before_commit", rough(every{faultPartition: 1000}, func(p *Plan) { p.Belief, p.Clients = 4*second, 1 }), 300, safety},
	{"wait_one_short", rough(every{faultPartition: 1000}, func(p *Plan) { p.GoShare, p.Stubborn, p.Jitter = 100, 60, 80*millisecond }), 60, safety},
	{"no_l3", rough(every{faultElect: 1000, faultPartition: 1500}, nil), 20, safety},
	{"no_l4", rough(every{faultPartition: 500}, func(p *Plan) {
		p.Commit, p.Long, p.Plain, p.Edge = 250*millisecond, 1200*millisecond, 3, true
	}), 300, safety},
	{"grant_any_session+refusals_lost", rough(every{faultPartition: 500}, func(p *Plan) {
		p.Commit, p.Long, p.Plain, p.Edge = 250*millisecond, 1200*millisecond, 3, true
	}), 300, append([]string{"I4"}, safety...)},
	{"proof_after_restore", rough(every{faultRestore: 2500, faultPartition: 1500}, func(p *Plan) { p.Plain = 2 }), 100, safety},
	{"smaller_wait", rough(every{faultSetTTL: 300, faultElect: 2000, faultPartition: 700}, func(p *Plan) { p.Plain, p.Edge, p.Long = 3, true, 1900*millisecond }), 300, safety},
	{"read_without_index", rough(every{faultElect: 700}, func(p *Plan) { p.Belief, p.Lag, p.Rules = 3*second, 500*millisecond, rules{Reads: 60} }), 40, []string{"R1"}},
	{"spawns_not_resent", rough(every{faultElect: 400, faultBreak: 400}, nil), 20, []string{"I4"}},
	// The core.
	{"own_clock", rough(nil, nil), 5, []string{"I9"}},
	{"exit_applied_twice", rough(every{faultBreak: 500}, func(p *Plan) { p.Stale, p.Crash = 20, 500*millisecond }), 40, safety},
	{"terminate_without_tombstone", rough(nil, nil), 5, safety},
	{"slot_guard_off", rough(nil, nil), 10, safety},
	{"register_any_replaced", rough(every{faultBreak: 700, faultKill: 1500}, func(p *Plan) { p.Stale = 20 }), 60, safety},
	{"report_any_incarnation", rough(every{faultBreak: 500}, func(p *Plan) { p.Stale, p.Crash = 20, 500*millisecond }), 40, safety},
	// Supervision.
	{"window_lost", rough(every{faultElect: 700}, func(p *Plan) { p.Rules, p.Crash = rules{Tight: 100}, 600*millisecond }), 40, []string{"I5"}},
	{"group_forgotten", rough(every{faultElect: 500}, func(p *Plan) { p.Rules, p.Crash = rules{Groups: 100}, 800*millisecond }), 40, []string{"I1", "I4", "I6"}},
	{"start_before_init", rough(nil, func(p *Plan) { p.Rules, p.Crash = rules{Groups: 100}, 800*millisecond }), 10, []string{"I6"}},
	{"stops_not_awaited", rough(nil, func(p *Plan) { p.Rules, p.Crash = rules{Groups: 100}, 800*millisecond }), 10, append([]string{"I6"}, safety...)},
	{"stops_at_once", rough(nil, func(p *Plan) { p.Rules = rules{Groups: 50} }), 20, []string{"I6"}},
	{"levels_at_once", rough(nil, func(p *Plan) { p.Rules = rules{Trees: 50} }), 40, []string{"I6", "S7"}},
	{"bounds_ignored", rough(nil, func(p *Plan) { p.Rules, p.Crash = rules{Bound: 80}, 800*millisecond }), 20, []string{"S28"}},
	{"tags_of_others", rough(nil, func(p *Plan) { p.Rules = rules{Bound: 80} }), 5, []string{"S28"}},
	{"choice_ignored", rough(nil, func(p *Plan) { p.Rules = rules{Custom: 80} }), 5, []string{"S29"}},
	// The world.
	{"guardian_no_deadline", rough(every{faultPause: 700}, func(p *Plan) { p.GoShare = 0 }), 30, safety},
	{"p0_off", rough(every{faultKill: 600}, func(p *Plan) { p.SlowKill, p.GoShare, p.Settings.FastFailover = true, 0, "loopback" }), 60, safety},
	{"p1_off", rough(every{faultKill: 600}, func(p *Plan) { p.SlowKill, p.GoShare = true, 0 }), 60, safety},
	{"restore_without_bump", rough(every{faultRestore: 2500, faultPartition: 1500}, func(p *Plan) { p.Plain = 2 }), 100, safety},
}

// TestMutantsDie takes one clause of the protocol out at a time: within some seeds an invariant must break, while the same
// seeds with the clause in place are green.
func TestMutantsDie(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= uint64(m.seeds); seed++ {
				if !*onlyMutants {
					if r := Run(seed, Options{Tune: m.tune}); r.Violation != nil {
						t.Fatalf("the baseline is red at seed %d: %v", seed, r.Violation)
					}
				}
				r := Run(seed, Options{Tune: m.tune, Mutant: m.name})
				if r.Violation == nil {
					continue
				}
				msg := r.Violation.Error()
				invariant, _, _ := strings.Cut(msg, " ")
				if !slices.Contains(m.want, invariant) {
					t.Logf("seed %d says: %.200s", seed, msg)
					continue
				}
				t.Logf("dies at seed %d: %.200s", seed, msg)
				return
			}
			t.Errorf("lives after %d seeds", m.seeds)
		})
	}
}

// TestMutantRate counts how many of -seeds kill each mutant, to judge a plan: -run TestMutantRate/NAME -rate.
func TestMutantRate(t *testing.T) {
	if !*mutantRate {
		t.Skip("no -rate")
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			died := 0
			for seed := uint64(1); seed <= uint64(*seedCount); seed++ {
				if r := Run(seed, Options{Tune: m.tune, Mutant: m.name}); r.Violation != nil {
					if invariant, _, _ := strings.Cut(r.Violation.Error(), " "); slices.Contains(m.want, invariant) {
						died++
					}
				}
			}
			t.Logf("%s: %d of %d seeds", m.name, died, *seedCount)
		})
	}
}

// TestTuned runs one seed under the plan of -mutant.
func TestTuned(t *testing.T) {
	for _, m := range mutants {
		if m.name == *mutant && *oneSeed != 0 {
			o := Options{Mutant: m.name, Tune: m.tune}
			if *withTrace {
				o.Trace = os.Stdout
			}
			r := Run(*oneSeed, o)
			t.Logf("%+v", r.Stats)
			if r.Violation != nil {
				t.Error(r.Violation)
			}
		}
	}
}

// TestWaitIsTight: the faults come so close to L2's inequality that a W shorter by a few hundredths would be noticed.
func TestWaitIsTight(t *testing.T) {
	var seeds []uint64
	for i := range uint64(80) {
		seeds = append(seeds, i+1)
	}
	stats, _, _ := swarm(t, seeds, Options{Tune: rough(every{faultPartition: 700}, func(p *Plan) {
		p.Plain, p.Edge, p.GoShare, p.Stubborn, p.Jitter, p.Long = 3, true, 100, 90, p.Settings.Lease().TimerDelay()*98/100, 2*second
	})}, time.Time{})
	w := fsm.Lease{TTL: second, H: 100 * millisecond}.Wait()
	t.Logf("%.1f ms between the last life and the word that it is over, W is %.1f ms", float64(stats.Gap)/1e6, float64(w)/1e6)
	if stats.Gap == 0 || stats.Gap > w/25 {
		t.Error("no history comes close")
	}
}
