package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/proc"
)

// Node is one member and its process, which comes and goes.
type Node struct {
	Name       string
	RPC, Admin string // addresses
	File       string // config file
	Data, Temp string // folders
	LogFile    string

	cluster *Cluster

	mu      sync.Mutex // guards all below
	process *process   // the latest; nil = never started
}

type process struct {
	cmd     *exec.Cmd
	pid     int
	done    chan struct{} // closed when it has been waited for
	ordered bool          // its end was asked for
	state   *os.ProcessState
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// ErrNotRunning says that a node has no process to do something to.
var ErrNotRunning = errors.New("the node is not running")

// Start starts the node's process; it does not wait until it is ready.
func (n *Node) Start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process != nil && n.process.running() {
		return fmt.Errorf("%s runs already", n.Name)
	}
	log, err := os.OpenFile(n.LogFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(n.cluster.Binary, "start", "--config", n.File)
	cmd.Env = append(os.Environ(), "TMPDIR="+n.Temp)
	cmd.Dir, cmd.Stdout, cmd.Stderr = n.cluster.Dir, log, log
	fmt.Fprintf(log, "---- started at %d\n", history.Now())
	if err := n.cluster.launcher.start(cmd); err != nil {
		return err
	}
	p := &process{cmd: cmd, pid: cmd.Process.Pid, done: make(chan struct{})}
	n.process = p
	n.cluster.note(n.Name, history.Started, fmt.Sprintf("pid %d", p.pid))
	n.cluster.waiters.Go(func() {
		cmd.Wait()
		n.mu.Lock()
		defer n.mu.Unlock()
		p.state = cmd.ProcessState
		what := history.Exited
		if p.ordered {
			what = history.Reaped
		}
		n.cluster.note(n.Name, what, p.state.String())
		close(p.done)
	})
	return nil
}

// PID is that of the node's process; ok is false when it does not run.
func (n *Node) PID() (pid int, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil || !n.process.running() {
		return 0, false
	}
	return n.process.pid, true
}

// Running reports whether the node's process runs, paused or not.
func (n *Node) Running() bool { _, ok := n.PID(); return ok }

// Kill kills supnode with SIGKILL and waits until it is gone. What that does to its commands is the product's business.
func (n *Node) Kill() error {
	p, err := n.signal(syscall.SIGKILL, history.Killed, true)
	if err != nil {
		return err
	}
	<-p.done
	return nil
}

// Pause stops supnode with SIGSTOP and waits until the kernel shows it stopped.
func (n *Node) Pause() error {
	p, err := n.signal(syscall.SIGSTOP, history.Paused, false)
	if err != nil {
		return err
	}
	return awaitStopped(p.pid)
}

// Resume lets supnode go on.
func (n *Node) Resume() error {
	_, err := n.signal(syscall.SIGCONT, history.Resumed, false)
	return err
}

// Term asks supnode to leave; Wait waits for it.
func (n *Node) Term() error {
	_, err := n.signal(syscall.SIGTERM, history.Termed, true)
	return err
}

// Wait waits until the node's process has ended, and returns its exit status, -1 after a signal.
func (n *Node) Wait(ctx context.Context) (status int, err error) {
	n.mu.Lock()
	p := n.process
	n.mu.Unlock()
	if p == nil {
		return 0, ErrNotRunning
	}
	select {
	case <-p.done:
		return p.state.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%s (pid %d) has not ended: %w", n.Name, p.pid, context.Cause(ctx))
	}
}

// quit makes a process that should have ended write down what all its goroutines do, and end.
func (n *Node) quit() error {
	p, err := n.signal(syscall.SIGQUIT, history.Killed, true)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(history.Boot):
		return n.Kill()
	}
}

func (n *Node) signal(s syscall.Signal, what string, ends bool) (*process, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.process
	if p == nil || !p.running() {
		return nil, fmt.Errorf("%s of %s: %w", what, n.Name, ErrNotRunning)
	}
	if ends {
		p.ordered = true
	}
	n.cluster.note(n.Name, what, fmt.Sprintf("pid %d", p.pid))
	if err := p.cmd.Process.Signal(s); err != nil {
		return nil, fmt.Errorf("%s of %s (pid %d): %w", what, n.Name, p.pid, err)
	}
	return p, nil
}

