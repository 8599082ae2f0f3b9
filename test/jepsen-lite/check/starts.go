package check

import (
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// Starts checks I1: a child whose start was acknowledged ran, and unless its termination was asked for it still does when
// all is quiet. A start that was refused kept nothing.
func Starts(h *history.History) *Verdict {
	v := &Verdict{Invariant: "I1", About: "an acknowledged start is never lost, and it ran"}
	lives := byChild(h.Lives)
	ends := make(map[history.Key]history.Instant) // first attempt of a termination
	for _, op := range h.Ops {
		if op.Kind == history.OpTerminate && (ends[op.Key] == 0 || op.Invoked < ends[op.Key]) {
			ends[op.Key] = op.Invoked
		}
	}
	var quiet history.Interval
	for _, r := range h.Rounds {
		if r.Quiet.To != 0 {
			quiet = r.Quiet
		}
	}
	for _, op := range h.Ops {
		if op.Kind != history.OpStart {
			continue
		}
		running := ended(lives[op.Key], quiet)
		switch op.Outcome {
		case history.Maybe:
			v.ambiguous("the start of %s has no known outcome: %s", op.Key, op.Detail)
		case history.Refused:
			v.Checked++
			if quiet.To != 0 && quiet.From > op.Returned && running == "" {
				v.violated("the start of %s was refused (%s), and yet it runs", op.Key, op.Detail)
			}
		case history.OK:
			v.Checked++
			switch end := ends[op.Key]; {
			case len(lives[op.Key]) == 0:
				v.violated("the start of %s was acknowledged at %d, it never ran", op.Key, op.Returned)
			case end == 0 && quiet.To != 0 && quiet.From > op.Returned && running != "":
				v.violated("the start of %s was acknowledged at %d, nobody terminated it, and it is lost: %s", op.Key, op.Returned, running)
			}
		}
	}
	return v
}

// Terminations checks I2: a child has no record later than the acknowledgement of its termination.
func Terminations(h *history.History) *Verdict {
	v := &Verdict{Invariant: "I2", About: "nothing of a child after its acknowledged termination"}
	lives, excuse := byChild(h.Lives), excusesOf(h)
	for _, op := range h.Ops {
		if op.Kind != history.OpTerminate {
			continue
		}
		if op.Outcome == history.Maybe {
			v.ambiguous("the termination of %s has no known outcome: %s", op.Key, op.Detail)
		}
		if op.Outcome != history.OK {
			continue
		}
		v.Checked++
		for _, l := range lives[op.Key] {
			late, excused := excuse.late(l, op.Returned)
			if excused > 0 {
				v.ambiguous("%s has %d records after its termination, from a time when nobody could stop it", l, excused)
			}
			if len(late) > 0 {
				v.violated("%s has %d records after its termination was acknowledged at %d, the last %v later", l, len(late), op.Returned,
					late[len(late)-1].Sub(op.Returned))
			}
		}
	}
	return v
}

func byChild(lives []history.Life) map[history.Key][]history.Life {
	out := make(map[history.Key][]history.Life)
	for _, l := range lives {
		if len(l.Ticks) > 0 {
			out[l.Key] = append(out[l.Key], l)
		}
	}
	return out
}

// pulse is how long the journal of a running child may be silent on a busy machine; its ticks are 10 ms apart.
const pulse = 250 * time.Millisecond

// ended says why no command of the child ran all through quiet; empty: one did.
func ended(lives []history.Life, quiet history.Interval) string {
	if quiet.To == 0 {
		return "there was no quiet time to see it in"
	}
	why := "it has no records in the quiet time"
	for _, l := range lives {
		switch {
		case l.Role != history.Main || l.Last() < quiet.From || l.Start > quiet.To:
		case l.Start > quiet.From:
			why = l.String() + " started in the quiet time"
		case l.Last() < quiet.To.Add(-pulse):
			why = l.String() + " ended in the quiet time"
		default:
			return ""
		}
	}
	return why
}
