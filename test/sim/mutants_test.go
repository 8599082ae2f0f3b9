package sim

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

var onlyMutants = flag.Bool("mutants-only", false, "TestMutantsDie without its baseline")

// Every faults, in the order of their kinds.
type every map[faultKind]int64

// rough makes a plan with few kinds of faults, each often.
func rough(e every, more func(*Plan)) func(*Plan) {
	return func(p *Plan) {
		*p = Plan{Voters: 3, Clients: 4, Settings: p.Settings, Until: 8 * second, Delay: 2 * millisecond, Jitter: millisecond,
			Commit: 4 * millisecond, Lag: 20 * millisecond, Belief: 100 * millisecond, Skew: true, GoShare: 50}
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
	{"stop_does_not_raise_mark", rough(every{faultBreak: 200, faultElect: 900}, func(p *Plan) { p.Stale, p.Delay = 30, 30*millisecond }), 150, safety},
	{"register_before_stopped", rough(every{faultPartition: 1500}, func(p *Plan) { p.GoShare, p.Stubborn = 100, 50 }), 30, safety},
	{"fence_not_first_on_resume", rough(every{faultPause: 700}, func(p *Plan) { p.GoShare = 100 }), 60, safety},
	{"register_any_nonce", rough(every{faultPartition: 1200, faultKill: 1500}, func(p *Plan) { p.Stale = 20 }), 150, safety},
	{"register_with_session", rough(every{faultBreak: 700, faultKill: 1500}, func(p *Plan) { p.Stale = 20 }), 60, safety},
	// The leader.
	{"answer_before_commit", rough(nil, nil), 5, safety},
	{"no_wait", rough(every{faultPartition: 1500, faultBreak: 700}, nil), 20, safety},
	{"grant_before_commit", rough(every{faultPartition: 1000}, func(p *Plan) { p.Belief, p.Clients = 4*second, 1 }), 150, safety},
	{"wait_one_short", rough(every{faultPartition: 1000}, func(p *Plan) { p.GoShare, p.Stubborn, p.Jitter = 100, 60, 80*millisecond }), 60, safety},
	{"no_l3", rough(every{faultElect: 1000, faultPartition: 1500}, nil), 20, safety},
	{"no_l4", rough(every{faultOneWay: 500, faultPartition: 1000}, func(p *Plan) { p.Commit = 250 * millisecond }), 300, safety},
	{"grant_any_session+refusals_lost", rough(every{faultOneWay: 500, faultPartition: 1000}, func(p *Plan) { p.Commit = 250 * millisecond }), 300, append([]string{"I4"}, safety...)},
	{"proof_after_restore", rough(every{faultRestore: 2500, faultPartition: 1500}, func(p *Plan) { p.Plain = 2 }), 100, safety},
	{"smaller_wait", rough(every{faultSetTTL: 600, faultElect: 900, faultPartition: 1000}, nil), 150, safety},
	// The core.
	{"exit_applied_twice", rough(every{faultBreak: 500}, func(p *Plan) { p.Stale, p.Crash = 20, 500*millisecond }), 40, safety},
	{"terminate_without_tombstone", rough(nil, nil), 5, safety},
	{"slot_guard_off", rough(nil, nil), 10, safety},
	{"register_any_replaced", rough(every{faultBreak: 700, faultKill: 1500}, func(p *Plan) { p.Stale = 20 }), 60, safety},
	{"report_any_incarnation", rough(every{faultBreak: 500}, func(p *Plan) { p.Stale, p.Crash = 20, 500*millisecond }), 40, safety},
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
