package sim

import (
	"bytes"
	"strings"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/leader"
)

// replica is one server's copy of the state, in its process's memory.
type replica struct {
	w     *World
	p     *process
	state *fsm.State
	epoch int
	pos   int // entries of the epoch that it has applied
	due   bool
}

func newReplica(p *process) *replica { return &replica{w: p.h.w, p: p, state: fsm.New()} }

// snapshotEvery is how many entries lie between two snapshots, and hashEvery between two comparisons of replicas.
const (
	snapshotEvery = 60
	hashEvery     = 19
	maxBackups    = 8
)

// join gives a new process its replica: some snapshot of the epoch, or none, and the log from there.
func (r *raftLog) join(rep *replica) {
	rep.epoch = r.epoch
	var can []backup
	for _, b := range r.snaps {
		if b.epoch == r.epoch {
			can = append(can, b)
		}
	}
	if len(can) > 0 && (r.epoch > 0 || r.w.percent(80)) {
		rep.load(pick(r.w, can))
	}
	r.reps = append(r.reps, rep)
	r.catchUp(rep)
}

// load replaces the state by a snapshot's.
func (rep *replica) load(b backup) {
	s, err := fsm.Restore(bytes.NewReader(b.data))
	if err != nil {
		rep.w.fail("snapshot", "restore: %v", err)
	}
	if again := image(rep.w, s); !bytes.Equal(again, b.data) {
		rep.w.fail("snapshot", "a restored state has another image")
	}
	rep.state, rep.epoch, rep.pos = s, b.epoch, b.pos
}

func image(w *World, s *fsm.State) []byte {
	var b bytes.Buffer
	if _, err := s.Capture().WriteTo(&b); err != nil {
		w.fail("snapshot", "write: %v", err)
	}
	return b.Bytes()
}

// catchUp lets a replica apply what is committed, when it hears of it.
func (r *raftLog) catchUp(rep *replica) {
	if rep.due || rep.p.dead {
		return
	}
	rep.due = true
	w := r.w
	d := w.upTo(w.plan.Lag)
	if rep.leads() {
		d = w.upTo(millisecond)
	}
	rep.p.post(d, tagApply, sourceRaft, func() {
		rep.due = false
		if !rep.leads() && (r.chief == nil || r.chief.p.dead || !w.net.joined(rep.p.h, r.chief.p.h)) {
			rep.due = true
			w.after(20*millisecond, tagApply, func() { rep.due = false; r.catchUp(rep) })
			return
		}
		if b := r.snaps; len(b) > 0 && !rep.leads() && w.percent(20) {
			if b := b[len(b)-1]; b.epoch == r.epoch && b.pos > rep.pos { // too far behind: it is sent a snapshot
				rep.load(b)
			}
		}
		for rep.epoch == r.epoch && rep.pos < len(r.entries) && !rep.p.dead {
			rep.apply(r.entries[rep.pos])
		}
	})
}

func (rep *replica) leads() bool { c := rep.w.raft.chief; return c != nil && c.p == rep.p }

// leave drops the replica of a dead process.
func (r *raftLog) leave(rep *replica) {
	for i, o := range r.reps {
		if o == rep {
			r.reps = append(r.reps[:i:i], r.reps[i+1:]...)
			return
		}
	}
}

// apply is one entry on one replica: decoded for itself, checked, and compared with the others' (I9).
func (rep *replica) apply(e logEntry) {
	w := rep.w
	r := &w.raft
	rep.pos++
	if e.data == nil {
		return
	}
	entry, err := fsm.Decode(e.data)
	if err != nil {
		w.fail("codec", "%v", err)
	}
	entry = w.mutant.entry(rep.state, entry)
	if w.mutant.is("own_clock") {
		entry.Wall += rep.p.h.local()
	}
	a := rep.state.Apply(e.index, entry)
	if err := rep.state.Check(); err != nil {
		w.fail("Check", "%s after index %d: %v", rep.p.h.name, e.index, err)
	}
	if rep.pos > r.seen {
		r.seen, r.current = rep.pos, rep.state.WaitLease()
		w.witness(rep.state, entry, a)
		w.ledger.watchWindows(rep.state, a)
	}
	if rep.pos%hashEvery == 0 {
		sum := digest(image(w, rep.state))
		was, known := r.hashes[rep.pos]
		if known && was != sum {
			w.fail("I9", "%s at index %d differs from the others", rep.p.h.name, e.index)
		}
		if !known {
			r.hashes[rep.pos] = sum
			w.trace.num(sum)
		}
	}
	if last := len(r.snaps) - 1; rep.pos%snapshotEvery == 0 && (last < 0 || r.snaps[last].epoch < r.epoch || r.snaps[last].pos < rep.pos) {
		r.snaps = append(r.snaps, backup{r.epoch, rep.pos, e.index, rep.state.Gen(), image(w, rep.state)})
		if len(r.snaps) > maxBackups {
			r.snaps = append(r.snaps[:1:1], r.snaps[2:]...)
		}
	}
	if rep.p.lead != nil {
		rep.p.lead.applied(e, a)
	}
}

// witness counts what an entry did, the first time that a replica applies it.
func (w *World) witness(st *fsm.State, e fsm.Entry, a fsm.Applied) {
	for i, c := range e.Commands {
		// After a restore it may be a request that the backup knows.
		if w.raft.epoch == 0 && c.StartChild != nil && c.Request != nil && a.Results[i].Problem == nil && a.Results[i].Status != fsm.Stale {
			if k := w.ledger.starts[c.Request.Key]; k != nil && !k.place.known {
				k.place = place{known: true, epoch: w.raft.epoch, index: a.Index, nth: i}
			}
		}
		if a.Results[i].Status != fsm.OK {
			continue
		}
		switch {
		case c.NodeDown != nil:
			w.stats.NodeDowns++
			if strings.HasSuffix(c.NodeDown.Why, leader.WhyLeaseOver) {
				w.ledger.expired(c.NodeDown.Session)
			}
			w.tell("index %d: %s down, session %s: %s", a.Index, c.NodeDown.Node, c.NodeDown.Session, c.NodeDown.Why)
		case c.Register != nil:
			w.tell("index %d: %s registered, session %s", a.Index, c.Register.Node, a.Results[i].Session)
		case c.Move != nil:
			w.ledger.moves(c.Move.Key, c.Move.Inc)
		case c.Report != nil: // it may have overtaken its Move
			if slot := st.Child(c.Report.Key); slot != nil && slot.Why == fsm.WhyMove {
				w.ledger.moves(c.Report.Key, c.Report.Inc)
			}
		case c.Leave != nil:
			w.ledger.leaving[c.Leave.Session] = true
		case c.Establish != nil:
			for h := range st.Supervisors() {
				if h.Op != nil && h.Spec.Strategy.InOrder() {
					w.stats.Resumed++
				}
			}
			w.tell("index %d: %s established in term %d", a.Index, c.Establish.Leader, c.Establish.Term)
		}
	}
}
