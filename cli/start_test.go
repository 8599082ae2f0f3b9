package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/supnode/supnode/cli"
	"github.com/supnode/supnode/test/machine"
	"github.com/supnode/supnode/test/process"
)

// server is a real supnode process with one node.
type server struct {
	*process.Process
	t     *testing.T
	admin string
	dir   string
}

// startServer starts a cluster of one.
func startServer(t *testing.T, more string) *server {
	t.Helper()
	return newServer(t, machine.Addr(), fmt.Sprintf("[{name: n1, addr: %q}]", machine.Addr()), more)
}

// newServer writes a config file for n1 and starts it.
func newServer(t *testing.T, admin, servers, more string) *server {
	t.Helper()
	s := &server{t: t, admin: admin, dir: t.TempDir()}
	file := filepath.Join(s.dir, "n1.yaml")
	text := fmt.Sprintf("node: {name: n1, data_dir: data}\ncluster:\n  servers: %s\nadmin: {listen: %q}\nexec: {enabled: true, allow: [/bin/*, /usr/bin/*]}\n%s", servers, admin, more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "start", "--config", file)
	cmd.Env = append(os.Environ(), asSupnode+"=1")
	s.Process = process.Start(t, cmd)
	return s
}

// run runs a command against the server and returns its output.
func (s *server) run(want int, args ...string) string {
	s.t.Helper()
	var out, errs bytes.Buffer
	dash := len(args)
	for i, a := range args {
		if a == "--" {
			dash = i
			break
		}
	}
	line := append(append(append([]string{}, args[:dash]...), "--addr", s.admin), args[dash:]...)
	if got := cli.Run(context.Background(), line, cli.IO{In: strings.NewReader(""), Out: &out, Err: &errs}); got != want {
		s.t.Fatalf("supnode %s: status %d, want %d\n%s%s\n%s", strings.Join(line, " "), got, want, &out, &errs, s.Said())
	}
	return out.String() + errs.String()
}

// pidOf is the process of a child that wrote its pid to a file.
func (s *server) pidOf(file string) int {
	s.t.Helper()
	var pid int
	s.Await("the pid of the command", func() error {
		b, err := os.ReadFile(file)
		if err == nil {
			_, err = fmt.Sscan(string(b), &pid)
		}
		return err
	})
	return pid
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestANodeRunsUntilItIsTold(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			s := startServer(t, "log: {format: json}\n")
			s.Ready(s.admin)
			var first struct {
				Message  string `json:"@message"`
				Admin    string `json:"admin"`
				NodePort string `json:"node_port"`
				DataDir  string `json:"data_dir"`
			}
			line, _, _ := strings.Cut(s.Said(), "\n")
			if err := json.Unmarshal([]byte(line), &first); err != nil || first.Message != "starting n1" || first.Admin != "http://"+s.admin ||
				first.DataDir != filepath.Join(s.dir, "data") || first.NodePort == "" {
				t.Errorf("the first line is %s (%v)", line, err)
			}
			manifest, pidFile := filepath.Join(s.dir, "pool.yaml"), filepath.Join(s.dir, "pid")
			if err := os.WriteFile(manifest, []byte("name: pool\nchildren:\n  - id: w1\n    behavior: exec\n    args: [{command: /bin/sh, args: [-c, 'echo $$ > "+pidFile+"; exec sleep 1000']}]\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			s.run(0, "sup", "start", manifest)
			pid := s.pidOf(pidFile)
			if out := s.run(0, "children", "list", "pool"); !strings.Contains(out, "w1  running  n1") {
				t.Errorf("%s", out)
			}
			if out := s.run(1, "sup", "start", manifest); !strings.Contains(out, "A supervisor of this name exists") {
				t.Errorf("%s", out)
			}
			s.run(0, "children", "start", "pool", "--id", "w2", "--", "/bin/sleep", "1000")
			s.run(0, "children", "restart", "pool", "w2")
			s.run(0, "children", "terminate", "pool", "w2")
			if out := s.run(0, "events"); !strings.Contains(out, "child_restarted        pool/w2 on n1") {
				t.Errorf("%s", out)
			}
			if out := s.run(0, "nodes", "list"); !strings.Contains(out, "n1    up      leader") {
				t.Errorf("%s", out)
			}
			if !alive(pid) {
				t.Error("the command does not run")
			}
			s.Leaves(sig)
			if alive(pid) {
				t.Error("the command outlived its node")
			}
		})
	}
}

// A child that does not stop holds a leaving node up; a second signal does not wait for it.
func TestASecondSignalStopsAtOnce(t *testing.T) {
	s := startServer(t, "")
	s.Ready(s.admin)
	pidFile := filepath.Join(s.dir, "pid")
	manifest := filepath.Join(s.dir, "pool.json")
	if err := os.WriteFile(manifest, []byte(`{"name": "pool", "children": [{"id": "w1", "behavior": "exec", "shutdown_timeout": "infinity",
		"args": [{"command": "/bin/sh", "args": ["-c", "trap '' TERM; echo $$ > `+pidFile+`; while :; do sleep 0.1; done"]}]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(0, "sup", "start", manifest)
	pid := s.pidOf(pidFile)
	s.Signal(syscall.SIGTERM)
	s.Says("leaving; a second signal stops at once")
	if !alive(pid) {
		t.Error("the command was killed by the first signal")
	}
	began := time.Now()
	s.Leaves(syscall.SIGTERM)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %s, as if it had waited for shutdown_timeout", took)
	}
	if alive(pid) {
		t.Error("the command outlived its node")
	}
}

func TestATakenAdminAddressIsToldAndNothingIsLeft(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := newServer(t, l.Addr().String(), fmt.Sprintf("[{name: n1, addr: %q}]", machine.Addr()), "")
	if got := s.Ends(); got != 1 || !strings.Contains(s.Said(), "admin.listen "+l.Addr().String()+" is in use by another process: stop it, or choose another port") {
		t.Errorf("status %d\n%s", got, s.Said())
	}
	if _, err := os.Stat(filepath.Join(s.dir, "data")); !os.IsNotExist(err) {
		t.Errorf("a data directory was made: %v", err)
	}
}

// Nodes that are told to stop while they still look for another server do so.
func TestASignalEndsAStartThatWaits(t *testing.T) {
	s := newServer(t, machine.Addr(), fmt.Sprintf("[{name: n1, addr: %q}, {name: n2, addr: %q}, {name: n3, addr: %q}]", machine.Addr(), machine.Addr(), machine.Addr()), "")
	s.Await("the words that it is not ready", func() error {
		res, err := http.Get("http://" + s.admin + "/readyz")
		if err != nil {
			return err
		}
		res.Body.Close()
		http.DefaultClient.CloseIdleConnections()
		if res.StatusCode != http.StatusServiceUnavailable {
			return errors.New(res.Status)
		}
		return nil
	})
	s.Signal(syscall.SIGTERM)
	if got := s.Ends(); got != 1 || !strings.Contains(s.Said(), "terminated while starting") {
		t.Errorf("status %d\n%s", got, s.Said())
	}
}
