package jepsenlite

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/proc"
	"github.com/supnode/supnode/test/machine"
)

// The first command of the README, ended with Ctrl-C, leaves no process, no port and no file.
func TestDevLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	base := machine.Base(3)
	cmd := exec.CommandContext(ctx, programs.Binary, "dev", "--base-port", fmt.Sprint(base))
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		left, _ := proc.Of(dir)
		for _, p := range left {
			syscall.Kill(p.PID, syscall.SIGKILL)
		}
	})

	running := func() (commands int) {
		all, err := proc.Of(dir)
		must(t, err)
		for _, p := range all {
			if p.Exe != programs.Binary {
				commands++
			}
		}
		return commands
	}
	await(t, ctx, "the demo's commands", func() error {
		if running() == 0 {
			return fmt.Errorf("none runs")
		}
		return nil
	})
	must(t, cmd.Process.Signal(os.Interrupt))
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v and said\n%s", err, out.String())
	}
	var left []string
	err = cluster.Until(ctx, "nothing to be left", func(context.Context) error {
		left = nil
		all, err := proc.Of(dir)
		must(t, err)
		for _, p := range all {
			left = append(left, "process "+p.String())
		}
		var ports []int
		for i := range 3 {
			ports = append(ports, base+1+i, base+1001+i)
		}
		open, err := proc.Listening(ports...)
		must(t, err)
		for _, p := range open {
			left = append(left, fmt.Sprintf("a listener on port %d", p))
		}
		entries, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range entries {
			left = append(left, "file "+e.Name())
		}
		if len(left) > 0 {
			return fmt.Errorf("%s", strings.Join(left, ", "))
		}
		return nil
	})
	must(t, err)
}
