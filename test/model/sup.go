package model

import (
	"slices"
	"strings"

	sup "github.com/supnode/supnode/supervisor"
)

// op is what a supervisor is busy with.
type op string

const (
	idle     op = ""
	starting op = "starting" // its initial children start (S12)
	working  op = "working"  // children stop and start in order (S8–S11, S31, S33)
	applying op = "applying" // a manifest (Live change)
	stopping op = "stopping" // S13
	over     op = "over"     // stopped, readable (S37)
)

// Sup is a supervisor. Children are in start order (S6).
type Sup struct {
	c    *Cluster
	up   *Child // the child that it is of its parent; nil = nobody's
	Name sup.Name
	Spec sup.Spec

	created uint64 // the entry

	Op       op
	change   *manifest // of applying
	Reason   string
	Children []*Child

	Total, ForNodes uint64  // S22
	stamps          []int64 // cluster times of counted restarts (S15)

	exceeded bool     // S45
	undo     bool     // the stop undoes a failed start: nothing stays behind (S12)
	starters []string // requests for its start
	failed   sup.Code // what the starters are told when the stop is over
	stoppers []string // requests for its stop
	queue    []queued // requests that wait for the operation, in order
	last     uint64   // the number of the last child_N (S34)
}

type queued struct {
	key      string
	carryOut func()
	applies  bool // a manifest
}

func (s *Sup) simple() bool { return s.Spec.Strategy == sup.SimpleOneForOne }

// inOrder (S10): one_for_all and rest_for_one start strictly one after another.
func (s *Sup) inOrder() bool {
	return s.Spec.Strategy == sup.OneForAll || s.Spec.Strategy == sup.RestForOne
}

// Status is what users see (api.md §5).
func (s *Sup) Status() sup.Status {
	switch s.Op {
	case starting:
		return sup.StatusStarting
	case stopping:
		return sup.StatusStopping
	case over:
		return sup.StatusStopped
	}
	return sup.StatusRunning
}

func (s *Sup) child(id sup.ChildID) *Child {
	for _, ch := range s.Children {
		if ch.Spec.ID == id {
			return ch
		}
	}
	return nil
}

func (s *Sup) add(spec sup.ChildSpec) *Child {
	ch := &Child{sup: s, Spec: spec, State: Down, due: true}
	s.Children = append(s.Children, ch)
	return ch
}

// remove drops a record: nobody waits for it any more.
func (s *Sup) remove(ch *Child) {
	for _, key := range ch.waiters {
		s.c.end(key, "")
	}
	ch.answer(sup.CodeChildNotFound)
	s.forgo(ch)
	s.Children = slices.DeleteFunc(s.Children, func(x *Child) bool { return x == ch })
}

// refusal (S45) is what a stopping or stopped supervisor says to all requests.
func (s *Sup) refusal() sup.Code {
	if s.exceeded {
		return sup.CodeMaxRestartsExceeded
	}
	return sup.CodeSupervisorStopped
}

// InWindow is the number of counted restarts within the window that ends now, closed on both sides (S15). A stopped
// supervisor has no window any more.
func (s *Sup) InWindow() (n int) {
	if s.Op == over {
		return 0
	}
	for _, at := range s.stamps {
		if s.c.Clock-at <= int64(s.Spec.Intensity.Within) {
			n++
		}
	}
	return n
}

// count (S15, S16): one more crash; false = it was one too many and the supervisor stops.
func (s *Sup) count() bool {
	s.stamps = slices.DeleteFunc(s.stamps, func(at int64) bool { return s.c.Clock-at > int64(s.Spec.Intensity.Within) }) // a wider window does not bring them back
	if s.InWindow() < s.Spec.Intensity.MaxRestarts {
		s.stamps = append(s.stamps, s.c.Clock)
		return true
	}
	m, w := s.Spec.Intensity.MaxRestarts, s.Spec.Intensity.Within
	s.c.emit(sup.Event{Type: sup.EventRestartIntensityExceeded, Supervisor: s.Name, MaxRestarts: &m, Within: &w})
	s.exceeded = true
	s.undo = s.Op == starting // the start fails with it
	s.beginStop(sup.ReasonMaxRestartsExceeded, sup.CodeMaxRestartsExceeded)
	return false
}

// cause is why children that are to run again are down.
type cause int

const (
	crash    cause = iota // an exit or a failed init (S15, S18)
	nodeLoss              // not counted in the window (S16)
	left                  // their node has left: no failure, a move (S16, S22)
)

// restarted is one decision for children that are down and run again (S7–S9, S11, S23), in start order.
func (s *Sup) restarted(children []*Child, why cause) {
	if len(children) == 0 {
		return
	}
	s.tally(len(children), why)
	switch s.Spec.Strategy {
	case sup.OneForAll: // S8
		s.restartGroup(s.Children)
	case sup.RestForOne: // S9
		s.restartGroup(s.Children[slices.Index(s.Children, children[0]):])
	}
}

// tally (S22): restarts for crashes and node losses; a group is one.
func (s *Sup) tally(children int, why cause) {
	n := uint64(children)
	if s.inOrder() {
		n = 1
	}
	if why != left {
		s.Total += n
	}
	if why == nodeLoss {
		s.ForNodes += n
	}
}

// restartGroup (S8, S9, S11): what runs, or is on its way, is to be down first; a transient child that had ended starts again.
func (s *Sup) restartGroup(reach []*Child) {
	for _, ch := range slices.Clone(reach) {
		switch {
		case ch.leaves(): // it goes down with the change
		case ch.held():
			ch.halt = true
		case ch.State == Wanted:
			ch.State, ch.due, ch.Avoid = Down, true, ""
		case !ch.due:
			ch.again("")
		}
	}
	if s.Op == idle {
		s.Op = working
	}
}

