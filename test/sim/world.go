package sim

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
)

// Options of a run.
type Options struct {
	Trace  io.Writer   // the history's text; nil = none
	Mutant string      // the clause to take out; empty = none
	Tune   func(*Plan) // changes the plan that the seed made
}

// Result is how a history ended.
type Result struct {
	Seed      uint64
	Sum       uint64 // the trace's fingerprint
	Virtual   int64  // simulated ns
	Violation error  // nil: every invariant held
	Plan      Plan
	Stats     Stats
}

// Stats counts what a history contained: a run that checked nothing proves nothing.
type Stats struct {
	Events, Commits, Elections, Spawns, Acked, Reads  int
	Lapses, NodeDowns, Moves, Fenced, Exits, Restores int
	Refused                                           int   // writes that the fenced register refused
	Gap                                               int64 // ns, the smallest between the last fenced life of a session and the word that it is dead (L2)
	Faults                                            [faultKinds]int
	Counted, Exceeded, Shutdowns, Changes             int // counted restarts, intensities exceeded, auto-shutdowns, manifests applied
	Bound, Chosen                                     int // births of children with max_per_node, with a custom selector
	Levels                                            int // lives in trees that were looked at when another child started or stopped
	Groups, Resumed, Ordered                          int // counted restarts of groups, operations that a new leader found, births and stops whose order was checked
}

// closer notes how soon after the end of its last fenced life a session was declared dead by time-out.
func (s *Stats) closer(gap int64) {
	if s.Gap == 0 || gap < s.Gap {
		s.Gap = max(gap, 1)
	}
}

func (s *Stats) add(t Stats) {
	if t.Gap > 0 {
		s.closer(t.Gap)
	}
	s.Events += t.Events
	s.Commits += t.Commits
	s.Elections += t.Elections
	s.Spawns += t.Spawns
	s.Acked += t.Acked
	s.Reads += t.Reads
	s.Lapses += t.Lapses
	s.NodeDowns += t.NodeDowns
	s.Moves += t.Moves
	s.Fenced += t.Fenced
	s.Exits += t.Exits
	s.Restores += t.Restores
	s.Refused += t.Refused
	s.Groups += t.Groups
	s.Resumed += t.Resumed
	s.Counted += t.Counted
	s.Exceeded += t.Exceeded
	s.Shutdowns += t.Shutdowns
	s.Changes += t.Changes
	s.Ordered += t.Ordered
	s.Levels += t.Levels
	s.Bound += t.Bound
	s.Chosen += t.Chosen
	for i := range s.Faults {
		s.Faults[i] += t.Faults[i]
	}
}

// World is one history in the making.
type World struct {
	seed  uint64
	rng   *rand.Rand
	style *rand.Rand // draws how children are supervised, apart from all else
	now   int64      // true time, ns
	heap  eventHeap
	seq   uint64
	turn  int // events at this very instant
	done  bool
	plan  Plan
	trace trace
	stats Stats

	mutant mutation
	calm   bool // faults are over
	hosts  []*host
	raft   raftLog
	net    network
	ledger ledger
	people []*client
	asks   []*ask // every request, for the reports of red runs
	ids    uint64
}

// violation ends a history.
type violation struct{ error }

// fail ends the history: an invariant is broken.
func (w *World) fail(invariant, format string, args ...any) {
	panic(violation{fmt.Errorf("%s at %.6fs: %s", invariant, float64(w.now)/1e9, fmt.Sprintf(format, args...))})
}

// Run lives one history to its end.
func Run(seed uint64, o Options) (r Result) {
	w := newWorld(seed, o)
	defer func() {
		switch p := recover().(type) {
		case nil:
		case violation:
			r.Violation = p.error
		default:
			r.Violation = fmt.Errorf("panic at %.6fs: %v\n%s", float64(w.now)/1e9, p, debug.Stack())
		}
		r.Seed, r.Sum, r.Virtual, r.Plan, r.Stats = seed, w.trace.sum, w.now, w.plan, w.stats
		if r.Violation != nil {
			w.tell("VIOLATION: %v", r.Violation)
		}
	}()
	w.begin()
	for !w.done {
		if len(w.heap) == 0 {
			return Result{Violation: errors.New("the world stands still")}
		}
		e := w.heap.pop()
		if e.at > w.now {
			w.turn = 0
		}
		if w.turn++; w.turn > maxTurn {
			w.fail("bound", "more than %d events at one instant", maxTurn)
		}
		w.now = e.at
		w.stats.Events++
		w.trace.num(uint64(e.at)<<8 | uint64(e.tag))
		e.do()
	}
	return r
}

// maxTurn bounds the events of one instant: a machine that asks to be woken in the past spins.
const maxTurn = 20_000

func newWorld(seed uint64, o Options) *World {
	w := &World{seed: seed, rng: rand.New(rand.NewPCG(seed, 0x5eed)), style: rand.New(rand.NewPCG(seed, 0x7374796c65))}
	w.trace.out = o.Trace
	w.trace.num(seed)
	w.plan = draw(w.rng)
	w.plan.drawOperations(seed)
	w.plan.drawRules(seed)
	if o.Tune != nil {
		o.Tune(&w.plan)
	}
	w.mutant = newMutation(o.Mutant)
	w.ledger = newLedger(w)
	w.net = newNetwork(w)
	return w
}

// begin sets the scene: hosts boot, clients arrive, faults are planned, and the end of the faults.
func (w *World) begin() {
	if w.tracing() {
		w.tell("plan: %s", w.plan)
	}
	for i := range w.plan.Voters + w.plan.Plain {
		w.hosts = append(w.hosts, newHost(w, i, i < w.plan.Voters))
	}
	w.raft.begin(w)
	for _, h := range w.hosts {
		h.bootIn(w.upTo(300 * millisecond))
	}
	for i := range w.plan.Clients {
		w.people = append(w.people, newClient(w, i))
	}
	w.beginFaults()
	w.at(w.plan.Until, tagWatch, w.heal)
}

// at plans an event.
func (w *World) at(t int64, tag tag, do func()) {
	if t < w.now {
		t = w.now
	}
	w.seq++
	w.heap.push(event{t, w.seq, tag, do})
}

// after plans an event d from now.
func (w *World) after(d int64, tag tag, do func()) { w.at(w.now+d, tag, do) }

// every repeats do until it says false.
func (w *World) every(d int64, tag tag, do func() bool) {
	w.after(d, tag, func() {
		if do() {
			w.every(d, tag, do)
		}
	})
}

// id makes a number that no other thing in this history has.
func (w *World) id() uint64 { w.ids++; return w.ids }

// upTo draws a span in [0, d].
func (w *World) upTo(d int64) int64 {
	if d <= 0 {
		return 0
	}
	return w.rng.Int64N(d + 1)
}

// between draws a span in [lo, hi].
func (w *World) between(lo, hi int64) int64 { return lo + w.upTo(hi-lo) }

// late draws how late a timer rings: often as late as it may.
func (w *World) late() int64 {
	if w.plan.Jitter > 2*millisecond && w.percent(40) {
		return w.plan.Jitter
	}
	return w.between(1, w.plan.Jitter)
}

// percent is true p times in a hundred.
func (w *World) percent(p int) bool { return p > 0 && w.rng.IntN(100) < p }

// pick draws one of s.
func pick[T any](w *World, s []T) T { return s[w.rng.IntN(len(s))] }
