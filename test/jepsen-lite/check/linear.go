package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// What a history of calls has to have to prove anything.
const (
	minClients  = 5
	maxKeys     = 8
	minOK       = 30 // percent of the calls
	linearBound = 30 * time.Second
)

// Linear checks I7: there is one order of all calls on a child, each at some instant between its question and its answer,
// in which every answer is right; and no client sees the log go back. An unknown outcome may take effect at any later time.
func Linear(h *history.History) *Verdict {
	v := &Verdict{Invariant: "I7", About: "the API is linearizable, and indexes never fall for a client", Optional: len(h.Calls) == 0}
	if v.Optional {
		return v
	}
	byKey, newest, good := map[history.Key][]history.Call{}, map[int]uint64{}, 0
	var back []string
	for _, c := range slices.SortedFunc(slices.Values(h.Calls), func(a, b history.Call) int { return cmp.Compare(a.Invoked, b.Invoked) }) {
		byKey[c.Key] = append(byKey[c.Key], c)
		switch c.Outcome {
		case history.OK:
			good++
		case history.Maybe:
			v.ambiguous("the %s of %s by client %d has no known outcome: %s", c.Kind, c.Key, c.Client, c.Detail)
		}
		if c.Index != 0 && c.Index < newest[c.Client] {
			back = append(back, fmt.Sprintf("client %d read the state at index %d after one at index %d", c.Client, c.Index, newest[c.Client]))
		}
		newest[c.Client] = max(newest[c.Client], c.Index)
	}
	if len(newest) < minClients || len(byKey) > maxKeys || 100*good < minOK*len(h.Calls) {
		v.violated("%d clients on %d children, %d of %d calls were acknowledged: it shows too little", len(newest), len(byKey), good, len(h.Calls))
	}
	for key, calls := range byKey {
		v.Checked += len(calls)
		switch porcupine.CheckOperationsTimeout(register, parts(calls), linearBound) {
		case porcupine.Illegal:
			v.violated("no order explains the calls on %s, up to:\n%s", key, firstWrong(calls))
		case porcupine.Unknown:
			v.violated("the calls on %s were not checked within %v", key, linearBound)
		}
	}
	for _, b := range back {
		v.violated("%s", b)
	}
	return v
}

// firstWrong tells the answers up to the first that no order explains.
func firstWrong(calls []history.Call) string {
	byAnswer := slices.SortedFunc(slices.Values(calls), func(a, b history.Call) int { return cmp.Compare(a.Returned, b.Returned) })
	wrong := sort.Search(len(byAnswer)-1, func(i int) bool {
		known := slices.Clone(byAnswer[:i+1])
		for _, c := range byAnswer[i+1:] { // they have no answer yet
			if c.Invoked <= byAnswer[i].Returned && c.Kind != history.OpRead {
				c.Outcome = history.Maybe
				known = append(known, c)
			}
		}
		return porcupine.CheckOperationsTimeout(register, parts(known), linearBound) == porcupine.Illegal
	})
	var b strings.Builder
	for _, c := range byAnswer[max(0, wrong-8) : wrong+1] {
		fmt.Fprintf(&b, "  client %d [%d, %d] %s %q: %s %s %d\n", c.Client, c.Invoked, c.Returned, c.Kind, c.Value, c.Outcome, c.Code, c.Incarnation)
	}
	return b.String()
}

func parts(calls []history.Call) (all []porcupine.Operation) {
	for i, c := range calls {
		all = append(all, partsOf(i, c)...)
	}
	return all
}

// part is one instant of a call. A start, a restart and a termination have two, at which others see what they do: it is begun,
// and it is done.
type part struct {
	do    func(s slot, p part) (slot, bool)
	id    int
	value string
	inc   uint64
	maybe bool // it need not happen
}

// slot is what is known of a child: the value that its start gave, empty = it is not there; whether it is being terminated; the
// highest incarnation seen.
type slot struct {
	value    string
	stopping bool
	inc      uint64
	open     string // calls that are begun, with the slot that they found
}

var register = porcupine.Model{
	Init: func() any { return slot{} },
	Step: func(state, input, _ any) (bool, any) {
		s, p := state.(slot), input.(part)
		next, ok := p.do(s, p)
		if !ok && p.maybe {
			return true, s
		}
		return ok, next
	},
}

