package identity

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/supnode/supnode/test/expect"
)

// TestMain is also the second process: with holdDir set it opens that directory, says so, and waits for its input to end.
func TestMain(m *testing.M) {
	if dir := os.Getenv(holdDir); dir != "" {
		if _, err := Open(context.Background(), Options{Dir: dir, Name: "n1", Wait: -1}); err != nil {
			fmt.Println("refused:", err)
			os.Exit(1)
		}
		fmt.Println("held")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const holdDir = "IDENTITY_TEST_HOLD_DIR"

// process is another process that has a directory open.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	says  string
}

func hold(t *testing.T, dir string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), holdDir+"="+dir)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err1 := p.cmd.StdinPipe()
	stdout, err2 := p.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, p.cmd.Start()); err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	p.says, _ = bufio.NewReader(stdout).ReadString('\n')
	t.Cleanup(func() { p.kill() })
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func open(t *testing.T, dir string) *Identity {
	t.Helper()
	i, err := Open(context.Background(), Options{Dir: dir, Name: "n1", Wait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close() })
	return i
}

// refused opens a directory as n1 and wants it refused with these words.
func refused(t *testing.T, dir string, words ...string) {
	t.Helper()
	i, err := Open(context.Background(), Options{Dir: dir, Name: "n1", Wait: -1})
	if err == nil {
		i.Close()
	}
	expect.Error(t, err, words...)
}

func TestANodeIsTheSameAfterARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "n1")
	i := open(t, dir)
	id := i.ID()
	if len(id) != 36 || i.Cluster() != "" || i.Gen() != 0 {
		t.Errorf("a new identity: id %q, cluster %q, generation %d", id, i.Cluster(), i.Gen())
	}
	for _, g := range []uint64{1, 7, 3} {
		if err := i.SetGen(g); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(i.SetCluster("c1"), i.SetCluster("c1"), i.Close()); err != nil {
		t.Fatal(err)
	}
	i = open(t, dir)
	if i.ID() != id || i.Cluster() != "c1" || i.Gen() != 7 {
		t.Errorf("after a restart: id %q (was %q), cluster %q, generation %d", i.ID(), id, i.Cluster(), i.Gen())
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, File): 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, st.Mode(), err)
		}
	}
	other := open(t, filepath.Join(t.TempDir(), "n2"))
	if other.ID() == id {
		t.Error("two nodes have one id")
	}
}

