package guardian

import (
	"syscall"
	"time"

	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
	"golang.org/x/sys/unix"
)

// A charge is an incarnation that the runner was given and whose end it has not told.
type charge struct {
	spawn   agent.Spawn
	refusal string // why it is not even tried

	// Guarded by Runner.mu.
	touched  bool          // is among Runner.touched
	stop     bool          // Stop was called,
	stopIn   int64         // with this timeout, -1 = infinity,
	stopBy   agent.Instant // which ends then
	kill     string        // Kill was called, or the timeout is over: the detail of its exit
	tooSlow  bool          // its init_timeout is over
	handed   bool          // the guardian was told to start it
	pid      int           // of its process once it runs
	probePID int           // of a probe's that runs
	cleared  *string       // its cgroup is gone: what is to be said of it
	probed   []probed      // probes that have ended

	// Of the runner's goroutine.
	phase   phase
	number  uint64 // in messages
	ready   spawn  // once it is sent, only its file and directory
	output  *output
	slow    *time.Timer // runs out when init takes too long
	late    *time.Timer // runs out when stopping takes too long
	program Program
	cgroup  *cgroup            // nil = it has no limits
	status  syscall.WaitStatus // once it is clearing
	fenced  bool               // likewise
	asks    spawn              // its liveness probe, if that is a command
	vigil   *vigil             // nil = none is kept
	ring    *time.Timer        // calls for the vigil
	probe   *probe             // the last one
	hung    string             // what the vigil ended with: the detail of its exit
	asked   bool               // that is sent
	forced  string             // SIGKILL is sent: the detail of its exit
}

type phase uint8

const (
	preparation phase = iota // its file and log are looked up
	waiting                  // for a guardian
	sent                     // to the guardian, which has not answered
	runs
	clearing // its processes are gone, its cgroup is being looked at
	over
)

func (c *charge) ended(reason sup.ExitReason, detail string) agent.Ended {
	return agent.Ended{Key: c.spawn.Key, Inc: c.spawn.Inc, Reason: reason, Detail: detail}
}

func (c *charge) initFailed(detail string) agent.Ended {
	e := c.ended(sup.ExitError, detail)
	e.InitFailed = true
	return e
}

// leaseOver is the detail of what ended because its lease did.
const leaseOver = "its node's lease was over"

// exited is the end of a charge that the guardian reports.
func (c *charge) exited(status syscall.WaitStatus, fenced bool) agent.Ended {
	if c.hung != "" {
		return c.ended(sup.ExitError, c.hung)
	}
	forced := c.forced
	if forced == "" && fenced && status.Signaled() && status.Signal() == syscall.SIGKILL {
		forced = leaseOver
	}
	reason := reasonOf(status, c.asked, forced != "")
	detail := detailOf(status, reason, forced)
	if c.cleared != nil && *c.cleared != "" && reason == sup.ExitError {
		detail = *c.cleared + " (" + detail + ")"
	}
	return c.ended(reason, detail)
}

// heed does what was asked of a charge.
func (r *Runner) heed(c *charge) {
	r.mu.Lock()
	c.touched = false
	stop, stopIn, stopBy, kill, tooSlow, cleared := c.stop, c.stopIn, c.stopBy, c.kill, c.tooSlow, c.cleared
	r.mu.Unlock()
	if kill == "" && stop && stopIn == 0 {
		kill = untimely(0)
	}
	switch c.phase {
	case preparation, waiting: // nothing runs yet
		if kill != "" {
			r.finish(c, c.ended(sup.ExitKilled, kill))
		} else if stop {
			r.finish(c, c.ended(sup.ExitShutdown, "stopped before it was started"))
		} else if tooSlow {
			within := time.Duration(c.spawn.InitTimeout)
			r.finish(c, c.initFailed("was not started within "+within.String()+" (init_timeout): a disk or the guardian does not answer"))
		}
	case sent:
		if tooSlow {
			r.suspect(c)
		}
	case clearing:
		if cleared != nil {
			r.finish(c, c.exited(c.status, c.fenced))
		}
	case runs:
		if stop || kill != "" {
			r.endVigil(c)
		}
		if kill != "" && c.forced == "" {
			c.forced = kill
			r.signal(c, unix.SIGKILL)
		} else if stop && c.forced == "" {
			r.ask(c, stopBy, untimely(time.Duration(stopIn)))
		} else if c.vigil != nil {
			r.keepVigil(c)
		}
	}
}

// ask asks a charge to stop and sets the time for it.
func (r *Runner) ask(c *charge, by agent.Instant, untimely string) {
	if !c.asked {
		c.asked = true
		r.signal(c, c.program.asker())
	}
	if c.late != nil {
		c.late.Stop()
		c.late = nil
	}
	if by != never {
		name := id{c.spawn.Key, c.spawn.Inc}
		c.late = time.AfterFunc(time.Duration(by-now()), func() {
			r.touch(name, func(c *charge) { c.kill = untimely })
		})
	}
}

// finish ends a charge and tells the sink.
func (r *Runner) finish(c *charge, e agent.Ended) {
	for _, t := range []*time.Timer{c.slow, c.late} {
		if t != nil {
			t.Stop()
		}
	}
	r.endVigil(c)
	if g := c.cgroup; g != nil && c.phase != clearing { // nothing runs in it, or all of it is dead
		r.work.Go(func() { g.end(r.quit) })
	}
	if c.output != nil {
		switch c.phase {
		case preparation, waiting:
			c.output.discard()
		default:
			c.output.finish() // its pump closes it
		}
	}
	c.phase = over
	delete(r.loop.numbers, c.number)
	r.mu.Lock()
	if name := (id{c.spawn.Key, c.spawn.Inc}); r.charges[name] == c {
		delete(r.charges, name)
	}
	r.mu.Unlock()
	r.sink(e)
}
