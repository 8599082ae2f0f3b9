package check

import (
	"fmt"
	"slices"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// Settled checks I4: from T after the last repair on the set that runs is the set that is wanted, nothing starts any more,
// the cluster's own list says the same, and every node serves. Where a quorum was left it also ran without the victims in
// time.
func Settled(h *history.History) *Verdict {
	v := &Verdict{Invariant: "I4", About: "what runs is what is wanted, in time, and nothing starts any more"}
	lives := byChild(h.Lives)
	for _, r := range h.Rounds {
		if r.Trouble != "" {
			continue // Faults reports it
		}
		name := fmt.Sprintf("%s, seed %d", r.Fault, r.Seed)
		if bound := h.Timing.Takeover(); r.Takeover && (r.Taken == 0 || r.Taken.Sub(r.Inject) > bound) {
			late(v, h, r, "%s: the wanted set did not run without %v in %v", name, r.Victims, bound)
		}
		hurry(v, h, r, name)
		if r.Converged == 0 {
			v.violated("%s: the wanted set never ran after the repair", name)
			continue
		}
		if bound := h.Timing.Recovery(); r.Converged.Sub(r.Heal) > bound {
			late(v, h, r, "%s: the wanted set did not run in %v after the repair, but after %v", name, bound, r.Converged.Sub(r.Heal))
		}
		for _, n := range r.Down {
			upset(v, h, r, "%s: %s does not serve", name, n)
		}
		for _, key := range r.Wanted {
			v.Checked++
			if why := ended(lives[key], r.Quiet); why != "" {
				upset(v, h, r, "%s: %s does not run: %s", name, key, why)
			}
		}
		for _, key := range sortedKeys(lives) {
			running := 0
			for _, l := range lives[key] {
				if l.Start > r.Quiet.From && l.Start <= r.Quiet.To {
					upset(v, h, r, "%s: %s started in the quiet time", name, l)
				}
				if l.Role == history.Main && l.Last() >= r.Quiet.From && l.Start <= r.Quiet.To {
					running++
				}
			}
			if wanted := slices.Contains(r.Wanted, key); running > 0 && !wanted {
				v.violated("%s: %s runs, nobody wants it", name, key)
			} else if running > 1 {
				v.violated("%s: %s runs %d times", name, key, running)
			}
		}
		dumped(v, h, name, r, lives)
	}
	return v
}

// hurry checks how a killed node's children were taken over: with fast_failover by the proof that a refused connection is,
// sooner than a lease could end; without it by nothing but the end of its lease.
func hurry(v *Verdict, h *history.History, r history.Round, name string) {
	killed := slices.ContainsFunc(h.Actions, func(a history.Action) bool {
		return a.What == history.Killed && slices.Contains(r.Victims, a.Node) && a.At >= r.Inject && (r.Heal == 0 || a.At <= r.Heal)
	})
	if !killed || r.Taken == 0 {
		return
	}
	soonest := h.Timing.TTL - 2*h.Timing.H // of a lease whose last renewal was under way
	switch took := r.Taken.Sub(r.Inject); {
	case r.FastFailover != "off" && took > h.Timing.TTL:
		late(v, h, r, "%s: a refused connection is a proof of death, the takeover took %v all the same", name, took)
	case r.FastFailover == "off" && took < soonest:
		late(v, h, r, "%s: the others took over after %v, before a lease could end", name, took)
	}
}

// late is a missed bound.
func late(v *Verdict, h *history.History, r history.Round, format string, args ...any) {
	if busy(h, r) {
		v.ambiguous("%s, on a busy machine %s", fmt.Sprintf(format, args...), load(r))
	} else {
		v.violated(format, args...)
	}
}

// upset is something that did not stay as it was. A machine that stood still for T_stall = TTL/3 ends leases by itself.
func upset(v *Verdict, h *history.History, r history.Round, format string, args ...any) {
	if r.Stalled >= h.Timing.TTL/3 {
		v.ambiguous("%s, on a machine that stood still %s", fmt.Sprintf(format, args...), load(r))
	} else {
		v.violated(format, args...)
	}
}

// crowded is the share of time in which some process waits for a processor from which on a machine is too busy to be timed.
const crowded = 0.5

// busy reports whether the machine kept even the harness waiting for half of Raft's time-out, or someone for half of the
// time. All bounds hold where every process gets its turn; where it does not, leaders lose their followers, each new one
// waits for W again, and a node that cannot have its commands killed within F ends itself.
func busy(h *history.History, r history.Round) bool {
	return r.Stalled >= h.Timing.RaftTimeout()/2 || r.Waited >= crowded
}

func load(r history.Round) string {
	return fmt.Sprintf("(stood still for %v, some process waited %.0f %% of the time)", r.Stalled.Round(time.Millisecond), 100*r.Waited)
}

// dumped compares the cluster's own list with the records of the children.
func dumped(v *Verdict, h *history.History, name string, r history.Round, lives map[history.Key][]history.Life) {
	seen := make(map[history.Key]bool)
	for _, c := range r.Dump {
		if c.Status != "running" {
			continue
		}
		if seen[c.Key] {
			v.violated("%s: the cluster lists %s twice", name, c.Key)
		}
		seen[c.Key] = true
		i := slices.IndexFunc(lives[c.Key], func(l history.Life) bool { return l.Incarnation == c.Incarnation && l.Last() >= r.Quiet.From })
		if i < 0 {
			v.violated("%s: the cluster says that %s runs on %s as incarnation %d, its records do not", name, c.Key, c.Node, c.Incarnation)
		} else if n := lives[c.Key][i].Node; n != c.Node {
			v.violated("%s: the cluster says that %s runs on %s, it runs on %s", name, c.Key, c.Node, n)
		}
	}
	for _, key := range r.Wanted {
		if !seen[key] {
			upset(v, h, r, "%s: the cluster does not list %s as running", name, key)
		}
	}
}
