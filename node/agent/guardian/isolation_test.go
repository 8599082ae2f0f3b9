package guardian

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

// ticking says whether a process, in whatever namespace, was told to tick into one of the files.
func ticking(files ...string) bool {
	for _, pid := range pids() {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil || !bytes.Contains(env, []byte("ROLE=tick")) {
			continue
		}
		for _, f := range files {
			if bytes.Contains(env, []byte(f)) {
				return true
			}
		}
	}
	return false
}

func needRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a PID namespace needs root")
	}
}

func TestPIDNamespaceKillsAllWithTheGuardian(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	one, file := ticker(dir, "tick")
	daemon, daemonFile := ticker(dir, "daemon")
	bare, bareFile := ticker(dir, "daemon", "BARE")
	files := []string{file, daemonFile, bareFile}
	for _, c := range []struct {
		name string
		kill func(*play)
	}{
		{"supnode", func(l *play) { l.kill() }},
		{"both at once", func(l *play) {
			_ = syscall.Kill(l.guardian, syscall.SIGKILL)
			l.kill()
		}},
		{"supnode, then a stopped guardian", func(l *play) {
			_ = syscall.Kill(l.guardian, syscall.SIGSTOP)
			l.kill()
			_ = syscall.Kill(l.guardian, syscall.SIGKILL)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newPlay(t, playing{Dir: dir, Isolation: PIDNamespace, Programs: []Program{one, daemon, bare}})
			for _, f := range files {
				waitTicks(t, f)
			}
			c.kill(l)
			await.True(t, "the lock is free", func() bool { return lockGone(dir+"/guardian.lock", 0) == nil })
			if c.name == "supnode" && ticking(files...) {
				t.Error("a command outlives the guardian's hold on its lock")
			}
			await.True(t, "nothing ticks", func() bool { return !ticking(files...) })
			for _, f := range files {
				_ = os.Remove(f)
			}
		})
	}
}

func TestPIDNamespaceIsOtherwiseLikeAGroup(t *testing.T) {
	needRoot(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	r := newRig(t, func(c *Config) {
		c.Isolation = PIDNamespace
		c.Listener = listener.(*net.TCPListener)
	})
	if e := r.waitEnd(r.shell("test $$ -lt 100 -a -d /proc/$$ && exit 3")); e.Detail != "exit status 3" {
		t.Errorf("a command does not see its own pids and /proc: %+v", e)
	}
	daemon, file := ticker(r.dir, "daemon")
	bare, bareFile := ticker(r.dir, "daemon", "BARE")
	other := r.shell("exec sleep 1000")
	for _, p := range []Program{daemon, bare} {
		s := r.start(p)
		f := file
		if p.Env["BARE"] != "" {
			f = bareFile
		}
		waitTicks(t, f)
		r.Stop(agent.Stop{Key: s.Key, Inc: s.Inc, Timeout: 0})
		if e := r.waitEnd(s); e.Reason != sup.ExitKilled || ticking(f) {
			t.Errorf("%+v, ticking %v", e, ticking(f))
		}
	}
	for range 20 {
		r.waitStarted(r.shell("setsid sh -c 'sleep 1000 & sleep 1000' & exec sleep 1000"))
	}
	deadline := r.lease(20 * time.Millisecond)
	if e := r.waitEnd(other); e.Detail != leaseOver {
		t.Errorf("%+v", e)
	}
	await.True(t, "nothing is left", func() bool { return len(leftovers(r.nodeID)) == 0 })
	await.True(t, "all ends are told", func() bool { return r.count(agent.Ended{}) == int(r.index) }) // A4
	t.Logf("all gone at most %v after the deadline", time.Duration(now()-deadline))

	r.session.Seq++
	r.lease(time.Hour)
	s := r.start(daemon)
	r.waitStarted(s)
	g := r.guardianPID(0)
	_ = syscall.Kill(g, syscall.SIGKILL)
	if e := r.waitEnd(s); e.Detail != "guardian lost" || ticking(file) {
		t.Errorf("%+v", e)
	}
	r.guardianPID(g)
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Count(string(mounts), " /proc proc ") != 1 {
		t.Errorf("mounts of this process: %s %v", mounts, err)
	}
	listener.Close()
	r.Close()
	if _, err := net.Dial("tcp", listener.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after Close: %v", err)
	}
}

func TestIsolationSaysWhatIsWrong(t *testing.T) {
	if err := Isolation("jail").check(); err == nil || !strings.Contains(err.Error(), "group or pid_namespace") {
		t.Error(err)
	}
}
