package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/supnode/supnode/bench/figure"
	"github.com/supnode/supnode/test/jepsen-lite/history"
	"golang.org/x/sys/unix"
)

const (
	appends    = 500
	block      = 4096
	starts     = 150
	bareRounds = 5
	// aThird is how many of the commands a node of three has.
	aThird = (commands + 2) / 3
)

// disk measures what the disk does.
func (b *bench) disk() error {
	b.say("disk")
	f, err := os.CreateTemp(b.dir, "disk-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	took := make([]time.Duration, appends)
	for i := range took {
		began := time.Now()
		if _, err := f.Write(make([]byte, block)); err != nil {
			return err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return err
		}
		took[i] = time.Since(began)
	}
	b.add(figure.Figure{What: "disk: append 4 KiB + fdatasync", Spread: figure.Of(took)})
	return nil
}

// processes measures the start of the program that the children are, with nobody between: fork → its start record.
func (b *bench) processes() error {
	b.say("bare process starts")
	measure := func(rounds, atOnce int) ([]time.Duration, error) {
		took := make([]time.Duration, rounds)
		for i := range took {
			var err error
			if took[i], err = b.launch(fmt.Sprintf("bare-%dx%d", i, atOnce), atOnce); err != nil {
				return nil, err
			}
		}
		return took, nil
	}
	one, err := measure(starts, 1)
	if err != nil {
		return err
	}
	f := b.add(figure.Figure{What: "bare fork + exec of the child program → its start record", Spread: figure.Of(one)})
	b.base.process = f.Spread.P50
	third, err := measure(bareRounds, aThird)
	if err != nil {
		return err
	}
	f = b.add(figure.Figure{What: fmt.Sprintf("%d of them, one fork after another → the last record", aThird), Spread: figure.Of(third)})
	b.base.third = f.Spread.P50
	return nil
}

// launch starts n child programs and returns the time until the last one's start record.
func (b *bench) launch(name string, n int) (took time.Duration, err error) {
	// The kernel ends a child with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	j, err := watch(dir)
	if err != nil {
		return 0, err
	}
	defer j.close()
	began := history.Now()
	for i := range n {
		cmd := exec.Command(b.child, childArgs(dir)...)
		cmd.Env = append(os.Environ(), "SUPNODE_SUPERVISOR=bare", fmt.Sprintf("SUPNODE_CHILD=w%d", i), "SUPNODE_NODE=none", "SUPNODE_INCARNATION=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		defer func() {
			_ = cmd.Process.Kill() // gone already, if it failed
			_ = cmd.Wait()
		}()
	}
	lives, err := j.until(n, history.Boot*5, func(lives []history.Life) error {
		if len(lives) < n {
			return fmt.Errorf("%d of %d have started", len(lives), n)
		}
		for _, l := range lives {
			if l.Start == 0 {
				return fmt.Errorf("%s has written nothing", l)
			}
		}
		return nil
	})
	for _, l := range lives {
		took = max(took, l.Start.Sub(began))
	}
	return took, err
}

// childArgs are the arguments of a child that keeps a journal in dir: its start and its end, no ticks that would keep the
// machine busy.
func childArgs(dir string) []string { return []string{"-tick", "1h", "-dir", dir} }
