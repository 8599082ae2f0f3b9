package dev_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/supnode/supnode/cli"
	"github.com/supnode/supnode/cli/config"
	"github.com/supnode/supnode/cli/dev"
	"github.com/supnode/supnode/node/agent/guardian"
	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/machine"
	"go.uber.org/goleak"
)

// asSupnode makes this test binary the supnode program.
const asSupnode = "SUPNODE_TEST_AS_SUPNODE"

func TestMain(m *testing.M) {
	guardian.RunIfGuardian()
	if os.Getenv(asSupnode) != "" {
		os.Exit(cli.Run(context.Background(), os.Args[1:], cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	machine.Alone()
	goleak.VerifyTestMain(m)
}

// session is a running dev cluster.
type session struct {
	t    *testing.T
	stop context.CancelFunc
	done chan error

	mu  sync.Mutex // guards out
	out bytes.Buffer
}

func (s *session) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(b)
}

func (s *session) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

func begin(t *testing.T, o dev.Options) *session {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{t: t, stop: cancel, done: make(chan error, 1)}
	o.Executable, o.Env, o.Command, o.Out = self, []string{asSupnode + "=1"}, "supnode", s
	go func() { s.done <- dev.Run(ctx, o) }()
	t.Cleanup(func() {
		if s.done != nil {
			s.end()
		}
	})
	return s
}

// end stops the session and returns its error.
func (s *session) end() error {
	s.stop()
	err := <-s.done
	s.done = nil
	return err
}

// await waits until the output has a match and returns it.
func (s *session) await(pattern string) (match []string) {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	await.Nil(s.t, pattern, func() error {
		text := s.text()
		if match = re.FindStringSubmatch(text); match != nil {
			return nil
		}
		select {
		case err := <-s.done:
			s.done = nil
			s.t.Fatalf("it ended (%v) without %q:\n%s", err, pattern, text)
		default:
		}
		return fmt.Errorf("so far:\n%s", text)
	})
	return match
}

// pid is a process of the table that the welcome shows.
func (s *session) pid(of string) int {
	s.t.Helper()
	n, err := strconv.Atoi(s.await(`(?m)^  ` + of + ` +(\d+) `)[1])
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// family is a process with all that descends from it.
func family(pid int) []int {
	all := []int{pid}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range files {
		b, _ := os.ReadFile(f)
		for _, word := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(all, family(child)...)
			}
		}
	}
	return all
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func TestALostNodeIsWatchedAndBroughtBackAndNothingIsLeft(t *testing.T) {
	base := machine.Base(3)
	s := begin(t, dev.Options{Nodes: 3, BasePort: base})
	dir := s.await(`logs are in (\S+) \(removed at exit\)`)[1]
	s.await(`supervisor_started +demo`)
	victim := s.pid("n2")
	var processes []int
	for _, n := range []string{"n1", "n2", "n3"} {
		processes = append(processes, family(s.pid(n))...)
		// The files are what a user would write.
		if _, err := config.Load(filepath.Join(dir, n+".yaml")); err != nil {
			t.Error(err)
		}
	}
	if len(processes) < 3+3+6 {
		t.Errorf("only %d processes: nodes, guardians and commands should be more", len(processes))
	}
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.await(fmt.Sprintf(`-- n2 \(pid %d\) was killed by signal 9 \(killed\); it is started again in 3s`, victim))
	s.await(`node_failure_detected  n2 was lost with 2 children: demo/w\d, demo/w\d`)
	s.await(`child_migrated +demo/w\d from n2 to n[13]`)
	again, err := strconv.Atoi(s.await(`-- n2 is started again, pid (\d+)`)[1])
	if err != nil {
		t.Fatal(err)
	}
	s.await(`(?s)started again, pid.*node_joined +n2`)
	for _, line := range readme(t) {
		s.await(line)
	}
	processes = append(processes, family(again)...)
	if err := s.end(); err != nil {
		t.Error(err)
	}
	for _, pid := range processes {
		if alive(pid) {
			cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			t.Errorf("process %d is left: %q", pid, cmdline)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is left (%v)", dir, err)
	}
	for i := 1; i <= 3; i++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+i))
		if err != nil {
			t.Error(err)
			continue
		}
		l.Close()
	}
}

