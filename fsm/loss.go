package fsm

import (
	"cmp"
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// How the state itself comes to know that a session is over.
const (
	whyAnew          = "registered anew"
	whyLeft          = "left"
	whyNewGeneration = "new cluster generation"
)

// lossInWords says to a person what these mean.
func lossInWords(detail string) string {
	switch detail {
	case whyAnew:
		return "its node was lost: it was started anew, or had let its lease lapse"
	case whyLeft:
		return "its node left"
	case whyNewGeneration:
		return "the cluster was restored, and all children with it"
	}
	return detail
}

// nodeDown declares a session dead (L4).
func (s *State) nodeDown(c *NodeDown) Result {
	m := s.member(c.Node)
	if m == nil || !m.node.Live() || m.node.Session != c.Session {
		return stale()
	}
	s.setNode(m, MemberDown)
	s.loseNode(m, c.Why, true)
	return Result{Status: OK}
}

// loseNode frees every slot of a member whose session is over: one event first with all affected children, then one
// decision for each supervisor, in the order of their creation (S23).
func (s *State) loseNode(m *member, why string, failed bool) {
	s.undelivered(m.node.Name)
	slots := s.affected(m)
	if failed {
		e := sup.Event{Type: sup.EventNodeFailureDetected, Node: m.node.Name, Reason: truncate(why, MaxReason)}
		for _, c := range slots {
			e.AffectedChildren = append(e.AffectedChildren, c.Key)
		}
		s.emit(e)
	}
	for len(slots) > 0 {
		t := s.trees.get(slots[0].Key.Supervisor)
		if t == nil {
			panic("fsm: loss: a supervisor went before its children")
		}
		n := inOneTree(slots)
		s.lost(t, slots[:n], why, failed)
		s.advanceAll() // what goes down with it does so before its own decision
		slots = slots[n:]
	}
}

// inOneTree is how many slots at the beginning belong to the first one's supervisor.
func inOneTree(slots []*Child) int {
	n := 1
	for n < len(slots) && slots[n].Key.Supervisor == slots[0].Key.Supervisor {
		n++
	}
	return n
}

// affected are the slots that a member holds, by the creation of their supervisors and in start order (S23).
func (s *State) affected(m *member) []*Child {
	slots := make([]*Child, 0, m.slots.len())
	for c := range m.slots.all() {
		slots = append(slots, c)
	}
	place := map[sup.Name]uint64{}
	for _, c := range slots {
		place[c.Key.Supervisor] = s.trees.place(c.Key.Supervisor)
	}
	slices.SortFunc(slots, func(a, b *Child) int {
		if d := cmp.Compare(place[a.Key.Supervisor], place[b.Key.Supervisor]); d != 0 {
			return d
		}
		return cmp.Compare(a.Order, b.Order)
	})
	return slots
}

// lost frees slots whose incarnations died with their node or guardian: one decision for all of them (S23), not their
// failure, never counted in the window (S16, S24). failed is false when the node left in peace: that is no node failure
// restart (S22).
func (s *State) lost(t *tree, slots []*Child, why string, failed bool) {
	var first *Child // that was to go on and runs again
	restarts := uint64(0)
	for _, slot := range slots {
		c := t.children.get(slot.Key.Child) // the loss of another one may have changed it: a stop answers who waits for it
		node, phase := c.Node, c.Phase
		c = s.free(t, c, sup.ExitNodeDown, why)
		switch {
		case phase == Stopping && s.held:
			// Nothing is acknowledged before Released: the stop stays owed, in Why.
		case phase == Stopping:
			s.stoppedSlot(t, c)
		case t.head.stopping():
			s.drop(t, c, nil)
		case c.leaves():
			s.leftChild(t, c)
		case !c.Started():
			if s.restarts(t) {
				c.Lost = 0 // nobody waits for the start, which is no failure then (S16)
			}
			if c.Lost++; c.Lost > MaxLostAtStart {
				s.startFails(t, c, initFailed(c.Key, node, string(sup.ExitNodeDown)))
				continue
			}
			s.again(t, c, node)
		case t.goesDown(c) && c.Spec.Restart.OnGroupRestart() == sup.Remove:
			s.remove(t, c, childEnded(c)) // no end that S38 counts
		case t.goesDown(c):
			s.again(t, c, node)
		case c.Spec.Restart.OnNodeLoss() == sup.Remove:
			s.end(t, c, childEnded(c))
		default:
			c = s.again(t, c, node)
			if _, alone := t.head.Spec.Strategy.Reach(c.Order); first == nil || alone {
				restarts++
			}
			if first == nil {
				first = c
			}
		}
	}
	if first == nil || t.head.stopping() {
		return // the end of a significant child among them stops the supervisor: nothing restarts (S38)
	}
	if failed {
		h := s.edit(t)
		h.TotalRestarts += restarts
		h.NodeFailureRestarts += restarts
	}
	s.restartGroup(t, first)
}
