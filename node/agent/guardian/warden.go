package guardian

import (
	"errors"
	"os"
	"os/signal"
	"time"
	"unsafe"

	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
	"golang.org/x/sys/unix"
)

// The descriptors that a guardian is started with, beside /dev/null as stdin and stdout, and supnode's stderr.
const (
	fdControl  = 3 + iota // the control socket
	fdTimer               // the timer shared with supnode
	fdMain                // a pidfd of supnode
	fdLock                // the locked file, closed second to last (P0)
	fdListener            // the node's listening socket or /dev/null, closed first of the two (P0)
	fdEnd
)

const (
	// maxCommands bounds the commands of a node.
	maxCommands = 10_000
	// maxReceives bounds the orders taken in one turn, so that the timer is looked at between them.
	maxReceives = 64
	// roundEvery is the pause between two looks at what is to die and has not died yet, slowRound later ones'.
	roundEvery, slowRound = 2 * time.Millisecond, 20 * time.Millisecond
	// repeatEvery is the pause between two reports of an exit that is not acknowledged.
	repeatEvery = 500 * time.Millisecond
)

// A warden is the guardian process: one goroutine on the main thread, which forks, kills, waits, and never blocks.
type warden struct {
	epoll    int
	bell     int // an eventfd that SIGCHLD rings
	children *ownChildren

	nodeID   string // what all commands have in common
	session  sup.Session
	fired    bool          // the timer fired: no spawn until another session
	purging  bool          // everything is to die
	since    agent.Instant // when the oldest thing that is to die began to
	commands map[uint64]*command
	tags     map[tag]*command
	leaders  map[int]*command      // running commands by pid
	owners   map[int]*command      // strays whose command is known
	doubts   map[int]agent.Instant // strays of unknown origin, since when they are known
	doomed   map[int]agent.Instant // strays that were killed, and since when they, and what is below them, should be gone
	sweepAt  agent.Instant         // the next sweep is not before: sweeping is not to take the machine from the dying
	ending   int                   // commands that ended and whose strays may live

	out      []report // not sent yet: at most two per command and a few
	full     bool     // the control socket takes no more for now
	repeatAt agent.Instant
	buffer   []byte
}

// stand is the guardian's whole life; it returns the exit status.
func stand(isolation Isolation) int {
	w := &warden{
		commands: map[uint64]*command{},
		tags:     map[tag]*command{},
		leaders:  map[int]*command{},
		owners:   map[int]*command{},
		doubts:   map[int]agent.Instant{},
		doomed:   map[int]agent.Instant{},
		buffer:   make([]byte, 2*maxMessage),
	}
	if err := w.prepare(isolation); err != nil {
		w.tell(report{Failed: err.Error()})
		w.flush()
		return 1
	}
	w.tell(report{Ready: true})
	w.flush()
	w.watch()
	w.end()
	return 0
}

// prepare makes the process a guardian: nothing of it reaches commands, and everything of theirs comes back to it.
func (w *warden) prepare(isolation Isolation) (err error) {
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return os.NewSyscallError("close_range", err)
	}
	if err := isolation.enter(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl subreaper", err)
	}
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&comm)), 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl name", err)
	}
	beUrgent()
	// Caught and dropped, not ignored: an ignored signal would stay ignored in commands, which are stopped by SIGTERM.
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	if w.children, err = openOwnChildren(); err != nil {
		return err
	}
	if w.bell, err = ringOnChild(); err != nil {
		return err
	}
	if w.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	for _, fd := range []int{fdControl, fdTimer, fdMain, w.bell} {
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
		if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
			return os.NewSyscallError("epoll_ctl", err)
		}
	}
	return nil
}

// ringOnChild makes an eventfd that becomes readable whenever a child changes state.
func ringOnChild() (int, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1, os.NewSyscallError("eventfd", err)
	}
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	go func() { // lives as long as the process
		one := []byte{1, 0, 0, 0, 0, 0, 0, 0}
		for range died {
			_, _ = unix.Write(fd, one)
		}
	}()
	return fd, nil
}

// watch turns until supnode ends or lets go of the guardian.
func (w *warden) watch() {
	for {
		ready := w.wait(w.patience())
		if ready[fdMain] {
			return
		}
		if ready[fdTimer] { // before any order: a process that was stopped fences first (A3)
			w.deadline()
		}
		if ready[fdControl] && !w.receive() {
			return
		}
		w.reap()
		w.sweep()
		w.flush()
	}
}

