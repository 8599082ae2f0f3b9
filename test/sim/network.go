package sim

import "github.com/supnode/supnode/rpc"

// network carries the sync streams, and knows which hosts reach which.
type network struct {
	w       *World
	blocked map[[2]int]int // directed: from, to; how many faults block it
	streams []*stream      // not yet ended on both sides
}

func newNetwork(w *World) network { return network{w: w, blocked: map[[2]int]int{}} }

// reaches reports whether packets from a arrive at b.
func (n *network) reaches(a, b *host) bool {
	return a == b || a.on && b.on && n.blocked[[2]int{a.i, b.i}] == 0
}

// joined reports whether packets pass both ways.
func (n *network) joined(a, b *host) bool { return n.reaches(a, b) && n.reaches(b, a) }

// block cuts a direction; unblock heals one cut of it, and what was held arrives.
func (n *network) block(a, b *host) { n.blocked[[2]int{a.i, b.i}]++ }

func (n *network) unblock(a, b *host) {
	if n.w.calm {
		return
	}
	n.blocked[[2]int{a.i, b.i}]--
	for _, s := range append([]*stream(nil), n.streams...) {
		s.toLeader.release()
		s.toAgent.release()
	}
}

// delay is how long a frame travels.
func (n *network) delay() int64 {
	d := n.w.between(50*microsecond, n.w.plan.Delay)
	if n.w.percent(n.w.plan.Spike) {
		d += n.w.upTo(10 * n.w.plan.Delay)
	}
	return d
}

// stream is one sync stream between an agent and a leader: in order each way, or broken. A side may learn of the break
// later than the other, and what is on its way may still arrive or not.
type stream struct {
	n                 *network
	id                uint64
	agent             *process
	leader            *leadership
	agentUp, leaderUp bool // as each side has it
	toLeader, toAgent pipe
	agentSaw, leadSaw bool // the break
	sides             int  // that have ended
}

// pipe is one direction.
type pipe struct {
	s    *stream
	from *host
	to   *host
	last int64 // when the newest frame arrives
	held []func()
	lost int64 // frames that would arrive after this are lost; 0 = none
}

// open makes a stream; both sides learn of it, the leader's a little later.
func (n *network) open(a *process, l *leadership) {
	s := &stream{n: n, id: sources + n.w.id(), agent: a, leader: l}
	s.toLeader = pipe{s: s, from: a.h, to: l.p.h}
	s.toAgent = pipe{s: s, from: l.p.h, to: a.h}
	n.streams = append(n.streams, s)
	s.agentUp = true
	s.toLeader.send(0, func() {
		l.p.post(0, tagStream, s.id, func() {
			switch {
			case s.leadSaw:
			case l.over || l.shell == nil:
				s.breaks()
			default:
				s.leaderUp = true
				l.up(s)
			}
		})
	})
	a.agent.up(s)
}

// send puts arrive on its way, in order.
func (p *pipe) send(extra int64, arrive func()) {
	w := p.s.n.w
	if p.lost != 0 && p.lost <= w.now {
		return
	}
	p.last = max(p.last+1, w.now+p.s.n.delay()+extra)
	w.at(p.last, tagFrame, func() { p.arrive(arrive) })
}

func (p *pipe) arrive(do func()) {
	w := p.s.n.w
	switch {
	case p.lost != 0 && p.lost <= w.now:
	case !p.s.n.reaches(p.from, p.to) || len(p.held) > 0: // TCP keeps it
		p.held = append(p.held, do)
	default:
		do()
	}
}

// release lets go what a partition held, in order.
func (p *pipe) release() {
	if len(p.held) == 0 || !p.s.n.reaches(p.from, p.to) {
		return
	}
	held := p.held
	p.held = nil
	w := p.s.n.w
	for _, do := range held {
		p.last = max(p.last+1, w.now+w.upTo(millisecond))
		w.at(p.last, tagFrame, func() { p.arrive(do) })
	}
}

// breaks ends a stream: each side learns it in its own time, frames on the way may be lost from some instant on.
func (s *stream) breaks() {
	w := s.n.w
	s.agentLearns(w.upTo(5 * millisecond))
	s.leaderLearns(w.upTo(20 * millisecond))
}

