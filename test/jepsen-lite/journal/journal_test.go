package journal

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/register"
)

var key = history.Key{Supervisor: "pool", Child: "w.1"}

var program string // the child program

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "journal-test-")
	if err == nil {
		program, err = Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// child starts the child program as supnode would.
func child(t *testing.T, dir string, incarnation uint64, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, append([]string{"-dir", dir}, args...)...)
	cmd.Env = append(os.Environ(), "SUPNODE_SUPERVISOR="+key.Supervisor, "SUPNODE_CHILD="+key.Child, "SUPNODE_NODE=n1",
		"SUPNODE_INCARNATION="+strconv.FormatUint(incarnation, 10))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

// livesOnce waits until the lives in dir are as wanted, and returns them.
func livesOnce(t *testing.T, dir, what string, want func([]history.Life) bool) (lives []history.Life) {
	t.Helper()
	r := NewReader(dir)
	await.Nil(t, what, func() (err error) {
		if lives, err = r.Lives(); err != nil {
			t.Fatal(err)
		}
		if !want(lives) {
			return fmt.Errorf("the lives are %v", lives)
		}
		return nil
	})
	return lives
}

func TestAKilledChildLeavesItsLife(t *testing.T) {
	dir := t.TempDir()
	before := history.Now()
	cmd := child(t, dir, 9)
	livesOnce(t, dir, "ten ticks", func(l []history.Life) bool { return len(l) == 1 && len(l[0].Ticks) >= 10 })
	cmd.Process.Kill()
	cmd.Wait()
	after := history.Now()
	lives := livesOnce(t, dir, "the last tick", func([]history.Life) bool { return true })
	l := lives[0]
	if l.Key != key || l.Incarnation != 9 || l.Node != "n1" || l.PID != cmd.Process.Pid || l.Role != history.Main {
		t.Errorf("the life is of %+v", l)
	}
	if l.Start < before || l.Last() > after || l.Stop != "" {
		t.Errorf("life from %d to %d (stop %q), the process lived within %d to %d", l.Start, l.Last(), l.Stop, before, after)
	}
}

func TestTermEndsAChildUnlessItIsTold(t *testing.T) {
	dir := t.TempDir()
	cmd := child(t, dir, 1)
	livesOnce(t, dir, "a tick", func(l []history.Life) bool { return len(l) == 1 && len(l[0].Ticks) > 2 })
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after TERM: %v", err)
	}
	stubborn := t.TempDir()
	cmd = child(t, stubborn, 1, "-ignore-term")
	l := livesOnce(t, stubborn, "a tick", func(l []history.Life) bool { return len(l) == 1 && len(l[0].Ticks) > 2 })
	cmd.Process.Signal(syscall.SIGTERM)
	seen := len(l[0].Ticks)
	livesOnce(t, stubborn, "ticks after TERM", func(l []history.Life) bool { return len(l[0].Ticks) > seen+5 })
}

func TestChildrenCrashWhenTold(t *testing.T) {
	dir, trigger := t.TempDir(), filepath.Join(t.TempDir(), "crash")
	cmd := child(t, dir, 1, "-crash-file", trigger, "-exit-code", "3")
	livesOnce(t, dir, "a tick", func(l []history.Life) bool { return len(l) == 1 && len(l[0].Ticks) > 2 })
	if err := os.WriteFile(trigger, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 3 {
		t.Errorf("exit status %d, want 3", got)
	}
	if _, err := os.Stat(trigger); !os.IsNotExist(err) {
		t.Error("the trigger is still there: the next incarnation would crash too")
	}
	cmd = child(t, dir, 2, "-exit-after", "50ms", "-exit-code", "4")
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 4 {
		t.Errorf("exit status %d, want 4", got)
	}
}

func TestADetachedGrandchildKeepsItsOwnJournal(t *testing.T) {
	dir := t.TempDir()
	cmd := child(t, dir, 1, "-detach")
	lives := livesOnce(t, dir, "both of them", func(l []history.Life) bool {
		return len(l) == 2 && len(l[0].Ticks) > 2 && len(l[1].Ticks) > 2
	})
	for _, l := range lives {
		if l.Role != history.Grandchild {
			continue
		}
		t.Cleanup(func() { syscall.Kill(l.PID, syscall.SIGKILL) })
		if sid, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.PID)); err != nil || len(sid) == 0 {
			t.Error("the grandchild is not there:", err)
		}
		cmd.Process.Kill()
		cmd.Wait()
		seen := len(l.Ticks)
		livesOnce(t, dir, "the grandchild without its command", func(now []history.Life) bool {
			for _, n := range now {
				if n.PID == l.PID {
					return len(n.Ticks) > seen+5
				}
			}
			return false
		})
		return
	}
	t.Error("no grandchild among", lives)
}

func TestChildrenWriteToTheRegister(t *testing.T) {
	s, err := register.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dir := t.TempDir()
	child(t, dir, 5, "-register", s.Addr())
	livesOnce(t, dir, "an accepted write", func(l []history.Life) bool { return len(l) == 1 && l[0].Effects > 0 })
	child(t, dir, 6, "-register", s.Addr())
	livesOnce(t, dir, "a refusal of the older one", func(l []history.Life) bool { return len(l) == 2 && l[0].Refused > 0 && l[1].Effects > 0 })
}

func TestReaderFollowsAndToleratesATornLine(t *testing.T) {
	dir := t.TempDir()
	id := Identity{Key: key, Node: "n2", Incarnation: 3, PID: 77, Role: history.Main}
	path := filepath.Join(dir, id.file())
	write := func(s string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	r := NewReader(dir)
	write("S 100 node=n2 pid=77\nT 110\nT 1")
	lives, err := r.Lives()
	if err != nil || len(lives) != 1 || !lives[0].Torn || lives[0].Last() != 110 {
		t.Fatalf("got %v %v", lives, err)
	}
	write("20\nX 130 SIGTERM\n")
	lives, err = r.Lives()
	if err != nil || lives[0].Torn || lives[0].Last() != 130 || lives[0].Stop != "SIGTERM" || lives[0].Start != 100 {
		t.Fatalf("got %v %v", lives, err)
	}
	write("T 90\n")
	if _, err = r.Lives(); err == nil {
		t.Error("instants that fall were believed")
	}
}
