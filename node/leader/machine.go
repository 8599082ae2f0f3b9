package leader

import (
	"math"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// Bounds of a leadership.
const (
	// MaxInFlight is how many entries may be proposed and not yet applied. Whatever comes meanwhile is batched into the next.
	MaxInFlight = 4
	// MaxCommands bounds the commands of one entry.
	MaxCommands = 1024
	// MaxEntryBytes bounds one entry, by estimate; a single command may exceed it alone.
	MaxEntryBytes = 256 << 10
	// MaxPlacements bounds the placements of one entry.
	MaxPlacements = 4096
	// MaxRequests bounds the requests that wait to be proposed; more are answered busy.
	MaxRequests = 4096
	// MaxReports bounds the agents' reports that wait to be proposed; more are dropped, agents repeat them.
	MaxReports = 65536
)

// never is later than any instant.
const never Instant = math.MaxInt64

// Config is what a leader is told of itself.
type Config struct {
	Name sup.NodeName
	Term uint64
	// Draw draws for the selector random (S29); nil draws zeros.
	Draw func() uint64
	// HasSelector reports whether a custom selector can be asked; nil = none can.
	HasSelector func(name string) bool
	// MaxTTL is the largest lease TTL that any configuration of this cluster may have had, in ns; 0 = the state's own. A
	// restored state is held for its W: the holders of what a backup forgot may have leases of another TTL than the backup's.
	MaxTTL int64
	// Mutant takes out one clause of the protocol, for the simulation's proof only; empty in production.
	Mutant string
}

// Machine is the leader of one term. It is a pure function of its events, their instants and the replicated state, and
// has one owner.
type Machine struct {
	cfg   Config
	start Instant // the establishment (L3)
	clock int64   // cluster time at the establishment
	l3    Instant // nobody is declared dead by time-out before (L3)

	// Of the step in progress.
	now  Instant
	st   *fsm.State
	acts []Action

	begun, over bool
	wake        Instant // the last Wake; never = none
	streams     map[uint64]*stream
	members     map[sup.NodeName]*member

	log      inflight
	queues   queues
	grants   grants
	reads    []uint64 // reads that wait for an entry proposed after them (R1)
	placer   placer
	moves    moves
	handover handover
	orders   orders
	death    death
	gen      generation
	lowering lowering
}

// New is the leader of a term whose Establish was just applied to st, at now.
func New(cfg Config, now Instant, st *fsm.State) *Machine {
	m := &Machine{
		cfg: cfg, start: now, clock: st.Clock(), wake: never,
		streams: map[uint64]*stream{}, members: map[sup.NodeName]*member{},
		log: newInflight(now), queues: newQueues(), grants: newGrants(), placer: newPlacer(), moves: newMoves(), orders: newOrders(), death: newDeath(),
	}
	m.now, m.st = now, st
	m.l3 = now + m.wait()
	if m.mutant("no_l3") {
		m.l3 = now
	}
	m.gen = generation{seen: st.Gen(), since: now, told: map[sup.NodeName]bool{}}
	m.lowering = lowering{retiring: st.Retiring(), ttl: st.Lease().TTL, since: now}
	for n := range st.Nodes() {
		m.know(n)
	}
	m.placer.rescan = true
	m.placer.againAt = m.l3
	m.st = nil
	return m
}

// mutant reports whether the clause of that name is taken out.
func (m *Machine) mutant(name string) bool { return m.cfg.Mutant == name }

// wait is W: how long after the last grant a silent session is certainly over (L2).
func (m *Machine) wait() int64 {
	switch m.cfg.Mutant {
	case "no_wait":
		return 2 * m.st.Lease().H
	case "wait_one_short":
		return m.st.WaitLease().TTL
	case "smaller_wait":
		return m.st.Lease().Wait()
	}
	return m.st.WaitLease().Wait()
}

// Step takes one event at now. st is this replica's applied state, at least as new as every Committed delivered; Step
// only reads it.
func (m *Machine) Step(ev Event, now Instant, st *fsm.State) []Action {
	return m.StepAll([]Event{ev}, now, st)
}

// StepAll takes events that came together: what they ask is batched into one entry.
func (m *Machine) StepAll(evs []Event, now Instant, st *fsm.State) []Action {
	if m.over {
		return nil
	}
	m.now, m.st = now, st
	if !m.begun {
		m.begun = true
		m.probeSilent()
	}
	m.notePause()
	m.noteGeneration()
	m.noteLowering()
	for _, ev := range evs {
		if m.handle(ev); m.over {
			return m.take()
		}
	}
	m.timers()
	if !m.over {
		m.moveChildren()
		m.propose()
		m.sendOrders()
		m.setWake()
	}
	return m.take()
}

func (m *Machine) handle(ev Event) {
	switch ev := ev.(type) {
	case StreamUp:
		m.streams[ev.Stream] = &stream{id: ev.Stream}
	case StreamDown:
		m.streamDown(ev.Stream)
	case Received:
		m.received(ev.Stream, ev.Frame)
	case Asked:
		m.asked(ev)
	case ReadAsked:
		if m.mutant("read_without_index") {
			m.do(ReadReady{ID: ev.ID, Index: m.st.Index()})
			return
		}
		m.reads = append(m.reads, ev.ID)
	case Committed:
		m.committed(ev)
	case Failed:
		m.resign(Resign{Why: "proposal failed: " + ev.Why})
	case Probed:
		m.probed(ev)
	case Selected:
		m.selected(ev)
	case Tick:
	}
}

// timers does what is due at now.
func (m *Machine) timers() {
	if m.now >= m.wake {
		m.wake = never
	}
	m.stall()
	m.declareDead()
	m.probeAgain()
	m.repeatOrders()
	m.retireTTL()
	m.releaseHold()
	if m.now >= m.placer.againAt {
		m.placer.rescan, m.placer.againAt = true, never
	}
}

// setWake asks for a Tick when the next thing is due.
func (m *Machine) setWake() {
	at := min(m.grants.due(len(m.log.open)), m.death.next, m.death.probeAt, m.orders.repeatAt, m.placer.againAt, m.moves.lookAt,
		m.retireAt(), m.releaseAt(), m.stallAt())
	if at != never && at != m.wake {
		m.wake = at
		m.do(Wake{At: at})
	}
}

func (m *Machine) do(a Action) { m.acts = append(m.acts, a) }

func (m *Machine) take() []Action {
	acts := m.acts
	m.acts, m.st = nil, nil
	return acts
}

// resign ends the machine: the outcome of what it proposed is unknown, another leader sees to it (L4).
func (m *Machine) resign(r Resign) {
	m.over = true
	m.do(r)
}

// clusterTime is the cluster time at now: it runs with the leader's clock, from where the last leader left it.
func (m *Machine) clusterTime() int64 { return m.clock + m.now - m.start }

// instantOf is when the cluster time reaches t.
func (m *Machine) instantOf(t int64) Instant { return m.start + t - m.clock }

// Lease is until when the agent of a node may hold its lease, as far as this leader granted it; false when it granted none.
func (m *Machine) Lease(n sup.NodeName) (until Instant, ok bool) {
	v := m.members[n]
	if v == nil || !v.live || !v.granted {
		return 0, false
	}
	return v.lease, true
}

// NodeOf is the node whose agent is on a stream; false before its Hello.
func (m *Machine) NodeOf(id uint64) (n sup.NodeName, ok bool) {
	s := m.streams[id]
	if s == nil || s.node == "" {
		return "", false
	}
	return s.node, true
}
