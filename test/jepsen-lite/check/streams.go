package check

import (
	"reflect"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// Streams checks I8: every consumer saw the events gapless and rising, to the last one that a round knew of, and all saw
// the same.
func Streams(h *history.History) *Verdict {
	v := &Verdict{Invariant: "I8", About: "events gapless, rising, equal for both consumers"}
	if len(h.Streams) < 2 {
		v.violated("%d consumers, two are needed", len(h.Streams))
		return v
	}
	var newest uint64
	for _, r := range h.Rounds {
		newest = max(newest, r.LastEvent)
	}
	seen := make(map[uint64]history.Event)
	for i, s := range h.Streams {
		for j, e := range s.Events {
			v.Checked++
			if j > 0 {
				before := s.Events[j-1]
				if e.ID != before.ID+1 {
					v.violated("%s: event %d came after %d", s.Consumer, e.ID, before.ID)
				}
				if e.Index < before.Index {
					v.violated("%s: event %d is of log entry %d, the one before it of %d", s.Consumer, e.ID, e.Index, before.Index)
				}
			} else if e.ID != 1 {
				v.violated("%s: the first event has id %d", s.Consumer, e.ID)
			}
			if i == 0 {
				seen[e.ID] = e
			} else if other, ok := seen[e.ID]; ok && !reflect.DeepEqual(other, e) {
				v.violated("event %d: %s saw %+v, %s saw %+v", e.ID, h.Streams[0].Consumer, other, s.Consumer, e)
			}
		}
		if n := len(s.Events); newest > 0 && (n == 0 || s.Events[n-1].ID < newest) {
			v.violated("%s saw %d events, there are %d", s.Consumer, n, newest)
		}
	}
	return v
}
