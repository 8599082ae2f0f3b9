package sim

import (
	"github.com/supnode/supnode/node/agent"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// runner is what a process runs its children with: commands through the guardian, Go behaviors by itself. It stands for
// the agent's real runners; what becomes of a child arrives at the process as an event.
type runner struct {
	p        *process
	session  sup.Session
	deadline int64         // local; of the newest lease
	fence    int64         // F
	asked    []agent.Spawn // commands that no guardian has answered for yet
	fences   int
}

func newRunner(p *process) *runner { return &runner{p: p, fence: p.h.w.raft.lease().Fence()} }

// newGuardian starts a guardian; only one that finds no command of a former one.
func (r *runner) newGuardian() {
	h := r.p.h
	h.guard = &guardian{h: h, p: r.p, alive: true}
	h.w.tell("%s guardian starts", h.name)
	if !r.session.IsZero() {
		h.guard.renew(r.session, r.deadline)
	}
	held := r.asked
	r.asked = nil
	for _, s := range held {
		r.spawn(s)
	}
}

// own is the guardian of this very process, nil when it is gone.
func (r *runner) own() *guardian {
	if g := r.p.h.guard; g != nil && g.p == r.p && g.alive {
		return g
	}
	return nil
}

// report brings an event to the agent.
func (r *runner) report(d int64, ev agent.Event) {
	r.p.post(d, tagRunner, sourceRunner, func() { r.p.agent.step(ev) })
}

func (r *runner) ended(k sup.Key, inc sup.Incarnation, why sup.ExitReason, initFailed bool) {
	r.report(r.p.h.w.upTo(500*microsecond), agent.Ended{Key: k, Inc: inc, Reason: why, Detail: string(why), InitFailed: initFailed})
}

func (r *runner) lapsed() {
	r.p.h.w.stats.Lapses++
	r.report(r.p.h.w.upTo(millisecond), agent.GuardianLapsed{Session: r.session})
}

// bereaved is the death of the guardian: supnode kills until no descendant is left, reports them as lost with it, and
// starts another one.
func (r *runner) bereaved(lost []*life) {
	w := r.p.h.w
	r.p.post(w.between(10*millisecond, 30*millisecond), tagRunner, sourceRunner, func() {
		for _, l := range lost {
			l.end(sup.ExitNodeDown)
			r.ended(l.key, l.inc, sup.ExitNodeDown, false)
		}
		for _, s := range r.asked {
			r.ended(s.Key, s.Inc, sup.ExitNodeDown, false)
		}
		r.asked = nil
		r.report(w.between(millisecond, 5*millisecond), agent.GuardianLost{})
		r.p.post(w.between(10*millisecond, 40*millisecond), tagRunner, sourceRunner, r.newGuardian)
	})
}

// answered takes a command out of those asked for; false: it was abandoned.
func (r *runner) answered(k sup.Key, inc sup.Incarnation) bool {
	for i, s := range r.asked {
		if s.Key == k && s.Inc == inc {
			r.asked = append(r.asked[:i:i], r.asked[i+1:]...)
			return true
		}
	}
	return false
}

func (r *runner) lease(l agent.Lease) {
	r.session, r.deadline, r.fence = l.Session, l.Deadline, l.Fence
	if g := r.own(); g != nil && g.renew(l.Session, l.Deadline) {
		r.lapsed()
	}
}

func (r *runner) spawn(s agent.Spawn) {
	w := r.p.h.w
	if s.Behavior == behaviorGo {
		r.fork(s.Spawn, inProcess)
		return
	}
	r.asked = append(r.asked, s)
	g := r.own()
	if g == nil {
		return
	}
	g.tell(w.between(200*microsecond, 3*millisecond), func() {
		switch {
		case g.orphaned || !r.answered(s.Key, s.Inc):
		case !g.open() || g.session != s.Session && !w.mutant.is("guardian_no_deadline"):
			r.ended(s.Key, s.Inc, sup.ExitError, true)
		default:
			r.fork(s.Spawn, command)
		}
	})
}

// fork begins a life.
func (r *runner) fork(s rpc.Spawn, kind lifeKind) {
	w := r.p.h.w
	if r.p.dead {
		return
	}
	l := &life{w: w, h: r.p.h, p: r.p, kind: kind, key: s.Key, inc: s.Inc, session: s.Session, args: s.Args, born: w.now}
	l.stubborn = w.percent(w.plan.Stubborn)
	l.hung = kind == inProcess && l.stubborn && w.percent(20)
	r.p.h.lives = append(r.p.h.lives, l)
	w.ledger.bornNow(l)
	fails := !w.calm && w.percent(w.plan.InitFails)
	w.after(w.between(300*microsecond, 60*millisecond), tagRunner, func() {
		switch {
		case l.dead || l.stopping || l.cancelled:
		case fails:
			l.end(sup.ExitError)
		default:
			l.inited = true
			w.ledger.inited(l)
			if !r.p.dead {
				r.report(w.upTo(500*microsecond), agent.Started{Key: l.key, Inc: l.inc})
			}
		}
	})
	if w.plan.Crash > 0 {
		w.after(w.between(millisecond, 2*w.plan.Crash), tagRunner, func() {
			if l.dead || !l.inited || w.calm || l.suspended {
				return
			}
			l.end(pick(w, []sup.ExitReason{sup.ExitError, sup.ExitError, sup.ExitNormal}))
		})
	}
}

func (r *runner) find(k sup.Key, inc sup.Incarnation) *life {
	for _, l := range r.p.h.lives {
		if l.key == k && l.inc == inc && l.p == r.p {
			return l
		}
	}
	return nil
}

// reach does something to a life by the way its kind is reached: commands through the guardian.
func (r *runner) reach(k sup.Key, inc sup.Incarnation, do func(*life)) {
	w := r.p.h.w
	l := r.find(k, inc)
	if l == nil || l.kind == command {
		g := r.own()
		if g == nil { // its death has ended every command
			if r.answered(k, inc) {
				r.ended(k, inc, sup.ExitKilled, false)
			}
			return
		}
		g.tell(w.upTo(millisecond), func() {
			if l := r.find(k, inc); l != nil {
				do(l)
			}
		})
		return
	}
	do(l)
}

func (r *runner) stop(s agent.Stop) {
	w := r.p.h.w
	r.reach(s.Key, s.Inc, func(l *life) {
		if l.dead || l.stopping {
			return
		}
		w.ledger.asksToStop(l)
		l.stopping = true
		switch {
		case s.Timeout == 0 && l.kind == command:
			l.kill(w.upTo(5*millisecond), sup.ExitKilled)
		case s.Timeout < 0 || !l.stubborn:
			l.kill(w.between(millisecond, 150*millisecond), sup.ExitShutdown)
		case l.kind == command:
			l.kill(s.Timeout+w.upTo(5*millisecond), sup.ExitKilled)
		default: // a Go behavior returns when it pleases
			l.kill(s.Timeout+w.upTo(second), sup.ExitKilled)
		}
	})
}

func (r *runner) kill(k agent.Kill) {
	w := r.p.h.w
	r.reach(k.Key, k.Inc, func(l *life) {
		l.stopping = true
		switch {
		case l.kind == command:
			l.kill(w.upTo(5*millisecond), sup.ExitKilled)
		case l.hung:
			l.kill(w.upTo(second), sup.ExitKilled)
		default:
			l.kill(w.upTo(50*millisecond), sup.ExitKilled)
		}
	})
}

// fenceAll stops everything at once (A3): the guardian kills the commands, and what it has not killed by deadline + F/2
// supnode kills by group; contexts are cancelled, and a Go behavior that does not return ends with the process.
func (r *runner) fenceAll() {
	w, h := r.p.h.w, r.p.h
	w.tell("%s fences", h.name)
	for _, l := range h.living(inProcess) {
		l.cancelled, l.stopping = true, true
		if !l.hung {
			l.kill(w.upTo(r.fence), sup.ExitKilled)
		}
	}
	r.fences++
	mine, session, asked := r.fences, r.session, r.own()
	if asked != nil {
		asked.tell(w.upTo(2*millisecond), func() {
			asked.fences = mine
			asked.killAll(r.fence / 3)
		})
	}
	second := max(h.clock.when(r.deadline+r.fence/2), w.now+10*millisecond)
	r.p.post(min(second-w.now, r.fence/2)+w.upTo(millisecond), tagRunner, sourceRunner, func() {
		for _, l := range h.living(command) {
			if l.session == session {
				l.stopping = true
				l.kill(w.upTo(r.fence/4), sup.ExitKilled)
			}
		}
		if asked != nil && asked.alive && asked.fences < mine {
			h.killGuardian()
		}
	})
}
