package guardian

import (
	"syscall"
	"time"

	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
	"golang.org/x/sys/unix"
)

const (
	// maxDispatch bounds the commands sent to the guardian in one turn, so that what is to stop need not wait for all that is
	// to start.
	maxDispatch = 64
	// relaunchFirst is the pause before a second try to start a guardian; it doubles up to relaunchMost. A guardian that lived
	// for relaunchCalm is replaced at once.
	relaunchFirst, relaunchMost, relaunchCalm = 100 * time.Millisecond, 5 * time.Second, 10 * time.Second
	// closeWithin is how long a guardian may take to clear away before it is killed.
	closeWithin = 2 * time.Second
)

// loop is what only the runner's goroutine touches.
type loop struct {
	numbers  map[uint64]*charge
	probes   map[uint64]*probe
	last     uint64
	queue    []*charge // prepared, in the order of their preparation's end
	told     sup.Session
	prepared chan preparedCharge
	launched chan launchResult
	swept    chan struct{}
	relaunch *time.Timer
	tries    int
	busy     bool // launching or sweeping: something will come on launched or swept
	leaving  bool // the guardian was let go
	patience *time.Timer
	heard    time.Time // when the guardian said something, or was made

	asked      time.Time // when the guardian was last asked whether it turns
	unanswered int       // looks in a row
}

type preparedCharge struct {
	charge  *charge
	ready   spawn
	program Program
	asks    spawn
	cgroup  *cgroup
	output  *output
	err     error
}

type launchResult struct {
	guardian *guardian
	err      error
}

func (l *loop) make() {
	l.numbers = map[uint64]*charge{}
	l.probes = map[uint64]*probe{}
	l.prepared = make(chan preparedCharge)
	l.launched = make(chan launchResult, 1)
	l.swept = make(chan struct{}, 1)
	l.relaunch = stoppedTimer()
	l.patience = stoppedTimer()
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// run owns the charges and the guardian.
func (r *Runner) run() {
	defer close(r.done)
	defer r.leave()
	look := time.NewTicker(r.config.look)
	defer look.Stop()
	for {
		var reports chan report
		if r.guardian != nil {
			reports = r.guardian.reports
		}
		select {
		case <-r.wake:
		case p := <-r.loop.prepared:
			r.onPrepared(p)
		case said, alive := <-reports:
			if alive {
				r.loop.heard = time.Now()
				r.onReport(said)
			} else {
				r.onDeath()
			}
		case <-r.loop.swept:
			r.onSwept()
		case result := <-r.loop.launched:
			r.onLaunched(result)
		case <-r.loop.relaunch.C:
			r.launch()
		case <-look.C:
			r.look()
		case <-r.loop.patience.C:
			if r.guardian != nil {
				r.guardian.kill()
			}
		}
		if r.turn() {
			return
		}
	}
}

// turn does what was asked since the last one; true when everything is over.
func (r *Runner) turn() (ended bool) {
	r.mu.Lock()
	fresh, touched, lapsed, closing := r.fresh, r.touched, r.lapsed, r.closing
	r.fresh, r.touched, r.lapsed = nil, nil, sup.Session{}
	r.mu.Unlock()
	if !lapsed.IsZero() {
		r.sink(agent.GuardianLapsed{Session: lapsed})
	}
	if closing {
		return r.depart()
	}
	for _, c := range fresh {
		r.prepare(c)
	}
	for _, c := range touched {
		r.heed(c)
	}
	r.dispatch()
	return false
}

// current says whether a session may have spawns.
func (r *Runner) current(s sup.Session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return s == r.session && r.fenced == 0
}

// prepare looks up, beside the goroutine, what a command needs of the disk.
func (r *Runner) prepare(c *charge) {
	switch {
	case c.refusal != "":
		r.finish(c, c.initFailed(c.refusal))
		return
	case !r.current(c.spawn.Session):
		r.finish(c, c.ended(sup.ExitKilled, leaseOver))
		return
	}
	if c.spawn.InitTimeout > 0 {
		within := time.Duration(c.spawn.InitTimeout)
		c.slow = time.AfterFunc(within, func() {
			r.touch(id{c.spawn.Key, c.spawn.Inc}, func(c *charge) { c.tooSlow = true })
		})
	}
	r.work.Go(func() {
		p := preparedCharge{charge: c}
		if p.program, p.err = ParseProgram(c.spawn.Args); p.err == nil {
			if p.ready, p.asks, p.err = p.program.order(r.config, c.spawn); p.err == nil {
				p.cgroup, p.err = r.confine(p.program.Limits, c.spawn.Inc)
			}
			if p.err == nil {
				log := r.logs.of(c.spawn.Key)
				log.begin(c.spawn.Inc)
				p.output, p.err = newOutput(log)
			}
		}
		select {
		case r.loop.prepared <- p:
		case <-r.quit:
			p.discard()
		}
	})
}

func (r *Runner) onPrepared(p preparedCharge) {
	c := p.charge
	switch {
	case c.phase != preparation: // it was stopped meanwhile
		p.discard()
	case p.err != nil:
		p.discard()
		r.finish(c, c.initFailed(p.err.Error()))
	default:
		c.phase, c.ready, c.program, c.asks, c.cgroup, c.output = waiting, p.ready, p.program, p.asks, p.cgroup, p.output
		r.loop.queue = append(r.loop.queue, c)
	}
}

// discard undoes what was prepared.
func (p preparedCharge) discard() {
	if p.output != nil {
		p.output.discard()
	}
	if p.cgroup != nil {
		p.cgroup.end(nil) // it is empty
	}
}

// dispatch sends to the guardian what waits for it, and ends what waits for a session that is over.
func (r *Runner) dispatch() {
	r.mu.Lock()
	session, over := r.session, r.fenced != 0
	r.mu.Unlock()
	if over {
		for _, c := range r.unsent() {
			r.finish(c, c.ended(sup.ExitKilled, leaseOver))
		}
	}
	if r.guardian == nil {
		return
	}
	if session != r.loop.told && !over {
		r.loop.told = session
		r.send(order{Session: &session}, -1)
	}
	for range min(len(r.loop.queue), maxDispatch) {
		c := r.loop.queue[0]
		r.loop.queue = r.loop.queue[1:]
		if c.phase != waiting {
			continue
		}
		if c.spawn.Session != session {
			r.finish(c, c.ended(sup.ExitKilled, leaseOver))
			continue
		}
		r.loop.last++
		c.number, c.ready.ID = r.loop.last, r.loop.last
		r.loop.numbers[c.number] = c
		r.mu.Lock()
		c.handed = true
		r.mu.Unlock()
		if err := r.guardian.send(order{Spawn: &c.ready}, c.output.write, c.cgroup.descriptor(&c.ready)); err != nil {
			r.finish(c, c.initFailed(err.Error()))
			continue
		}
		c.phase, c.ready = sent, spawn{Path: c.ready.Path, Dir: c.ready.Dir}
		c.output.handedOver()
		r.work.Go(c.output.pump)
	}
	if len(r.loop.queue) > 0 {
		r.rouse()
	}
}

// suspect kills a guardian that hangs: it has not answered for the start of a charge within its init_timeout (S14a), nor said
// anything else for a while, and so could stop and kill nothing either. What it started ends with it, and this node's lease.
func (r *Runner) suspect(c *charge) {
	if r.guardian == nil { // it is lost already
		return
	}
	silent := time.Since(r.loop.heard)
	if silent < silentFor || len(r.guardian.reports) > 0 {
		c.slow.Reset(max(silentFor-silent, silentFor/10))
		return
	}
	r.config.Logger.Error("the guardian hangs; killing it", "pid", r.guardian.pid, "silent", silent, "asked_to_start", c.spawn.Key)
	r.guardian.kill()
}

// unsent are the charges that the guardian does not know.
func (r *Runner) unsent() (list []*charge) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.charges {
		if c.phase == preparation || c.phase == waiting {
			list = append(list, c)
		}
	}
	return list
}

