package sim

import sup "github.com/supnode/supnode/supervisor"

// guardian is the small process that holds a node's commands, its deadline and its port (A6, P0).
type guardian struct {
	h        *host
	p        *process // that it serves
	alive    bool
	paused   bool
	orphaned bool // its supnode has ended: it kills everything and goes
	session  sup.Session
	deadline int64 // local; the shared timer
	armed    bool
	fired    bool
	waiting  []func() // messages that came while it was stopped
	timer    uint64   // the newest timer check
	last     int64    // when the newest message arrives: the socket keeps their order
	fences   int      // fence messages that it has carried out
}

// tell brings a message over the socket; a stopped guardian hears it when it continues.
func (g *guardian) tell(d int64, do func()) {
	g.last = max(g.last+1, g.h.w.now+d)
	g.turn(g.last, do)
}

// turn lets the guardian act at a true time, or when it continues.
func (g *guardian) turn(at int64, do func()) {
	g.h.w.at(at, tagGuardian, func() {
		switch {
		case !g.alive:
		case g.paused:
			g.waiting = append(g.waiting, do)
		default:
			do()
		}
	})
}

// renew sets the shared timer, which its supnode can do alone. It reports a lapse when the timer had expired.
func (g *guardian) renew(s sup.Session, deadline int64) (lapsed bool) {
	if g.session == s && g.armed && (g.fired || g.h.local() >= g.deadline) && !g.h.w.mutant.is("guardian_no_deadline") {
		return true
	}
	if g.session != s {
		g.session, g.fired = s, false
	}
	g.deadline, g.armed = deadline, true
	w := g.h.w
	g.timer++
	mine := g.timer
	g.turn(max(w.now, g.h.clock.when(deadline))+w.late(), func() {
		if g.timer == mine {
			g.ring()
		}
	})
	return false
}

// ring is the timer: at the deadline every command is killed, whatever supnode does.
func (g *guardian) ring() {
	if !g.armed || g.fired || g.h.local() < g.deadline || g.h.w.mutant.is("guardian_no_deadline") {
		return
	}
	g.fired = true
	w := g.h.w
	w.tell("%s guardian: deadline, %d commands", g.h.name, len(g.h.living(command)))
	g.p.runner.lapsed()
	g.killAll(g.p.runner.fence / 2)
}

// killAll kills every command within d.
func (g *guardian) killAll(d int64) {
	for _, l := range g.h.living(command) {
		l.cancelled, l.stopping = true, true
		l.kill(g.h.w.upTo(d), sup.ExitKilled)
	}
}

// open reports whether the guardian takes a spawn: its timer has not fired, it asks before each.
func (g *guardian) open() bool {
	if g.h.w.mutant.is("guardian_no_deadline") {
		return g.armed
	}
	return g.armed && !g.fired && g.h.local() < g.deadline
}

// orphan is the end of supnode: the guardian kills until nothing is left, then lets go of port and lock.
func (g *guardian) orphan() {
	w := g.h.w
	g.turn(w.now+w.between(100*microsecond, 2*millisecond), func() {
		g.orphaned = true
		if w.plan.SlowKill {
			g.killAll(300 * millisecond)
		} else {
			g.killAll(10 * millisecond)
		}
		g.reaped()
	})
}

// reaped looks whether an orphaned guardian is done.
func (g *guardian) reaped() {
	if g.orphaned && g.alive && len(g.h.living(command)) == 0 {
		g.alive = false
		g.h.w.tell("%s guardian goes", g.h.name)
		if g.h.guard == g {
			g.h.guard = nil
		}
		g.h.changed()
	}
}

// pause is SIGSTOP of the guardian.
func (g *guardian) pause() {
	g.h.w.tell("%s guardian stopped", g.h.name)
	g.paused = true
	g.h.excuse()
}

// resume is CONT: the timer is asked first.
func (g *guardian) resume() {
	if !g.paused {
		return
	}
	g.paused = false
	if !g.alive {
		return
	}
	g.h.w.tell("%s guardian continues", g.h.name)
	g.h.watched()
	g.ring()
	held := g.waiting
	g.waiting = nil
	for _, do := range held {
		if g.alive {
			do()
		}
	}
}

// excuse marks the commands of a host whose guardian is stopped while its supnode is stopped or dead: they run on past the
// lease, and nothing else is promised (protocol.md, What is not promised).
func (h *host) excuse() {
	if g := h.guard; g == nil || !g.alive || !g.paused || h.proc == g.p && !h.proc.paused {
		return
	}
	for _, l := range h.living(command) {
		l.excused = true
	}
}

// watched is the end of that: what should have been stopped by now must be gone within F.
func (h *host) watched() {
	h.w.after(h.w.raft.lease().Fence(), tagGuardian, func() {
		if g := h.guard; g != nil && g.paused && (h.proc != g.p || h.proc.paused) {
			return
		}
		for _, l := range h.living(command) {
			if l.excused {
				h.w.ledger.write(l)
				l.excused = false
				h.w.ledger.overlap(l, "guarded again")
			}
		}
	})
}
