package dev

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a running node.
type process struct {
	member member
	cmd    *exec.Cmd
	done   chan struct{} // closed when it has ended
	ended  string        // how; read after done
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// launcher starts processes that die when this one does. The kernel ties them to the thread that forks, so one goroutine
// with a thread of its own does it.
type launcher struct {
	executable string
	env        []string
	asks       chan launch
	done       chan struct{}
}

type launch struct {
	member member
	answer chan launched
}

type launched struct {
	process *process
	err     error
}

func newLauncher(executable string, env []string) *launcher {
	l := &launcher{executable: executable, env: env, asks: make(chan launch), done: make(chan struct{})}
	go l.run()
	return l
}

// run keeps its thread until close; then the thread ends with it, and with the thread whatever still runs.
func (l *launcher) run() {
	runtime.LockOSThread()
	defer close(l.done)
	for ask := range l.asks {
		p, err := l.fork(ask.member)
		ask.answer <- launched{p, err}
	}
}

func (l *launcher) close() {
	close(l.asks)
	<-l.done
}

// start starts a member's node; its log goes to its file.
func (l *launcher) start(m member) (*process, error) {
	answer := make(chan launched, 1)
	l.asks <- launch{m, answer}
	a := <-answer
	return a.process, a.err
}

func (l *launcher) fork(m member) (*process, error) {
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", m.name, err)
	}
	defer log.Close()
	cmd := exec.Command(l.executable, "start", "--config", m.config)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), l.env...)
	// A group of its own: Ctrl-C reaches this process alone, which then stops the nodes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", m.name, err)
	}
	p := &process{member: m, cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.ended = how(cmd.Wait(), cmd.ProcessState)
	}()
	return p, nil
}

// how says in words how a process ended.
func how(err error, state *os.ProcessState) string {
	if state == nil {
		return err.Error()
	}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return fmt.Sprintf("was killed by signal %d (%s)", ws.Signal(), ws.Signal())
	}
	return fmt.Sprintf("ended with status %d", state.ExitCode())
}

// The patience of stopAll.
const (
	secondSignal = 100 * time.Millisecond // after the first: no need to hand anything over
	killAfter    = 10 * time.Second
)

// stopAll stops processes now, each with its commands, and returns when all have ended.
func stopAll(ps []*process) {
	for _, p := range ps {
		// A stopped process takes no TERM: let it go on first. One that has ended takes nothing, which is as well.
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	if awaitAll(ps, secondSignal) {
		return
	}
	for _, p := range ps {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	if awaitAll(ps, killAfter) {
		return
	}
	for _, p := range ps {
		_ = p.cmd.Process.Kill()
	}
	for _, p := range ps {
		<-p.done
	}
}

func awaitAll(ps []*process, patience time.Duration) bool {
	late := time.After(patience)
	for _, p := range ps {
		select {
		case <-p.done:
		case <-late:
			return false
		}
	}
	return true
}
