package guardian

import (
	"bufio"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

// late is how long after a deadline commands may live here: δ = TTL/12 of the default lease, three seconds. The figures that
// are logged are those of a machine that is as busy as it happens to be.
const late = 250 * time.Millisecond

func TestA3EverythingDiesAtTheDeadline(t *testing.T) {
	r := newRig(t)
	var spawns []agent.Spawn
	for range 100 {
		spawns = append(spawns, r.shell("sleep 1000 & exec sleep 1000"))
	}
	daemon, file := ticker(r.dir, "daemon")
	bare, bareFile := ticker(r.dir, "daemon", "BARE")
	spawns = append(spawns, r.start(daemon), r.start(bare))
	r.waitStarted(spawns...)
	waitTicks(t, file)
	pid := waitTicks(t, bareFile)
	deadline := r.lease(100 * time.Millisecond)
	await.True(t, "nothing is left", func() bool { return len(leftovers(r.nodeID)) == 0 && !alive(pid) })
	t.Logf("%d commands gone at most %v after the deadline", len(spawns), time.Duration(now()-deadline))
	for _, f := range []string{file, bareFile} {
		_, last, _ := ticks(f)
		t.Logf("a daemon's last tick: %v after the deadline", time.Duration(last-deadline))
		if last > deadline+int64(late) {
			t.Errorf("a daemon ticks %v after the deadline", time.Duration(last-deadline))
		}
	}
	for _, s := range spawns {
		if e := r.waitEnd(s); e.Reason != sup.ExitKilled || e.Detail != leaseOver {
			t.Errorf("%+v", e)
		}
	}
	lapses := 0
	for _, e := range r.seen() {
		if e, is := e.(agent.GuardianLapsed); is {
			lapses++
			if e.Session != r.session {
				t.Errorf("%+v", e)
			}
		}
	}
	if lapses != 1 {
		t.Errorf("%d lapses told, want 1", lapses)
	}
	t.Run("a lapse is final", func(t *testing.T) {
		r.lease(time.Hour)
		s := r.shell("exec sleep 1000")
		if e := r.waitEnd(s); e.Reason != sup.ExitKilled || r.started(s) {
			t.Errorf("%+v", e)
		}
	})
	t.Run("another session is another lease", func(t *testing.T) {
		r.session.Seq++
		r.lease(time.Hour)
		s := r.shell("exec sleep 1000")
		r.waitStarted(s)
		if r.count(agent.GuardianLapsed{}) != 1 {
			t.Error("the former session's lapse was told for this one")
		}
	})
	t.Run("a spawn of the former session is refused", func(t *testing.T) {
		former := spawnOf(sup.Session{Gen: 1, Seq: 1}, "former", 10_000, Program{Command: "/bin/sleep", Args: []string{"1000"}})
		r.Spawn(former)
		if e := r.waitEnd(former); e.Reason != sup.ExitKilled || r.started(former) {
			t.Errorf("%+v", e)
		}
	})
}

func TestA6ARenewalThatFindsTheTimerExpiredIsALapse(t *testing.T) {
	r := newRig(t)
	s := r.shell("exec sleep 1000")
	r.waitStarted(s)
	// The guardian does not see the expiry: it is stopped, and the renewal wipes it out.
	g := r.guardianPID(0)
	if err := syscall.Kill(g, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r.lease(time.Millisecond)
	await.True(t, "the timer fires", func() bool { return !timerPending(r.timer) })
	r.lease(time.Hour)
	await.True(t, "the lapse is told", func() bool { return r.count(agent.GuardianLapsed{}) == 1 })
	_ = syscall.Kill(g, syscall.SIGCONT)
	if e := r.waitEnd(s); e.Reason != sup.ExitKilled {
		t.Errorf("%+v", e)
	}
}

func TestRenewalsKeepCommandsAlive(t *testing.T) {
	r := newRig(t)
	p, file := ticker(r.dir, "tick")
	s := r.start(p)
	waitTicks(t, file)
	end := now() + int64(time.Second)
	await.True(t, "many renewals", func() bool {
		r.lease(400 * time.Millisecond)
		return now() > end
	})
	if _, ended := r.endOf(s); ended || r.count(agent.GuardianLapsed{}) != 0 {
		t.Errorf("events: %v", r.seen())
	}
}

func TestFenceKillsEverythingAtOnce(t *testing.T) {
	r := newRig(t)
	p, file := ticker(r.dir, "daemon")
	s := r.start(p)
	pid := waitTicks(t, file)
	r.Fence()
	if e := r.waitEnd(s); e.Reason != sup.ExitKilled {
		t.Errorf("%+v", e)
	}
	if alive(pid) || r.count(agent.GuardianLapsed{}) != 0 {
		t.Errorf("alive %v, events: %v", alive(pid), r.seen())
	}
	for range 20 { // a fence between two spawns stops both
		r.session.Seq++
		r.lease(time.Hour)
		a := r.shell("exec sleep 1000")
		r.Fence()
		r.waitEnd(a)
	}
}

func TestA3TheSecondFenceDoesWhatTheGuardianDoesNot(t *testing.T) {
	r := newRig(t)
	p, file := ticker(r.dir, "daemon")
	s := r.start(p)
	pid := waitTicks(t, file)
	g := r.guardianPID(0)
	_ = syscall.Kill(g, syscall.SIGSTOP)
	r.fence = 500 * time.Millisecond
	deadline := r.lease(50 * time.Millisecond)
	r.waitEnd(s)
	took := time.Duration(now() - deadline)
	if alive(pid) || took < 250*time.Millisecond {
		t.Errorf("alive %v, %v after the deadline; want at least F/2 = 250ms", alive(pid), took)
	}
	r.guardianPID(g)
	r.session.Seq++
	r.lease(time.Hour)
	r.waitStarted(r.shell("exec sleep 1000"))
}

// lastDeadline is the last one that a played supnode set.
func lastDeadline(t *testing.T, dir string) (last int64) {
	f, err := os.Open(dir + "/deadline")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if _, err := fmt.Sscan(lines.Text(), &last); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

func TestA6CommandsDieAtTheDeadlineOfAStoppedSupnode(t *testing.T) {
	dir := t.TempDir()
	one, file := ticker(dir, "tick")
	daemon, daemonFile := ticker(dir, "daemon")
	bare, bareFile := ticker(dir, "daemon", "BARE")
	files := []string{file, daemonFile, bareFile}
	l := newPlay(t, playing{Dir: dir, TTL: time.Second, Renew: 50 * time.Millisecond, Programs: []Program{one, daemon, bare}})
	var pids []int
	for _, f := range files {
		pids = append(pids, waitTicks(t, f))
	}
	l.signal(syscall.SIGSTOP)
	await.True(t, "all commands are dead", func() bool { return !alive(pids[0]) && !alive(pids[1]) && !alive(pids[2]) })
	deadline := lastDeadline(t, dir)
	for _, f := range files {
		_, last, _ := ticks(f)
		t.Logf("last tick %v after the deadline", time.Duration(last-deadline))
		if last > deadline+int64(late) || last < deadline-int64(500*time.Millisecond) {
			t.Errorf("last tick %v after the deadline", time.Duration(last-deadline))
		}
	}
	l.signal(syscall.SIGCONT)
	await.True(t, "the lapse and the ends are told", func() bool { return l.said("GuardianLapsed") == 1 && l.said("Ended") == 3 })
	if l.said("GuardianLost") != 0 {
		t.Error("a guardian that did its duty was killed")
	}
}