func partsOf(id int, c history.Call) []porcupine.Operation {
	p := part{id: id, value: c.Value, inc: c.Incarnation, maybe: c.Outcome == history.Maybe}
	is := func(does ...func(slot, part) (slot, bool)) (ops []porcupine.Operation) {
		for _, do := range does {
			p.do = do
			op := porcupine.Operation{ClientId: c.Client, Input: p, Call: int64(c.Invoked), Return: int64(c.Returned)}
			if p.maybe {
				op.Return = math.MaxInt64
			}
			ops = append(ops, op)
		}
		return ops
	}
	switch refused := c.Outcome == history.Refused; {
	case c.Kind == history.OpRead && c.Code != "":
		return is(absent)
	case c.Kind == history.OpRead:
		return is(seen)
	case c.Kind == history.OpStart && c.Code == "duplicate_child":
		return is(present)
	case c.Kind == history.OpStart && c.Code == "child_not_found": // terminated meanwhile
		return is(begins, goes)
	case c.Kind == history.OpStart && (refused || p.maybe): // nothing is kept, but it was seen
		return is(begins, undone)
	case c.Kind == history.OpStart:
		return is(begins, runs)
	case c.Kind == history.OpTerminate && refused:
		return is(absent)
	case c.Kind == history.OpTerminate:
		return is(stops, undone)
	case c.Code == "child_not_found":
		return is(leaving)
	case c.Outcome == history.OK:
		return is(restarts, reruns)
	}
	return nil // a restart that may have happened: an incarnation may rise at any time
}

// mark notes that a call is begun, and what it found.
func (s slot) mark(p part) slot {
	s.open += fmt.Sprintf("%d=%s#%d;", p.id, s.value, s.inc)
	words := strings.SplitAfter(s.open, ";")
	slices.Sort(words)
	s.open = strings.Join(words, "")
	return s
}

// done takes a mark away, and says what the call found; false: it is not begun.
func (s slot) done(p part) (next slot, value string, inc uint64, ok bool) {
	for word := range strings.SplitAfterSeq(s.open, ";") {
		if rest, mine := strings.CutPrefix(word, fmt.Sprintf("%d=", p.id)); mine {
			s.open = strings.Replace(s.open, word, "", 1)
			value, number, _ := strings.Cut(strings.TrimSuffix(rest, ";"), "#")
			_, err := fmt.Sscan(number, &inc)
			return s, value, inc, err == nil
		}
	}
	return s, "", 0, false
}

func absent(s slot, p part) (slot, bool)  { return s, s.value == "" }
func present(s slot, p part) (slot, bool) { return s, s.value != "" }
func leaving(s slot, p part) (slot, bool) { return s, s.value == "" || s.stopping }

func seen(s slot, p part) (slot, bool) {
	ok := s.value == p.value && (p.inc == 0 || p.inc >= s.inc)
	s.inc = max(s.inc, p.inc)
	return s, ok
}

func begins(s slot, p part) (slot, bool) {
	if s.value != "" {
		return s, false
	}
	s.value, s.inc = p.value, 0
	return s.mark(p), true
}

func runs(s slot, p part) (slot, bool) {
	s, value, _, ok := s.done(p)
	if !ok || s.value != value || p.inc < s.inc {
		return s, false
	}
	s.inc = p.inc
	return s, true
}

func goes(s slot, p part) (slot, bool) {
	s, value, _, ok := s.done(p)
	return s, ok && (s.value != value || s.stopping)
}

func undone(s slot, p part) (slot, bool) {
	s, value, _, ok := s.done(p)
	if s.value == value {
		s.value, s.stopping, s.inc = "", false, 0
	}
	return s, ok
}

func stops(s slot, p part) (slot, bool) {
	if s.value == "" {
		return s, false
	}
	s.stopping = true
	return s.mark(p), true
}

func restarts(s slot, p part) (slot, bool) {
	if s.value == "" || s.stopping {
		return s, false
	}
	return s.mark(p), true
}

func reruns(s slot, p part) (slot, bool) {
	s, value, before, ok := s.done(p)
	if !ok || s.value != value || p.inc <= before || p.inc < s.inc {
		return s, false
	}
	s.inc = p.inc
	return s, true
}
