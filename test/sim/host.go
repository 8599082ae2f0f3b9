package sim

import (
	"fmt"

	sup "github.com/supnode/supnode/supervisor"
)

// host is one machine: a clock, a disk, at most one process and one guardian at a time, and what runs under them.
type host struct {
	w     *World
	i     int
	name  sup.NodeName
	addr  string
	uuid  string
	voter bool
	clock clock
	gen   uint64 // state.db: the highest generation seen
	on    bool   // powered; a host without power answers nothing
	proc  *process
	guard *guardian
	lives []*life // every process of the host that lives, commands and Go children, by birth

	booting  bool
	rejected bool // the process ended for good: the cluster refuses it
	drained  bool // an operator wants it so
	away     bool // it said goodbye and comes back when its operator starts it
	dials    []*dial
}

func newHost(w *World, i int, voter bool) *host {
	h := &host{w: w, i: i, voter: voter, on: true, name: sup.NodeName(fmt.Sprintf("n%d", i+1)),
		addr: fmt.Sprintf("127.0.0.1:%d", 7001+i), uuid: fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1)}
	h.clock = clock{origin: 0, start: w.between(second, 1000*second), rate: 1_000_000}
	if w.plan.Skew {
		h.clock.rate = pick(w, []int64{slowest, fastest, w.between(slowest, fastest)})
	}
	return h
}

// local is what the host's clock shows now.
func (h *host) local() int64 { return h.clock.read(h.w.now) }

// refuses reports whether a dial to the node port is refused: the kernel is up and nothing listens (P0: the guardian
// keeps the port as long as it has a descendant).
func (h *host) refuses() bool {
	if !h.on {
		return false
	}
	return (h.proc == nil || !h.proc.listening) && (h.guard == nil || !h.guard.alive || h.w.mutant.is("p0_off"))
}

// bootIn starts the process after d, as systemd does, once the former one's guardian is gone (P1: its lock).
func (h *host) bootIn(d int64) {
	if h.booting || h.rejected {
		return
	}
	h.booting = true
	h.w.after(d, tagBoot, h.boot)
}

func (h *host) boot() {
	w := h.w
	locked := h.guard != nil && h.guard.alive && !w.mutant.is("p1_off")
	if !h.on || locked || h.proc != nil {
		w.after(5*millisecond, tagBoot, h.boot)
		return
	}
	if len(h.lives) > 0 && !w.mutant.is("p1_off") { // every process whose environment carries the UUID (P1)
		for _, l := range h.lives {
			l.kill(w.upTo(5*millisecond), sup.ExitKilled)
		}
		w.after(6*millisecond, tagBoot, h.boot)
		return
	}
	h.booting, h.away = false, false
	h.proc = newProcess(h)
	w.tell("%s boots: process %d", h.name, h.proc.id)
	h.proc.start()
}

// kill is kill -9 of the process: its memory and its Go children are gone, its streams break, its guardian notices.
func (h *host) kill(back int64) {
	p := h.proc
	if p == nil {
		return
	}
	w := h.w
	w.tell("%s process %d ends", h.name, p.id)
	p.dead, h.proc = true, nil
	if p.lead != nil {
		p.lead.die()
	}
	if p.rep != nil {
		w.raft.leave(p.rep)
	}
	w.net.endOf(p)
	for _, l := range h.living(inProcess) {
		l.end(sup.ExitKilled)
	}
	if h.guard != nil {
		h.guard.orphan()
		h.excuse()
	}
	h.changed()
	if back >= 0 {
		h.bootIn(back)
	}
}

// killGuardian is kill -9 of the guardian: its commands die with it (PDEATHSIG), a few milliseconds at most later.
func (h *host) killGuardian() {
	g := h.guard
	if g == nil || !g.alive {
		return
	}
	h.w.tell("%s guardian dies", h.name)
	g.alive = false
	h.guard = nil
	lost := h.living(command)
	for _, l := range lost {
		l.orphaned = true
		l.kill(h.w.upTo(9*millisecond), sup.ExitKilled)
	}
	h.changed()
	if h.proc != nil {
		h.proc.runner.bereaved(lost)
	}
}

