package fsm

import (
	"fmt"
	"slices"
	"strings"

	sup "github.com/supnode/supnode/supervisor"
)

// forgotten is what is kept of a node that was removed: its last session. An agent that comes back with it is known to have
// it from this cluster, not from another life of it.
type forgotten struct {
	Node    sup.NodeName `cbor:"1,keyasint"`
	Session sup.Session  `cbor:"2,keyasint"`
}

// forgetNode removes the record of an agent that is gone. It holds no slots: its session is over.
func (s *State) forgetNode(c *ForgetNode) Result {
	i, known := s.memberAt(c.Node)
	if !known {
		return refused(nodeNotFound(c.Node))
	}
	m := s.members[i]
	switch n := m.node; {
	case n.Voter:
		return refused(nodeInUse(c.Node, "it is one of cluster.servers, and the servers of a cluster stay"))
	case n.Live():
		return refused(nodeInUse(c.Node, fmt.Sprintf("it is %s: drain it, stop its process, and remove it when it has left", n.Status)))
	case m.slots.len() > 0:
		panic("fsm: slot guard: a node without a session holds slots")
	}
	if at, was := s.forgotAt(c.Node); was {
		s.forgot = slices.Delete(slices.Clone(s.forgot), at, at+1)
	}
	if len(s.forgot) >= MaxNodes {
		oldest := 0
		for k, f := range s.forgot {
			if f.Session.Less(s.forgot[oldest].Session) {
				oldest = k
			}
		}
		s.forgot = slices.Delete(slices.Clone(s.forgot), oldest, oldest+1)
	}
	at, _ := s.forgotAt(c.Node)
	s.forgot = slices.Insert(slices.Clone(s.forgot), at, forgotten{c.Node, m.node.Session})
	s.members = slices.Delete(slices.Clone(s.members), i, i+1)
	s.noteNode(c.Node)
	return Result{Status: OK, Outcome: &Outcome{Node: c.Node}}
}

// remember drops the word on a forgotten node: one of its name is a member again.
func (s *State) remember(n sup.NodeName) {
	if at, was := s.forgotAt(n); was {
		s.forgot = slices.Delete(slices.Clone(s.forgot), at, at+1)
	}
}

func (s *State) forgotAt(n sup.NodeName) (int, bool) {
	return slices.BinarySearchFunc(s.forgot, n, func(f forgotten, n sup.NodeName) int {
		return strings.Compare(string(f.Node), string(n))
	})
}

// Forgotten is the last session of a node that was removed; false when none of that name was.
func (s *State) Forgotten(n sup.NodeName) (sup.Session, bool) {
	if at, was := s.forgotAt(n); was {
		return s.forgot[at].Session, true
	}
	return sup.Session{}, false
}
