package guardian

import (
	"fmt"
	"time"

	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
)

// A vigil is the pure schedule of a command's liveness probes: one at a time, each with its time, and a count of those that failed in a
// row.
type vigil struct {
	spec     sup.Liveness
	n        uint64 // the number of the last probe
	underway bool   // it has not come to its end
	late     bool   // its time is over, and counted
	until    agent.Instant
	due      agent.Instant // when the next one is
	failed   int
	why      string // of the last failure
}

func newVigil(spec sup.Liveness, now agent.Instant) *vigil {
	return &vigil{spec: spec, due: now + int64(spec.InitialDelay)}
}

type vigilAct uint8

const (
	vigilRests  vigilAct = iota
	vigilProbes          // begin probe n
	vigilEnds            // end probe n: its time is over
)

// turn says what to do now, and when to ask again.
func (v *vigil) turn(now agent.Instant) (act vigilAct, again agent.Instant) {
	switch {
	case v.underway && !v.late && now >= v.until:
		v.late = true
		v.fail(noAnswer(v.spec.Timeout.Std()))
		return vigilEnds, v.due
	case v.underway && !v.late:
		return vigilRests, v.until
	case now < v.due:
		return vigilRests, v.due
	}
	v.due = now + int64(v.spec.Interval)
	if v.underway { // it was to end long ago
		v.fail(noAnswer(v.spec.Timeout.Std()) + ", and it does not end")
		return vigilRests, v.due
	}
	v.n++
	v.underway, v.late, v.until = true, false, now+int64(v.spec.Timeout)
	return vigilProbes, v.until
}

// postpone says that a probe cannot begin now. It counts as nothing.
func (v *vigil) postpone(until agent.Instant) { v.underway, v.due = false, until }

// result takes the end of a probe; why says what was wrong, "" that nothing was.
func (v *vigil) result(n uint64, why string) {
	if n != v.n || !v.underway {
		return
	}
	v.underway = false
	switch {
	case v.late: // counted
	case why == "":
		v.failed, v.why = 0, ""
	default:
		v.fail(why)
	}
}

func noAnswer(timeout time.Duration) string { return "no answer within " + timeout.String() }

func (v *vigil) fail(why string) { v.failed, v.why = v.failed+1, why }

// verdict says that the command is hung, and why; "" = it is not.
func (v *vigil) verdict() string {
	switch {
	case v.failed < v.spec.Failures:
		return ""
	case v.failed == 1:
		return "liveness probe failed: " + v.why
	}
	return fmt.Sprintf("liveness probe failed %d times in a row, the last time: %s", v.failed, v.why)
}