// cut is a power cut: everything ends at once, and the clock starts anew after the reboot.
func (h *host) cut(back int64) {
	w := h.w
	w.tell("%s power cut", h.name)
	h.on = false
	for _, l := range append([]*life(nil), h.lives...) {
		l.end(sup.ExitKilled)
	}
	if h.guard != nil {
		h.guard.alive = false
		h.guard = nil
	}
	h.kill(-1)
	w.after(back, tagBoot, func() {
		h.on = true
		h.clock = clock{origin: w.now, start: w.between(0, second), rate: h.clock.rate}
		h.changed()
		h.bootIn(w.between(50*millisecond, 400*millisecond))
	})
}

// living lists the host's living processes of a kind, by birth.
func (h *host) living(k lifeKind) []*life {
	var out []*life
	for _, l := range h.lives {
		if l.kind == k {
			out = append(out, l)
		}
	}
	return out
}

// changed tells held dials that the port's state may have changed.
func (h *host) changed() {
	held := h.dials
	h.dials = nil
	for _, d := range held {
		d.again()
	}
}

// process is one life of supnode.
type process struct {
	h         *host
	id        uint64
	dead      bool
	paused    bool
	listening bool
	agent     *agentShell
	runner    *runner
	rep       *replica    // of a voter
	lead      *leadership // while it believes that it leads
	backlog   []delivery  // what came while it was stopped
	draining  bool
	leaving   bool  // it says goodbye, and may stop children by itself
	stopped   int64 // true time since which it is paused
}

// delivery waits in a stopped process. Deliveries of one source keep their order.
type delivery struct {
	source uint64
	do     func()
}

// The sources of deliveries that are not streams, whose numbers start above.
const (
	sourceTimer uint64 = iota
	sourceRunner
	sourceRaft
	sourceClient
	sourceSignal
	sources
)

func newProcess(h *host) *process {
	p := &process{h: h, id: h.w.id()}
	p.runner = newRunner(p)
	p.agent = newAgentShell(p)
	if h.voter {
		p.rep = newReplica(p)
	}
	return p
}

// start lets the process listen, and its guardian and agent begin.
func (p *process) start() {
	w := p.h.w
	p.listening = true
	p.h.changed()
	if w.plan.commands() {
		p.runner.newGuardian()
	}
	if p.rep != nil {
		w.raft.join(p.rep)
	}
	p.post(w.upTo(20*millisecond), tagBoot, sourceSignal, p.agent.begin)
}

// post delivers something to the process after d: at once when it runs, later when it is stopped, never when it is dead.
func (p *process) post(d int64, tag tag, source uint64, do func()) {
	p.h.w.after(d, tag, func() {
		switch {
		case p.dead:
		case p.paused || len(p.backlog) > 0:
			p.backlog = append(p.backlog, delivery{source, do})
		default:
			do()
		}
	})
}

// pause is SIGSTOP.
func (p *process) pause() {
	if p.dead || p.paused {
		return
	}
	p.h.w.tell("%s stopped", p.h.name)
	p.paused, p.stopped = true, p.h.w.now
	for _, l := range p.h.living(inProcess) {
		l.suspended = true
	}
	p.h.excuse()
}

// resume is SIGCONT: what was held arrives in a burst, in any order between sources.
func (p *process) resume() {
	if p.dead || !p.paused {
		return
	}
	w := p.h.w
	w.tell("%s continues after %.3fs with %d held", p.h.name, float64(w.now-p.stopped)/1e9, len(p.backlog))
	p.paused = false
	p.h.watched()
	late := p.h.local() >= p.runner.deadline
	for _, l := range p.h.living(inProcess) {
		l.resumed(late)
	}
	if p.rep != nil {
		w.raft.catchUp(p.rep)
	}
	p.drain()
}

func (p *process) drain() {
	if p.draining || len(p.backlog) == 0 {
		return
	}
	p.draining = true
	w := p.h.w
	w.after(w.between(1, 20*microsecond), tagWake, func() {
		p.draining = false
		if p.dead || p.paused || len(p.backlog) == 0 {
			return
		}
		src := pick(w, p.backlog).source
		for i, d := range p.backlog {
			if d.source == src {
				p.backlog = append(p.backlog[:i:i], p.backlog[i+1:]...)
				d.do()
				break
			}
		}
		p.drain()
	})
}
