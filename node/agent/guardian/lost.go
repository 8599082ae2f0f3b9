package guardian

import (
	"cmp"
	"context"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
	"golang.org/x/sys/unix"
)

// workWithin bounds how long Close waits for work that hangs in a file system.
const workWithin = 5 * time.Second

// follow makes a guardian the runner's.
func (r *Runner) follow(g *guardian) {
	r.mu.Lock()
	r.guardian = g
	r.mu.Unlock()
	r.loop.told, r.loop.heard = sup.Session{}, time.Now()
	r.work.Go(g.follow)
}

// onDeath is the death of the guardian: its direct children are dying, and what else descends from it is being left to this
// process, which kills it before anything is reported (A6).
func (r *Runner) onDeath() {
	r.mu.Lock()
	g := r.guardian
	r.guardian = nil
	unix.Close(g.pidfd)
	r.mu.Unlock()
	r.loop.busy = true
	if time.Since(g.since) >= relaunchCalm {
		r.loop.tries = 0
	}
	if !r.loop.leaving {
		r.config.Logger.Warn("the guardian is lost; killing what it started", "pid", g.pid)
	}
	r.work.Go(func() {
		r.killOrphans()
		r.cgroups.killAll(r.quit)
		r.loop.swept <- struct{}{}
	})
}

// killOrphans kills and reaps what a dead guardian left to this process, until nothing is left. Orphans are known by the
// node's tag, and by being in a session other than this process's: the guardian's, or their own.
func (r *Runner) killOrphans() {
	session, err := unix.Getsid(0)
	if err != nil {
		session = -1
	}
	for clean := 0; clean < 2; { // another goroutine that reaps its child can hide one from a look
		clean++
		for _, pid := range childrenOf(os.Getpid()) {
			if isGuardian(pid) {
				continue
			}
			s, alive := readStat(pid)
			if t := readTag(pid); !alive || t.nodeID != r.config.NodeID && (t.nodeID != "" || s.session == session) {
				continue
			}
			clean = 0
			_ = unix.Kill(pid, unix.SIGKILL)
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
		if clean == 0 {
			time.Sleep(roundEvery)
		}
	}
	// What is neither: it hangs under another subreaper.
	if _, err := KillLeftovers(context.Background(), r.config.NodeID); err != nil {
		r.config.Logger.Error("cannot look for what the guardian left", "error", err)
	}
}

// onSwept tells the loss of a guardian, now that nothing of what it started is left.
func (r *Runner) onSwept() {
	r.loop.busy = false
	if r.loop.leaving {
		return
	}
	r.loseProbes()
	r.sink(agent.GuardianLost{}) // first: it makes the ends below those of a lapse, one uncounted event (A6, S16)
	for _, c := range r.known() {
		r.finish(c, c.ended(sup.ExitError, "guardian lost"))
	}
	r.loop.relaunch.Reset(r.relaunchIn())
}

// known are the charges that the guardian knew, in the order in which it was told of them.
func (r *Runner) known() []*charge {
	return slices.SortedFunc(maps.Values(r.loop.numbers), func(a, b *charge) int { return cmp.Compare(a.number, b.number) })
}

// relaunchIn is the pause before the next try to start a guardian.
func (r *Runner) relaunchIn() time.Duration {
	tries := r.loop.tries
	r.loop.tries++
	if tries == 0 {
		return 0
	}
	return min(relaunchFirst<<min(tries-1, 16), relaunchMost)
}

func (r *Runner) launch() {
	r.loop.busy = true
	r.work.Go(func() {
		g, err := launch(r.config, r.timer)
		r.loop.launched <- launchResult{g, err}
	})
}

func (r *Runner) onLaunched(result launchResult) {
	r.loop.busy = false
	if result.err != nil {
		wait := r.relaunchIn()
		r.config.Logger.Error("no guardian; commands wait", "error", result.err, "again_in", wait)
		r.loop.relaunch.Reset(wait)
		return
	}
	r.config.Logger.Info("a new guardian stands", "pid", result.guardian.pid)
	r.follow(result.guardian)
}

// depart is a turn of a runner that is closing; true when there is no guardian and nothing that it left.
func (r *Runner) depart() (gone bool) {
	r.loop.relaunch.Stop()
	if r.guardian != nil && !r.loop.leaving {
		r.loop.leaving = true
		_ = r.guardian.conn.CloseWrite() // its order to clear away; what it still says is read
		r.loop.patience.Reset(closeWithin)
	}
	return r.guardian == nil && !r.loop.busy
}

// leave frees what the runner has, after its last turn.
func (r *Runner) leave() {
	r.mu.Lock()
	charges := make([]*charge, 0, len(r.charges))
	for _, c := range r.charges {
		charges = append(charges, c)
	}
	r.mu.Unlock()
	for _, c := range charges {
		r.finish(c, c.ended(sup.ExitKilled, leaseOver))
	}
	r.loseProbes()
	close(r.quit)
	r.alarm.stop()
	r.loop.patience.Stop()
	worked := make(chan struct{})
	go func() {
		r.work.Wait()
		r.cgroups.close()
		r.logs.work.Wait() // what fills them has ended
		close(worked)
	}()
	select {
	case <-worked:
	case <-time.After(workWithin):
		r.config.Logger.Error("a file system does not answer; leaving what waits for it")
	}
	unix.Close(r.timer)
	r.config.Lock.Release()
}
