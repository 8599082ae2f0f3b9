package guardian

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
	"go.uber.org/goleak"
)

// A rig is a runner in the test's own process.
type rig struct {
	*Runner
	t       *testing.T
	dir     string
	nodeID  string
	session sup.Session
	index   uint64
	fence   time.Duration

	mu     sync.Mutex
	events []agent.Event
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), nodeID: uuid.NewString(), session: sup.Session{Gen: 1, Seq: 1}, fence: 8 * time.Second}
	t.Cleanup(func() { goleak.VerifyNone(t) })
	lock, err := Acquire(context.Background(), filepath.Join(r.dir, "guardian.lock"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Node: "n1", NodeID: r.nodeID, DataDir: r.dir, Lock: lock, Allow: Allow{"/**"},
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: testLog{t}}),
	}
	for _, f := range change {
		f(&c)
	}
	r.Runner, err = Start(c, func(e agent.Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e)
	})
	if err != nil {
		lock.Release()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		if left := leftovers(r.nodeID); len(left) > 0 {
			t.Errorf("left after Close: %v", left)
			_, _ = KillLeftovers(context.Background(), r.nodeID)
		}
		if err := lockGone(c.Lock.path, 0); err != nil {
			t.Errorf("after Close: %v", err)
		}
	})
	r.lease(time.Hour)
	return r
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", strings.TrimSpace(string(p)))
	return len(p), nil
}

func (r *rig) lease(d time.Duration) agent.Instant {
	deadline := now() + int64(d)
	r.Lease(agent.Lease{Session: r.session, Deadline: deadline, Fence: int64(r.fence)})
	return deadline
}

// start spawns a program and returns the name of its incarnation.
func (r *rig) start(p Program) agent.Spawn {
	r.index++
	s := spawnOf(r.session, fmt.Sprintf("c%d", r.index), r.index, p)
	r.Spawn(s)
	return s
}

// shell is start for a shell script.
func (r *rig) shell(script string) agent.Spawn {
	return r.start(Program{Command: "/bin/sh", Args: []string{"-c", script}})
}

func (r *rig) seen() []agent.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]agent.Event(nil), r.events...)
}

func (r *rig) started(s agent.Spawn) bool {
	for _, e := range r.seen() {
		if e, is := e.(agent.Started); is && e.Inc == s.Inc {
			return true
		}
	}
	return false
}

func (r *rig) endOf(s agent.Spawn) (agent.Ended, bool) {
	for _, e := range r.seen() {
		if e, is := e.(agent.Ended); is && e.Inc == s.Inc {
			return e, true
		}
	}
	return agent.Ended{}, false
}

func (r *rig) waitStarted(all ...agent.Spawn) {
	r.t.Helper()
	for _, s := range all {
		await.True(r.t, s.Key.String()+" starts", func() bool {
			if e, ended := r.endOf(s); ended && !r.started(s) {
				r.t.Fatalf("%s ended: %+v", s.Key, e)
			}
			return r.started(s)
		})
	}
}

func (r *rig) waitEnd(s agent.Spawn) agent.Ended {
	r.t.Helper()
	await.True(r.t, s.Key.String()+" ends", func() bool { _, ended := r.endOf(s); return ended })
	e, _ := r.endOf(s)
	return e
}

func (r *rig) count(like agent.Event) (n int) {
	for _, e := range r.seen() {
		if fmt.Sprintf("%T", e) == fmt.Sprintf("%T", like) {
			n++
		}
	}
	return n
}

// guardianPID waits for a guardian other than the one named.
func (r *rig) guardianPID(not int) (pid int) {
	r.t.Helper()
	await.True(r.t, "a guardian stands", func() bool {
		r.Runner.mu.Lock()
		defer r.Runner.mu.Unlock()
		if r.guardian != nil {
			pid = r.guardian.pid
		}
		return pid != 0 && pid != not
	})
	return pid
}

// ticker is a program that ticks into a file in the given way and is named by what it does.
func ticker(dir, role string, env ...string) (Program, string) {
	file := filepath.Join(dir, "ticks-"+role+"-"+strings.Join(env, "")+uuid.NewString()[:4])
	p := Program{Command: testBinary(), Env: map[string]string{"ROLE": role + ":" + file}}
	for _, name := range env {
		p.Env[name] = "1"
	}
	return p, file
}

var testBinary = sync.OnceValue(func() string {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return path
})

func waitTicks(t *testing.T, file string) (pid int) {
	t.Helper()
	await.True(t, file+" ticks", func() bool {
		p, _, count := ticks(file)
		pid = p
		return count > 5
	})
	return pid
}

// A play is a supnode in a process of its own.
type play struct {
	t        *testing.T
	process  *exec.Cmd
	address  string
	guardian int
	dir      string
	nodeID   string

	mu    sync.Mutex
	lines []string
}

func newPlay(t *testing.T, p playing) *play {
	t.Helper()
	if p.Dir == "" {
		p.Dir = t.TempDir()
	}
	p.NodeID = uuid.NewString()
	if p.TTL == 0 {
		p.TTL, p.Renew = time.Hour, time.Minute
	}
	if p.Fence == 0 {
		p.Fence = 500 * time.Millisecond
	}
	c := exec.Command(testBinary())
	c.Env = append(os.Environ(), "ROLE=supnode")
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.Stderr = os.Stderr
	in, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	c.Stdin = strings.NewReader(string(in))
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	l := &play{t: t, process: c, dir: p.Dir, nodeID: p.NodeID}
	lines := bufio.NewScanner(out)
	t.Cleanup(func() {
		l.kill()
		if l.guardian != 0 {
			await.True(t, "the guardian ends", func() bool { return !alive(l.guardian) })
		}
		_, _ = KillLeftovers(context.Background(), p.NodeID)
		for lines.Scan() {
		}
		_ = c.Wait()
	})
	if !lines.Scan() {
		t.Fatal("no word from supnode")
	}
	if _, err := fmt.Sscan(lines.Text(), &l.address, &l.guardian); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines.Scan() {
			l.mu.Lock()
			l.lines = append(l.lines, lines.Text())
			l.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		l.kill()
		<-read
	})
	return l
}

func (l *play) signal(s syscall.Signal) { _ = l.process.Process.Signal(s) }

func (l *play) kill() { l.signal(syscall.SIGKILL) }

func (l *play) said(what string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, what) {
			n++
		}
	}
	return n
}

// lockGone waits until no guardian holds the lock, and doesn't take it.
func lockGone(path string, wait time.Duration) error {
	l, err := Acquire(context.Background(), path, wait)
	if err != nil {
		return err
	}
	l.Release()
	return nil
}