// readme is what the README shows of a session in which a node is killed, a pattern for each line.
func readme(t *testing.T) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "watch its children move:\n\n```\n")
	block, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the README shows no session")
	}
	differs := strings.NewReplacer("follower", "(follower|leader)", "leader", "(follower|leader)", "/tmp/", `\S+/`)
	for line := range strings.FieldsFuncSeq(block, func(r rune) bool { return r == '\n' }) {
		line = regexp.MustCompile(`\d+`).ReplaceAllString(regexp.QuoteMeta(line), `\d+`)
		lines = append(lines, "(?m)^"+regexp.MustCompile(` +`).ReplaceAllString(differs.Replace(line), " +")+"$")
	}
	return lines
}

func TestAPausedNodeDoesNotKeepItFromStopping(t *testing.T) {
	s := begin(t, dev.Options{Nodes: 3, BasePort: machine.Base(3)})
	s.await(`supervisor_started +demo`)
	pids := append(family(s.pid("n1")), append(family(s.pid("n2")), family(s.pid("n3"))...)...)
	if err := syscall.Kill(s.pid("n1"), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.await(`node_failure_detected  n1 was lost`)
	if err := s.end(); err != nil {
		t.Error(err)
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
}

func TestADirectoryOfOnesOwnStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	o := dev.Options{Nodes: 1, BasePort: machine.Base(1), Dir: dir}
	s := begin(t, o)
	s.await(`data and logs are in ` + regexp.QuoteMeta(dir) + ` \(it stays\)`)
	s.await(`supervisor_started +demo`)
	if err := s.end(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "n1.yaml")); err != nil {
		t.Error(err)
	}
	// It goes on where it was: the demo is there and runs again (S27).
	s = begin(t, o)
	s.await(`child_restarted +demo/w6 on n1`)
	if strings.Contains(s.text(), "supervisor_started") {
		t.Errorf("old events are told again:\n%s", s.text())
	}
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

func TestASecondClusterIsKeptOutOfTheDirectoryOfAnother(t *testing.T) {
	dir := t.TempDir()
	s := begin(t, dev.Options{Nodes: 1, Dir: dir, BasePort: machine.Base(1)})
	s.await("supervisor_started")
	before, err := os.ReadFile(filepath.Join(dir, "n1.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	second := dev.Options{Nodes: 1, Dir: dir, BasePort: machine.Base(1), Executable: "supnode", Out: io.Discard}
	if err := dev.Run(context.Background(), second); err == nil || !strings.Contains(err.Error(), "another supnode dev runs in "+dir) {
		t.Errorf("told: %v", err)
	}
	after, err := os.ReadFile(filepath.Join(dir, "n1.yaml"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the config file of the first one is another now (%v):\n%s", err, after)
	}
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
}

func TestATakenPortIsToldBeforeAnythingStarts(t *testing.T) {
	base := machine.Base(3)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+1002))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = dev.Run(context.Background(), dev.Options{Nodes: 3, BasePort: base, Out: &bytes.Buffer{}})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("127.0.0.1:%d is taken", base+1002)) || !strings.Contains(err.Error(), "--base-port") {
		t.Errorf("got %v", err)
	}
}

func TestANodeThatCannotStartSaysWhy(t *testing.T) {
	dir := t.TempDir()
	// A file where the node wants its directory.
	if err := os.WriteFile(filepath.Join(dir, "n1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := begin(t, dev.Options{Nodes: 1, BasePort: machine.Base(1), Dir: dir})
	err := <-s.done
	s.done = nil
	if err == nil || !strings.Contains(err.Error(), "n1 ended with status 1 while starting; the end of its log:") {
		t.Errorf("got %v", err)
	}
}
