package guardian

import (
	"errors"
	"syscall"

	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
	"golang.org/x/sys/unix"
)

// A command is one that the guardian started and whose exit is not acknowledged.
type command struct {
	id      uint64
	session sup.Session
	pid     int // and its process group
	tag     tag
	state   commandState
	status  uint32        // as wait4 gives it, once it ended
	start   uint64        // clock ticks since boot, no later than its true start
	told    agent.Instant // when its exit was last reported
	of      *command      // that it is a probe of; nil = it is none
	probe   *command      // that is not gone; nil = none
}

// forget drops a command whose exit is acknowledged.
func (w *warden) forget(id uint64) {
	c := w.commands[id]
	if c == nil || c.state != gone {
		return
	}
	delete(w.commands, id)
	if w.tags[c.tag] == c {
		delete(w.tags, c.tag)
	}
}

type commandState uint8

const (
	running commandState = iota
	ended                // the process is gone, its strays may live
	gone                 // nothing of it is left; to be reported until acknowledged
)

// spawn starts a command, if the lease allows it at this moment (A2, A5).
func (w *warden) spawn(s *spawn, fds []int) {
	if !timerPending(fdTimer) && s.Session == w.session {
		w.deadline() // it fired, and the turn has not come to it yet
	}
	if w.purging { // perhaps for nothing, or not any more
		w.sweepAt = 0
		w.reap()
		w.sweep()
	}
	of := w.commands[s.Of]
	late := s.Of != 0 && (of == nil || of.state != running || of.probe != nil)
	if s.Session != w.session || w.fired && !ignoresDeadline || w.purging || late {
		w.tell(report{Started: &started{ID: s.ID, Refused: true}})
		return
	}
	need := 1
	if s.InCgroup {
		need = 2
	}
	if len(fds) != need { // the kernel drops descriptors that a process has no room for
		w.tell(report{Started: &started{ID: s.ID, Errno: int(unix.EMFILE)}})
		return
	}
	if len(w.commands) >= 2*maxCommands+2*maxProbes { // as many that run, and as many exits to be acknowledged
		w.tell(report{Started: &started{ID: s.ID, Errno: int(unix.EAGAIN)}})
		return
	}
	attributes := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if s.InCgroup { // from its first moment
		attributes.UseCgroupFD, attributes.CgroupFD = true, fds[1]
	}
	start := uint64(now() / int64(tick))
	pid, err := syscall.ForkExec(s.Path, s.Args, &syscall.ProcAttr{
		Dir:   s.Dir,
		Env:   s.Env,
		Files: []uintptr{uintptr(0), uintptr(fds[0]), uintptr(fds[0])}, // the guardian's stdin is /dev/null
		Sys:   attributes,
	})
	if err != nil {
		errno := unix.EINVAL
		errors.As(err, &errno)
		w.tell(report{Started: &started{ID: s.ID, Errno: int(errno)}})
		return
	}
	c := &command{id: s.ID, session: s.Session, pid: pid, tag: tagOf(s.Env), start: start, of: of}
	if of != nil {
		of.probe = c
	}
	w.commands[c.id], w.leaders[pid] = c, c
	if c.tag.nodeID != "" {
		w.tags[c.tag], w.nodeID = c, c.tag.nodeID
	}
	w.tell(report{Started: &started{ID: s.ID, PID: pid}})
}

// signal signals a command's process group. Once the command has ended there is nothing to signal: its strays are being
// killed already.
func (w *warden) signal(id uint64, s unix.Signal) {
	c := w.commands[id]
	if c == nil || c.state != running {
		return
	}
	_ = unix.Kill(-c.pid, s)
	if s == unix.SIGKILL {
		_ = unix.Kill(c.pid, s) // it may have moved to another group
	}
}

// deadline is the end of the lease: everything dies, and nothing starts until another session (A3).
func (w *warden) deadline() {
	var count [8]byte
	_, _ = unix.Read(fdTimer, count[:])
	if ignoresDeadline {
		return
	}
	if !w.fired && !w.session.IsZero() {
		s := w.session
		w.tell(report{Lapsed: &s})
	}
	w.fired = true
	w.purge()
}

// tellExit reports that nothing of a command is left.
func (w *warden) tellExit(c *command) {
	c.told = now()
	w.tell(report{Exit: &exit{ID: c.id, Status: c.status}})
}

// end is what is left to do when supnode is gone: kill until no descendant is left, then free the port, then the lock (P0).
func (w *warden) end() {
	w.purge()
	for {
		if w.reap() {
			break
		}
		w.sweep()
		w.flush() // supnode may be there and only want no more
		w.waitForChild()
	}
	unix.Close(fdListener)
	unix.Close(fdLock)
}

// waitForChild waits for a child's death, for one round at most.
func (w *warden) waitForChild() {
	bell := []unix.PollFd{{Fd: int32(w.bell), Events: unix.POLLIN}}
	_, _ = unix.Poll(bell, w.patience())
	var count [8]byte
	_, _ = unix.Read(w.bell, count[:])
}