func (s *stream) lose(p *pipe) {
	if p.lost == 0 {
		p.lost = s.n.w.now + s.n.w.upTo(s.n.w.plan.Delay) + 1
		p.held = nil
	}
}

// agentLearns tells the agent after d that the stream is gone.
func (s *stream) agentLearns(d int64) {
	if s.agentSaw {
		return
	}
	s.agentSaw = true
	s.lose(&s.toLeader)
	s.agent.post(d, tagStream, s.id, func() {
		if s.agentUp {
			s.agentUp = false
			s.agent.agent.down(s)
		}
		s.end()
	})
	if s.agent.dead {
		s.end()
	}
}

// leaderLearns tells the leader after d that the stream is gone.
func (s *stream) leaderLearns(d int64) {
	if s.leadSaw {
		return
	}
	s.leadSaw = true
	s.lose(&s.toAgent)
	s.leader.p.post(d, tagStream, s.id, func() {
		if s.leaderUp {
			s.leaderUp = false
			s.leader.down(s)
		}
		s.end()
	})
	if s.leader.p.dead {
		s.end()
	}
}

func (s *stream) end() {
	if s.sides++; s.sides < 2 {
		return
	}
	for i, o := range s.n.streams {
		if o == s {
			s.n.streams = append(s.n.streams[:i:i], s.n.streams[i+1:]...)
			return
		}
	}
}

// endOf breaks the streams of a process that has died. The kernel of a living host resets them at once; behind a
// partition or a power cut the other side waits for its own time-out.
func (n *network) endOf(p *process) {
	for _, s := range append([]*stream(nil), n.streams...) {
		if s.agent != p && s.leader.p != p {
			continue
		}
		d := n.w.upTo(3 * millisecond)
		if !n.joined(s.agent.h, s.leader.p.h) {
			d = n.w.between(200*millisecond, 1500*millisecond)
		}
		s.agentLearns(d)
		s.leaderLearns(d)
	}
}

// frame brings what an agent sends to the leader's machine.
func (s *stream) frame(f rpc.FromAgent) {
	w := s.n.w
	s.toLeader.send(w.upTo(w.plan.Asks), func() {
		s.leader.p.post(0, tagFrame, s.id, func() {
			if s.leaderUp {
				s.leader.received(s.id, f)
			}
		})
	})
	if f.Hello == nil && w.percent(w.plan.Stale) {
		h := s.agent.h
		w.after(w.upTo(2*second), tagFrame, func() { n := s.n; n.strayToLeader(h, f) })
	}
}

// order brings what a leader sends to the agent's machine.
func (s *stream) order(f rpc.ToAgent) {
	w := s.n.w
	if w.mutant.is("refusals_lost") {
		f.Refused = nil
	}
	s.toAgent.send(w.upTo(w.plan.Answers), func() {
		s.agent.post(0, tagFrame, s.id, func() {
			if s.agentUp {
				s.agent.agent.received(s.id, f)
			}
		})
	})
	if f.Welcome == nil && w.percent(w.plan.Stale) {
		h := s.agent.h
		w.after(w.upTo(2*second), tagFrame, func() { s.n.strayToAgent(h, s.id, f) })
	}
}

// strayToAgent delivers a frame once more, to whatever process the host has by now: as from the stream that brought it
// first, or as from the newest one.
func (n *network) strayToAgent(h *host, id uint64, f rpc.ToAgent) {
	p := h.proc
	if p == nil || n.w.calm {
		return
	}
	if s := p.agent.stream; s != nil && n.w.percent(50) {
		id = s.id
		f.Farewell = nil // what speaks for a leader comes on its own stream only
		f.Refused = nil
	}
	p.post(0, tagFrame, id, func() { p.agent.received(id, f) })
}

// strayToLeader delivers an agent's frame once more, on whatever stream the host's process has by now.
func (n *network) strayToLeader(h *host, f rpc.FromAgent) {
	if h.proc == nil || n.w.calm {
		return
	}
	s := h.proc.agent.stream
	if s == nil || !s.leaderUp {
		return
	}
	s.leader.p.post(0, tagFrame, s.id, func() {
		if s.leaderUp {
			s.leader.received(s.id, f)
		}
	})
}
