package check

import (
	"slices"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// edge is how near to the end of a window a crash may be for its stamp, which clients do not see, to fall on either side.
const edge = 100 * time.Millisecond

// Windows checks I5 on the crashes that the events report: never more restarts than allowed in any window, the next crash
// stops the supervisor, and no earlier one does. Only supervisors with a Limit are checked; their children are permanent.
func Windows(h *history.History) *Verdict {
	v := &Verdict{Invariant: "I5", About: "restart intensity: never more, stops at the next, not earlier", Optional: len(h.Limits) == 0}
	if len(h.Streams) == 0 {
		return v
	}
	names := make([]string, 0, len(h.Limits))
	for name := range h.Limits {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		window(v, name, h.Limits[name], h.Streams[0].Events)
	}
	return v
}

func window(v *Verdict, name string, limit history.Limit, events []history.Event) {
	var stamps []time.Time
	due, maybe := false, false // the supervisor must, may stop at the last crash
	stopped := false
	for _, e := range events {
		if e.Supervisor != name {
			continue
		}
		switch {
		case stopped && (e.Type == history.ChildStarted || e.Type == history.ChildRestarted):
			v.violated("%s: %s of %s after max_restarts_exceeded (event %d)", name, e.Type, e.Child, e.ID)
		case e.Type == history.ChildStopped && (e.Reason == "error" || e.Reason == "normal") && !stopped && !due:
			v.Checked++
			near := slices.ContainsFunc(stamps, func(s time.Time) bool {
				return (e.Time.Sub(s) - limit.Within).Abs() <= edge
			})
			stamps = slices.DeleteFunc(stamps, func(s time.Time) bool { return e.Time.Sub(s) > limit.Within })
			full := len(stamps) >= limit.Max
			due, maybe = full && !near, near
			if near {
				v.ambiguous("%s: the crash of event %d is at the edge of a window", name, e.ID)
			}
			if !full {
				stamps = append(stamps, e.Time)
			}
		case e.Type == history.ChildRestarted && due:
			v.violated("%s: %s was restarted (event %d) after %d crash restarts within %v, %d are allowed", name, e.Child, e.ID, len(stamps),
				limit.Within, limit.Max)
			due = false
		case e.Type == history.IntensityExceeded:
			if !due && !maybe {
				v.violated("%s: stopped for its intensity (event %d) with %d crash restarts within %v, %d are allowed", name, e.ID, len(stamps),
					limit.Within, limit.Max)
			}
			due, stopped = false, true
		case e.Type == history.SupervisorStopped && due:
			v.violated("%s: stopped (event %d, %s) without restart_intensity_exceeded", name, e.ID, e.Reason)
		case e.Type == history.SupervisorStopped && stopped && e.Reason != "max_restarts_exceeded":
			v.violated("%s: stopped for its intensity, the event says %q", name, e.Reason)
		case e.Type == history.SupervisorStarted:
			stamps, due, maybe, stopped = nil, false, false, false
		}
	}
	if due {
		v.violated("%s: a crash beyond %d in %v did not stop it", name, limit.Max, limit.Within)
	}
}
