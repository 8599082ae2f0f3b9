package guardian

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// readyWithin bounds the start of a guardian.
	readyWithin = 10 * time.Second
	// writeWithin bounds the sending of one order. A guardian that takes none for so long is hung, and is killed.
	writeWithin = 5 * time.Second
	// silentFor is how long a guardian that owes the start of a command beyond its init_timeout may say nothing at all. It starts
	// one after the other and answers each, so it hangs, in the kernel or because somebody stopped it, and is killed.
	silentFor = 5 * time.Second
	// lastWords bounds the reading of what a guardian said before it died.
	lastWords = 100 * time.Millisecond
)

// A guardian is supnode's hold on one guardian process.
type guardian struct {
	pid     int
	pidfd   int
	conn    *net.UnixConn
	reports chan report // closed when the process is dead, reaped, and all it said is taken
	since   time.Time
}

// guardians are the guardian processes of this process, of whichever runner: orphans that are killed are never of them.
var guardians struct {
	sync.Mutex
	pids map[int]bool
}

func isGuardian(pid int) bool {
	guardians.Lock()
	defer guardians.Unlock()
	return guardians.pids[pid]
}

// launch starts a guardian and waits until it is ready. On success the lock is the guardian's alone.
func launch(c Config, timer int) (*guardian, error) {
	if c.Lock.file == nil {
		if err := c.Lock.acquire(context.Background(), readyWithin); err != nil {
			return nil, err
		}
	}
	g, err := fork(c, timer)
	if err != nil {
		return nil, fmt.Errorf("cannot start the guardian: %w", err)
	}
	if err := g.becomeReady(); err != nil {
		g.kill()
		_ = g.bury()
		g.conn.Close()
		return nil, fmt.Errorf("cannot start the guardian: %w", err)
	}
	c.Lock.inscribe(g.pid)
	c.Lock.Release()
	return g, nil
}

func fork(c Config, timer int) (*guardian, error) {
	var opened []int
	defer func() {
		for _, fd := range opened {
			unix.Close(fd)
		}
	}()
	keep := func(fd int, err error, what string) (int, error) {
		if err != nil {
			return -1, os.NewSyscallError(what, err)
		}
		opened = append(opened, fd)
		return fd, nil
	}
	fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	null, err := keep(fd, err, "open /dev/null")
	if err != nil {
		return nil, err
	}
	listener := null
	if c.Listener != nil {
		fd, err := dupOf(c.Listener)
		if listener, err = keep(fd, err, "dup listener"); err != nil {
			return nil, err
		}
	}
	fd, err = dupOf(c.Lock.file)
	lock, err := keep(fd, err, "dup lock")
	if err != nil {
		return nil, err
	}
	fd, err = unix.PidfdOpen(os.Getpid(), 0)
	self, err := keep(fd, err, "pidfd_open")
	if err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	opened = append(opened, pair[1])
	conn, err := unixConn(pair[0])
	if err != nil {
		return nil, err
	}
	files := make([]uintptr, fdEnd)
	for at, fd := range map[int]int{0: null, 1: null, 2: 2, fdControl: pair[1], fdTimer: timer, fdMain: self, fdLock: lock, fdListener: listener} {
		files[at] = uintptr(fd)
	}
	// Not through os/exec: it makes the descriptors blocking, and the listener's mode is shared with its owner.
	pidfd := -1
	guardians.Lock() // before the process can be seen
	defer guardians.Unlock()
	pid, err := syscall.ForkExec(c.Executable, []string{guardianName}, &syscall.ProcAttr{
		Env:   guardianEnvironment(c.Isolation),
		Files: files,
		Sys:   &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd, Cloneflags: c.Isolation.cloneFlags()},
	})
	if err != nil {
		conn.Close()
		return nil, os.NewSyscallError("fork "+c.Executable, err)
	}
	if pidfd < 0 {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, 0, nil)
		conn.Close()
		return nil, errors.New("the kernel gives no pidfd; Linux 5.11 or later is needed")
	}
	if guardians.pids == nil {
		guardians.pids = map[int]bool{}
	}
	guardians.pids[pid] = true
	return &guardian{pid: pid, pidfd: pidfd, conn: conn, reports: make(chan report, 64), since: time.Now()}, nil
}

func guardianEnvironment(i Isolation) []string {
	env := append([]string{marker + "=" + string(i)}, mutantEnv()...)
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "SUPNODE_") && !strings.HasPrefix(entry, marker+"=") {
			env = append(env, entry)
		}
	}
	return env
}

// dupOf duplicates a descriptor without touching its mode: File and Fd would make a shared listener blocking, and its owner's
// Close would hang.
func dupOf(c syscall.Conn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	duplicate, failed := -1, error(nil)
	err = raw.Control(func(fd uintptr) {
		duplicate, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, fdEnd)
	})
	return duplicate, errors.Join(err, failed)
}

// unixConn makes a connection of a socket, which it takes over.
func unixConn(fd int) (*net.UnixConn, error) {
	file := os.NewFile(uintptr(fd), "control")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

func (g *guardian) becomeReady() error {
	_ = g.conn.SetReadDeadline(time.Now().Add(readyWithin))
	r, err := g.read(make([]byte, maxMessage))
	switch {
	case err != nil:
		return fmt.Errorf("it does not become ready: %w", err)
	case r.Failed != "":
		return errors.New(r.Failed)
	case !r.Ready:
		return errors.New("it does not become ready: it speaks out of turn")
	}
	return g.conn.SetReadDeadline(time.Time{})
}

func (g *guardian) read(buffer []byte) (r report, err error) {
	n, err := g.conn.Read(buffer)
	if err != nil {
		return r, err
	}
	return r, decoder.Unmarshal(buffer[:n], &r)
}

// follow passes on what the guardian says until it is dead.
func (g *guardian) follow() {
	defer close(g.reports)
	said := make(chan struct{})
	go func() {
		defer close(said)
		buffer := make([]byte, maxMessage)
		for {
			r, err := g.read(buffer)
			if err != nil {
				return
			}
			g.reports <- r
		}
	}()
	_ = g.bury()
	// Its end of the socket may live on in a process that was being forked: what it said is there already.
	_ = g.conn.SetReadDeadline(time.Now().Add(lastWords))
	<-said
	g.conn.Close()
}

// bury waits for the guardian's death and reaps it, and nothing else.
func (g *guardian) bury() error {
	defer g.forget()
	for {
		err := unix.Waitid(unix.P_PIDFD, g.pidfd, nil, unix.WEXITED, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (g *guardian) forget() {
	guardians.Lock()
	delete(guardians.pids, g.pid)
	guardians.Unlock()
}

func (g *guardian) kill() { _ = unix.PidfdSendSignal(g.pidfd, unix.SIGKILL, nil, 0) }

// send sends an order and the descriptors that go with it, -1 for none. A guardian that cannot be told is killed: what
// follows is its loss.
func (g *guardian) send(o order, given ...int) error {
	message, memory, err := encodeOrder(o)
	if err != nil {
		return err
	}
	var fds []int
	for _, fd := range given {
		if fd >= 0 {
			fds = append(fds, fd)
		}
	}
	if memory >= 0 {
		defer unix.Close(memory)
		fds = append(fds, memory)
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	_ = g.conn.SetWriteDeadline(time.Now().Add(writeWithin))
	if _, _, err := g.conn.WriteMsgUnix(message, rights, nil); err != nil {
		g.kill()
	}
	return nil
}
