package check

import (
	"fmt"
	"slices"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// Faults checks every round, and everything that was done to a process: that the rounds were what they claim: each hit something, none broke off, the loss of a node was told
// once, no connection went around the proxies, no process fell over by itself.
func Faults(h *history.History) *Verdict {
	v := &Verdict{Invariant: "F", About: "faults hit, losses told, no way around, no process fell over"}
	for _, r := range h.Rounds {
		v.Checked++
		name := fmt.Sprintf("%s, seed %d", r.Fault, r.Seed)
		if r.Trouble != "" {
			v.violated("%s: broke off: %s", name, r.Trouble)
			continue
		}
		if len(r.Affected) == 0 {
			v.violated("%s: no child ran on %v, the fault hit nothing", name, r.Victims)
		}
		if len(h.Streams) == 0 {
			continue
		}
		for _, n := range r.Failed {
			told := 0
			for _, e := range h.Streams[0].Events {
				if e.ID > r.FirstEvent && e.ID <= r.LastEvent && e.Type == history.NodeFailureDetected && e.Node == n {
					told++
				}
			}
			switch {
			case told == 0:
				v.violated("%s: the loss of %s was not told", name, n)
			case told > 1:
				v.ambiguous("%s: the loss of %s was told %d times", name, n, told)
			}
		}
	}
	for _, a := range h.Around {
		v.violated("a way around the links: %s", a)
	}
	for _, t := range h.Trouble {
		v.violated("in a node's log: %s", t)
	}
	for _, a := range h.Actions {
		v.Checked++
		if a.What == history.Exited {
			if paused(h, a) {
				v.ambiguous("%s ended by itself after a pause (%s); its service manager starts it again", a.Node, a.Detail)
			} else if r, ok := roundOf(h, a.At); ok && busy(h, r) {
				v.ambiguous("%s ended by itself (%s) on a busy machine %s", a.Node, a.Detail, load(r))
			} else {
				v.violated("%s ended by itself: %s", a.Node, a.Detail)
			}
		}
	}
	return v
}

// roundOf is the round of an instant, to the beginning of the next.
func roundOf(h *history.History, at history.Instant) (of history.Round, ok bool) {
	for _, r := range h.Rounds {
		if r.Inject <= at && (!ok || r.Inject > of.Inject) {
			of, ok = r, true
		}
	}
	return of, ok
}

// paused reports whether the process of an exit had been paused before: a node that finds after a pause that something
// has not stopped in time ends itself (A3).
func paused(h *history.History, exit history.Action) bool {
	started := history.Instant(0)
	for _, a := range h.Actions {
		if a.Node == exit.Node && a.What == history.Started && a.At < exit.At {
			started = a.At
		}
	}
	return slices.ContainsFunc(h.Actions, func(a history.Action) bool {
		return a.Node == exit.Node && a.What == history.Paused && a.At > started && a.At < exit.At
	})
}

// Calm counts the children that were not on a victim and yet ended in a round: an election alone is to fence nobody (L5),
// which holds as long as the machine gives every process its turn. It never fails.
func Calm(h *history.History) *Verdict {
	v := &Verdict{Invariant: "L5", About: "bystanders left alone (for information)", Optional: true}
	lives := byChild(h.Lives)
	for _, r := range h.Rounds {
		if r.Trouble != "" || len(r.Victims) > 1 {
			continue
		}
		for _, key := range sortedKeys(lives) {
			if slices.Contains(r.Affected, key) || operated(h, key, r) {
				continue
			}
			for _, l := range lives[key] {
				if l.Role != history.Main || l.Start > r.Inject || l.Last() < r.Inject || slices.Contains(r.Victims, l.Node) {
					continue
				}
				v.Checked++
				if l.Last() < r.Quiet.To.Add(-pulse) {
					v.ambiguous("%s, seed %d: %s ended %v after the fault", r.Fault, r.Seed, l, l.Last().Sub(r.Inject))
				}
			}
		}
	}
	return v
}

func operated(h *history.History, key history.Key, r history.Round) bool {
	return slices.ContainsFunc(h.Ops, func(op history.Op) bool {
		return op.Key == key && op.Kind != history.OpStart && op.Invoked <= r.Quiet.To && op.Returned >= r.Inject
	})
}
