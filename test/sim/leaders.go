package sim

import (
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/leader"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// leadership is one reign of a process: from its election, over the barrier, to the moment when it hears that it is over.
type leadership struct {
	w        *World
	p        *process
	term     uint64
	tail     []*proposal // the uncommitted end of its log
	deposed  bool        // in Raft's eyes
	over     bool        // its driver has ended
	barrier  *proposal
	shell    *leader.Machine // from the barrier on
	streams  map[uint64]*stream
	asks     map[uint64]*ask // requests not yet answered
	waits    map[string][]*ask
	queue    []leader.Event // waiting for the driver's next turn
	turning  bool
	wake     uint64
	dials    []*dial
	choosing map[sup.Name]bool // supervisors for which a custom selector is asked
}

// begin proposes the barrier; the first leader of a cluster's life puts the bootstrap before it.
func (l *leadership) begin() {
	if l.over {
		return
	}
	st := l.p.rep.state
	e := fsm.Entry{Clock: st.Clock(), Commands: []fsm.Command{{Establish: &fsm.Establish{Term: l.term, Leader: l.p.h.name}}}}
	if st.Cluster() == "" {
		boot := fsm.Command{Bootstrap: &fsm.Bootstrap{Cluster: "c", Settings: l.w.plan.Settings}}
		e.Commands = append([]fsm.Command{boot}, e.Commands...)
	}
	l.barrier = &proposal{data: l.w.encode(e), by: l}
	l.w.raft.append(l, l.barrier)
}

// applied hears what the process's own replica applied.
func (l *leadership) applied(e logEntry, a fsm.Applied) {
	if l.over {
		return
	}
	w := l.w
	for _, c := range a.Completed {
		for _, k := range l.waits[c.Key] {
			k.answer(outcomeOf(c.Outcome))
		}
		delete(l.waits, c.Key)
	}
	switch {
	case e.by != nil && e.by == l.barrier:
		l.p.post(w.upTo(2*millisecond), tagRaft, sourceRaft, l.establish)
	case e.by != nil && e.by.by == l && l.shell != nil:
		l.post(w.upTo(500*microsecond), leader.Committed{Proposal: e.by.number, Applied: a})
	}
}

// establish makes the machine, after the barrier.
func (l *leadership) establish() {
	if l.over {
		return
	}
	w := l.w
	l.streams, l.asks, l.waits, l.choosing = map[uint64]*stream{}, map[uint64]*ask{}, map[string][]*ask{}, map[sup.Name]bool{}
	l.shell = leader.New(leader.Config{
		Name: l.p.h.name, Term: l.term, Draw: w.rng.Uint64, MaxTTL: w.plan.longestTTL(), Mutant: w.mutant.leader(),
		HasSelector: func(name string) bool { return name == selector },
	}, l.p.h.local(), l.p.rep.state)
	w.tell("%s leads in term %d", l.p.h.name, l.term)
	l.event(leader.Tick{})
}

// post brings an event to the machine in order of what the log did.
func (l *leadership) post(d int64, ev leader.Event) {
	l.p.post(d, tagRaft, sourceRaft, func() { l.event(ev) })
}

// event queues an event for the driver's next turn: what comes together is stepped together.
func (l *leadership) event(ev leader.Event) {
	if l.over || l.shell == nil {
		return
	}
	l.queue = append(l.queue, ev)
	if l.turning {
		return
	}
	l.turning = true
	l.p.post(l.w.upTo(l.w.plan.Busy), tagRaft, sourceRaft, func() {
		l.turning = false
		l.turn()
	})
}

func (l *leadership) turn() {
	if l.over || len(l.queue) == 0 {
		return
	}
	evs := l.queue
	l.queue = nil
	for _, ev := range evs {
		if r, ok := ev.(leader.Received); ok && r.Frame.Hello != nil {
			r.Frame.Hello.Settings = l.p.rep.state.Settings() // the operator keeps the files as the cluster is set
		}
	}
	acts := l.shell.StepAll(evs, l.p.h.local(), l.p.rep.state)
	if l.w.tracing() {
		for _, ev := range evs {
			if _, tick := ev.(leader.Tick); !tick {
				l.w.tell("%s leader <- %s", l.p.h.name, show(ev))
			}
		}
	}
	for _, act := range acts {
		l.do(act)
		if l.over {
			return
		}
	}
}

func (l *leadership) do(act leader.Action) {
	w := l.w
	if w.tracing() {
		if _, wake := act.(leader.Wake); !wake {
			w.tell("%s leader -> %s", l.p.h.name, show(act))
		}
	}
	switch act := act.(type) {
	case leader.Propose:
		w.raft.append(l, &proposal{data: w.encode(act.Entry), by: l, number: act.Proposal})
	case leader.Send:
		if len(act.Frame.Spawns) > rpc.MaxBatch || len(act.Frame.Stops) > rpc.MaxBatch || len(act.Frame.Acks) > rpc.MaxBatch {
			w.fail("bound", "%s sends too much in a frame", l.p.h.name)
		}
		if w.mutant.is("stops_at_once") {
			act.Frame.Stops = allAtOnce(l.p.rep.state, act.Frame.Stops)
		}
		if w.mutant.is("levels_at_once") {
			act.Frame.Stops = levelsAtOnce(l.p.rep.state, act.Frame.Stops)
		}
		for _, s := range act.Frame.Stops {
			if s.Move {
				w.ledger.moves(s.Key, s.Inc)
			}
		}
		if s := l.streams[act.Stream]; s != nil {
			s.order(act.Frame)
		}
	case leader.CloseStream:
		if s := l.streams[act.Stream]; s != nil {
			delete(l.streams, act.Stream)
			s.leaderUp, s.leadSaw = false, true
			s.end()
			s.toAgent.send(0, func() { s.agentLearns(0) })
		}
	case leader.Answer:
		if k := l.asks[act.ID]; k != nil {
			delete(l.asks, act.ID)
			if act.Result.Status == fsm.Pending {
				l.await(k)
			} else {
				k.answer(act.Result)
			}
		}
	case leader.ReadReady:
		if k := l.asks[act.ID]; k != nil {
			delete(l.asks, act.ID)
			k.read(act.Index)
		}
	case leader.Probe:
		l.dials = append(l.dials, newDial(l, act))
	case leader.ProbeStop:
		for _, d := range l.dials {
			if d.Node == act.Node && d.Session == act.Session {
				d.over = true
			}
		}
	case leader.Transfer:
		if w.plan.Voters == 1 { // it goes on, there is nobody else
			return
		}
		if l.deposed || !w.raft.electAny(l.p) {
			l.p.h.kill(w.between(100*millisecond, 500*millisecond))
		}
	case leader.HandOver:
		if !l.deposed {
			w.raft.electTo(act.To)
		}
	case leader.Resign:
		l.end(act.Why)
		if !l.deposed {
			w.after(w.upTo(20*millisecond), tagRaft, func() {
				if !l.deposed {
					w.raft.electAny(nil)
				}
			})
		}
	case leader.Select:
		l.choose(act)
	case leader.Wake:
		l.wake++
		mine := l.wake
		h := l.p.h
		d := max(0, h.clock.when(act.At)-w.now) + w.late()
		l.p.post(d, tagWake, sourceTimer, func() {
			if l.wake == mine {
				l.event(leader.Tick{})
			}
		})
	}
}

// await keeps a request whose outcome is pending until some entry completes it. It may have been completed meanwhile:
// the state is ahead of what the machine was told.
func (l *leadership) await(k *ask) {
	o, pending, known := l.p.rep.state.Outcome(k.key)
	switch {
	case !known:
		k.lost()
	case pending:
		l.waits[k.key] = append(l.waits[k.key], k)
	default:
		k.answer(outcomeOf(o))
	}
}

func outcomeOf(o *fsm.Outcome) fsm.Result {
	if o.Problem != nil {
		return fsm.Result{Status: fsm.Refused, Outcome: o, Problem: o.Problem}
	}
	return fsm.Result{Status: fsm.OK, Outcome: o}
}

// hears is the process learning from Raft that it leads no more.
func (l *leadership) hears() {
	if l.over {
		return
	}
	if l.shell != nil && l.w.percent(50) {
		l.queue = append(l.queue, leader.Failed{Why: "leadership lost"})
		l.turn()
	}
	l.end("leadership lost")
}

// end drops the machine and all that hangs on it.
func (l *leadership) end(why string) {
	if l.over {
		return
	}
	w := l.w
	l.over = true
	w.tell("%s leads no more (term %d): %s", l.p.h.name, l.term, why)
	for _, s := range append([]*stream(nil), w.net.streams...) {
		if s.leader == l {
			s.leadSaw = true
			if s.leaderUp {
				s.leaderUp = false
			}
			s.end()
			s.agentLearns(w.net.delay())
		}
	}
	l.die()
}

// die is the end of a leadership with its process: nobody is told.
func (l *leadership) die() {
	l.over = true
	for _, d := range l.dials {
		d.over = true
	}
	if l.p.lead == l {
		l.p.lead = nil
	}
}

// operate carries an operator's command to the machine; nobody waits for its answer.
func (l *leadership) operate(c fsm.Command) { l.event(leader.Asked{ID: l.w.id(), Command: c}) }

func (l *leadership) up(s *stream) {
	if l.over || l.shell == nil {
		return
	}
	l.streams[s.id] = s
	l.event(leader.StreamUp{Stream: s.id})
}

func (l *leadership) down(s *stream) {
	delete(l.streams, s.id)
	l.event(leader.StreamDown{Stream: s.id})
}

func (l *leadership) received(stream uint64, f rpc.FromAgent) {
	l.event(leader.Received{Stream: stream, Frame: f})
}

// dial is a probe under way (P2).
type dial struct {
	leader.Probe
	l    *leadership
	over bool
}

func newDial(l *leadership, p leader.Probe) *dial {
	d := &dial{Probe: p, l: l}
	d.try()
	return d
}

// again re-dials a held connection after it was reset.
func (d *dial) again() { d.l.w.after(d.l.w.upTo(millisecond), tagProbe, d.try) }

// try dials: refused if nothing listens, held if something does, no answer otherwise.
func (d *dial) try() {
	w := d.l.w
	if d.over || d.l.over {
		return
	}
	var to *host
	for _, h := range w.hosts {
		if h.name == d.Node {
			to = h
		}
	}
	w.after(w.net.delay(), tagProbe, func() {
		switch {
		case d.over || d.l.over:
		case !w.net.joined(d.l.p.h, to):
			d.over = true
			d.l.post(w.between(100*millisecond, 400*millisecond), leader.Probed{Node: d.Node, Session: d.Session})
		case to.refuses():
			d.over = true
			d.l.p.post(w.net.delay()+w.upTo(w.plan.Answers), tagRaft, sourceRaft, func() { d.l.event(d.refused()) })
		default:
			to.dials = append(to.dials, d)
		}
	})
}

// refused is the proof: for the session that was read before the dial.
func (d *dial) refused() leader.Probed {
	p := leader.Probed{Node: d.Node, Session: d.Session, Refused: true}
	if d.l.w.mutant.is("probe_any_session") {
		p.Session = d.l.p.rep.state.Node(d.Node).Session
	}
	return p
}