func (r *Runner) send(o order, fd int) {
	if err := r.guardian.send(o, fd); err != nil {
		r.config.Logger.Error("cannot tell the guardian", "error", err)
	}
}

func (r *Runner) signal(c *charge, s unix.Signal) {
	if r.guardian != nil && !r.loop.leaving {
		r.send(order{Signal: &signalling{ID: c.number, Signal: int(s)}}, -1)
	}
}

func (r *Runner) onReport(said report) {
	switch {
	case said.Started != nil:
		r.onStarted(*said.Started)
	case said.Exit != nil:
		if !r.loop.leaving {
			r.send(order{Acks: []uint64{said.Exit.ID}}, -1)
		}
		if p := r.loop.probes[said.Exit.ID]; p != nil {
			r.onProbeExit(p, syscall.WaitStatus(said.Exit.Status))
		}
		if c := r.loop.numbers[said.Exit.ID]; c != nil {
			r.mu.Lock()
			fenced := c.spawn.Session != r.session || r.fenced != 0
			r.mu.Unlock()
			r.clear(c, syscall.WaitStatus(said.Exit.Status), fenced)
		}
	case said.Lapsed != nil:
		r.mu.Lock()
		if *said.Lapsed == r.session {
			r.lapse()
		}
		r.mu.Unlock()
	}
}

func (r *Runner) onStarted(s started) {
	c := r.loop.numbers[s.ID]
	if p := r.loop.probes[s.ID]; p != nil {
		r.onProbeStarted(p, s)
	}
	switch {
	case c == nil:
	case s.Refused:
		r.finish(c, c.ended(sup.ExitKilled, leaseOver))
	case s.Errno != 0:
		r.finish(c, c.initFailed(cannotStart(syscall.Errno(s.Errno), c.ready.Path, c.ready.Dir)))
	default:
		if c.slow != nil {
			c.slow.Stop()
		}
		c.phase = runs
		r.mu.Lock()
		c.pid = s.PID
		r.mu.Unlock()
		r.sink(agent.Started{Key: c.spawn.Key, Inc: c.spawn.Inc})
		r.watchOver(c)
		r.heed(c)
	}
}

// clear ends a command of which the guardian knows nothing more; one in a cgroup when that is empty too.
func (r *Runner) clear(c *charge, status syscall.WaitStatus, fenced bool) {
	if c.cgroup == nil {
		r.finish(c, c.exited(status, fenced))
		return
	}
	r.endVigil(c)
	delete(r.loop.numbers, c.number)
	c.phase, c.status, c.fenced = clearing, status, fenced
	r.work.Go(func() {
		note := c.cgroup.end(r.quit)
		r.touch(id{c.spawn.Key, c.spawn.Inc}, func(c *charge) { c.cleared = &note })
	})
}
