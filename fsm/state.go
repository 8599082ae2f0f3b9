package fsm

import (
	"iter"
	"sort"

	sup "github.com/supnode/supnode/supervisor"
)

// State is the replicated state of a cluster. Apply changes it; everything else reads. It has one owner at a time: readers
// beside Apply go through FSM.View. The records it hands out are immutable and stay valid after it has changed.
type State struct {
	index    uint64 // of the last entry applied
	clock    int64  // cluster time, ns
	wall     int64  // wall clock of the last entry's proposer, Unix ns; for display
	cluster  string
	gen      uint64
	session  uint64 // the last σ given out; rises for ever
	ticket   uint64 // the last seat or place given out; rises for ever
	term     uint64
	leader   sup.NodeName
	settings Settings
	retiring int64
	held     bool

	members  []*member // by name
	trees    roll[sup.Name, tree]
	stopped  []sup.Name // stopped supervisors, in the order of their stops
	running  int        // supervisors that are not stopped
	wanting  roster
	aimed    int         // children that have a Toward
	forgot   []forgotten // nodes that were removed, by name
	once     []sup.Name  // manifests created once, sorted
	requests requests
	history  history

	turn turn
}

// New is the state before the first entry.
func New() *State {
	return &State{
		gen:      1,
		trees:    newRoll(func(t *tree) sup.Name { return t.head.Name }),
		requests: newRequests(),
	}
}

// Index is the index of the last entry applied; 0 = none.
func (s *State) Index() uint64 { return s.index }

// Gen is g, the cluster generation.
func (s *State) Gen() uint64 { return s.gen }

// Clock is the cluster time in nanoseconds.
func (s *State) Clock() int64 { return s.clock }

// Cluster is the cluster's UUID; empty before Bootstrap.
func (s *State) Cluster() string { return s.cluster }

// Settings are the replicated settings.
func (s *State) Settings() Settings { return s.settings }

// Lease is the arithmetic of the current TTL.
func (s *State) Lease() Lease { return s.settings.Lease() }

// WaitLease is the arithmetic of the larger TTL while a lowering is not retired. L1 and L3 use its Wait.
func (s *State) WaitLease() Lease {
	l := s.settings.Lease()
	l.TTL = max(l.TTL, s.retiring)
	return l
}

// Retiring is the larger, former TTL that is not yet retired; 0 = none.
func (s *State) Retiring() int64 { return s.retiring }

// Held reports whether the state is held after a Bump: nothing is placed and no stop is acknowledged until Released.
func (s *State) Held() bool { return s.held }

// Node is a member's record, or nil.
func (s *State) Node(n sup.NodeName) *Node {
	if m := s.member(n); m != nil {
		return m.node
	}
	return nil
}

func (s *State) member(n sup.NodeName) *member {
	if i, ok := s.memberAt(n); ok {
		return s.members[i]
	}
	return nil
}

func (s *State) memberAt(n sup.NodeName) (int, bool) {
	i := sort.Search(len(s.members), func(i int) bool { return s.members[i].node.Name >= n })
	return i, i < len(s.members) && s.members[i].node.Name == n
}

// Nodes yields the members by name.
func (s *State) Nodes() iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		for _, m := range s.members {
			if !yield(m.node) {
				return
			}
		}
	}
}

// Supervisor is a supervisor's record, or nil; a stopped one is still there for a while (S37).
func (s *State) Supervisor(n sup.Name) *Supervisor {
	if t := s.trees.get(n); t != nil {
		return t.head
	}
	return nil
}

// Supervisors yields the supervisors by creation, stopped ones too.
func (s *State) Supervisors() iter.Seq[*Supervisor] {
	return func(yield func(*Supervisor) bool) {
		for t := range s.trees.all() {
			if !yield(t.head) {
				return
			}
		}
	}
}

// Child is a child's record, or nil.
func (s *State) Child(k sup.Key) *Child {
	if t := s.trees.get(k.Supervisor); t != nil {
		return t.children.get(k.Child)
	}
	return nil
}

// On yields the slots that a node holds (Placed, Running or Stopping), in the order in which they were placed.
func (s *State) On(n sup.NodeName) iter.Seq[*Child] {
	if m := s.member(n); m != nil {
		return m.slots.all()
	}
	return func(func(*Child) bool) {}
}

// CountOn is the number of slots that a node holds.
func (s *State) CountOn(n sup.NodeName) int {
	if m := s.member(n); m != nil {
		return m.slots.len()
	}
	return 0
}

// CountOf is the number of slots of one supervisor that a node holds.
func (s *State) CountOf(of sup.Name, n sup.NodeName) int {
	if t := s.trees.get(of); t != nil {
		return t.onNode[n]
	}
	return 0
}

// Wanting yields the slots that want a node, oldest wish first. While the state is Held none of them is placed.
func (s *State) Wanting() iter.Seq[*Child] { return s.wanting.all() }

// WantingCount is the number of slots that want a node.
func (s *State) WantingCount() int { return s.wanting.len() }

// Rebalancing is the number of children that a Rebalance has yet to move.
func (s *State) Rebalancing() int { return s.aimed }

// Selector is the child's selector, else its supervisor's.
func (s *State) Selector(c *Child) sup.Selector {
	if c.Spec.Selector != nil {
		return *c.Spec.Selector
	}
	if t := s.trees.get(c.Key.Supervisor); t != nil {
		return t.head.selector()
	}
	return *sup.LocalFirst
}

// Home is the node through which a supervisor was started (S29).
func (s *State) Home(n sup.Name) sup.NodeName {
	if t := s.trees.get(n); t != nil {
		return t.head.Home
	}
	return ""
}

// Spread is the tag over whose values a supervisor spreads its children; empty = none (S29).
func (s *State) Spread(n sup.Name) string {
	if t := s.trees.get(n); t != nil {
		return t.head.Spec.Spread
	}
	return ""
}

// Cursor is the name that a supervisor's round_robin chose last (S29).
func (s *State) Cursor(n sup.Name) sup.NodeName {
	if t := s.trees.get(n); t != nil {
		return t.head.Cursor
	}
	return ""
}

// Outcome is what is known of a request by its key: how it ended, or that it is pending, or nothing.
func (s *State) Outcome(key string) (o *Outcome, pending, known bool) {
	r := s.requests.get(key)
	switch {
	case r == nil:
		return nil, false, false
	case r.Outcome == nil:
		return nil, true, true
	}
	return r.Outcome, false, true
}

// Claim is that of the Deliver which is pending under a key; 0 = none is.
func (s *State) Claim(key string) uint64 {
	if r := s.requests.delivering.get(key); r != nil {
		return r.Deliver.Claim
	}
	return 0
}

// Events are at most limit events with an id above since, oldest first, and the ids of the oldest and the newest event
// kept (newest+1 and newest when none is). When since+1 < oldest the answer has a gap: events_compacted.
func (s *State) Events(since uint64, limit int) (events []sup.Event, oldest, newest uint64) {
	return s.history.after(since, limit), s.history.oldest(), s.history.newest
}
