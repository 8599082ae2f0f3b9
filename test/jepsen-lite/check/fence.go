package check

import "github.com/supnode/supnode/test/jepsen-lite/history"

// Fence checks I3b: what the register accepted never falls for any child; it refused nothing that it should have
// accepted; and in every pause round it refused something: without that the round had no teeth.
func Fence(h *history.History) *Verdict {
	v := &Verdict{Invariant: "I3b", About: "the fenced register never goes back, and refuses in pause rounds"}
	highest := make(map[history.Key]uint64)
	for _, w := range h.Writes {
		v.Checked++
		switch {
		case w.Accepted && w.Incarnation < highest[w.Key]:
			v.violated("%s: incarnation %d was accepted after %d", w.Key, w.Incarnation, highest[w.Key])
		case !w.Accepted && w.Incarnation >= highest[w.Key]:
			v.violated("%s: incarnation %d was refused, none higher was there", w.Key, w.Incarnation)
		case w.Accepted:
			highest[w.Key] = w.Incarnation
		}
	}
	for _, r := range h.Rounds {
		if !r.Pause || r.Trouble != "" {
			continue
		}
		refused := 0
		for _, w := range h.Writes {
			if !w.Accepted && w.At >= r.Inject && w.At <= r.Quiet.To {
				refused++
			}
		}
		switch {
		case refused > 0:
		case r.Taken == 0: // no one newer was there to be protected; Settled says so
			v.ambiguous("%s, seed %d: the register refused nothing, and nobody had taken over", r.Fault, r.Seed)
		default:
			v.violated("%s, seed %d: the register refused nothing, the pause proved nothing", r.Fault, r.Seed)
		}
	}
	return v
}