func TestUpdatesFromManyGoroutinesKeepTheHighestGeneration(t *testing.T) {
	dir := t.TempDir()
	i := open(t, dir)
	var wg sync.WaitGroup
	for g := range uint64(20) {
		wg.Go(func() {
			if err := errors.Join(i.SetGen(g), i.SetCluster("c"), i.RaftCreated()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	rec, _, err := load(i.db)
	if err != nil || i.Gen() != 19 || rec != i.get() || !rec.Raft {
		t.Errorf("on disk %+v, %v; in memory %+v", rec, err, i.get())
	}
}

func TestP1_ASecondProcessIsRefusedByName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1")
	first := hold(t, dir)
	if first.says != "held\n" {
		t.Fatalf("the first process says %q", first.says)
	}
	pid := first.cmd.Process.Pid
	_, err := Open(context.Background(), Options{Dir: dir, Name: "n1", Wait: -1})
	expect.Error(t, err, dir, "process "+strconv.Itoa(pid), "one node", "node.data_dir of its own")
	var inUse *InUseError
	if !errors.As(err, &inUse) || len(inUse.Holders) != 1 || inUse.Holders[0].PID != pid {
		t.Errorf("%#v", err)
	}
	_, err = Adopt(dir)
	expect.Error(t, err, "process "+strconv.Itoa(pid))
	first.kill() // kill -9 lets go of it
	open(t, dir).Close()

	mine := open(t, dir)
	defer mine.Close()
	second := hold(t, dir)
	if !strings.HasPrefix(second.says, "refused:") || !strings.Contains(second.says, "process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("the second process says %q", second.says)
	}
}

func TestAStartWaitsForTheFormerProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1")
	former := hold(t, dir)
	time.AfterFunc(200*time.Millisecond, func() { former.stdin.Close() })
	i, err := Open(context.Background(), Options{Dir: dir, Name: "n1", Wait: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	i.Close()
	again := hold(t, dir)
	began := time.Now()
	_, err = Open(context.Background(), Options{Dir: dir, Name: "n1", Wait: time.Second})
	expect.Error(t, err, "after 1s still", "process "+strconv.Itoa(again.cmd.Process.Pid))
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("the wait of a second took %v", d)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = Open(ctx, Options{Dir: dir, Name: "n1", Wait: time.Hour})
	expect.Error(t, err, "is in use by process "+strconv.Itoa(again.cmd.Process.Pid))
}

func TestP1_ACopiedDirectoryIsRefusedUntilAdopted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1")
	i := open(t, dir)
	id := i.ID()
	if err := errors.Join(i.SetCluster("c1"), i.SetGen(3), i.Close()); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "n1")
	if out, err := exec.Command("cp", "-a", dir, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	refused(t, copied, copied, "node n1", "is a copy", "supnode node adopt "+copied, "never be started again", "node.name of its own")
	var ce *CopiedError
	if _, err := Open(context.Background(), Options{Dir: copied, Name: "n1"}); !errors.As(err, &ce) {
		t.Errorf("%T", err)
	}
	open(t, dir).Close() // the original is as good as ever

	got, err := Adopt(copied)
	if want := (Adopted{Name: "n1", ID: id, Cluster: "c1"}); err != nil || got != want {
		t.Errorf("adopted %+v, %v; want %+v", got, err, want)
	}
	j := open(t, copied)
	if j.ID() != id || j.Gen() != 3 {
		t.Errorf("adopted with id %s (was %s), generation %d", j.ID(), id, j.Gen())
	}
}

func TestP1_AnotherMachineIsACopyToo(t *testing.T) {
	here := filepath.Join(t.TempDir(), "machine-id")
	if err := os.WriteFile(here, []byte("aaaa\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	former := machineIDs
	machineIDs = []string{filepath.Join(t.TempDir(), "none"), here}
	defer func() { machineIDs = former }()
	dir := filepath.Join(t.TempDir(), "n1")
	open(t, dir).Close()
	if err := os.WriteFile(here, []byte("bbbb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, "machine aaaa", "machine bbbb", "supnode node adopt")
	machineIDs = nil
	refused(t, dir, "machine aaaa", "machine without id")
}

func TestADirectoryThatWasRenamedIsItself(t *testing.T) {
	root := t.TempDir()
	open(t, filepath.Join(root, "old")).Close()
	if err := os.Rename(filepath.Join(root, "old"), filepath.Join(root, "new")); err != nil {
		t.Fatal(err)
	}
	open(t, filepath.Join(root, "new"))
}

func TestAnotherNodesDirectoryIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1")
	open(t, dir).Close()
	_, err := Open(context.Background(), Options{Dir: dir, Name: "n2", Wait: -1})
	expect.Error(t, err, dir, "is node n1's, not n2's", "node.data_dir of its own")
}

func TestAnotherClusterIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1")
	i := open(t, dir)
	if err := i.SetCluster("c1"); err != nil {
		t.Fatal(err)
	}
	expect.Error(t, i.SetCluster("c2"), dir, "belongs to cluster c1", "are cluster c2", "cluster.servers")
	expect.Error(t, i.SetCluster(""), "empty")
	i.Close()
	i = open(t, dir)
	expect.Error(t, i.SetCluster("c2"), "belongs to cluster c1")
	if i.Cluster() != "c1" {
		t.Errorf("cluster %s", i.Cluster())
	}
}

// raftLog makes what stands for a Raft log.
func raftLog(t *testing.T, i *Identity) string {
	t.Helper()
	path := filepath.Join(i.RaftDir(), "raft.db")
	if err := errors.Join(os.MkdirAll(i.RaftDir(), 0o700), os.WriteFile(path, []byte("log"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAWipedLogIsRefused (protocol.md, fact 8): a server that forgot its votes must not come back.
func TestAWipedLogIsRefused(t *testing.T) {
	for name, wipe := range map[string]func(string) error{"removed": os.Remove, "emptied": func(p string) error { return os.Truncate(p, 0) }} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "n1")
			i := open(t, dir)
			path := raftLog(t, i)
			if err := errors.Join(i.RaftCreated(), i.Close()); err != nil {
				t.Fatal(err)
			}
			open(t, dir).Close()
			if err := wipe(path); err != nil {
				t.Fatal(err)
			}
			refused(t, dir, path, "vote twice", "Put the file back", "new node.name")
		})
	}
	// An agent has no log, and a start that ended before its log was recorded may try again.
	dir := filepath.Join(t.TempDir(), "n2")
	open(t, dir).Close()
	open(t, dir).Close()
}

func TestALogWithoutItsIdentityIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1")
	i := open(t, dir)
	raftLog(t, i)
	if err := errors.Join(i.RaftCreated(), i.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, File)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, path, "is gone", "Put the file back")
	if _, err := os.Stat(path); err == nil {
		t.Error("the refused start made a new identity")
	}
	// bbolt makes the file before the record is in it: no identity either.
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	refused(t, dir, path, "is gone, or empty")
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestAStartThatEndedHalfwayIsBegunAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, File), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if i := open(t, dir); i.ID() == "" {
		t.Error("no identity was made")
	}
}

func TestANewerFormatIsNotGuessedAt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1")
	i := open(t, dir)
	set := func(key, value string) {
		t.Helper()
		if err := i.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(key), []byte(value)) }); err != nil {
			t.Fatal(err)
		}
	}
	set("format", "2")
	i.Close()
	refused(t, dir, File, `format "2"`, "knows format 1", "newer one")
	_, err := Adopt(dir)
	expect.Error(t, err, `format "2"`)
}

func TestDamageIsRefusedInWords(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, File)
	if err := os.WriteFile(path, []byte(strings.Repeat("junk", 10_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, path, "is damaged", "put it back")

	i := open(t, filepath.Join(t.TempDir(), "n1"))
	if err := i.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte("generation"), []byte("many")) }); err != nil {
		t.Fatal(err)
	}
	i.Close()
	refused(t, i.dir, "generation", "is damaged")
}

func TestDirectoriesThatWillNotDo(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, file, "node.data_dir", file, "is not a directory")
	refused(t, filepath.Join(file, "n1"), "node.data_dir")
	open777 := filepath.Join(root, "open")
	if err := errors.Join(os.Mkdir(open777, 0o700), os.Chmod(open777, 0o777)); err != nil {
		t.Fatal(err)
	}
	refused(t, open777, "can be written by other users (mode 0777)", "chmod 700")
	_, err := Adopt(filepath.Join(root, "nowhere"))
	expect.Error(t, err, "no data directory", File)
	empty := filepath.Join(root, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	open(t, empty)
}
