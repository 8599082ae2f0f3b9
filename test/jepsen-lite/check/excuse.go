package check

import (
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// excuses knows which late records are nobody's fault.
type excuses struct {
	unfenced map[string][]history.Interval
	freezes  map[string][]history.Interval
}

func excusesOf(h *history.History) excuses {
	x := excuses{make(map[string][]history.Interval), make(map[string][]history.Interval)}
	slack := h.Timing.Fence() + h.Timing.TimerDelay()
	for _, n := range h.Nodes {
		for _, v := range history.Unfenced(h.Actions, n) {
			if v.To != 0 {
				v.To = v.To.Add(slack)
			}
			x.unfenced[n] = append(x.unfenced[n], v)
		}
		x.freezes[n] = history.Freezes(h.Actions, n)
	}
	return x
}

// late are the records of l after at, without those that are excused; excused counts these.
func (x excuses) late(l history.Life, at history.Instant) (late []history.Instant, excused int) {
	for _, t := range l.Ticks {
		if t <= at {
			continue
		}
		if holds(x.unfenced[l.Node], t) {
			excused++
		} else {
			late = append(late, t)
		}
	}
	// One effect of a command that was stopped on its way to it.
	if len(late) == 1 {
		for _, f := range x.freezes[l.Node] {
			if f.To != 0 && l.Start < f.From && late[0] >= f.To {
				return nil, excused + 1
			}
		}
	}
	return late, excused
}

func holds(spans []history.Interval, at history.Instant) bool {
	for _, v := range spans {
		if v.Holds(at) {
			return true
		}
	}
	return false
}
