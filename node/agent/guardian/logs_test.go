package guardian

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/node/agent"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
	"golang.org/x/sys/unix"
)

func TestOutputGoesToTheLog(t *testing.T) {
	r := newRig(t)
	s := r.shell("echo out; echo err >&2")
	r.waitEnd(s)
	path := filepath.Join(r.dir, "logs", "pool", "c1.log")
	holds := func(want string) func() bool {
		return func() bool { text, _ := os.ReadFile(path); return string(text) == want }
	}
	await.True(t, "the log has both", holds("out\nerr\n"))
	again := spawnOf(r.session, "c1", 100, Program{Command: "/bin/sh", Args: []string{"-c", "echo again"}})
	r.Spawn(again)
	r.waitEnd(again)
	await.True(t, "the next incarnation's follows", holds("out\nerr\nagain\n"))
}

func TestACommandThatWritesWithoutEndIsNotBlocked(t *testing.T) {
	r := newRig(t, func(c *Config) {})
	done := filepath.Join(r.dir, "done")
	s := r.start(Program{Command: "/bin/sh", Args: []string{"-c", `head -c 35000000 /dev/zero; echo > $0; exec sleep 1000`, done}})
	r.waitStarted(s)
	await.True(t, "35 MB are written", func() bool { _, err := os.Stat(done); return err == nil })
	r.Kill(agent.Kill{Key: s.Key, Inc: s.Inc})
	r.waitEnd(s)
	for _, name := range []string{"c1.log", "c1.log.1", "c1.log.2"} {
		info, err := os.Stat(filepath.Join(r.dir, "logs", "pool", name))
		if err != nil || info.Size() > DefaultLogSize {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if _, err := os.Stat(filepath.Join(r.dir, "logs", "pool", "c1.log.3")); err == nil {
		t.Error("a fourth file is kept")
	}
}

func TestLogsRotateAndOutliveTheirDisk(t *testing.T) {
	dir := t.TempDir()
	l := NewLogs(dir, LogConfig{MaxSize: 20}, hclog.NewNullLogger())
	c := l.of(sup.Key{Supervisor: "a/b", Child: "c.d"})
	for i := range 8 {
		fmt.Fprintf(c, "line %d..\n", i)
	}
	c.flush()
	read := func(name string) string {
		text, _ := os.ReadFile(filepath.Join(dir, name))
		return string(text)
	}
	if read("a/b/c.d.log") != "line 6..\nline 7..\n" || read("a/b/c.d.log.1") != "line 4..\nline 5..\n" || read("a/b/c.d.log.2") != "line 2..\nline 3..\n" {
		t.Errorf("%q %q %q", read("a/b/c.d.log"), read("a/b/c.d.log.1"), read("a/b/c.d.log.2"))
	}
	if _, err := os.Stat(filepath.Join(dir, "a/b/c.d.log.3")); err == nil {
		t.Error("a fourth file is kept")
	}
	c.release()
	if len(l.open) != 0 {
		t.Error("a log stays open")
	}

	l = NewLogs(dir, LogConfig{MaxSize: 20, MaxFiles: 1}, hclog.NewNullLogger())
	c = l.of(sup.Key{Supervisor: "a/b", Child: "c.d"})
	fmt.Fprint(c, "the only file now\n")
	c.flush()
	c.release()
	if read("a/b/c.d.log") != "the only file now\n" {
		t.Errorf("%q", read("a/b/c.d.log"))
	}
	for n := 1; n < 4; n++ {
		if name := fmt.Sprintf("a/b/c.d.log.%d", n); read(name) != "" {
			t.Errorf("%s is kept", name)
		}
	}

	c = l.of(sup.Key{Supervisor: "../../outside-logs", Child: "y"})
	fmt.Fprint(c, "out")
	c.flush()
	if l.Health().Lost != 3 {
		t.Error("a log leads out of the data directory")
	}
	c.release()
	if left, _ := filepath.Glob(filepath.Join(dir, "../../outside-logs*")); len(left) > 0 {
		t.Error("a file outside the data directory")
	}
}

// A sub-supervisor may have an id that is the name of its sibling's log.
func TestEveryChildHasALogOfItsOwn(t *testing.T) {
	l := NewLogs(t.TempDir(), LogConfig{}, hclog.NewNullLogger())
	seen := map[string]sup.Key{}
	for _, k := range []sup.Key{
		{Supervisor: "a", Child: "w"}, {Supervisor: "a/w", Child: "w"}, {Supervisor: "a/w.log", Child: "w"}, {Supervisor: "a/w.log.1", Child: "w"},
		{Supervisor: "a", Child: "w.log"}, {Supervisor: "a", Child: "w.log.1"}, {Supervisor: "a/w.log/x.log.2", Child: "-.log"}, {Supervisor: "a", Child: "w..1"},
	} {
		c := l.of(k)
		fmt.Fprintf(c, "%s\n", k)
		c.flush()
		if other, twice := seen[c.path]; twice {
			t.Errorf("%s and %s have the log %s", k, other, c.path)
		}
		seen[c.path] = k
		for n := range 4 {
			if other, twice := seen[rotated(c.path, n)]; twice && other != k {
				t.Errorf("%s is rotated over %s", k, other)
			}
		}
		defer c.release()
	}
	if h := l.Health(); h.Lost > 0 || h.Blocked > 0 {
		t.Errorf("%+v", h)
	}
	for path, k := range seen {
		if text, err := os.ReadFile(path); string(text) != fmt.Sprintf("%s\n", k) {
			t.Errorf("%s: %q %v", path, text, err)
		}
	}
}

// What cannot be written is counted, told once in the node's log, seen in its health, and noted in the file when it can be again.
func TestABlockedLogIsSeen(t *testing.T) {
	dir := t.TempDir()
	var said strings.Builder
	l := NewLogs(dir, LogConfig{}, hclog.New(&hclog.LoggerOptions{Output: &said, Mutex: new(sync.Mutex)}))
	path := filepath.Join(dir, "pool", "w1.log")
	if err := os.MkdirAll(path, 0o750); err != nil {
		t.Fatal(err)
	}
	c := l.of(sup.Key{Supervisor: "pool", Child: "w1"})
	c.begin(sup.Incarnation{Gen: 1, Index: 1})
	for range 10 {
		fmt.Fprint(c, "lost\n")
		c.flush()
	}
	if h := l.Health(); h.Blocked != 1 || h.Lost != 50 || !strings.Contains(h.Why, "w1.log: ") || !strings.Contains(h.Why, "is a directory") {
		t.Errorf("%+v", h)
	}
	if n := strings.Count(said.String(), "output of a command is dropped"); n != 1 {
		t.Errorf("told %d times: %s", n, said.String())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "kept\n")
	c.flush()
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(text), "supnode: 50 bytes of output are missing here: open ") || !strings.HasSuffix(string(text), "is a directory\nkept\n") {
		t.Errorf("%q %v", text, err)
	}
	if h := l.Health(); h.Blocked != 0 || h.Lost != 50 || !strings.Contains(said.String(), "written again") {
		t.Errorf("%+v, %s", h, said.String())
	}
	if err := errors.Join(os.MkdirAll(path+".2/x", 0o750), os.WriteFile(path+".1", nil, 0o640)); err != nil {
		t.Fatal(err)
	}
	l.config.MaxSize = 10
	fmt.Fprint(c, "lost\n")
	c.flush()
	if h := l.Health(); h.Blocked != 1 || !strings.Contains(h.Why, "w1.log.2") {
		t.Errorf("a rotation that cannot be: %+v", h)
	}
	c.release()
	if h := l.Health(); h.Blocked != 0 || h.Lost != 55 {
		t.Errorf("its command has ended: %+v", h)
	}
}

// A disk that hangs holds a command up for a second, once, and not for longer. (A pipe that nobody reads is such a disk.)
func TestALogThatHangsHoldsNobodyUp(t *testing.T) {
	dir := t.TempDir()
	l := NewLogs(dir, LogConfig{}, hclog.NewNullLogger())
	c := l.of(sup.Key{Supervisor: "pool", Child: "w1"})
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	c.file = os.NewFile(uintptr(ends[1]), "hung") // blocking: a pipe that is full
	began := time.Now()
	for range 100 {
		_, _ = c.Write(make([]byte, 100_000))
	}
	if took := time.Since(began); took < stallFor || took > stallFor+10*time.Second {
		t.Errorf("10 MB took %v", took)
	}
	if h := l.Health(); h.Blocked != 1 || h.Lost < 9<<20 || !strings.Contains(h.Why, "does not answer") {
		t.Errorf("%+v", h)
	}
	unix.Close(ends[0]) // the disk answers
	c.flush()
	fmt.Fprint(c, "kept\n")
	c.flush()
	if text, err := os.ReadFile(c.path); err != nil || !strings.Contains(string(text), "its disk does not answer\n") || !strings.HasSuffix(string(text), "\x00kept\n") {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	c.release()
	l.work.Wait()
}

// What is read and where it goes on, over rotations and the ends of files.
func TestReadingALog(t *testing.T) {
	dir := t.TempDir()
	l := NewLogs(dir, LogConfig{MaxSize: 20}, hclog.NewNullLogger())
	key := sup.Key{Supervisor: "a", Child: "w"}
	read := func(q LogRead) LogPage {
		t.Helper()
		q.Key = key
		p, err := l.Read(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	early := read(LogRead{Lines: 0})
	if early.Next == nil || len(early.Data) > 0 || early.Lost {
		t.Fatalf("%+v", early)
	}
	c := l.of(key)
	defer c.release()
	write := func(text string) {
		fmt.Fprint(c, text)
		c.flush()
	}
	c.begin(sup.Incarnation{Gen: 1, Index: 1})
	write("line 0..\n")
	if p := read(LogRead{From: early.Next}); string(p.Data) != "line 0..\n" || p.Lost {
		t.Errorf("from before the file: %q %+v", p.Data, p)
	}
	after := read(LogRead{Lines: 0})
	for i := 1; i < 5; i++ {
		if i == 4 {
			c.begin(sup.Incarnation{Gen: 1, Index: 7})
		}
		write(fmt.Sprintf("line %d..\n", i))
	}
	write("half")
	for lines, want := range map[int]string{
		0: "", 1: "half", 2: "line 4..\nhalf", 3: "line 3..\nline 4..\nhalf", 4: "line 2..\nline 3..\nline 4..\nhalf",
		6: "line 0..\nline 1..\nline 2..\nline 3..\nline 4..\nhalf", 99: "line 0..\nline 1..\nline 2..\nline 3..\nline 4..\nhalf", -1: "line 0..\nline 1..\nline 2..\nline 3..\nline 4..\nhalf",
	} {
		q, got, incarnations := LogRead{Lines: lines}, "", []uint64{}
		for more := true; more; {
			p := read(q)
			if more = p.More; p.Lost {
				t.Errorf("%d lines: %+v", lines, p)
			}
			got += string(p.Data)
			if len(p.Data) > 0 {
				incarnations = append(incarnations, p.Incarnation.Index)
			}
			q.From = p.Next
		}
		begun := []uint64{1, 7}
		if lines >= 0 && lines < 3 {
			begun = begun[1:]
		}
		if lines == 0 {
			begun = begun[1:]
		}
		if d := cmp.Diff(begun, incarnations); got != want || d != "" {
			t.Errorf("%d lines: %q %s", lines, got, d)
		}
	}
	p := read(LogRead{From: after.Next})
	if string(p.Data) != "line 1..\nline 2..\nline 3..\n" || p.Lost || !p.More {
		t.Errorf("over a rotation, to where another incarnation begins: %q %+v", p.Data, p)
	}
	if p = read(LogRead{From: p.Next}); string(p.Data) != "line 4..\nhalf" || p.Lost || p.More {
		t.Errorf("its output: %q %+v", p.Data, p)
	}
	write("\nline 5..\n") // rotates
	if p := read(LogRead{From: p.Next}); string(p.Data) != "\nline 5..\n" || p.Lost {
		t.Errorf("on from there: %q %+v", p.Data, p)
	}
	if p := read(LogRead{From: after.Next}); !p.Lost || string(p.Data) != "line 2..\nline 3..\n" || p.Incarnation.Index != 1 {
		t.Errorf("rotated away: %q %+v", p.Data, p)
	}
	begin := sup.Incarnation{Gen: 1, Index: 7}
	if p := read(LogRead{Begin: &begin}); string(p.Data) != "line 4..\nhalf\nline 5..\n" {
		t.Errorf("of an incarnation: %q", p.Data)
	}
	begin.Index++
	if p := read(LogRead{Begin: &begin}); p.Next != nil || len(p.Data) > 0 {
		t.Errorf("of an incarnation to come: %+v", p)
	}

	l.config.MaxSize = DefaultLogSize
	write(strings.Repeat("x", MaxLogPage) + "\ny\n")
	p = read(LogRead{Lines: 2})
	if len(p.Data) != MaxLogPage || !p.More {
		t.Errorf("a page: %d bytes, more: %v", len(p.Data), p.More)
	}
	if p = read(LogRead{From: p.Next}); string(p.Data) != "\ny\n" || p.More {
		t.Errorf("the page after it: %q", p.Data)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if p = read(LogRead{From: p.Next}); len(p.Data) > 0 || p.Next == nil {
		t.Errorf("a log that was removed: %+v", p)
	}
}

func TestAReaderWaitsForOutput(t *testing.T) {
	l := NewLogs(t.TempDir(), LogConfig{}, hclog.NewNullLogger())
	key := sup.Key{Supervisor: "a", Child: "w"}
	pages := make(chan LogPage, 1)
	go func() {
		p, err := l.Read(t.Context(), LogRead{Key: key, Wait: time.Minute})
		if err != nil {
			t.Error(err)
		}
		pages <- p
	}()
	await.True(t, "it listens", func() bool { return len(l.places) == 1 })
	c := l.of(key)
	fmt.Fprint(c, "news\n")
	p := <-pages
	if p.Next == nil || string(p.Data) != "" && string(p.Data) != "news\n" {
		t.Errorf("%+v", p)
	}
	c.flush()
	c.release()
	if len(l.told) > 0 || len(l.places) > 0 {
		t.Error("it still listens")
	}
	for range maxLogWaiters {
		l.places <- struct{}{}
	}
	began := time.Now()
	if p, err := l.Read(t.Context(), LogRead{Key: key, From: p.Next, Wait: time.Minute}); err != nil || time.Since(began) > 30*time.Second || p.Next == nil {
		t.Errorf("one too many waits: %+v %v", p, err)
	}
}

// flush waits until all that was taken is written or dropped.
func (c *commandLog) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.writing {
		progress := c.progress
		c.mu.Unlock()
		<-progress
		c.mu.Lock()
	}
}