// wait waits for the descriptors, at most that many milliseconds, -1 for ever.
func (w *warden) wait(milliseconds int) (ready map[int]bool) {
	var events [8]unix.EpollEvent
	n, err := unix.EpollWait(w.epoll, events[:], milliseconds)
	if err != nil { // EINTR; anything else shows as a failed read next
		return nil
	}
	ready = make(map[int]bool, n)
	for _, e := range events[:n] {
		switch int(e.Fd) {
		case w.bell:
			var count [8]byte
			_, _ = unix.Read(w.bell, count[:])
		case fdControl:
			if e.Events&unix.EPOLLOUT != 0 {
				w.full = false
				w.await(unix.EPOLLIN)
			}
			ready[fdControl] = e.Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0
		default:
			ready[int(e.Fd)] = true
		}
	}
	return ready
}

// patience is how long the guardian may wait for something to happen, in milliseconds.
func (w *warden) patience() int {
	switch {
	case w.purging || w.ending > 0:
		if now()-w.since > int64(10*slowRound) {
			return int(slowRound / time.Millisecond)
		}
		return int(roundEvery / time.Millisecond)
	case len(w.commands) > len(w.leaders): // exits to be acknowledged
		return int(repeatEvery / time.Millisecond)
	}
	return -1
}

// receive takes orders; false when supnode has closed its end.
func (w *warden) receive() bool {
	for range maxReceives {
		control := make([]byte, unix.CmsgSpace(4*maxFDs))
		n, controlled, _, _, err := unix.Recvmsg(fdControl, w.buffer, control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return true
		case err != nil || n == 0:
			return false
		}
		fds := descriptors(control[:controlled])
		o, fds, err := decodeOrder(w.buffer[:n], fds)
		if err != nil { // both ends are the same binary: this one or its memory is broken
			os.Stderr.WriteString(guardianName + ": " + err.Error() + "\n")
			return false
		}
		w.obey(o, fds)
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	return true
}

func descriptors(control []byte) (fds []int) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for i := range messages {
		rights, err := unix.ParseUnixRights(&messages[i])
		if err == nil {
			fds = append(fds, rights...)
		}
	}
	return fds
}

func (w *warden) obey(o order, fds []int) {
	if o.Session != nil {
		w.enter(*o.Session)
	}
	if o.Spawn != nil {
		w.spawn(o.Spawn, fds)
	}
	if o.Signal != nil {
		w.signal(o.Signal.ID, unix.Signal(o.Signal.Signal))
	}
	for _, id := range o.Acks {
		w.forget(id)
	}
	if o.Look {
		w.tell(report{Turns: true})
	}
}

// enter makes way for another session. supnode enters it after everything of the former one is reported gone (A4);
// should anything be left, it dies, and spawns are refused until it has.
func (w *warden) enter(s sup.Session) {
	if s == w.session {
		return
	}
	w.session, w.fired = s, false
	if len(w.leaders) > 0 || w.ending > 0 {
		w.purge()
	}
}

// tell queues a report.
func (w *warden) tell(r report) { w.out = append(w.out, r) }

// flush sends what is queued, and now and then again the exits that are not acknowledged.
func (w *warden) flush() {
	if t := now(); len(w.out) == 0 && t >= w.repeatAt {
		for _, c := range w.commands {
			if c.state == gone && t-c.told >= int64(repeatEvery) {
				w.tellExit(c)
			}
		}
		w.repeatAt = t + int64(repeatEvery)
	}
	for len(w.out) > 0 && !w.full {
		message, err := encoder.Marshal(w.out[0])
		if err != nil {
			panic(err) // a report of plain fields
		}
		err = unix.Sendmsg(fdControl, message, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			w.full = true
			w.await(unix.EPOLLIN | unix.EPOLLOUT)
		default:
			w.out = w.out[1:] // sent; or supnode is gone, which the next turn sees
		}
	}
}

// await says what to wait for on the control socket.
func (w *warden) await(events uint32) {
	_ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_MOD, fdControl, &unix.EpollEvent{Events: events, Fd: fdControl})
}
