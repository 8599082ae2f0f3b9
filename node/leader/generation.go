package leader

import (
	"slices"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// generation is what the leader keeps of g (Restore and recovery).
type generation struct {
	seen     uint64 // the state's, as last looked at
	since    Instant
	wanted   uint64                // no grant and no welcome before the state has it; 0 = none
	told     map[sup.NodeName]bool // nodes that learned this generation from this leader
	proposed bool                  // a Released is on its way
}

// demandGeneration proposes a new generation when an agent has seen one that this state cannot have given it: the state
// was restored from a backup, or recovered from a server that lagged, and incarnations of its generation may exist that it
// knows nothing of.
//
// An equal generation alone says nothing, it is everyday life. It is foreign in two cases. The agent holds a session that
// this state never gave: sessions are told only after their commit, so a leader after its barrier knows every one. Or the
// state is Held: then nobody learned the generation but by a leader since the Bump, so an agent that neither registered in
// it nor heard of it from this leader has it from another life of the cluster. A mistake there (told by this leader's
// predecessor) costs one more wait in which nothing runs anyway.
func (m *Machine) demandGeneration(h *rpc.Hello) {
	g, want := m.st.Gen(), uint64(0)
	n := m.st.Node(h.Node)
	switch seen := max(h.Gen, h.Session.Gen); {
	case seen > g:
		want = seen + 1
	case seen < g:
	case !h.Session.IsZero() && (n == nil || n.Session.Less(h.Session)) && !m.forgotten(h):
		want = g + 1
	case m.st.Held() && !m.gen.told[h.Node] && (n == nil || n.Session.Gen < g):
		want = g + 1
	}
	if want > m.gen.wanted {
		m.gen.wanted = want
		m.queues.own = append(m.queues.own, newItem(fsm.Command{Bump: &fsm.Bump{Gen: want}}, 0))
	}
}

// forgotten reports whether an agent holds a session that this state gave to a node which was removed since.
func (m *Machine) forgotten(h *rpc.Hello) bool {
	last, was := m.st.Forgotten(h.Node)
	return was && !last.Less(h.Session)
}

// noteGeneration brings everything up to date when the state's generation has changed: every session is over.
func (m *Machine) noteGeneration() {
	if m.st.Gen() == m.gen.seen {
		return
	}
	m.gen.seen, m.gen.since, m.gen.told = m.st.Gen(), m.now, map[sup.NodeName]bool{}
	for n := range m.st.Nodes() {
		m.know(n)
	}
}

// bumped answers the Hellos that waited for a new generation.
func (m *Machine) bumped() {
	m.noteGeneration()
	for _, id := range m.waitingHellos() {
		if s := m.streams[id]; s != nil && s.hello != nil {
			m.welcome(s)
		}
	}
}

// waitingHellos are the streams whose Hello is not answered, by number.
func (m *Machine) waitingHellos() []uint64 {
	var ids []uint64
	for id, s := range m.streams { // any order: the result is sorted
		if s.hello != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// releaseHold ends the hold of a Bump once every lease that anyone may hold is over, whatever proof of death comes before:
// a proof would speak for the holder in the backup, not the true one.
func (m *Machine) releaseHold() {
	if m.st.Held() && !m.gen.proposed && m.now >= m.releaseAt() {
		m.gen.proposed = true
		m.queues.own = append(m.queues.own, newItem(fsm.Command{Released: &fsm.Released{Gen: m.st.Gen()}}, 0))
	}
}

func (m *Machine) releaseAt() Instant {
	if !m.st.Held() || m.gen.proposed {
		return never
	}
	if m.mutant("proof_after_restore") {
		return m.now
	}
	l := m.st.WaitLease()
	l.TTL = max(l.TTL, m.cfg.MaxTTL)
	return m.gen.since + l.Wait() + 1
}

// lowering is the watch over a lowered TTL: the former one counts until a leader has waited its W (protocol.md, Names).
type lowering struct {
	retiring, ttl int64
	since         Instant
	proposed      bool
}

func (m *Machine) noteLowering() {
	if r, ttl := m.st.Retiring(), m.st.Lease().TTL; r != m.lowering.retiring || ttl != m.lowering.ttl {
		m.lowering = lowering{retiring: r, ttl: ttl, since: m.now}
	}
}

func (m *Machine) retireAt() Instant {
	if m.lowering.retiring == 0 || m.lowering.proposed {
		return never
	}
	return m.lowering.since + m.st.WaitLease().Wait() + 1
}

// retireTTL proposes that the former TTL counts no more.
func (m *Machine) retireTTL() {
	if m.now >= m.retireAt() {
		m.lowering.proposed = true
		m.queues.own = append(m.queues.own, newItem(fsm.Command{TTLRetired: &fsm.TTLRetired{LeaseTTL: m.lowering.retiring}}, 0))
	}
}
