package leader

import (
	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// handover is the leader's wish to be led: its own node is drained.
type handover struct {
	asked Instant // when leadership was offered last
	once  bool    // it was
}

// offerAgain is how long a drained leader waits after an offer that came to nothing.
const offerAgain = 60e9

// mayDepart reports whether the children of a draining node may move now. Those of the leader's own node wait until another
// server leads, as long as that can be expected: a drained node does not lead when another server can.
func (m *Machine) mayDepart(n *fsm.Node) bool {
	if n.Name != m.cfg.Name || !n.Drained || n.Status != fsm.MemberDraining || n.Leaving() {
		return true
	}
	h := &m.handover
	to := m.successor()
	if to != "" && (!h.once || m.now >= h.asked+offerAgain) {
		*h = handover{asked: m.now, once: true}
		m.do(HandOver{To: to, Why: "this node is drained"})
	}
	patience := h.asked + m.st.Lease().TTL
	if to != "" && m.now < patience {
		m.moves.look(patience)
		return false
	}
	m.moves.look(m.now + m.st.Lease().H)
	return true
}

// successor is a server that could lead in place of this one: it is up, not drained, and heard of; by name.
func (m *Machine) successor() sup.NodeName {
	for n := range m.st.Nodes() {
		if n.Name != m.cfg.Name && n.Voter && n.Status == fsm.MemberUp && m.candidate(m.know(n)) {
			return n.Name
		}
	}
	return ""
}
