package model

import (
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// manifest is one that is being applied: first all that goes, or has another spec, goes down; then the manifest is taken over, and
// what is new or differs starts.
type manifest struct {
	next    *sup.Spec // until it is taken over
	waiters []string
	failed  sup.Code // of the first child that could not be started
}

// Apply makes a supervisor as a manifest says, or creates it. A change waits for others in order, but for one that waits for a
// node (S19), which goes on with the change.
func (c *Cluster) Apply(key string, spec sup.Spec) Answer {
	return c.ask(key, func() {
		s := c.Sup(spec.Name)
		switch {
		case s == nil || s.Op == over:
			c.create(key, spec)
		case s.Op == stopping:
			c.end(key, s.refusal())
		case s.Spec.Strategy != spec.Strategy:
			c.end(key, sup.CodeWrongStrategy)
		case s.Op == idle || s.stuck():
			s.apply(key, spec)
			s.advance()
		default:
			s.queue = append(s.queue, queued{key: key, carryOut: func() { s.apply(key, spec) }, applies: true})
		}
	})
}

// apply begins a change: who goes, who is replaced.
func (s *Sup) apply(key string, spec sup.Spec) {
	parts := map[*Child]part{}
	same := slices.Equal(printManifest(settings(s.Spec)), printManifest(settings(spec)))
	named := 0
	goes := 0 // which somebody terminates, and nobody names: that is no change
	for _, ch := range s.Children {
		i := slices.IndexFunc(spec.Children, func(x sup.ChildSpec) bool { return x.ID == ch.Spec.ID })
		switch {
		case s.simple():
			if ch.then != terminate && printChild(*s.Spec.ChildTemplate) != printChild(*spec.ChildTemplate) {
				parts[ch] = replaced
			}
		case i < 0 && ch.then == terminate:
			parts[ch] = gone
			goes++
		case i < 0 || ch.then == terminate: // what somebody terminates is not there any more; it starts anew when it is named
			parts[ch] = gone
		case printChild(ch.Spec) != printChild(spec.Children[i]):
			parts[ch] = replaced
		}
		if parts[ch] != gone && !s.simple() {
			same = same && i == named
			named++
		}
	}
	if same && len(parts) == goes && (s.simple() || named == len(spec.Children)) {
		s.c.end(key, "")
		return
	}
	stuck := s.stuck()
	s.Op, s.change = applying, &manifest{next: &spec, waiters: []string{key}}
	for _, ch := range slices.Clone(s.Children) {
		if ch.State == Wanted && s.inOrder() { // for which all waited: it goes on with the change
			ch.State, ch.due, ch.Unplaceable, ch.Avoid = Down, true, false, ""
		}
		if p := parts[ch]; p != "" {
			s.takes(ch, p)
		} else if stuck && ch.isSup() {
			ch.tellAnew()
		}
	}
}

// tellAnew: who asks for a change while a tree waits for a node is told so too.
func (ch *Child) tellAnew() {
	if ch.own == nil || ch.State != Placed {
		ch.Unplaceable = false
		return
	}
	for _, x := range ch.own.Children {
		x.tellAnew()
	}
}

// takes makes a child one that goes down with the change.
func (s *Sup) takes(ch *Child, p part) {
	ch.part, ch.due, ch.halt, ch.toward = p, false, false, ""
	if ch.State == Wanted {
		ch.State = Down
	}
	if ch.State == Stopping && ch.then != terminate {
		ch.then = change
	}
	if p == gone {
		ch.answer(sup.CodeChildNotFound)
		if ch.State == Down {
			s.remove(ch)
		}
	}
}

// settings is a manifest without its children.
func settings(spec sup.Spec) sup.Spec {
	spec.Children = nil
	return spec
}

// goesAway takes down what is to go, in reverse order and one at a time, of simple_one_for_one all at once; it reports whether all
// of it is down, and then the manifest is taken over.
func (s *Sup) goesAway() bool {
	if s.change.next == nil {
		return true
	}
	left := false
	for _, ch := range slices.Backward(s.Children) {
		if !ch.leaves() || !ch.held() {
			continue
		}
		if ch.State != Stopping {
			ch.stop(change)
		}
		if left = true; !s.simple() {
			return false
		}
	}
	if left {
		return false
	}
	s.takeOver()
	return true
}

// away: a child that was to go down is down, however it ended: no crash, no end in the sense of S38.
func (s *Sup) away(ch *Child) {
	if ch.part == gone {
		s.remove(ch)
	}
}

// takeOver: from here on the manifest holds.
func (s *Sup) takeOver() {
	next, before := *s.change.next, s.selector()
	s.change.next = nil
	s.Spec = next
	if s.selector() != before {
		s.placedAnew()
	}
	if n := len(s.stamps) - next.Intensity.MaxRestarts; n > 0 {
		s.stamps = s.stamps[n:] // the newest count
	}
	for _, ch := range s.Children {
		if s.simple() && ch.part == replaced {
			spec := *next.ChildTemplate
			spec.ID = ch.Spec.ID
			s.anew(ch, spec)
		}
	}
	if s.simple() {
		return
	}
	var ordered []*Child
	for _, spec := range next.Children {
		ch := s.child(spec.ID)
		switch {
		case ch == nil:
			ch = s.add(spec)
			ch.part = begins
		case ch.part == replaced:
			s.anew(ch, spec)
		}
		ordered = append(ordered, ch)
	}
	s.Children = ordered
}

// placedAnew: another selector holds for what is placed from now on, also for what waits for a node.
func (s *Sup) placedAnew() {
	for _, ch := range s.Children {
		switch {
		case !ch.isSup() && ch.Spec.Selector == nil:
			ch.Unplaceable = false
		case ch.own != nil && (ch.own.Spec.Selector == nil || ch.own.Spec.Selector.Kind == ""):
			ch.own.placedAnew()
		}
	}
}

func (s *Sup) anew(ch *Child, spec sup.ChildSpec) {
	ch.Spec, ch.part, ch.crashes = spec, begins, 0
	ch.again("")
}

// doneWith ends what a change waits for of a child; the code says why it could not be started.
func (s *Sup) doneWith(ch *Child, code sup.Code) {
	if ch.part != begins || s.Op != applying {
		return
	}
	ch.part = ""
	if s.change.failed == "" {
		s.change.failed = code
	}
}

// forgo takes a child that is gone out of the change.
func (s *Sup) forgo(ch *Child) {
	if s.Op != applying {
		return
	}
	if next := s.change.next; next != nil && ch.part != gone {
		rest := *next
		rest.Children = slices.DeleteFunc(slices.Clone(next.Children), func(x sup.ChildSpec) bool { return x.ID == ch.Spec.ID })
		s.change.next = &rest
	}
}

// stepChange ends the change when nothing of it starts any more.
func (s *Sup) stepChange() bool {
	if slices.ContainsFunc(s.Children, func(ch *Child) bool { return ch.part == begins }) {
		return false
	}
	s.Op = idle
	s.endChange(s.change.failed)
	s.change = nil
	return true
}

func (s *Sup) endChange(code sup.Code) {
	for _, key := range s.change.waiters {
		s.c.end(key, code)
	}
	s.change.waiters = nil
}

// cutIn: the stop of the supervisor ends a change, with its word.
func (s *Sup) cutIn() {
	if s.change != nil {
		s.endChange(s.refusal())
		s.change = nil
	}
}

// waitsForNode (S19): a child is pending. A change ends without it; where children start in order it goes on when there is a node,
// and those who asked are told at once.
func (s *Sup) waitsForNode(ch *Child, code sup.Code) {
	s.doneWith(ch, code)
	if s.inOrder() && s.Op == applying {
		s.endChange(code)
	}
	s.advance()
	if s.byParent() {
		s.up.sup.waitsForNode(s.up, code)
	}
}

// cutsIn: the oldest change that waits goes on with what waits for a node.
func (s *Sup) cutsIn() bool {
	i := slices.IndexFunc(s.queue, func(q queued) bool { return q.applies })
	if i < 0 || !s.stuck() {
		return false
	}
	q := s.queue[i]
	s.queue = slices.Delete(slices.Clone(s.queue), i, i+1)
	q.carryOut()
	return true
}

// stuck: all that starts in order waits for one child, or one of its tree, that no node can take.
func (s *Sup) stuck() bool {
	if s.c.held || !s.inOrder() || s.Op != working && (s.Op != applying || s.change.next != nil) || s.goesDown() {
		return false
	}
	if s.Op == applying && len(s.change.waiters) > 0 {
		return false // somebody waits for that change
	}
	busy, lacks := 0, false
	for _, ch := range s.Children {
		if ch.State == Wanted || ch.State == Placed || ch.State == Stopping {
			busy++
			lacks = ch.lacksNode()
		}
	}
	return busy == 1 && lacks
}
