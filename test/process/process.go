// Package process runs a program beside a test: it is killed when the test ends, and what it says is kept.
package process

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/supnode/supnode/test/await"
)

// Process is a program that was started.
type Process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  string        // file: what outlives the process may go on writing to it, and nobody waits for that
	done chan struct{} // closed when it has ended
}

// Start starts cmd in a process group of its own, so that what ends the test's does not end it before its time.
func Start(t *testing.T, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{t: t, cmd: cmd, log: filepath.Join(t.TempDir(), "output"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // its state tells
	}()
	t.Cleanup(p.Kill)
	return p
}

// PID is its process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Said is all that it has written so far, to both of its outputs.
func (p *Process) Said() string {
	p.t.Helper()
	b, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// Signal sends it a signal.
func (p *Process) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// Kill kills it, unless it has ended, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // of one that has ended: nothing
	<-p.done
}

// Ended reports whether it has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Ends waits for it to end by itself and returns its exit status.
func (p *Process) Ends() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(await.Patience):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // and it says what it does
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
		}
		p.t.Fatalf("it did not end:\n%s", p.Said())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Leaves sends it a signal, on which it is to end well.
func (p *Process) Leaves(s os.Signal) {
	p.t.Helper()
	p.Signal(s)
	if status := p.Ends(); status != 0 {
		p.t.Errorf("it left with status %d:\n%s", status, p.Said())
	}
}

// Await waits for what the process is to do: until try returns no error. A process that has ended never does it.
func (p *Process) Await(what string, try func() error) {
	p.t.Helper()
	await.Nil(p.t, what, func() error {
		ended := p.Ended()
		err := try()
		if err != nil && ended {
			p.t.Fatalf("waiting for %s (%v), it ended: %s\n%s", what, err, p.cmd.ProcessState, p.Said())
		}
		return err
	})
}

// Says waits until it has written words.
func (p *Process) Says(words string) {
	p.t.Helper()
	p.Await(fmt.Sprintf("%q", words), func() error {
		if !strings.Contains(p.Said(), words) {
			return errors.New("it has not said so yet")
		}
		return nil
	})
}

// Ready waits until the node that it is says, at its admin address, that it is ready.
func (p *Process) Ready(admin string) {
	p.t.Helper()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	p.Await("readiness", func() error {
		res, err := client.Get("http://" + admin + "/readyz")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s (%v)", res.Status, body, err)
		}
		return nil
	})
}
