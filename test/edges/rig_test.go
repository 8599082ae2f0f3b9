package edges

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/machine"
	"github.com/supnode/supnode/test/process"
)

// program is the supnode that all tests run.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	defer machine.Alone()()
	dir, err := os.MkdirTemp("", "supnode-edges-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if program, err = cluster.Build(dir, false); err != nil {
		panic(err)
	}
	code = m.Run()
	if err := closeTown(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

// supnode runs the program to its end.
func supnode(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // and it says what it does
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("supnode %s: %v\n%s%s", strings.Join(args, " "), err, &out, &complaints)
	}
	return cmd.ProcessState.ExitCode(), out.String(), complaints.String()
}

// refused runs a start that must fail, and returns what it said.
func refused(t *testing.T, file string, status int, words ...string) string {
	t.Helper()
	got, _, said := supnode(t, "start", "--config", file)
	if got != status {
		t.Errorf("exit status %d, want %d", got, status)
	}
	wantWords(t, said, words...)
	return said
}

// wantWords is what a person must be able to read; no stack or fault may be among it.
func wantWords(t *testing.T, said string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("it does not say %q:\n%s", w, said)
		}
	}
	for _, w := range []string{"panic:", "goroutine ", "SIGSEGV", "SIGBUS", "fatal error:", "%!"} {
		if strings.Contains(said, w) {
			t.Errorf("it says %q:\n%s", w, said)
		}
	}
}

// start starts a node; it is killed at the test's end.
func start(t *testing.T, file string) *process.Process {
	t.Helper()
	return process.Start(t, exec.Command(program, "start", "--config", file))
}

// lone is a cluster of one server, in a folder of its own.
type lone struct {
	dir, file, data string
	rpc, admin      string
}

// newLone writes a config file; more is added to it.
func newLone(t *testing.T, more string) lone {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := lone{dir: dir, file: filepath.Join(dir, "n1.yaml"), data: filepath.Join(dir, "data"), rpc: machine.Addr(), admin: machine.Addr()}
	l.write(t, l.file, more)
	return l
}

func (l lone) write(t *testing.T, file, more string) {
	t.Helper()
	put(t, file, fmt.Sprintf("node: {name: n1, data_dir: %s}\ncluster: {servers: [{name: n1, addr: %q}]}\nadmin: {listen: %q}\nexec: {enabled: true, allow: [/**]}\n%s",
		l.data, l.rpc, l.admin, more))
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// within is a context that ends when a test has waited long enough.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience) // also for what a test does when it is over
	t.Cleanup(cancel)
	return ctx
}
