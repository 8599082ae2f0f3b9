package sim

import (
	"math"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// ledger is the truth about children: which lives there are and were, and what clients were told. It checks I1–I3 at the
// instant at which one of them could break.
type ledger struct {
	w     *World
	facts map[sup.Key]*fact
	order []*fact // by first mention
	told  uint64  // the newest index that anybody was told, since the newest restore

	kin      map[sup.Name][]*fact // by supervisor
	branches []*family            // those that are children of others
	families map[sup.Name]*family
	starts   map[string]*kid // by the key of the request
	windows  windows
	leaving  map[sup.Session]bool // said goodbye
}

// fact is what is known of one child.
type fact struct {
	key      sup.Key
	live     []*life
	newest   sup.Incarnation // ever born
	births   []sup.Incarnation
	ran      []sup.Incarnation // whose init returned
	register sup.Incarnation   // the fenced register: the newest incarnation that wrote
	session  sup.Session       // of the life that ended last
	fenced   int64             // true time at which a fence ended it; 0 = none did
	ends     int               // lives that ended by themselves or in their init
	cleanEnd bool              // the newest life ended normally by itself
	clean    bool              // some life did
	deaths   int
	born     int64                    // true time of the newest birth
	ended    int64                    // true time of the newest death
	asked    int64                    // true time at which the life that died last was asked to stop by its supervisor; 0 = it was not
	moved    map[sup.Incarnation]bool // those that were to move
	last     *life                    // the newest
	gone     bool                     // its end is acknowledged: nothing of it may live
	goneAt   mark
	kid      *kid
	since    mark           // of the acknowledged start
	chosen   []sup.NodeName // by its custom selector, since its newest birth
}

// mark is a place in the history of the log.
type mark struct {
	epoch int
	index uint64
}

// undone reports whether a restore from b forgets m.
func (m mark) undone(b backup) bool {
	return m.epoch > b.epoch || m.epoch == b.epoch && m.index > b.index
}

func newLedger(w *World) ledger {
	return ledger{w: w, facts: map[sup.Key]*fact{}, kin: map[sup.Name][]*fact{}, families: map[sup.Name]*family{}, starts: map[string]*kid{}, leaving: map[sup.Session]bool{}}
}

func (g *ledger) fact(k sup.Key) *fact {
	f := g.facts[k]
	if f == nil {
		f = &fact{key: k}
		g.facts[k] = f
		g.order = append(g.order, f)
		g.kin[k.Supervisor] = append(g.kin[k.Supervisor], f)
	}
	return f
}

func (g *ledger) mark(o *fsm.Outcome) mark {
	m := mark{epoch: g.w.raft.epoch, index: g.w.raft.index}
	if o != nil {
		m.index = o.Index
	}
	return m
}

// bornNow checks a birth: nothing else of the child lives (I3a), its incarnation is a new one (I3b), its end is not
// acknowledged (I2).
func (g *ledger) bornNow(l *life) {
	f := g.fact(l.key)
	if g.w.tracing() {
		g.w.tell("%s BIRTH %s %s", l.h.name, l.key, l.inc)
	}
	if f.gone {
		g.w.fail("I2", "%s %s starts on %s after its end was acknowledged", l.key, l.inc, l.h.name)
	}
	f.live = append(f.live, l)
	g.overlap(l, "born")
	if !f.newest.Less(l.inc) {
		g.w.fail("I3", "%s %s starts on %s after %s", l.key, l.inc, l.h.name, f.newest)
	}
	if !f.newest.IsZero() {
		g.w.stats.Moves++
	}
	g.startsAllowed(l)
	g.startsInOrder(l)
	g.startsAmongTrees(l)
	g.placedRightly(l)
	f.newest, f.cleanEnd, f.born, f.last = l.inc, false, g.w.now, l
	f.births = append(f.births, l.inc)
	g.write(l)
}

// overlap checks that no other life of the child counts.
func (g *ledger) overlap(l *life, why string) {
	for _, o := range g.fact(l.key).live {
		if o != l && o.counts() && l.counts() {
			g.w.fail("I3", "two of %s: %s on %s (%s) and %s on %s", l.key, l.inc, l.h.name, why, o.inc, o.h.name)
		}
	}
}

// inited notes that an init returned.
func (g *ledger) inited(l *life) {
	f := g.fact(l.key)
	f.ran = append(f.ran, l.inc)
}

func (g *ledger) died(l *life, why sup.ExitReason) {
	f := g.fact(l.key)
	if g.w.tracing() {
		g.w.tell("%s DEATH %s %s: %s", l.h.name, l.key, l.inc, why)
	}
	for i, o := range f.live {
		if o == l {
			f.live = append(f.live[:i:i], f.live[i+1:]...)
			break
		}
	}
	f.fenced, f.session = 0, l.session
	f.deaths++
	f.ended, f.asked = g.w.now, l.asked
	if l.cancelled && !l.excused {
		f.fenced = g.w.now
	}
	if own := !l.stopping && !l.cancelled && (why == sup.ExitError || why == sup.ExitNormal); own {
		f.ends++
		if l.inc == f.newest {
			f.cleanEnd = why == sup.ExitNormal
		}
		f.clean = f.clean || why == sup.ExitNormal
	}
}

// expired notes how close a session that is declared dead by time-out comes to the end of its last fenced life.
func (g *ledger) expired(s sup.Session) {
	for _, f := range g.order {
		if f.fenced > 0 && f.session == s {
			g.w.stats.closer(g.w.now - f.fenced)
		}
	}
}

// write is a write to the fenced register, which takes rising incarnations only.
func (g *ledger) write(l *life) {
	f := g.fact(l.key)
	if l.inc.Less(f.register) {
		g.w.stats.Refused++
		return
	}
	f.register = l.inc
}

// hasRun reports whether the incarnation with that token ran and its init returned.
func (f *fact) hasRun(token uint64) bool {
	for _, inc := range f.ran {
		if inc.Token() == token {
			return true
		}
	}
	return false
}

// holds notes that a child is there from o on, unless its end was asked for meanwhile.
func (g *ledger) holds(k *kid, o *fsm.Outcome) {
	f := g.fact(k.key)
	f.kid, f.since = k, g.mark(o)
	if k.doomed && g.w.raft.epoch > 0 { // a restore may bring back its end together with the answer to its start
		return
	}
	if !k.ending && !f.gone {
		k.belief = present
	}
}

// startedChild is an acknowledged start (I1): it ran.
func (g *ledger) startedChild(k *kid, o *fsm.Outcome) {
	f := g.fact(k.key)
	g.holds(k, o)
	if k.spec.Supervisor == nil && !f.hasRun(o.Incarnation) {
		g.w.fail("I1", "the start of %s was acknowledged with incarnation %d, which never ran", k.key, o.Incarnation)
	}
}

// startedSupervisor is the acknowledged start of a supervisor: every child of it ran.
func (g *ledger) startedSupervisor(fam *family, kids []*kid, o *fsm.Outcome) {
	for _, k := range kids {
		f := g.fact(k.key)
		g.holds(k, o)
		for _, leaf := range g.below(k) {
			if len(leaf.ran) == 0 {
				g.w.fail("I1", "the start of supervisor %s was acknowledged, %s never ran", fam.name, leaf.key)
			}
		}
		if k.spec.Supervisor == nil && len(f.ran) == 0 {
			g.w.fail("I1", "the start of supervisor %s was acknowledged, %s never ran", fam.name, k.key)
		}
	}
}

// refusedSupervisor is a failed start: nothing stays behind (S12).
func (g *ledger) refusedSupervisor(fam *family, kids []*kid, p *sup.Problem) {
	for _, k := range kids {
		g.buried(k, mark{g.w.raft.epoch, g.w.raft.index}, "the start of its supervisor failed: "+string(p.Code))
	}
}

// refusedChild is a failed start: nothing is kept (S31).
func (g *ledger) refusedChild(k *kid, p *sup.Problem) {
	if p.Code == sup.CodeSupervisorStopped || p.Code == sup.CodeMaxRestartsExceeded || p.Code == sup.CodeSupervisorNotFound {
		g.stoppedByItself(k.f, p)
	}
	// A child that was placed when its supervisor began to stop is stopped with it; the call fails before that.
	if p.Code == sup.CodeInitFailed || p.Code == sup.CodeNoAvailableNode {
		g.buried(k, mark{g.w.raft.epoch, g.w.raft.index}, "its start failed")
	}
	if !k.ending {
		k.belief = absent
	}
}

// terminated is an acknowledged termination (I2), or its refusal.
func (g *ledger) terminated(k *kid, r fsm.Result) {
	if r.Problem == nil || !k.busy {
		k.belief = absent
	}
	if r.Problem != nil {
		switch r.Problem.Code {
		case sup.CodeChildNotFound: // it has not started yet, it ended for good before, or a restore forgot it
		default:
			g.stoppedByItself(k.f, r.Problem)
		}
		return
	}
	g.buried(k, g.mark(r.Outcome), "its termination was acknowledged")
}

// restarted is an acknowledged restart: a later incarnation ran (S33).
func (g *ledger) restarted(k *kid, r fsm.Result) {
	if r.Problem == nil {
		if f := g.fact(k.key); k.spec.Supervisor == nil && !f.hasRun(r.Outcome.Incarnation) {
			g.w.fail("I1", "the restart of %s was acknowledged with incarnation %d, which never ran", k.key, r.Outcome.Incarnation)
		}
		return
	}
	switch r.Problem.Code {
	case sup.CodeSupervisorStopped, sup.CodeMaxRestartsExceeded, sup.CodeSupervisorNotFound:
		g.stoppedByItself(k.f, r.Problem)
	}
}

// stoppedSupervisor is the acknowledged stop of a supervisor: nothing of its children lives.
func (g *ledger) stoppedSupervisor(fam *family, r fsm.Result) {
	if r.Problem != nil && r.Problem.Code != sup.CodeSupervisorStopped && r.Problem.Code != sup.CodeSupervisorNotFound &&
		r.Problem.Code != sup.CodeMaxRestartsExceeded {
		return
	}
	if r.Problem != nil {
		g.stoppedByItself(fam, r.Problem)
		return
	}
	for _, k := range fam.kids {
		g.buried(k, g.mark(r.Outcome), "the stop of its supervisor was acknowledged")
	}
	for _, f := range g.kin[fam.name] { // also those whose start was never answered
		g.ends(f, g.mark(r.Outcome), "the stop of its supervisor was acknowledged")
	}
}

// stoppedByItself notes a supervisor that is over though nobody asked: only by its restart intensity, and only after more
// ends than that allows, unless a restore forgot it.
func (g *ledger) stoppedByItself(fam *family, p *sup.Problem) {
	if fam.over || p.Supervisor != "" && p.Supervisor != fam.name { // of a supervisor below it, whose start failed
		return
	}
	fam.over = true
	if g.w.raft.epoch > 0 {
		return
	}
	ends := 0
	for _, f := range g.kin[fam.name] {
		ends += f.ends
	}
	for _, b := range g.branches {
		if above, _ := b.name.Parent(); above.Supervisor == fam.name {
			ends += g.windows.lives(b.name)
		}
	}
	if ends > fam.limit && p.Code == sup.CodeSupervisorNotFound { // a manifest made it anew, and that start failed
		return
	}
	if fam.spec.AutoShutdown != sup.NeverShutdown && (p.Code == sup.CodeSupervisorStopped || fam.changed > 0 && p.Code == sup.CodeSupervisorNotFound) {
		g.w.stats.Shutdowns++
		if !g.significantEnded(fam) {
			g.w.fail("S38", "supervisor %s is over (%s), and no significant child of it has ended for good", fam.name, p.Code)
		}
		return
	}
	if ends <= fam.limit {
		g.w.fail("S15", "supervisor %s is over (%s) after %d ends, %d restarts are allowed", fam.name, p.Code, ends, fam.limit)
	}
}

// significantEnded reports whether a significant child of a supervisor may have ended for good (S38).
func (g *ledger) significantEnded(fam *family) bool {
	for _, k := range fam.kids {
		f := g.fact(k.key)
		if k.spec.Significant && (k.doomed || k.spec.Restart == sup.Temporary && f.deaths > 0 || k.spec.Restart == sup.Transient && f.clean) {
			return true
		}
	}
	return false
}

// buried says that nothing of a child may live, now and ever after.
func (g *ledger) buried(k *kid, at mark, why string) {
	k.belief = absent
	if k.key.Child == "" { // its start was refused before it had an id
		return
	}
	f := g.fact(k.key)
	f.kid = k
	g.ends(f, at, why)
	for _, leaf := range g.below(k) {
		g.ends(leaf, at, why)
	}
}

// ends says the same of a child whose client may not know it.
func (g *ledger) ends(f *fact, at mark, why string) {
	f.gone, f.goneAt = true, at
	for _, l := range f.live {
		if l.counts() {
			g.w.fail("I2", "%s %s lives on %s when %s", f.key, l.inc, l.h.name, why)
		}
	}
}

// restored forgets what clients were told after a backup.
func (g *ledger) restored(b backup) {
	g.told = 0
	for _, f := range g.order {
		f.asked = 0 // what stopped it may be forgotten
		for _, l := range f.live {
			l.asked = 0
		}
		if f.gone && f.goneAt.undone(b) {
			f.gone = false
			if f.kid != nil {
				f.kid.belief = unknown
			}
		}
		if f.kid != nil && (f.since == mark{} || f.since.undone(b)) {
			f.kid.belief = unknown
		}
	}
	for _, c := range g.w.people {
		for _, f := range c.sups {
			f.finished = false
			if f.changed > 0 || f.changing { // which of its orders holds again is not known
				f.changed = math.MaxUint64
				for _, k := range f.kids {
					k.place = place{}
				}
			}
			for _, k := range f.kids {
				if k.handed > 0 || k.hands > 0 { // what was asked by hand may be carried out once more
					k.handed = math.MaxUint64
				}
				if (mark{k.place.epoch, k.place.index}).undone(b) {
					k.place = place{}
				}
				if k.belief == absent && !g.fact(k.key).gone {
					k.belief = unknown
				}
			}
		}
	}
}
