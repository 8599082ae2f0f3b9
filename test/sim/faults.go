package sim

import "github.com/supnode/supnode/fsm"

// beginFaults plans the first fault of each kind that the seed has; each plans the next.
func (w *World) beginFaults() {
	for k := range faultKinds {
		if w.plan.Every[k] > 0 {
			w.nextFault(k)
		}
	}
}

func (w *World) nextFault(k faultKind) {
	w.after(w.between(w.plan.Every[k]/4, 2*w.plan.Every[k]), tagFault, func() {
		if w.calm {
			return
		}
		if w.strike(k) {
			w.stats.Faults[k]++
		}
		w.nextFault(k)
	})
}

// strike does one fault, if there is something to strike.
func (w *World) strike(k faultKind) bool {
	ttl := w.raft.lease().TTL
	h := w.victim()
	p, g := h.proc, h.guard
	switch k {
	case faultBreak:
		if len(w.net.streams) == 0 {
			return false
		}
		pick(w, w.net.streams).breaks()
	case faultPause:
		if p == nil || p.paused {
			return false
		}
		p.pause()
		w.after(w.length(ttl), tagFault, p.resume)
	case faultPauseBoth:
		if p == nil || p.paused || g == nil || !g.alive || g.paused || g.p != p {
			return false
		}
		p.pause()
		g.pause()
		d := w.length(ttl)
		w.after(d, tagFault, g.resume)
		w.after(d+w.upTo(20*millisecond), tagFault, p.resume)
	case faultPauseGuardian:
		if g == nil || !g.alive || g.paused || p == nil || p.paused {
			return false
		}
		g.pause()
		w.after(w.length(ttl), tagFault, g.resume)
	case faultKill:
		if p == nil {
			return false
		}
		h.kill(w.between(50*millisecond, 2*second))
	case faultKillBoth:
		if p == nil || g == nil || !g.alive {
			return false
		}
		h.kill(w.between(50*millisecond, 2*second))
		h.killGuardian()
	case faultKillGuardian:
		if g == nil || !g.alive || g.orphaned {
			return false
		}
		h.killGuardian()
	case faultReboot:
		if !h.on {
			return false
		}
		h.cut(w.between(500*millisecond, 4*second))
	case faultPartition:
		w.partition(w.length(ttl))
	case faultOneWay:
		o := pick(w, w.hosts)
		if o == h {
			return false
		}
		w.cutFor(h, o, w.length(ttl))
	case faultElect:
		return w.raft.electAny(nil)
	case faultSetTTL:
		w.setTTL()
	case faultRestore:
		if len(w.raft.snaps) == 0 {
			return false
		}
		w.raft.restore(pick(w, w.raft.snaps))
	case faultLeave:
		if p == nil || p.paused || h.away || w.gone() > 0 {
			return false
		}
		w.tell("%s is asked to leave", h.name)
		p.agent.leave(w.between(500*millisecond, 4*second))
		w.after(w.between(2*second, 6*second), tagFault, func() {
			if h.away {
				h.bootIn(0)
			}
		})
	case faultDrain:
		if w.drained() > 0 && w.percent(70) {
			return false
		}
		w.drain(h, false)
		w.after(w.between(200*millisecond, 4*second), tagFault, func() { w.drain(h, true) })
	case faultRebalance:
		w.operate(fsm.Command{Rebalance: &fsm.Rebalance{Max: 1 + w.rng.IntN(8)}}, nil)
	case faultForget:
		w.operate(fsm.Command{ForgetNode: &fsm.ForgetNode{Node: w.victimToForget().name}}, nil)
	}
	return true
}

// drain is an operator who drains a node, or undoes it. When the faults are over nothing stays drained.
func (w *World) drain(h *host, undo bool) {
	h.drained = !undo
	w.operate(fsm.Command{Drain: &fsm.Drain{Node: h.name, Undo: undo}}, func() {
		if w.calm && !undo {
			w.drain(h, true)
		}
	})
}

// operate asks for something that concerns the cluster, until there is an answer.
func (w *World) operate(c fsm.Command, then func()) {
	w.tell("operator: %s", show(c))
	newAsk(w.people[0], c, func(fsm.Result, int64) {
		if then != nil {
			then()
		}
	}).send()
}

// drained counts the hosts that are to be drained.
func (w *World) drained() (n int) {
	for _, h := range w.hosts {
		if h.drained {
			n++
		}
	}
	return n
}

