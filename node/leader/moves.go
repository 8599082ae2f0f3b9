package leader

import (
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// Bounds of the moves from one node at a time: the next one begins when the new incarnation of one before runs. Commands are
// processes, whose stops and starts take cores from each other: with a few at a time each is missing hardly longer than it
// takes alone, and all together take no longer. What runs inside supnode stops and starts at once: a whole entry of it moves
// together.
const (
	MaxCommandMoves = 4
	MaxMoves        = MaxCommands - 1 // and the Leave that they follow
)

// moveTurn is how long a move keeps its place: one that takes longer waits for something, a child that is slow to stop for
// instance, keeps no core busy meanwhile, and lets the next begin.
const moveTurn = 200e6

// moves is the work of moving children off draining nodes, and to where a Rebalance wants them. It is level-triggered: what
// is to be done is in the state, and another leader goes on with it; this only bounds how much is under way.
type moves struct {
	open   map[sup.Key]*move
	busy   map[sup.Name]int // how many of them a supervisor has
	of     map[sup.NodeName]*departure
	lookAt Instant // look at the nodes then
}

// move is one under way: from its Move until the next incarnation runs, or waits for a node, or there is none.
type move struct {
	from sup.NodeName
	inc  sup.Incarnation // the one that is stopped
	lane int
	at   Instant // of its Move's commit; never = not yet
	late bool    // it has no place any more
}

// The lanes of a departure.
const (
	laneCommands = iota
	laneOthers
	lanes
)

var laneWidth = [lanes]int{laneCommands: MaxCommandMoves, laneOthers: MaxMoves}

// A look at the children of a node that waits for some of them follows each change, while it has no more than lookFreely of
// them; each further one puts the next look off by lookPerChild. So the looks take a part of the leader's time at most.
const (
	lookFreely   = 1000
	lookPerChild = 1e3
)

// departure is what is known of a node whose children, or some of them, are to move.
type departure struct {
	todo  [lanes][]sup.Key // to be moved, as far as the last look knew
	open  [lanes]int       // moves under way
	next  Instant          // of the next look
	rest  Instant          // until which no change brings one about
	stays int              // children that nothing would move, by the last look
	waits int              // children that stop, or can't be moved yet
	told  uint64           // the stream on which the node was told to stop in place what stays; 0 = none
}

func newMoves() moves {
	return moves{open: map[sup.Key]*move{}, busy: map[sup.Name]int{}, of: map[sup.NodeName]*departure{}}
}

// look makes sure that the departures are looked at by at.
func (mv *moves) look(at Instant) { mv.lookAt = min(mv.lookAt, at) }

// moveChildren proposes what is to move next.
func (m *Machine) moveChildren() {
	mv := &m.moves
	if m.now < mv.lookAt {
		return
	}
	if mv.lookAt = never; m.st.Held() {
		mv.lookAt = m.now + m.st.Lease().H
		return
	}
	m.expireMoves()
	for n := range m.st.Nodes() {
		v := m.know(n)
		all := n.Status == fsm.MemberDraining || v.leaving
		if !v.live || v.down || !all && m.st.Rebalancing() == 0 || !m.mayDepart(n) {
			delete(mv.of, n.Name)
			continue
		}
		d := mv.of[n.Name]
		if d == nil {
			d = &departure{}
			for _, o := range mv.open { // any order: they are counted
				if o.from == n.Name && !o.late {
					d.open[o.lane]++
				}
			}
			mv.of[n.Name] = d
		}
		m.depart(v, d, all)
	}
}

// expireMoves lets moves that take long keep their places no longer. One that is not committed keeps it: a log that stalls
// must not have one child after another stopped whose next start it can't take.
func (m *Machine) expireMoves() {
	for _, o := range m.moves.open { // any order: each by itself
		switch {
		case o.late, o.at == never:
		case m.now < o.at+moveTurn:
			m.moves.look(o.at + moveTurn)
		default:
			m.leavePlace(o)
			o.late = true
		}
	}
}

// leavePlace lets another move begin.
func (m *Machine) leavePlace(o *move) {
	if d := m.moves.of[o.from]; d != nil && !o.late {
		d.open[o.lane]--
	}
}

// depart goes on with one node. all: every child is to go, else those that a Rebalance chose.
func (m *Machine) depart(v *member, d *departure, all bool) {
	if m.now >= d.next {
		m.listMoves(v, d, all)
	}
	m.moves.look(d.next)
	w := &entryPlan{m: m, classes: map[class]*choice{}}
	var stops []rpc.Stop
	for lane := range d.todo {
		for len(d.todo[lane]) > 0 && d.open[lane] < laneWidth[lane] {
			k := d.todo[lane][0]
			d.todo[lane] = d.todo[lane][1:]
			c := m.st.Child(k)
			if c == nil || c.Node != v.name || m.onItsWay(c) {
				continue
			}
			switch m.mobility(w, c, all) {
			case goes:
				m.begin(d, c)
				if c.Spec.Restart.OnNodeLoss() != sup.Remove { // a temporary one may run by the time of the commit: then it stays
					stops = append(stops, rpc.Stop{Session: v.session, Key: k, Inc: c.Inc, Timeout: int64(c.ShutdownTimeout()), Move: true})
				}
			case turnsBack:
				m.begin(d, c)
			case stays:
				d.stays++
			case waits:
				d.waits++
			}
		}
	}
	// That the node's children are to move is committed, or its own wish: it is told without waiting for the Moves' commit,
	// and what it reports then stands for them. Should it not hear, it is told as of any stop.
	for v.connected() && len(stops) > 0 {
		n := min(len(stops), rpc.MaxBatch)
		m.send(v.stream, rpc.ToAgent{Stops: stops[:n:n]})
		stops = stops[n:]
	}
	m.stopInPlace(v, d)
}

// listMoves lists what is to move from a node. What a former leader began to move takes its place like the others.
func (m *Machine) listMoves(v *member, d *departure, all bool) {
	d.next, d.rest = m.now+m.st.Lease().H, m.now+Instant(m.st.CountOn(v.name)-lookFreely)*lookPerChild
	d.todo, d.stays, d.waits = [lanes][]sup.Key{}, 0, 0
	for c := range m.st.On(v.name) {
		switch {
		case m.onItsWay(c):
		case c.Phase == fsm.Stopping && c.Why == fsm.WhyMove:
			m.open(d, c)
			m.moves.commit(c.Key, m.now)
		case !all && c.Toward == "":
		case c.Phase == fsm.Stopping:
			d.waits++
		default:
			d.todo[laneOf(c)] = append(d.todo[laneOf(c)], c.Key)
		}
	}
}

// onItsWay reports whether a child is being moved off its node. A move that brought it there is over: it goes on from here.
func (m *Machine) onItsWay(c *fsm.Child) bool {
	o := m.moves.open[c.Key]
	if o != nil && o.inc != c.Inc {
		m.endMove(c.Key)
		return false
	}
	return o != nil
}

func laneOf(c *fsm.Child) int {
	if c.Spec.Behavior == execBehavior {
		return laneCommands
	}
	return laneOthers
}

// verdict is what is to become of a child of a departing node.
type verdict uint8

const (
	goes      verdict = iota
	turnsBack         // the node that a Rebalance chose can't take it any more: Apply notes that
	stays             // nothing would move it: it runs where it is as long as its node does
	waits
)

// mobility says whether a child is to be moved now: when its supervisor lets it, and a node can take it that this leader
// would place it on. One for which there is none keeps running: a drain ends nothing that it cannot start elsewhere.
func (m *Machine) mobility(w *entryPlan, c *fsm.Child, all bool) verdict {
	switch may := m.st.Moves(c); {
	case may.Stays != "":
		return stays
	case !may.Now, m.moves.busy[c.Key.Supervisor] > 0 && m.st.Supervisor(c.Key.Supervisor).Spec.Strategy.InOrder():
		return waits
	}
	if !all {
		to := m.st.Node(c.Toward)
		switch {
		case to == nil || m.st.Ineligible(c, to) != "":
			return turnsBack
		case m.candidate(m.know(to)):
			return goes
		}
		return waits
	}
	t := m.targetOf(c)
	switch from := w.choiceFor(t); {
	case from.problem != nil, t.sel.Kind == sup.SelectCustom && !m.hasSelector(t.sel.Custom):
		return stays
	case len(from.eligible) == 0:
		return waits
	}
	return goes
}

// begin proposes the move of a child.
func (m *Machine) begin(d *departure, c *fsm.Child) {
	m.open(d, c)
	m.queues.own = append(m.queues.own, newItem(fsm.Command{Move: &fsm.Move{Key: c.Key, Inc: c.Inc}}, 0))
}

// open takes a place for the move of a child.
func (m *Machine) open(d *departure, c *fsm.Child) {
	mv, lane := &m.moves, laneOf(c)
	mv.open[c.Key] = &move{from: c.Node, inc: c.Inc, lane: lane, at: never}
	mv.busy[c.Key.Supervisor]++
	d.open[lane]++
}

// commit notes that the Move of a child is committed.
func (mv *moves) commit(k sup.Key, at Instant) {
	if o := mv.open[k]; o != nil && o.at == never {
		o.at = at
		mv.look(at + moveTurn)
	}
}

// endMove gives the place of a move to the next.
func (m *Machine) endMove(k sup.Key) {
	mv := &m.moves
	o := mv.open[k]
	if o == nil {
		return
	}
	delete(mv.open, k)
	if mv.busy[k.Supervisor]--; mv.busy[k.Supervisor] == 0 {
		delete(mv.busy, k.Supervisor)
	}
	m.leavePlace(o)
	mv.lookAt = m.now
}

// moved looks how far a move is, since its slot changed.
func (m *Machine) moved(k sup.Key) {
	o := m.moves.open[k]
	if o == nil {
		return
	}
	c := m.st.Child(k)
	if c == nil || c.Phase == fsm.Running && c.Inc != o.inc || c.Phase == fsm.Unplaced && (!c.Wants || c.PendingReason != "" || c.NotBefore > 0) {
		m.endMove(k)
	}
}

// arrives hears that the next incarnation of a moving child runs, or failed to: the entry that commits it begins the next
// move.
func (m *Machine) arrives(r *fsm.Report) {
	if o := m.moves.open[r.Key]; o != nil && r.Inc != o.inc && (r.Kind == fsm.ReportRunning || r.Kind == fsm.ReportInitFailed) {
		m.endMove(r.Key)
	}
}

// departuresWait looks again at the nodes of which something waits, after slots changed.
func (m *Machine) departuresWait() {
	for _, d := range m.moves.of { // any order: each is looked at by itself
		if d.waits > 0 {
			d.next = min(d.next, max(m.now, d.rest))
			m.moves.look(d.next)
		}
	}
}

// relook looks again at every departure: what is to be moved has changed.
func (m *Machine) relook() {
	for _, d := range m.moves.of { // any order: each is looked at by itself
		d.next = m.now
	}
	m.moves.lookAt = m.now
}

// stopInPlace tells a node that leaves to stop what nobody takes, once everything else has moved.
func (m *Machine) stopInPlace(v *member, d *departure) {
	if d.stays == 0 || d.waits > 0 || d.open != [lanes]int{} || v.stream == nil || d.told == v.stream.id || !m.st.Node(v.name).Leaving() {
		return
	}
	for _, todo := range d.todo {
		if len(todo) > 0 {
			return
		}
	}
	d.told = v.stream.id
	m.send(v.stream, rpc.ToAgent{Farewell: &rpc.Farewell{StopInPlace: "they are never started again, or no other node can take them"}})
}
