package guardian

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

// aCgroup makes a cgroup v2 for a test, or says in a line why there is none.
func aCgroup(t *testing.T) string {
	t.Helper()
	mount, err := cgroupMount()
	if err != nil {
		t.Skip("skipped: ", err)
	}
	dir := filepath.Join(mount, "supnode-test-"+uuid.NewString())
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("skipped: no cgroup can be made here: ", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func inCgroup(c *Config, dir string) { c.Cgroup = dir }

// A command and its probes are in a cgroup of their own from their first moment, and it is gone when their end is reported.
func TestACommandHasACgroupOfItsOwn(t *testing.T) {
	dir := aCgroup(t)
	r := newRig(t, func(c *Config) { inCgroup(c, dir) })
	if r.cgroups.dir == "" {
		t.Fatal(r.cgroups.why)
	}
	r.confine = func(_ *sup.Limits, inc sup.Incarnation) (*cgroup, error) { return r.cgroups.make(sup.Limits{}, inc) }
	out, probed := filepath.Join(r.dir, "out"), filepath.Join(r.dir, "probed")
	p := Program{Command: "/bin/sh", Args: []string{"-c", `cat /proc/self/cgroup > $0; setsid sleep 1000 & sleep 1000`, out},
		Liveness: often("/bin/sh", "-c", "cat /proc/self/cgroup > "+probed)}
	s := r.start(p)
	where := fmt.Sprintf("/%s/supnode-%s/%d-1\n", filepath.Base(dir), r.nodeID, s.Inc.Token())
	for _, file := range []string{out, probed} {
		await.True(t, "it is in its cgroup", func() bool { text, _ := os.ReadFile(file); return strings.Contains(string(text), where) })
	}
	r.Kill(agent.Kill{Key: s.Key, Inc: s.Inc})
	if e := r.waitEnd(s); e.Reason != sup.ExitKilled {
		t.Errorf("%+v", e)
	}
	if left := r.cgroups.all(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	missing := r.start(Program{Command: "/bin/sh", Dir: "/", Args: []string{"-c", "exit 3"}})
	if e := r.waitEnd(missing); e.Detail != "exit status 3" {
		t.Errorf("%+v", e)
	}
	again := r.start(p)
	r.waitStarted(again)
	guardian, err := os.FindProcess(r.guardianPID(0))
	if err != nil || guardian.Kill() != nil {
		t.Fatal(err)
	}
	if e := r.waitEnd(again); e.Detail != "guardian lost" {
		t.Errorf("%+v", e)
	}
	await.True(t, "its cgroup is gone", func() bool { return len(r.cgroups.all()) == 0 })
}

// What a process that was killed has left is killed, and its cgroups go.
func TestLeftoverCgroupsAreCleared(t *testing.T) {
	dir := aCgroup(t)
	node := uuid.NewString()
	left := filepath.Join(dir, "supnode-"+node, "7-1")
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("/bin/sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	if err := write(left, "cgroup.procs", fmt.Sprint(c.Process.Pid)); err != nil {
		t.Fatal(err)
	}
	g := openCgroups(dir, node, hclog.NewNullLogger())
	if g.dir == "" || len(g.all()) > 0 {
		t.Errorf("%+v, left %v", g, g.all())
	}
	select {
	case err := <-ended:
		if err == nil || err.Error() != "signal: killed" {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it lives")
		c.Process.Kill()
		<-ended
	}
	g.close()
}

// Where limits cannot be kept they are refused, with what to do.
func TestLimitsThatCannotBeKept(t *testing.T) {
	limits := &sup.Limits{Memory: 1 << 28, CPUs: 0.5, PIDs: 100}
	for where, want := range map[string]string{
		"off":       "limits cannot be kept on this node: exec.cgroup is off",
		t.TempDir(): "is not the directory of a cgroup v2",
	} {
		t.Run(want, func(t *testing.T) {
			r := newRig(t, func(c *Config) { inCgroup(c, where) })
			s := r.start(Program{Command: "/bin/true", Limits: limits})
			if e := r.waitEnd(s); !e.InitFailed || e.Reason != sup.ExitError || !strings.Contains(e.Detail, want) {
				t.Errorf("%s: %+v, want %q", where, e, want)
			}
			for _, none := range []*sup.Limits{nil, {}} {
				if e := r.waitEnd(r.start(Program{Command: "/bin/true", Limits: none})); e.Reason != sup.ExitNormal {
					t.Errorf("without limits: %+v", e)
				}
			}
		})
	}
	g := &cgroups{dir: t.TempDir(), controllers: []string{"pids"}, log: hclog.NewNullLogger()}
	if _, err := g.of(&sup.Limits{PIDs: 5, CPUs: 1}, sup.Incarnation{}); err == nil || !strings.Contains(err.Error(), "no controller cpu") {
		t.Error(err)
	}
}

// The numbers that the kernel is given, and what is said of the numbers that it gives. (A directory of plain files plays the kernel.)
func TestLimitsAsTheKernelTakesThem(t *testing.T) {
	dir := t.TempDir()
	for file, text := range map[string]string{"memory.max": "", "memory.oom.group": "", "cpu.max": "", "pids.max": "", "memory.events": "low 0\noom 1\noom_kill 2\n", "pids.events": "max 0\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := &cgroup{dir: dir, limits: sup.Limits{Memory: 256 << 20, CPUs: 0.5, PIDs: 100}, log: hclog.NewNullLogger()}
	if err := c.limit(); err != nil { // without memory.swap.max: the kernel has no swap
		t.Fatal(err)
	}
	for file, want := range map[string]string{"memory.max": "268435456", "memory.oom.group": "1", "cpu.max": "50000 100000", "pids.max": "100"} {
		if text, _ := os.ReadFile(filepath.Join(dir, file)); string(text) != want {
			t.Errorf("%s: %q", file, text)
		}
	}
	if note := c.note(); note != "killed by the kernel: it used more memory than its limit of 256MiB" {
		t.Error(note)
	}
	c.limits.Memory = 0
	if err := os.WriteFile(filepath.Join(dir, "pids.events"), []byte("max 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if note := c.note(); note != "it was at its limit of 100 processes" {
		t.Error(note)
	}
	if err := os.Remove(filepath.Join(dir, "pids.max")); err != nil {
		t.Fatal(err)
	}
	if err := c.limit(); err == nil {
		t.Error("a limit that cannot be set is no error")
	}
}

// The kernel keeps the limits, where it can.
func TestLimitsAreKept(t *testing.T) {
	dir := aCgroup(t)
	r := newRig(t, func(c *Config) { inCgroup(c, dir) })
	used := filepath.Join(r.dir, "used")
	for _, c := range []struct {
		controller string
		limits     sup.Limits
		script     string
		check      func(agent.Ended) bool
	}{
		{"memory", sup.Limits{Memory: 32 << 20}, `sleep 1000 & tail /dev/zero; sleep 1000`, func(e agent.Ended) bool {
			return e.Reason == sup.ExitError && strings.HasPrefix(e.Detail, "killed by the kernel: it used more memory than its limit of 32MiB (signal: killed")
		}},
		{"pids", sup.Limits{PIDs: 3}, `sleep 1 & sleep 1 & sleep 1 & sleep 1 & exit 3`, func(e agent.Ended) bool {
			return e.Reason == sup.ExitError && strings.HasPrefix(e.Detail, "it was at its limit of 3 processes")
		}},
		{"cpu", sup.Limits{CPUs: 0.1}, `end=$(($(date +%s)+3)); while [ $(date +%s) -lt $end ]; do :; done; times > $0`, func(e agent.Ended) bool {
			text, err := os.ReadFile(used)
			var seconds float64
			for _, field := range strings.Fields(string(text)) { // of the shell and its children, user and system
				d, failed := time.ParseDuration(field)
				seconds, err = seconds+d.Seconds(), errors.Join(err, failed)
			}
			t.Logf("%.2f s of processor time in 2 s or more", seconds)
			return e.Reason == sup.ExitNormal && err == nil && seconds > 0 && seconds < 1.5
		}},
	} {
		t.Run(c.controller, func(t *testing.T) {
			if !slices.Contains(r.cgroups.controllers, c.controller) {
				t.Skipf("skipped: cgroup v2 has no controller %s on this machine", c.controller)
			}
			began := time.Now()
			p := Program{Command: "/bin/sh", Args: []string{"-c", c.script, used}, Limits: &c.limits}
			if e := r.waitEnd(r.start(p)); !c.check(e) {
				t.Errorf("%+v after %v", e, time.Since(began))
			}
		})
	}
}