// Guardian is the pid of the node's guardian: the child of supnode that runs supnode's own program.
func (n *Node) Guardian() (int, error) {
	pid, ok := n.PID()
	if !ok {
		return 0, fmt.Errorf("guardian of %s: %w", n.Name, ErrNotRunning)
	}
	kids, err := proc.Children(pid)
	if err != nil {
		return 0, err
	}
	for _, k := range kids {
		if k.Exe == n.cluster.Binary && !k.Gone() {
			return k.PID, nil
		}
	}
	return 0, fmt.Errorf("%s (pid %d) has no guardian", n.Name, pid)
}

// KillGuardian kills the node's guardian with SIGKILL and waits until it is gone.
func (n *Node) KillGuardian() error {
	g, err := n.Guardian()
	if err != nil {
		return err
	}
	n.cluster.note(n.Name, history.GuardianKilled, fmt.Sprintf("pid %d", g))
	if err := syscall.Kill(g, syscall.SIGKILL); err != nil {
		return err
	}
	return await("the end of the guardian", func() bool { p, ok := proc.Get(g); return !ok || p.Gone() })
}

// KillBoth kills supnode and its guardian with SIGKILL, one right after the other.
func (n *Node) KillBoth(guardianFirst bool) error {
	g, err := n.Guardian()
	if err != nil {
		return err
	}
	guardian := func() error {
		n.cluster.note(n.Name, history.GuardianKilled, fmt.Sprintf("pid %d", g))
		return ignoreGone(syscall.Kill(g, syscall.SIGKILL))
	}
	if guardianFirst {
		return errors.Join(guardian(), n.Kill())
	}
	p, err := n.signal(syscall.SIGKILL, history.Killed, true)
	if err != nil {
		return err
	}
	err = guardian()
	<-p.done
	return err
}

// PauseGuardian stops the node's guardian with SIGSTOP. ResumeGuardian is what it returns.
func (n *Node) PauseGuardian() (resume func() error, err error) {
	g, err := n.Guardian()
	if err != nil {
		return nil, err
	}
	n.cluster.note(n.Name, history.GuardianPaused, fmt.Sprintf("pid %d", g))
	if err := syscall.Kill(g, syscall.SIGSTOP); err != nil {
		return nil, err
	}
	return func() error {
		n.cluster.note(n.Name, history.GuardianResumed, fmt.Sprintf("pid %d", g))
		return ignoreGone(syscall.Kill(g, syscall.SIGCONT))
	}, awaitStopped(g)
}

// Commands lists the processes below the node's supnode that are neither it nor its guardian.
func (n *Node) Commands() ([]proc.Process, error) {
	pid, ok := n.PID()
	if !ok {
		return nil, fmt.Errorf("commands of %s: %w", n.Name, ErrNotRunning)
	}
	below, err := proc.Descendants(pid)
	return slices.DeleteFunc(below, func(p proc.Process) bool { return p.Exe == n.cluster.Binary || p.Gone() }), err
}

// Freeze stops every command of the node with SIGSTOP; the function it returns lets them go on.
func (n *Node) Freeze() (thaw func() error, err error) {
	commands, err := n.Commands()
	if err != nil {
		return nil, err
	}
	n.cluster.note(n.Name, history.Frozen, fmt.Sprintf("%d of them", len(commands)))
	for _, p := range commands {
		if err := ignoreGone(syscall.Kill(p.PID, syscall.SIGSTOP)); err != nil {
			return nil, err
		}
	}
	return func() error {
		n.cluster.note(n.Name, history.Thawed, fmt.Sprintf("%d of them", len(commands)))
		for _, p := range commands {
			if err := ignoreGone(syscall.Kill(p.PID, syscall.SIGCONT)); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func ignoreGone(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

func awaitStopped(pid int) error {
	return await(fmt.Sprintf("pid %d to be stopped", pid), func() bool { p, ok := proc.Get(pid); return !ok || p.State == 'T' || p.Gone() })
}

// await polls for what the kernel does on its own within moments.
func await(what string, ok func() bool) error {
	for deadline := time.Now().Add(5 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("gave up waiting for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}
