package guardian

import (
	"context"
	"time"

	"github.com/supnode/supnode/node/agent"
	"golang.org/x/sys/unix"
)

// leastGrace is the least time between the two steps of the second fence.
const leastGrace = 20 * time.Millisecond

// Lease says until when commands may run. A renewal is one system call, on the timer that the guardian waits for. When the
// timer has fired before, the lease is over, whether or not the guardian has seen it: setting it wiped that out (A6).
func (r *Runner) Lease(l agent.Lease) {
	r.mu.Lock()
	defer r.mu.Unlock()
	another := l.Session != r.session
	if r.closing || l.Session.Less(r.session) || !another && r.fenced != 0 {
		return
	}
	r.deadline, r.fence = l.Deadline, l.Fence
	// The timer first, the session's name after it: else the former session's expiry would end this one.
	pending, err := setTimer(r.timer, l.Deadline)
	if another {
		r.session, r.fenced, r.overdue = l.Session, 0, false
		r.unlease()
		r.leased, r.unlease = context.WithCancel(context.Background())
		r.rouse()
	}
	if err != nil || !pending && !another {
		r.lapse()
		return
	}
	r.setAlarm()
}

// Fence kills everything at once; nothing starts before the lease of another session.
func (r *Runner) Fence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closing {
		r.over()
		r.rouse()
	}
}

// lapse is Fence when it was the guardian's timer that ended the lease.
func (r *Runner) lapse() {
	if r.fenced == 0 {
		r.lapsed = r.session
	}
	r.over()
	r.rouse()
}

// over ends the session: the timer fires at once, and the guardian does what it does at a deadline.
func (r *Runner) over() {
	if r.fenced == 0 {
		r.fenced = now()
	}
	r.unlease()
	if _, err := setTimer(r.timer, 0); err != nil {
		r.config.Logger.Error("cannot fire the guardian's timer", "error", err)
	}
	r.setAlarm()
}

// The second fence has two steps: at its instant commands are killed by their groups, and a quarter of the budget later, if
// that was not confirmed either, the guardian is killed, with which all that is left comes to this process.

// setAlarm makes sure that the second fence is looked at in time. While leases are renewed it is looked at once a lease.
func (r *Runner) setAlarm() {
	if at := r.secondFenceAt(); !r.overdue && (r.alarmAt == 0 || at < r.alarmAt) {
		r.alarmAt = at
		r.alarm.set(at)
	}
}

// secondFenceAt is the instant at which what the guardian has not confirmed is killed by this process: half the fence budget
// after the lease's end (A3).
func (r *Runner) secondFenceAt() agent.Instant {
	end := r.deadline
	if r.fenced != 0 {
		end = min(end, r.fenced)
	}
	return end + r.fence/2
}

// watchFence is the second fence. It has its own goroutine, which waits for nothing but its alarm.
func (r *Runner) watchFence() {
	for r.alarm.wait() {
		r.mu.Lock()
		r.checkFence()
		r.mu.Unlock()
	}
}

func (r *Runner) checkFence() {
	if at := r.secondFenceAt(); !r.overdue && now() < at {
		r.alarmAt = at
		r.alarm.set(at)
		return
	}
	left := 0
	for _, c := range r.charges {
		if c.handed {
			left++
		}
	}
	switch {
	case left == 0 || r.guardian == nil:
		r.alarmAt, r.overdue = 0, false
	case !r.overdue:
		// A process that was stopped and resumes finds reports that it has not read; they have this time before the guardian
		// is taken for dead.
		r.overdue = true
		r.killGroups()
		r.alarmAt = now() + max(r.fence/4, int64(leastGrace))
		r.alarm.set(r.alarmAt)
	default:
		r.config.Logger.Error("the guardian did not confirm the end of its commands in time; killing it too", "commands", left)
		r.alarmAt, r.overdue = 0, false
		r.guardian.kill()
	}
}

// killGroups kills commands by their groups behind the guardian's back. A number is that of a command as long as the guardian
// has not reaped it.
func (r *Runner) killGroups() {
	if r.config.Isolation != Group {
		return // the numbers are of another namespace; all dies with the guardian
	}
	for _, c := range r.charges {
		if s, alive := readStat(c.pid); c.pid != 0 && alive && s.parent == r.guardian.pid {
			_ = unix.Kill(-c.pid, unix.SIGKILL)
		}
		if s, alive := readStat(c.probePID); c.probePID != 0 && alive && s.parent == r.guardian.pid {
			_ = unix.Kill(-c.probePID, unix.SIGKILL)
		}
	}
}
