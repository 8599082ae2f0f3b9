package leader

import (
	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// proposal is an entry that is proposed and not yet applied.
type proposal struct {
	id       uint64
	at       Instant
	items    []*item
	placed   []fsm.Placement
	untaken  []sup.Key // slots of its Unplaced
	renewals []renewal
	reads    []uint64
}

// inflight are the proposals under way, oldest first, and the watch over their progress (L6).
type inflight struct {
	last     uint64 // the last proposal's number
	open     []*proposal
	progress Instant // of the last commit
	stalled  Instant // when the transfer was asked for; never = not
}

func newInflight(now Instant) inflight { return inflight{progress: now, stalled: never} }

// propose sends entries on their way as long as there is something to decide and room. What comes while MaxInFlight are
// under way is batched.
func (m *Machine) propose() {
	for len(m.log.open) < MaxInFlight {
		p, e := m.gather()
		if p == nil {
			return
		}
		m.log.last++
		p.id, p.at = m.log.last, m.now
		m.log.open = append(m.log.open, p)
		m.do(Propose{Proposal: p.id, Entry: e})
	}
}

// gather makes the next entry: the commands that wait with the placements for what they will start, then the placements
// of slots that want a node already. Renewals and reads ride with it; when they are due and there is nothing else, it is a
// Tick (L1, R1).
func (m *Machine) gather() (*proposal, fsm.Entry) {
	items, size := m.queues.take()
	e := fsm.Entry{Clock: m.clusterTime()}
	for _, it := range items {
		m.planRebalance(it)
		e.Commands = append(e.Commands, it.cmd)
	}
	p := &proposal{items: items}
	m.plan(p, &e, size)
	if len(e.Commands)+len(e.Placements)+len(e.Unplaced) == 0 {
		if len(m.reads) == 0 && m.now < m.grants.tickAt {
			return nil, e
		}
		e.Commands = []fsm.Command{{Tick: &fsm.Tick{}}}
	}
	p.renewals = m.grants.ride()
	p.reads, m.reads = m.reads, nil
	return p, e
}

// committed acts on what a proposal's entry did.
func (m *Machine) committed(ev Committed) {
	p := m.close(ev.Proposal)
	if p == nil {
		return
	}
	m.log.progress, m.log.stalled = m.now, never
	var done acks
	for i, it := range p.items {
		var res fsm.Result
		if i < len(ev.Applied.Results) {
			res = ev.Applied.Results[i]
		}
		m.finished(it, res, &done)
	}
	m.sendAcks(&done)
	for _, name := range ev.Applied.Nodes {
		if n := m.st.Node(name); n != nil {
			m.know(n)
			m.placer.rescan = true
		}
		m.moves.lookAt = m.now
	}
	m.answerRenewals(p.renewals)
	for _, id := range p.reads {
		m.do(ReadReady{ID: id, Index: ev.Applied.Index})
	}
	m.landed(p)
	for _, k := range ev.Applied.Changed {
		m.order(k)
		m.wish(k)
		m.moved(k)
	}
	if len(ev.Applied.Changed) > 0 {
		m.departuresWait()
	}
}

// planRebalance gives a Rebalance the moves that the state asks for now: whoever asks for one only says how many.
func (m *Machine) planRebalance(it *item) {
	c := it.cmd.Rebalance
	if c == nil {
		return
	}
	limit := fsm.MaxMoves
	if c.Max > 0 {
		limit = min(limit, c.Max)
	}
	it.cmd.Rebalance = &fsm.Rebalance{Max: c.Max, Moves: m.st.PlanRebalance(limit)}
}

func (m *Machine) close(id uint64) *proposal {
	for i, p := range m.log.open {
		if p.id == id {
			m.log.open = append(m.log.open[:i:i], m.log.open[i+1:]...)
			return p
		}
	}
	return nil
}

// finished answers a command by its result.
func (m *Machine) finished(it *item, res fsm.Result, done *acks) {
	switch c := &it.cmd; {
	case it.asked:
		m.do(Answer{ID: it.id, Result: res})
		if c.Rebalance != nil {
			m.relook()
		}
	case c.Move != nil:
		if res.Status == fsm.OK {
			m.moves.commit(c.Move.Key, m.now)
		} else {
			m.endMove(c.Move.Key)
			m.relook()
		}
	case c.Report != nil:
		delete(m.queues.reported, idOf(c.Report))
		m.confirm(c.Report)
		done.add(it.stream, c.Report)
	case c.Register != nil:
		m.registered(it, res)
	case c.Leave != nil:
		if v := m.members[c.Leave.Node]; v != nil && v.session == c.Leave.Session {
			v.leaving = false // from here on its record says so
		}
	case c.Left != nil:
		m.left(c.Left)
	case c.Bump != nil:
		m.bumped()
	case c.TTLRetired != nil:
		m.lowering.proposed = false
	case c.Released != nil:
		m.gen.proposed = false
	}
}

// stall gives leadership up when nothing commits for T_stall although something is proposed (L6).
func (m *Machine) stall() {
	if len(m.log.open) == 0 || m.now < m.stallAt() {
		return
	}
	if m.log.stalled == never {
		m.log.stalled = m.now
		m.do(Transfer{Why: "no entry was committed for the stall time-out"})
		return
	}
	m.resign(Resign{Why: "nothing commits and leadership was not taken over", Stalled: true})
}

func (m *Machine) stallAt() Instant {
	if len(m.log.open) == 0 {
		return never
	}
	since := max(m.log.progress, m.log.open[0].at)
	if m.log.stalled != never {
		since = m.log.stalled
	}
	return since + m.st.Lease().Stall()
}

// notePause forgives the log a pause of this process: it was not the log that stalled.
func (m *Machine) notePause() {
	if late := m.st.Lease().Stall() / 2; m.wake != never && m.now > m.wake+late && m.log.stalled == never {
		m.log.progress = max(m.log.progress, m.now-late)
	}
}
