package sim

import (
	"bytes"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// raftLog is not Raft but its contract: terms with one leader each, a log that only grows, commits by a majority, followers
// that lag, and a deposed leader that may go on believing. What it proposed last may or may not be committed by the next.
type raftLog struct {
	w       *World
	epoch   int // of the log: +1 at every restore from a backup
	index   uint64
	entries []logEntry // committed, since the newest restore
	snaps   []backup   // of every epoch, oldest first; the last may be one of this epoch's
	term    uint64
	chief   *leadership // whom a majority follows, or followed last
	tails   [][]*proposal
	reps    []*replica
	good    int64 // true time at which the chief was last seen to lead
	patient int64 // how long until the next election
	hashes  map[int]uint64
	seen    int       // entries that some replica has applied
	current fsm.Lease // as of the newest committed settings
}

// logEntry is committed.
type logEntry struct {
	index uint64
	data  []byte // nil: Raft's own
	by    *proposal
}

// proposal is an entry in a leader's log that is not known to be committed.
type proposal struct {
	data   []byte
	by     *leadership
	number uint64 // the leader machine's
	ready  int64  // true time at which a majority has it, if there is one
}

// backup is a real snapshot of the state.
type backup struct {
	epoch, pos int
	index      uint64
	gen        uint64
	data       []byte
}

// maxTails bounds the uncommitted ends of the log that lost elections leave behind.
const maxTails = 3

func (r *raftLog) begin(w *World) {
	r.w, r.hashes, r.current = w, map[int]uint64{}, w.plan.Settings.Lease()
	r.patient = 150 * millisecond
	w.every(20*millisecond, tagRaft, func() bool { r.watch(); return true })
}

// lease is the arithmetic of the settings in force.
func (r *raftLog) lease() fsm.Lease {
	if r.current.TTL == 0 {
		return r.w.plan.Settings.Lease()
	}
	return r.current
}

// voters counts the hosts with a replica.
func (r *raftLog) voters() (n int) {
	for _, h := range r.w.hosts {
		if h.voter {
			n++
		}
	}
	return n
}

// majority reports whether a process could lead: it runs, and with it a majority that it reaches both ways.
func (r *raftLog) majority(p *process) bool {
	if p == nil || p.dead || p.paused || !p.listening {
		return false
	}
	n := 0
	for _, h := range r.w.hosts {
		q := h.proc
		if h.voter && q != nil && !q.paused && q.listening && (q == p || r.w.net.joined(p.h, h)) {
			n++
		}
	}
	return 2*n > r.voters()
}

// watch is everybody's election time-out.
func (r *raftLog) watch() {
	w := r.w
	if r.chief != nil && !r.chief.deposed && r.majority(r.chief.p) {
		r.good = w.now
		return
	}
	if r.chief != nil && !r.chief.deposed && !r.chief.p.dead && w.now-r.good > r.lease().RaftTimeout() {
		r.depose(r.chief)
	}
	// Raft waits for its time-out; servers that find the leader's process gone often do not (succession).
	hastened := r.chief != nil && !r.chief.deposed && r.chief.p.dead && w.percent(20)
	if w.now-r.good < r.patient && !hastened {
		return
	}
	if r.electAny(nil) {
		r.good = w.now
	}
	r.patient = w.between(r.lease().RaftTimeout(), r.lease().Election())
}

// electAny lets any process that can lead do so, but not.
func (r *raftLog) electAny(not *process) bool {
	var can []*process
	for _, h := range r.w.hosts {
		if h.voter && h.proc != not && r.majority(h.proc) {
			can = append(can, h.proc)
		}
	}
	if len(can) == 0 {
		return false
	}
	r.elect(pick(r.w, can))
	return true
}

// electTo hands leadership to a process, if it can lead.
func (r *raftLog) electTo(name sup.NodeName) {
	for _, h := range r.w.hosts {
		if h.voter && h.name == name && r.majority(h.proc) {
			r.elect(h.proc)
			return
		}
	}
}

// depose ends a leadership in Raft's eyes. Its process hears of it when it hears of it.
func (r *raftLog) depose(l *leadership) {
	if l.deposed {
		return
	}
	l.deposed = true
	if len(l.tail) > 0 {
		r.tails = append(r.tails, l.tail)
		if len(r.tails) > maxTails {
			r.tails = r.tails[1:]
		}
		l.tail = nil
	}
	w := r.w
	if !l.p.dead {
		l.p.post(w.upTo(w.plan.Belief), tagRaft, sourceRaft, l.hears)
	}
}

// elect makes a process the leader of a new term. Its log ends with some uncommitted end of a former leader's, or none.
func (r *raftLog) elect(p *process) {
	w := r.w
	if r.chief != nil {
		r.depose(r.chief)
	}
	if p.lead != nil {
		p.lead.hears()
	}
	r.term++
	w.stats.Elections++
	l := &leadership{w: w, p: p, term: r.term}
	if n := len(r.tails); n > 0 && w.percent(80) {
		if t := r.tails[w.rng.IntN(n)]; len(t) > 0 {
			l.tail = append(l.tail, t[:w.rng.IntN(len(t)+1)]...)
		}
	}
	w.tell("%s is elected for term %d, inherits %d", p.h.name, l.term, len(l.tail))
	for _, q := range l.tail {
		q.ready = w.now
	}
	p.lead, r.chief, r.good = l, l, w.now
	r.append(l, &proposal{by: l})
	p.post(w.upTo(5*millisecond), tagRaft, sourceRaft, l.begin)
}

// append puts a proposal at the end of a leader's log. A deposed leader's reaches nobody.
func (r *raftLog) append(l *leadership, p *proposal) {
	if l.deposed || l.p.dead {
		return
	}
	w := r.w
	p.ready = w.now + w.between(500*microsecond, w.plan.Commit)
	if w.percent(w.plan.Spike) {
		p.ready += w.upTo(50 * millisecond)
	}
	l.tail = append(l.tail, p)
	w.at(p.ready, tagRaft, func() { r.pump(l) })
}

// pump commits what a majority has.
func (r *raftLog) pump(l *leadership) {
	if l != r.chief || l.deposed || l.p.dead || len(l.tail) == 0 {
		return
	}
	w := r.w
	if !r.majority(l.p) {
		w.after(10*millisecond, tagRaft, func() { r.pump(l) })
		return
	}
	for len(l.tail) > 0 && l.tail[0].ready <= w.now {
		p := l.tail[0]
		l.tail = l.tail[1:]
		r.commit(p)
	}
}

// commit makes a proposal part of the log for ever. Ends that continue otherwise are void.
func (r *raftLog) commit(p *proposal) {
	w := r.w
	var keep [][]*proposal
	for _, t := range r.tails {
		if len(t) > 1 && t[0] == p {
			keep = append(keep, t[1:])
		}
	}
	r.tails = keep
	r.push(p)
	if w.percent(w.plan.AtCommit) && !w.calm {
		w.stats.Faults[faultElect]++
		w.after(w.upTo(3*millisecond), tagFault, func() { r.electAny(nil) })
	}
}

func (r *raftLog) push(p *proposal) {
	r.index++
	if r.w.percent(2) {
		r.index += uint64(r.w.rng.IntN(5))
	}
	r.entries = append(r.entries, logEntry{r.index, p.data, p})
	r.w.stats.Commits++
	for _, rep := range r.reps {
		r.catchUp(rep)
	}
}

// restore replaces the state of all servers by an old backup; the first entry then raises the generation.
func (r *raftLog) restore(b backup) {
	w := r.w
	w.tell("restore of epoch %d index %d", b.epoch, b.index)
	w.stats.Restores++
	if r.chief != nil {
		r.depose(r.chief)
	}
	restart := w.percent(50)
	for _, h := range w.hosts {
		if p := h.proc; h.voter && p != nil && (restart || p.paused || len(p.backlog) > 0) {
			h.kill(w.between(100*millisecond, 600*millisecond))
		} else if h.voter && p != nil && p.lead != nil {
			p.lead.hears()
		}
	}
	r.epoch++
	r.entries, r.tails, r.chief, r.hashes, r.seen = nil, nil, nil, map[int]uint64{}, 0
	if w.percent(50) || r.index < b.index {
		r.index = b.index + w.rng.Uint64N(50)
	}
	r.snaps = append(r.snaps, backup{epoch: r.epoch, index: r.index, gen: b.gen, data: b.data})
	for _, rep := range r.reps {
		rep.load(r.snaps[len(r.snaps)-1])
	}
	w.ledger.restored(b)
	st, err := fsm.Restore(bytes.NewReader(b.data))
	if err != nil {
		w.fail("snapshot", "restore: %v", err)
	}
	w.ledger.windows.restored(b, st)
	if !w.mutant.is("restore_without_bump") {
		r.push(&proposal{data: w.encode(fsm.Entry{Commands: []fsm.Command{{Bump: &fsm.Bump{Gen: b.gen + 1}}}})})
	}
}

// encode puts an entry into its envelope.
func (w *World) encode(e fsm.Entry) []byte {
	b, err := fsm.Encode(e)
	if err != nil {
		w.fail("codec", "%v", err)
	}
	return b
}
