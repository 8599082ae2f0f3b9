package agent

import (
	"math"
	"slices"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// The bounds of a Machine.
const (
	maxChildren = 1 << 16          // incarnations held at once, and spawns kept until the first grant
	maxMarks    = 2 * maxChildren  // keys whose highest incarnation is remembered (A5); older ones fall below the floor
	maxReports  = 2 * maxMarks     // reports not yet acknowledged
	maxPending  = 128              // renewals not yet answered
	maxInFlight = 4 * rpc.MaxBatch // reports sent and not acknowledged at a time
	never       = Instant(math.MaxInt64)
)

// Config is what a Machine is told once: who it is, and what its files remember.
type Config struct {
	Node      sup.NodeName
	ID        string // UUID of its state.db
	Addr      string // host:port of the node port
	Admin     string
	Voter     bool
	Tags      []fsm.Tag    // sorted by key
	Behaviors []string     // sorted
	Level     uint64       // highest feature level of this binary
	Settings  fsm.Settings // as the config file has them; a cluster with others refuses the node
	Gen       uint64       // the highest generation remembered
	Seed      uint64       // of the nonces: random, another one for each process
	Mutant    Mutant       // for the simulation's proof only; empty in production
}

// Machine is the agent of one process: it holds the lease of a node and decides what may run under it (A1–A5, A7, P3).
// It is pure: the same events at the same instants give the same actions.
type Machine struct {
	cfg Config
	now Instant
	gen uint64 // the highest generation seen

	session  sup.Session // zero = none; a lapse makes it zero for good (A4)
	last     sup.Session // the newest one ever held by this process
	deadline Instant     // 0 = no grant of this session yet
	budget   int64       // F of the last grant
	ttl, h   int64       // of the last grant or welcome
	pending  []renewal   // oldest first
	seq      uint64
	renewAt  Instant

	stream  stream
	reign   reign
	attempt attempt
	nonces  uint64

	children map[sup.Key]*child
	phases   [phaseCount]int // how many children are in each
	fenced   int             // how many of them are of a session that is over
	exitAt   Instant         // when fenced ones end the process (A3)
	early    []rpc.Spawn     // came before the first grant
	marks    marks
	reports  reports

	leave leave
	over  bool

	actions []Action
	wakeAt  Instant // the earliest instant at which something is due
	asked   Instant // the Wake that is out

	lapses    uint64
	lapsedFor string
	refused   uint64
	minLeft   int64
}

// New makes the machine of a process that has just started: it holds no session and runs nothing.
func New(cfg Config) *Machine {
	l := cfg.Settings.Lease()
	return &Machine{
		cfg: cfg, gen: cfg.Gen, nonces: cfg.Seed,
		ttl: l.TTL, h: l.H, budget: l.Fence(),
		children: map[sup.Key]*child{}, marks: newMarks(), reports: newReports(),
		minLeft: never,
	}
}

// Step takes one event at the instant now, read by the driver just before the call, and says what to do, in order.
// It checks the fence before anything else (A3). After Exit, Left or Rejected it does nothing more.
func (m *Machine) Step(ev Event, now Instant) []Action {
	return m.StepAll([]Event{ev}, now)
}

// StepAll takes events that came together: what is to be said of them goes out together.
func (m *Machine) StepAll(evs []Event, now Instant) []Action {
	if m.over {
		return nil
	}
	m.now, m.actions, m.wakeAt = max(m.now, now), nil, never
	tick := slices.ContainsFunc(evs, func(ev Event) bool { _, tick := ev.(Tick); return tick })
	if tick || !m.mutant(FenceNotFirst) {
		m.fence()
	}
	for _, ev := range evs {
		if m.handle(ev); m.over {
			break
		}
	}
	if m.fenced > 0 && m.now >= m.exitAt && !m.over {
		m.end(Exit{Why: "children did not stop within the fence budget of a lease that is over"})
	}
	if !m.over {
		m.act()
	}
	if !m.over {
		m.leaving()
	}
	if !m.over && m.wakeAt != never && (m.wakeAt != m.asked || tick) {
		m.asked = m.wakeAt
		m.emit(Wake{At: m.wakeAt})
	}
	return m.actions
}

func (m *Machine) handle(ev Event) {
	switch ev := ev.(type) {
	case StreamUp:
		m.streamUp(ev.Stream)
	case StreamDown:
		m.streamDown(ev.Stream)
	case Received:
		m.received(ev.Stream, ev.Frame)
	case Started:
		m.started(ev)
	case Ended:
		m.ended(ev)
	case Hanging:
		m.hangs(ev)
	case GuardianLapsed:
		if ev.Session.IsZero() || ev.Session == m.session {
			m.lapse("the guardian's timer fired")
		}
	case GuardianLost:
		// Its children are placed anew, as one uncounted event (A6): a new session frees all slots at once.
		m.lapse("the guardian was lost")
	case Leave:
		m.depart(ev.By)
	case Tick:
	}
}

// act does whatever is due now, and finds when the next thing will be.
func (m *Machine) act() {
	if m.deadline != 0 && !m.mutant(NoSelfFence) {
		m.due(m.deadline)
	}
	if m.fenced > 0 {
		m.due(m.exitAt)
	}
	m.register()
	m.renew()
	m.flush()
	m.listen()
}

// due says that something is to be done at an instant that is still to come.
func (m *Machine) due(at Instant) { m.wakeAt = min(m.wakeAt, at) }

func (m *Machine) emit(a Action) { m.actions = append(m.actions, a) }

// end emits the last action.
func (m *Machine) end(a Action) {
	m.emit(a)
	m.over = true
}

// learn takes note of a generation. A newer one ends the session (A4).
func (m *Machine) learn(gen uint64) {
	if gen <= m.gen {
		return
	}
	if m.session.Gen < gen {
		m.lapse("the cluster has a newer generation")
	}
	m.gen = gen
	m.emit(Remember{Gen: gen})
}
