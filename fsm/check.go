package fsm

import (
	"fmt"

	sup "github.com/supnode/supnode/supervisor"
)

// Check verifies the invariants of the state; its error names the first one that is broken.
//
//	C1 slot guard: a slot's phase, wish, node, session and incarnation fit together
//	C2 a held slot is on a live member, in that member's live session, with an incarnation that the log has reached
//	C3 the lists of wanting slots and of each member's slots are exactly those of the child records, by rising seats
//	C4 start order: children of a supervisor have rising Orders, below NextOrder
//	C5 operations: status, operation, cursor and what is outstanding fit together
//	C6 whoever waits has a pending request, and every pending request waits in exactly one place; a message that is delivered
//	   has a claim, and the replies that are kept are those of the outcomes
//	C7 windows ascend, are not ahead of the clock, and hold at most max_restarts stamps
//	C8 event ids have no gap
//	C9 counts are those of the records
//	C10 a drained node is not up; who is to move there is not there, and runs or moves; forgotten nodes are no members
//	C11 where children start in order at most one is about to, none is left waiting for its turn, and requests wait meanwhile
//	C12 a group that goes down waits for the child at its cursor; those after it are down and due
//	C13 a change of a manifest first waits for the child at its cursor, those after it that leave being down, then for inits
//	C14 a supervisor that is a child does what its parent's record of it says
func (s *State) Check() error {
	waits := map[string]int{}
	seats := 0
	running, stopped := 0, 0
	for t := range s.trees.all() {
		if err := s.checkTree(t, waits, &seats); err != nil {
			return err
		}
		if t.head.Status == sup.StatusStopped {
			stopped++
		} else {
			running++
		}
		if k, isSub := t.head.Name.Parent(); isSub && t.head.Status != sup.StatusStopped {
			if c := s.Child(k); c == nil || !c.IsSupervisor() {
				return fmt.Errorf("C14: supervisor %q is nobody's child", t.head.Name)
			}
		}
	}
	if running != s.running || stopped != len(s.stopped) || stopped > MaxStopped {
		return fmt.Errorf("C9: %d supervisors run and %d are stopped; counted %d and %d", running, stopped, s.running, len(s.stopped))
	}
	var last uint64
	for _, n := range s.stopped {
		h := s.Supervisor(n)
		if h == nil || h.Status != sup.StatusStopped || h.Stopped <= last {
			return fmt.Errorf("C9: stopped supervisor %q is not there, or out of order", n)
		}
		last = h.Stopped
	}
	if err := s.checkRosters(seats); err != nil {
		return err
	}
	if err := s.checkMembers(); err != nil {
		return err
	}
	if err := s.checkRequests(waits); err != nil {
		return err
	}
	return s.checkHistory()
}

func (s *State) checkRosters(seats int) error {
	listed := 0
	var last uint64
	for c := range s.wanting.all() {
		if !c.Wants || s.Child(c.Key) != c || c.Seat <= last {
			return fmt.Errorf("C3: slot %s is wrongly listed as wanting", c.Key)
		}
		last = c.Seat
		listed++
	}
	if listed != s.wanting.len() {
		return fmt.Errorf("C3: %d slots want a node; counted %d", listed, s.wanting.len())
	}
	for i, m := range s.members {
		if i > 0 && s.members[i-1].node.Name >= m.node.Name {
			return fmt.Errorf("C3: member %q is out of order", m.node.Name)
		}
		if m.node.Session.Seq > s.session {
			return fmt.Errorf("C2: member %q has session %s, the last one is %d", m.node.Name, m.node.Session, s.session)
		}
		last, held := uint64(0), 0
		for c := range m.slots.all() {
			if c.Phase == Unplaced || c.Node != m.node.Name || s.Child(c.Key) != c || c.Seat <= last {
				return fmt.Errorf("C3: slot %s is wrongly listed on %s", c.Key, m.node.Name)
			}
			last = c.Seat
			held++
		}
		if held != m.slots.len() {
			return fmt.Errorf("C3: %s holds %d slots; counted %d", m.node.Name, held, m.slots.len())
		}
		listed += held
	}
	if listed != seats {
		return fmt.Errorf("C3: %d slots have a seat, %d are listed", seats, listed)
	}
	return nil
}

func (s *State) checkMembers() error {
	aimed := 0
	for t := range s.trees.all() {
		for c := range t.children.all() {
			if c.Toward != "" {
				aimed++
			}
		}
	}
	if aimed != s.aimed {
		return fmt.Errorf("C9: %d children are to move; counted %d", aimed, s.aimed)
	}
	for _, m := range s.members {
		n := m.node
		if n.Drained && n.Status == MemberUp || n.Goodbye && (!n.Drained || !n.Live()) {
			return fmt.Errorf("C10: node %q is %s, drained=%t, goodbye=%t", n.Name, n.Status, n.Drained, n.Goodbye)
		}
	}
	for i, f := range s.forgot {
		if i > 0 && s.forgot[i-1].Node >= f.Node || s.member(f.Node) != nil || f.Session.Seq > s.session {
			return fmt.Errorf("C10: node %q is wrongly listed as forgotten", f.Node)
		}
	}
	return nil
}

func (s *State) checkRequests(waits map[string]int) error {
	delete(waits, "")
	for r := range s.requests.pending.all() {
		if r.Outcome != nil || waits[r.Key] != 1 {
			return fmt.Errorf("C6: request %q is pending and waits in %d places", r.Key, waits[r.Key])
		}
	}
	if len(waits) != s.requests.pending.len() {
		return fmt.Errorf("C6: %d requests wait, %d are pending", len(waits), s.requests.pending.len())
	}
	for r := range s.requests.delivering.all() {
		if r.Outcome != nil || r.Deliver == nil || r.Deliver.Claim == 0 {
			return fmt.Errorf("C6: request %q is wrongly listed as delivered", r.Key)
		}
	}
	replies := 0
	for r := range s.requests.client.all() {
		if replies += len(r.Outcome.Reply); len(r.Outcome.Reply) > 0 && s.requests.replying.get(r.Key) != r {
			return fmt.Errorf("C6: the reply to request %q is not counted", r.Key)
		}
	}
	if replies != s.requests.replies || replies > MaxReplies {
		return fmt.Errorf("C6: %d bytes of replies are kept; counted %d", replies, s.requests.replies)
	}
	for _, q := range []*roll[string, request]{&s.requests.own, &s.requests.client} {
		born := int64(-1 << 63)
		for r := range q.all() {
			if r.Outcome == nil || r.Born < born || r.Born > s.clock {
				return fmt.Errorf("C6: request %q is wrongly listed as over", r.Key)
			}
			born = r.Born
		}
	}
	if s.requests.len() > MaxKeys {
		return fmt.Errorf("C6: %d requests are kept", s.requests.len())
	}
	return nil
}

func (s *State) checkHistory() error {
	next := s.history.oldest()
	var size int64
	for _, c := range s.history.chunks {
		n := uint64(0)
		for range c.all() {
			n++
		}
		if c.First != next || c.Count != n || n == 0 {
			return fmt.Errorf("C8: a chunk of %d events begins at %d instead of %d", n, c.First, next)
		}
		next += n
		size += int64(len(c.Data))
	}
	if next != s.history.newest+1 || size != s.history.size {
		return fmt.Errorf("C8: the newest event is %d instead of %d, %d bytes instead of %d", s.history.newest, next-1, s.history.size, size)
	}
	return nil
}
