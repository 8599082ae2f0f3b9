package guardian

import (
	"testing"

	sup "github.com/supnode/supnode/supervisor"
)

func TestVigil(t *testing.T) {
	spec := sup.Liveness{Interval: 100, Timeout: 30, Failures: 3, InitialDelay: 50}
	type step struct {
		at      int64
		result  string // of the probe under way, before the turn: "ok", or what was wrong
		act     vigilAct
		again   int64
		verdict string
	}
	for name, steps := range map[string][]step{
		"alive": {{0, "", vigilRests, 50, ""}, {49, "", vigilRests, 50, ""}, {50, "", vigilProbes, 80, ""}, {60, "ok", vigilRests, 150, ""}, {150, "", vigilProbes, 180, ""}},
		"three in a row": {{50, "", vigilProbes, 80, ""}, {60, "bad", vigilRests, 150, ""}, {150, "", vigilProbes, 180, ""}, {160, "worse", vigilRests, 250, ""},
			{250, "", vigilProbes, 280, ""}, {260, "worst", vigilRests, 350, "liveness probe failed 3 times in a row, the last time: worst"}},
		"not in a row": {{50, "", vigilProbes, 80, ""}, {60, "bad", vigilRests, 150, ""}, {150, "", vigilProbes, 180, ""}, {160, "bad", vigilRests, 250, ""},
			{250, "", vigilProbes, 280, ""}, {260, "ok", vigilRests, 350, ""}, {350, "", vigilProbes, 380, ""}, {360, "bad", vigilRests, 450, ""}},
		"late ones are ended and count once": {{50, "", vigilProbes, 80, ""}, {80, "", vigilEnds, 150, ""}, {90, "killed", vigilRests, 150, ""}, {150, "", vigilProbes, 180, ""},
			{181, "", vigilEnds, 250, ""}, {182, "ok", vigilRests, 250, ""}, {250, "", vigilProbes, 280, ""}, {280, "", vigilEnds, 350, "liveness probe failed 3 times in a row, the last time: no answer within 30ns"}},
		"one that does not end is not begun again, and counts": {{50, "", vigilProbes, 80, ""}, {80, "", vigilEnds, 150, ""}, {150, "", vigilRests, 250, ""},
			{250, "", vigilRests, 350, "liveness probe failed 3 times in a row, the last time: no answer within 30ns, and it does not end"}},
		"after a pause there is one, not many": {{50, "", vigilProbes, 80, ""}, {60, "ok", vigilRests, 150, ""}, {1000, "", vigilProbes, 1030, ""}, {1010, "ok", vigilRests, 1100, ""}},
	} {
		v := newVigil(spec, 0)
		for i, s := range steps {
			if s.result == "ok" {
				v.result(v.n, "")
			} else if s.result != "" {
				v.result(v.n, s.result)
			}
			v.result(v.n-1, "of another one")
			act, again := v.turn(s.at)
			if act != s.act || again != s.again || v.verdict() != s.verdict {
				t.Errorf("%s, step %d: %d again at %d, %q; want %+v", name, i, act, again, v.verdict(), s)
			}
		}
	}
	once := newVigil(sup.Liveness{Interval: 100, Timeout: 30, Failures: 1}, 0)
	once.turn(0)
	once.result(1, "bad")
	if v := once.verdict(); v != "liveness probe failed: bad" {
		t.Error(v)
	}
}