// work makes what is due an operation of the supervisor, as soon as it can go on.
func (s *Sup) work() {
	if s.Op == idle && s.inOrder() && !s.c.held {
		s.Op = working
	}
}

// advance does what the supervisor's operation asks for next, until it has to wait; then so do those above and below that this
// has touched.
func (s *Sup) advance() {
	c := s.c
	if !slices.Contains(c.touched, s) {
		c.touched = append(c.touched, s)
	}
	if c.advancing {
		return
	}
	c.advancing = true
	for len(c.touched) > 0 {
		next := c.touched[0]
		c.touched = c.touched[1:]
		for next.step() {
		}
	}
	c.advancing = false
}

func (s *Sup) step() (again bool) {
	switch {
	case s.c.held && (s.Op == stopping || s.inOrder()):
		return false
	case s.Op == stopping:
		return s.stepStop()
	case s.Op == over:
		return false
	case s.inOrder():
		return s.stepInOrder()
	}
	return s.stepAtOnce()
}

// stepAtOnce (S10): the inits of one_for_one and simple_one_for_one may overlap.
func (s *Sup) stepAtOnce() bool {
	complete, away := true, s.Op != applying || !s.c.held && s.goesAway()
	for _, ch := range s.Children {
		if ch.due {
			ch.want()
		}
		complete = complete && ch.Started
	}
	if s.Op == applying {
		return away && s.stepChange()
	}
	if s.Op == starting && complete {
		return s.opOver()
	}
	return s.Op == idle && s.next()
}

// stepInOrder (S8–S11): first what is to be down stops in reverse order; then, while nothing starts or stops, what is due starts
// in order, one at a time.
func (s *Sup) stepInOrder() bool {
	for _, ch := range slices.Backward(s.Children) {
		switch {
		case ch.leaves() && ch.held() && s.goesDown(): // in their order with those of the group
			if ch.State != Stopping {
				ch.stop(change)
			}
			return false
		case ch.halt:
			if ch.State != Stopping {
				ch.stop(group)
			}
			return false
		}
	}
	if s.Op == applying && !s.goesAway() {
		return false
	}
	for _, ch := range s.Children {
		if ch.State == Wanted || ch.State == Placed || ch.State == Stopping {
			s.work()
			return s.cutsIn()
		}
	}
	for _, ch := range s.Children {
		if ch.due {
			s.work()
			ch.want()
			return false
		}
	}
	if s.Op == applying {
		return s.stepChange()
	}
	if s.Op == starting || s.Op == working {
		return s.opOver()
	}
	return s.next()
}

// halted: the child is down in a group restart. A temporary one that had its run is gone (S3).
func (s *Sup) halted(ch *Child, avoid sup.NodeName) {
	ch.halt = false
	if ch.temporary() && ch.Started {
		s.remove(ch)
		return
	}
	ch.again(avoid)
}

// opOver: the start or the group restart is complete.
func (s *Sup) opOver() bool {
	was := s.Op
	s.Op = idle
	if was == starting {
		s.c.emit(sup.Event{Type: sup.EventSupervisorStarted, Supervisor: s.Name})
		for _, key := range s.starters {
			s.c.end(key, "")
		}
		s.starters = nil
		s.rose()
	}
	return true
}

// next carries out the oldest request that waits.
func (s *Sup) next() bool {
	if len(s.queue) == 0 {
		return false
	}
	q := s.queue[0]
	s.queue = s.queue[1:]
	q.carryOut()
	return true
}

// failStart (S12): those already started stop in reverse order, nothing stays behind.
func (s *Sup) failStart(code sup.Code) {
	s.undo = true
	s.beginStop(string(code), code)
}

// beginStop cuts in on whatever is going on. Requests that wait for a child to run, or for their turn, fail at once.
func (s *Sup) beginStop(reason string, failed sup.Code) {
	s.Op, s.Reason, s.failed = stopping, reason, failed
	for _, q := range s.queue {
		s.c.end(q.key, s.refusal())
	}
	s.queue = nil
	s.cutIn()
	for _, ch := range s.Children {
		ch.halt, ch.due, ch.part = false, false, ""
		if ch.State == Wanted {
			ch.State = Down
		}
		ch.answer(s.refusal())
	}
}

// stepStop (S13): strictly reverse start order, one at a time, each waited for; simple_one_for_one all at once.
func (s *Sup) stepStop() bool {
	for _, ch := range slices.Backward(s.Children) {
		switch {
		case ch.owed:
			ch.owed, ch.State = false, Down
			return true
		}
		switch ch.State {
		case Stopping:
		case Placed, Running:
			ch.stop(shutdown)
		default:
			s.remove(ch)
			return true
		}
		if !s.simple() {
			return false
		}
	}
	if len(s.Children) > 0 {
		return false
	}
	s.Op = over
	if s.undo {
		s.c.Sups = slices.DeleteFunc(s.c.Sups, func(x *Sup) bool {
			return x == s || x.created >= s.created && strings.HasPrefix(string(x.Name), string(s.Name)+"/")
		})
	} else {
		s.c.emit(sup.Event{Type: sup.EventSupervisorStopped, Supervisor: s.Name, Reason: s.Reason})
	}
	for _, key := range s.starters {
		s.c.end(key, s.failed)
	}
	for _, key := range s.stoppers {
		s.c.end(key, "")
	}
	s.fallen()
	return false
}
