package cluster

import (
	"os/exec"
	"runtime"
	"syscall"
)

// launcher starts processes from one thread that lives as long as the launcher: the kernel kills a process with SIGKILL
// when the thread that started it ends, so none outlives the harness.
type launcher struct {
	work chan func()
	done chan struct{}
}

func newLauncher() *launcher {
	l := &launcher{work: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		for f := range l.work {
			f()
		}
	}()
	return l
}

func (l *launcher) start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr.Setpgid = true // a Ctrl-C at the terminal is for the harness
	started := make(chan error, 1)
	l.work <- func() { started <- cmd.Start() }
	return <-started
}

// close ends the launcher, and with it what it started.
func (l *launcher) close() {
	close(l.work)
	<-l.done
}
