package sim

import (
	"github.com/supnode/supnode/node/agent"
	"github.com/supnode/supnode/rpc"
)

// agentShell is the driver of a process's agent machine: its timer, its stream, its hands.
type agentShell struct {
	p       *process
	machine *agent.Machine
	stream  *stream // nil = none
	dialing bool
	wake    uint64 // the newest timer
	over    bool
}

func newAgentShell(p *process) *agentShell { return &agentShell{p: p} }

// begin makes the machine of a process that has just started.
func (a *agentShell) begin() {
	h := a.p.h
	w := h.w
	a.machine = agent.New(agent.Config{
		Node: h.name, ID: h.uuid, Addr: h.addr, Voter: h.voter,
		Tags: h.tags(), Behaviors: w.plan.behaviors(), Level: 1,
		Settings: w.plan.Settings, Gen: h.gen, Seed: w.rng.Uint64(), Mutant: agent.Mutant(w.mutant.agent()),
	})
	a.step(agent.Tick{})
	a.dial(0)
}

// step turns the machine.
func (a *agentShell) step(ev agent.Event) {
	if a.p.dead || a.machine == nil || a.over {
		return
	}
	w := a.p.h.w
	for _, act := range a.machine.Step(ev, a.p.h.local()) {
		a.do(act)
		if a.p.dead {
			return
		}
	}
	if w.tracing() {
		if _, tick := ev.(agent.Tick); !tick {
			w.tell("%s agent <- %s", a.p.h.name, show(ev))
		}
	}
}

func (a *agentShell) do(act agent.Action) {
	h := a.p.h
	w := h.w
	if w.tracing() {
		if _, wake := act.(agent.Wake); !wake {
			w.tell("%s agent -> %s", h.name, show(act))
		}
	}
	switch act := act.(type) {
	case agent.Send:
		if len(act.Frame.Reports) > rpc.MaxBatch {
			w.fail("bound", "%s sends %d reports in a frame", h.name, len(act.Frame.Reports))
		}
		if s := a.stream; s != nil && s.id == act.Stream {
			s.frame(act.Frame)
		}
	case agent.Hangup:
		if s := a.stream; s != nil && s.id == act.Stream {
			s.agentLearns(0)
			s.leaderLearns(w.net.delay())
		}
	case agent.Spawn:
		w.stats.Spawns++
		a.p.runner.spawn(act)
	case agent.Stop:
		a.p.runner.stop(act)
	case agent.Kill:
		a.p.runner.kill(act)
	case agent.Lease:
		a.p.runner.lease(act)
	case agent.Fence:
		w.stats.Fenced++
		a.p.runner.fenceAll()
	case agent.Exit:
		w.tell("%s exits: %s", h.name, act.Why)
		w.stats.Exits++
		h.kill(w.between(100*millisecond, 500*millisecond))
	case agent.Left:
		w.tell("%s has left, kept %v", h.name, act.Kept)
		h.away = true
		h.kill(-1)
		if w.calm {
			h.bootIn(w.between(100*millisecond, 500*millisecond))
		}
	case agent.Rejected:
		w.fail("I4", "the cluster refuses %s: %s", h.name, act.Why)
	case agent.Remember:
		h.gen = max(h.gen, act.Gen)
	case agent.Wake:
		a.wake++
		mine := a.wake
		d := max(0, h.clock.when(act.At)-w.now) + w.late()
		a.p.post(d, tagWake, sourceTimer, func() {
			if a.wake == mine {
				a.step(agent.Tick{})
			}
		})
	}
}

// up takes a stream that was opened.
func (a *agentShell) up(s *stream) {
	a.stream = s
	a.step(agent.StreamUp{Stream: s.id})
}

// down takes the news that a stream is gone.
func (a *agentShell) down(s *stream) {
	if a.stream == s {
		a.stream = nil
	}
	a.step(agent.StreamDown{Stream: s.id})
	a.dial(a.p.h.w.between(millisecond, 20*millisecond))
}

func (a *agentShell) received(stream uint64, f rpc.ToAgent) {
	a.step(agent.Received{Stream: stream, Frame: f})
}

// dial looks for a leader until it has one.
func (a *agentShell) dial(d int64) {
	if a.dialing || a.stream != nil {
		return
	}
	a.dialing = true
	w := a.p.h.w
	a.p.post(d, tagStream, sourceTimer, func() {
		l := w.believed()
		switch {
		case l == nil || !w.net.joined(a.p.h, l.p.h):
			a.dialing = false
			a.dial(w.between(10*millisecond, 50*millisecond))
		case l.p.paused: // the kernel accepts, nobody answers
			a.dialing = false
			a.dial(w.between(100*millisecond, 300*millisecond))
		default:
			a.p.post(2*w.net.delay(), tagStream, sourceTimer, func() {
				a.dialing = false
				if l.shell == nil || l.over || !w.net.joined(a.p.h, l.p.h) || a.stream != nil {
					a.dial(w.between(10*millisecond, 50*millisecond))
					return
				}
				w.net.open(a.p, l)
			})
		}
	})
}

// leave begins a goodbye.
func (a *agentShell) leave(by int64) {
	a.p.leaving = true
	a.step(agent.Leave{By: a.p.h.local() + by})
}

// believed is a leadership that somebody would name: mostly the newest, sometimes one that is over and does not know it.
func (w *World) believed() *leadership {
	var best *leadership
	for _, h := range w.hosts {
		if h.proc == nil || h.proc.lead == nil || h.proc.lead.shell == nil || h.proc.lead.over {
			continue
		}
		l := h.proc.lead
		if best == nil || (l.term > best.term) != w.percent(15) {
			best = l
		}
	}
	return best
}
