package guardian

import (
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

func TestP0ThePortIsRefusedOnlyAfterTheLastCommandIsGone(t *testing.T) {
	for _, n := range []int{1, 30} {
		t.Run(fmt.Sprint(n, " commands"), func(t *testing.T) {
			dir := t.TempDir()
			one, file := ticker(dir, "tick")
			daemon, daemonFile := ticker(dir, "daemon")
			bare, bareFile := ticker(dir, "daemon", "BARE")
			p := playing{Dir: dir, Programs: []Program{one, daemon, bare}}
			for len(p.Programs) < n {
				p.Programs = append(p.Programs, Program{Command: "/bin/sh", Args: []string{"-c", "setsid sh -c 'sleep 1000 & sleep 1000' & exec sleep 1000"}})
			}
			l := newPlay(t, p)
			var pids []int
			for _, f := range []string{file, daemonFile, bareFile} {
				pids = append(pids, waitTicks(t, f))
			}
			await.True(t, "all start", func() bool { return l.said("Started") == len(p.Programs) })
			began := time.Now()
			l.kill()
			refused := func() bool { // as P2 has it: a connection that is made is held until it is reset
				c, err := net.DialTimeout("tcp", l.address, time.Second)
				if err != nil {
					return errors.Is(err, syscall.ECONNREFUSED)
				}
				defer c.Close()
				_ = c.SetReadDeadline(time.Now().Add(time.Second))
				_, _ = c.Read(make([]byte, 1))
				return false
			}
			await.True(t, "the port is refused", refused)
			took := time.Since(began)
			for _, pid := range pids {
				if alive(pid) {
					t.Error("the port is refused while a command lives")
				}
			}
			if left := leftovers(l.nodeID); len(left) > 0 {
				t.Errorf("the port is refused while %v live", left)
			}
			t.Logf("refused %v after kill -9", took)
			if err := lockGone(dir+"/guardian.lock", 2*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheGuardianOutlivesPolitenessAndItsOwnName(t *testing.T) {
	p, file := ticker(t.TempDir(), "tick")
	l := newPlay(t, playing{Programs: []Program{p}})
	pid := waitTicks(t, file)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE} {
		if err := syscall.Kill(l.guardian, s); err != nil {
			t.Fatal(err)
		}
	}
	_, _, count := ticks(file)
	await.True(t, "it ticks on", func() bool { _, _, n := ticks(file); return n > count+20 })
	if !alive(pid) || !alive(l.guardian) {
		t.Error("a polite signal ended it")
	}
	for _, name := range []string{"comm", "cmdline"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", l.guardian, name))
		if err != nil || strings.Contains(string(text), "supnode") || !strings.Contains(string(text), guardianName) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func TestA6TheLossOfAGuardian(t *testing.T) {
	r := newRig(t)
	daemon, file := ticker(r.dir, "daemon")
	bare, bareFile := ticker(r.dir, "daemon", "BARE")
	left, leftFile := ticker(r.dir, "daemon-and-leave")
	left.Command, left.Args = "/bin/sh", []string{"-c", testBinary() + "; exec sleep 1000"}
	spawns := []agent.Spawn{r.start(daemon), r.start(bare), r.start(left)}
	for range 20 {
		spawns = append(spawns, r.shell("sleep 1000 & exec sleep 1000"))
	}
	r.waitStarted(spawns...)
	pids := []int{waitTicks(t, file), waitTicks(t, bareFile), waitTicks(t, leftFile)}
	g := r.guardianPID(0)
	if err := syscall.Kill(g, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the loss is told", func() bool { return r.count(agent.GuardianLost{}) == 1 })
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("%d lives when the loss of its guardian is told", pid)
		}
	}
	if left := leftovers(r.nodeID); len(left) > 0 {
		t.Errorf("%v live when the loss of their guardian is told", left)
	}
	for _, e := range r.seen()[:len(spawns)+1] {
		if _, is := e.(agent.Ended); is {
			t.Errorf("an end is told before the loss that it is a part of: %v", e)
		}
	}
	for _, s := range spawns {
		if e := r.waitEnd(s); e.Reason != sup.ExitError || e.Detail != "guardian lost" || e.InitFailed {
			t.Errorf("%+v", e)
		}
	}
	again := r.shell("exec sleep 1000") // waits for the next guardian, in the same session
	r.waitStarted(again)
	r.guardianPID(g)
	for range 3 { // again and again, with a growing pause
		g = r.guardianPID(0)
		_ = syscall.Kill(g, syscall.SIGKILL)
		r.guardianPID(g)
	}
	r.waitStarted(r.shell("exec sleep 1000"))
}

func TestP1LeftoversDie(t *testing.T) {
	dir := t.TempDir()
	daemon, file := ticker(dir, "daemon")
	l := newPlay(t, playing{Dir: dir, Programs: []Program{daemon}})
	pid := waitTicks(t, file)
	// Both at once: what a daemon of a command survives.
	_ = syscall.Kill(l.guardian, syscall.SIGSTOP)
	if err := lockGone(dir+"/guardian.lock", 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), fmt.Sprint(l.guardian)) {
		t.Errorf("the lock of a living guardian: %v", err)
	}
	l.kill()
	_ = syscall.Kill(l.guardian, syscall.SIGKILL)
	if err := lockGone(dir+"/guardian.lock", 5*time.Second); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	killed, err := KillLeftovers(t.Context(), l.nodeID)
	if err != nil || killed == 0 || alive(pid) {
		t.Errorf("killed %d, %v; alive %v", killed, err, alive(pid))
	}
	t.Logf("%d leftovers of %d processes killed in %v", killed, len(pids()), time.Since(began))
}

// S14a: whoever waits for a start gets an answer, also when the guardian hangs in it.
func TestAGuardianThatHangsInAStartIsReplaced(t *testing.T) {
	r := newRig(t)
	before := r.shell("exec sleep 1000")
	r.waitStarted(before)
	hung := r.guardianPID(0)
	_ = syscall.Kill(hung, syscall.SIGSTOP)
	r.index++
	s := spawnOf(r.session, "late", r.index, Program{Command: "/bin/sleep", Args: []string{"1000"}})
	s.InitTimeout = int64(100 * time.Millisecond)
	r.Spawn(s)
	r.waitEnd(s)
	r.waitEnd(before)
	await.True(t, "its loss is told", func() bool { return r.count(agent.GuardianLost{}) == 1 })
	if alive(hung) || r.started(s) {
		t.Errorf("the guardian lives: %v; it has started: %v", alive(hung), r.started(s))
	}
	r.session.Seq++ // as its node registers anew
	r.lease(time.Hour)
	r.waitStarted(r.shell("exec sleep 1000"))
}

// A stopped guardian tells no exit and stops nothing: the crash of a command must not go unseen, nor a stop wait for ever.
func TestAStoppedGuardianIsReplaced(t *testing.T) {
	r := newRig(t, func(c *Config) { c.look = 250 * time.Millisecond })
	good := r.guardianPID(0)
	r.waitEnd(r.shell("sleep 1")) // many looks, all answered
	if r.guardianPID(0) != good || r.count(agent.GuardianLost{}) != 0 {
		t.Fatal("a guardian that answers was replaced")
	}
	other := r.shell("exec sleep 1000")
	r.waitStarted(other)
	spiteful := r.shell("sleep 0.2; kill -STOP $PPID; exec sleep 1000")
	r.waitEnd(spiteful)
	r.waitEnd(other)
	if r.count(agent.GuardianLost{}) != 1 || alive(good) {
		t.Errorf("lost %d times, it lives: %v", r.count(agent.GuardianLost{}), alive(good))
	}
}

func TestCloseWithAStoppedGuardian(t *testing.T) {
	r := newRig(t)
	p, file := ticker(r.dir, "daemon")
	r.start(p)
	pid := waitTicks(t, file)
	_ = syscall.Kill(r.guardianPID(0), syscall.SIGSTOP)
	r.fence = 200 * time.Millisecond
	r.lease(time.Hour)
	r.Close()
	if alive(pid) {
		t.Error("a command outlives Close")
	}
	if r.count(agent.Ended{}) != 1 || r.count(agent.GuardianLost{}) != 0 {
		t.Errorf("events: %v", r.seen())
	}
}

func TestCloseLeavesTheListenerUsable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	r := newRig(t, func(c *Config) { c.Listener = listener.(*net.TCPListener) })
	r.waitStarted(r.shell("exec sleep 1000"))
	accepted := make(chan error, 1)
	go func() {
		_, err := listener.Accept()
		accepted <- err
	}()
	listener.Close() // returns, and ends Accept: the duplicate did not make the socket blocking
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	c, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatalf("the guardian does not keep the port: %v", err)
	}
	c.Close()
	r.Close()
	if _, err := net.Dial("tcp", listener.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after Close: %v", err)
	}
}