// victimToForget draws a host, one that is not there or no voter more often: the others are refused.
func (w *World) victimToForget() *host {
	for range 4 {
		if h := pick(w, w.hosts); h.proc == nil || !h.voter {
			return h
		}
	}
	return pick(w, w.hosts)
}

// victim draws a host, the leader's more often.
func (w *World) victim() *host {
	if c := w.raft.chief; c != nil && !c.p.dead && w.percent(30) {
		return c.p.h
	}
	return pick(w, w.hosts)
}

// length draws how long a fault lasts: shorter than the lease, about as long as it and W, or longer.
func (w *World) length(ttl int64) int64 {
	if w.plan.Long > 0 {
		return w.between(w.plan.Long*8/10, w.plan.Long*11/10)
	}
	switch w.rng.IntN(4) {
	case 0:
		return w.upTo(ttl / 2)
	case 1:
		return w.between(ttl*9/10, ttl*14/10)
	case 2:
		return w.between(ttl*14/10, 4*ttl)
	default:
		return w.upTo(2 * ttl)
	}
}

// gone counts the hosts that said goodbye and are not back.
func (w *World) gone() (n int) {
	for _, h := range w.hosts {
		if h.away || h.proc == nil && h.on {
			n++
		}
	}
	return n
}

// partition cuts a set of hosts off from the rest, both ways, for a while. Hosts inside still reach each other.
func (w *World) partition(d int64) {
	inside := map[int]bool{}
	for _, h := range w.hosts {
		if w.percent(40) && !(w.plan.Edge && h.voter) {
			inside[h.i] = true
		}
	}
	if len(inside) == 0 && !w.plan.Edge {
		inside[w.victim().i] = true
	}
	w.tell("partition %v for %.3fs", inside, float64(d)/1e9)
	for _, a := range w.hosts {
		for _, b := range w.hosts {
			if inside[a.i] != inside[b.i] {
				w.cutFor(a, b, d)
			}
		}
	}
}

// cutFor cuts one direction for a while; streams over it break when a side loses patience.
func (w *World) cutFor(a, b *host, d int64) {
	w.tell("cut %s -> %s for %.3fs", a.name, b.name, float64(d)/1e9)
	w.net.block(a, b)
	w.after(d, tagFault, func() { w.net.unblock(a, b) })
	for _, s := range w.net.streams {
		if s.agent.h == a && s.leader.p.h == b || s.agent.h == b && s.leader.p.h == a {
			w.after(w.between(200*millisecond, 2*second), tagStream, func() {
				if !w.net.joined(s.agent.h, s.leader.p.h) {
					s.agentLearns(w.upTo(500 * millisecond))
					s.leaderLearns(w.upTo(500 * millisecond))
				}
			})
		}
	}
}

// setTTL is an operator who changes the lease settings, through whoever leads.
func (w *World) setTTL() {
	base := w.plan.Settings
	factor := pick(w, []int64{10, 10, 15, 20})
	cmd := fsm.Command{SetTTL: &fsm.SetTTL{HeartbeatInterval: base.HeartbeatInterval, LeaseTTL: base.LeaseTTL * factor / 10}}
	if l := w.believed(); l != nil && l.shell != nil && !l.over {
		w.tell("operator: ttl %dms", cmd.SetTTL.LeaseTTL/millisecond)
		l.p.post(w.net.delay(), tagClient, sourceClient, func() { l.operate(cmd) })
	}
}

// longestTTL is the longest that setTTL sets.
func (p *Plan) longestTTL() int64 { return 2 * p.Settings.LeaseTTL }

// heal ends all faults: everything that was stopped continues, everything that was down boots, nothing breaks any more.
// From then on only time-outs that are already running may go off.
func (w *World) heal() {
	w.tell("faults end")
	w.calm = true
	clear(w.net.blocked)
	for _, s := range append([]*stream(nil), w.net.streams...) {
		s.toLeader.release()
		s.toAgent.release()
	}
	w.plan.Answers, w.plan.Asks, w.plan.Spike, w.plan.AtCommit = 0, 0, 0, 0
	w.plan.Delay, w.plan.Commit, w.plan.Lag, w.plan.Busy = 2*millisecond, 4*millisecond, 20*millisecond, millisecond
	for _, h := range w.hosts {
		if h.guard != nil && h.guard.paused {
			h.guard.resume()
		}
		if h.proc != nil {
			h.proc.resume()
		}
		if h.proc == nil && h.on {
			h.bootIn(w.upTo(300 * millisecond))
		}
		if w.plan.Every[faultDrain] > 0 {
			w.drain(h, true)
		}
	}
	w.settle()
}
