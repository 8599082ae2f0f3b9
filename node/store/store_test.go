package store_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/supnode/supnode/node/store"
	"github.com/supnode/supnode/test/expect"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deaths counts what Fatal was called with.
type deaths struct {
	mu  sync.Mutex // guards all
	all []error
}

func (d *deaths) fatal(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, err)
}

func (d *deaths) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.all)
}

func open(t *testing.T, dir string, d *deaths) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{Dir: dir, Fatal: d.fatal})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func entries(first, last, term uint64) (logs []*raft.Log) {
	for i := first; i <= last; i++ {
		logs = append(logs, &raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: binary.BigEndian.AppendUint64(nil, i)})
	}
	return logs
}

// snapshot writes a snapshot of the log up to index.
func snapshot(t *testing.T, s *store.Store, index, term uint64) string {
	t.Helper()
	_, trans := raft.NewInmemTransport("n1")
	k, err := s.Snapshots().Create(raft.SnapshotVersionMax, index, term, raft.Configuration{}, 1, trans)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(k, "state at %d", index); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	return k.ID()
}

func TestWhatWasWrittenIsThereAfterAReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "raft")
	var d deaths
	s := open(t, dir, &d)
	if err := s.Log().StoreLogs(entries(1, 1000, 2)); err != nil {
		t.Fatal(err)
	}
	if err := s.Log().DeleteRange(1, 10); err != nil {
		t.Fatal(err)
	}
	if err := s.Stable().SetUint64([]byte("CurrentTerm"), 7); err != nil {
		t.Fatal(err)
	}
	if err := s.Stable().Set([]byte("LastVoteCand"), []byte("n2")); err != nil {
		t.Fatal(err)
	}
	snapshot(t, s, 500, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, dir, &d)
	defer s.Close()
	first, err1 := s.Log().FirstIndex()
	last, err2 := s.Log().LastIndex()
	term, err3 := s.Stable().GetUint64([]byte("CurrentTerm"))
	vote, err4 := s.Stable().Get([]byte("LastVoteCand"))
	if err := errors.Join(err1, err2, err3, err4); err != nil || first != 11 || last != 1000 || term != 7 || string(vote) != "n2" {
		t.Errorf("log %d…%d, term %d, vote %s, %v", first, last, term, vote, err)
	}
	var got raft.Log
	if err := s.Log().GetLog(700, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(entries(700, 700, 2)[0].Data, got.Data); diff != "" {
		t.Error(diff)
	}
	metas, err := s.Snapshots().List()
	if err != nil || len(metas) != 1 || metas[0].Index != 500 {
		t.Fatalf("%v, %v", metas, err)
	}
	_, r, err := s.Snapshots().Open(metas[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil || string(b) != "state at 500" {
		t.Errorf("%q, %v", b, err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700, store.Path(dir): 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, st.Mode(), err)
		}
	}
	if d.count() != 0 {
		t.Errorf("fatal in good health: %v", d.all)
	}
}

func TestWhatIsNotThereIsNoFailure(t *testing.T) {
	var d deaths
	s := open(t, t.TempDir(), &d)
	defer s.Close()
	if err := s.Log().GetLog(1, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("GetLog: %v", err)
	}
	if _, err := s.Stable().Get([]byte("x")); err == nil || err.Error() != "not found" { // as Raft knows it
		t.Errorf("Get: %v", err)
	}
	if _, err := s.Stable().GetUint64([]byte("x")); err == nil || err.Error() != "not found" {
		t.Errorf("GetUint64: %v", err)
	}
	if _, _, err := s.Snapshots().Open("1-2-3"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open of a snapshot that was reaped: %v", err)
	}
	if d.count() != 0 {
		t.Errorf("fatal: %v", d.all)
	}
}

// broken is a Log whose operation of one name fails.
type broken struct {
	store.Log
	op string
}

var errDisk = errors.New("input/output error")

func (b *broken) fail(op string) error {
	if b.op == op {
		return errDisk
	}
	return nil
}

func (b *broken) StoreLogs(l []*raft.Log) error {
	return errors.Join(b.fail("StoreLogs"), b.Log.StoreLogs(l))
}
func (b *broken) DeleteRange(x, y uint64) error {
	return errors.Join(b.fail("DeleteRange"), b.Log.DeleteRange(x, y))
}
func (b *broken) Set(k, v []byte) error { return errors.Join(b.fail("Set"), b.Log.Set(k, v)) }
func (b *broken) SetUint64(k []byte, v uint64) error {
	return errors.Join(b.fail("SetUint64"), b.Log.SetUint64(k, v))
}
func (b *broken) GetLog(i uint64, l *raft.Log) error {
	if err := b.fail("GetLog"); err != nil {
		return err
	}
	return b.Log.GetLog(i, l)
}
func (b *broken) Get(k []byte) ([]byte, error) {
	if err := b.fail("Get"); err != nil {
		return nil, err
	}
	return b.Log.Get(k)
}

// TestAnyFailureOfTheStoreIsFatalOnce (protocol.md, fact 7): after it nothing is written any more, whatever it is.
func TestAnyFailureOfTheStoreIsFatalOnce(t *testing.T) {
	for op, do := range map[string]func(s *store.Store) error{
		"StoreLogs":   func(s *store.Store) error { return s.Log().StoreLogs(entries(5, 6, 1)) },
		"DeleteRange": func(s *store.Store) error { return s.Log().DeleteRange(1, 2) },
		"Set":         func(s *store.Store) error { return s.Stable().Set([]byte("k"), []byte("v")) },
		"SetUint64":   func(s *store.Store) error { return s.Stable().SetUint64([]byte("k"), 1) },
		"GetLog":      func(s *store.Store) error { return s.Log().GetLog(9000, new(raft.Log)) },
		"Get":         func(s *store.Store) error { _, err := s.Stable().Get([]byte("k")); return err },
	} {
		t.Run(op, func(t *testing.T) {
			var d deaths
			var b *broken
			s, err := store.Open(store.Options{Dir: t.TempDir(), Fatal: d.fatal, Wrap: func(l store.Log) store.Log {
				b = &broken{Log: l}
				return b
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Log().StoreLogs(entries(1, 4, 1)); err != nil {
				t.Fatal(err)
			}
			b.op = op
			if err := do(s); err == nil {
				t.Fatal("no error")
			}
			if d.count() != 1 || !errors.Is(d.all[0], errDisk) {
				t.Fatalf("fatal was called with %v", d.all)
			}
			b.op = "" // the disk seems well again: too late
			writes := map[string]error{
				"StoreLogs": s.Log().StoreLogs(entries(7, 7, 1)), "DeleteRange": s.Log().DeleteRange(1, 1),
				"Set": s.Stable().Set([]byte("a"), nil), "SetUint64": s.Stable().SetUint64([]byte("a"), 1),
			}
			for w, err := range writes {
				if err == nil || !strings.Contains(err.Error(), errDisk.Error()) { // raft.LogCache keeps the text alone
					t.Errorf("%s after the failure: %v", w, err)
				}
			}
			_, err = s.Snapshots().Create(1, 1, 1, raft.Configuration{}, 1, nil)
			if !errors.Is(err, errDisk) {
				t.Errorf("a snapshot after the failure: %v", err)
			}
			if d.count() != 1 {
				t.Errorf("fatal was called %d times", d.count())
			}
			if i, err := b.Log.LastIndex(); err != nil || i > 6 {
				t.Errorf("the log goes on to %d, %v", i, err)
			}
		})
	}
}

func TestASnapshotThatCannotBeWrittenIsFatal(t *testing.T) {
	dir := t.TempDir()
	var d deaths
	s := open(t, dir, &d)
	defer s.Close()
	_, trans := raft.NewInmemTransport("n1")
	k, err := s.Snapshots().Create(raft.SnapshotVersionMax, 5, 1, raft.Configuration{}, 1, trans)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "snapshots")); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err == nil {
		t.Fatal("a snapshot was finished in a directory that is gone")
	}
	if d.count() != 1 {
		t.Fatalf("fatal was called with %v", d.all)
	}
	expect.Error(t, d.all[0], "the Raft store failed to finish a snapshot")
	if err := s.Log().StoreLogs(entries(1, 1, 1)); err == nil {
		t.Error("the log is written after a failed snapshot")
	}
}

func TestACancelledSnapshotIsNoFailure(t *testing.T) {
	var d deaths
	s := open(t, t.TempDir(), &d)
	defer s.Close()
	_, trans := raft.NewInmemTransport("n1")
	k, err := s.Snapshots().Create(raft.SnapshotVersionMax, 5, 1, raft.Configuration{}, 1, trans)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Cancel(); err != nil || d.count() != 0 {
		t.Errorf("%v, %v", err, d.all)
	}
}

func TestASecondProcessIsKeptOffTheLog(t *testing.T) {
	dir := t.TempDir()
	var d deaths
	s := open(t, dir, &d)
	defer s.Close()
	_, err := store.Open(store.Options{Dir: dir, Fatal: d.fatal})
	expect.Error(t, err, store.Path(dir), "locked by another process")
}

func TestADamagedLogIsRefusedInWords(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(store.Path(dir), []byte(strings.Repeat("junk", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(store.Options{Dir: dir, Fatal: func(error) {}})
	expect.Error(t, err, store.Path(dir), "is damaged", "put this node's data directory back", "forgotten its votes")
}

// TestADamagedNewestSnapshotIsRefusedWithTheRemedy: Raft would take the one before, or none, and panic or diverge.
func TestADamagedNewestSnapshotIsRefusedWithTheRemedy(t *testing.T) {
	const goBack, fetch = "move it away and start again; what is left", "from a healthy server"
	flip := func(t *testing.T, path string) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name      string
		log       []*raft.Log
		snapshots []uint64 // of term 2
		damage    func(t *testing.T, newest string)
		words     []string
		heals     bool // moving the newest away is enough
	}{
		{"a flipped bit, and the log goes back to the one before", entries(1, 200, 2), []uint64{50, 100},
			func(t *testing.T, p string) { flip(t, filepath.Join(p, "state.bin")) }, []string{"CRC mismatch", goBack}, true},
		{"no state", entries(1, 200, 2), []uint64{50, 100},
			func(t *testing.T, p string) { os.Remove(filepath.Join(p, "state.bin")) }, []string{"state.bin", goBack}, true},
		{"no meta", entries(1, 200, 2), []uint64{50, 100},
			func(t *testing.T, p string) { os.Remove(filepath.Join(p, "meta.json")) }, []string{"meta.json cannot be read", goBack}, true},
		{"the only one, and the whole log is there", entries(1, 200, 2), []uint64{100},
			func(t *testing.T, p string) { flip(t, filepath.Join(p, "state.bin")) }, []string{"CRC mismatch", goBack}, true},
		{"the log begins after the one before", entries(80, 200, 2), []uint64{50, 100},
			func(t *testing.T, p string) { flip(t, filepath.Join(p, "state.bin")) }, []string{"CRC mismatch", fetch, "at least 100", "leave raft.db"}, false},
		{"the log ends before the damaged one does", entries(1, 90, 2), []uint64{50, 100},
			func(t *testing.T, p string) { flip(t, filepath.Join(p, "state.bin")) }, []string{fetch}, true},
		{"the log has entries that the damaged one replaced", entries(1, 200, 1), []uint64{50, 100},
			func(t *testing.T, p string) { flip(t, filepath.Join(p, "state.bin")) }, []string{fetch}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			var d deaths
			s := open(t, dir, &d)
			var newest string
			for _, i := range c.snapshots {
				newest = snapshot(t, s, i, 2)
			}
			if err := s.Log().StoreLogs(c.log); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "snapshots", newest)
			c.damage(t, path)
			_, err := store.Open(store.Options{Dir: dir, Fatal: d.fatal})
			expect.Error(t, err, append(c.words, "the newest snapshot "+path+" is damaged")...)
			if err := os.Rename(path, filepath.Join(t.TempDir(), "away")); err != nil {
				t.Fatal(err)
			}
			s, err = store.Open(store.Options{Dir: dir, Fatal: d.fatal})
			if healed := err == nil; healed != c.heals {
				t.Errorf("after moving it away: %v", err)
			}
			if err == nil {
				s.Close()
			} else {
				expect.Error(t, err, "begins at entry 80", fetch, "at least 79")
			}
		})
	}
}

func TestOldSnapshotsMayBeHalfReaped(t *testing.T) {
	dir := t.TempDir()
	var d deaths
	s := open(t, dir, &d)
	old := snapshot(t, s, 50, 2)
	snapshot(t, s, 100, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "snapshots", old, "meta.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "snapshots", "2-150-1.tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	open(t, dir, &d).Close()
}

// count is a state machine that counts.
type count struct{ n int }

func (c *count) Apply(*raft.Log) any { c.n++; return c.n }
func (c *count) Snapshot() (raft.FSMSnapshot, error) {
	return counted(c.n), nil
}
func (c *count) Restore(r io.ReadCloser) error {
	_, err := fmt.Fscan(r, &c.n)
	return errors.Join(err, r.Close())
}

type counted int

func (c counted) Persist(k raft.SnapshotSink) error {
	if _, err := fmt.Fprintln(k, int(c)); err != nil {
		return errors.Join(err, k.Cancel())
	}
	return k.Close()
}
func (counted) Release() {}

// reads counts the entries that are read from disk.
type reads struct {
	store.Log
	n int
}

func (r *reads) GetLog(index uint64, log *raft.Log) error {
	r.n++
	return r.Log.GetLog(index, log)
}

func TestTheNewestEntriesAreInMemoryWithinItsBounds(t *testing.T) {
	var disk *reads
	s, err := store.Open(store.Options{Dir: t.TempDir(), Fatal: func(err error) { t.Error(err) },
		Wrap: func(l store.Log) store.Log { disk = &reads{Log: l}; return disk }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	read := func(first, last, term uint64) (fromDisk int) {
		t.Helper()
		disk.n = 0
		for i := first; i <= last; i++ {
			var got raft.Log
			if err := s.Log().GetLog(i, &got); err != nil || got.Index != i || got.Term != term || binary.BigEndian.Uint64(got.Data) != i {
				t.Fatalf("entry %d: %d of term %d, %v", i, got.Index, got.Term, err)
			}
		}
		return disk.n
	}
	write := func(logs []*raft.Log) {
		t.Helper()
		if err := s.Log().StoreLogs(logs); err != nil {
			t.Fatal(err)
		}
	}
	write(entries(1, 600, 2))
	if n := read(1, 600, 2); n != 600-store.CachedEntries {
		t.Errorf("of 600 entries %d are read from disk", n)
	}
	if err := s.Log().DeleteRange(590, 600); err != nil {
		t.Fatal(err)
	}
	write(entries(590, 595, 3))
	if n := read(590, 595, 3) + read(589, 589, 2); n != 1 {
		t.Errorf("%d entries are read from disk after a new end", n)
	}
	large := entries(596, 615, 3)
	for _, l := range large {
		l.Data = append(l.Data, make([]byte, 1<<20)...)
	}
	write(large)
	if n := read(596, 615, 3); n != 20-(store.CachedBytes>>20)+1 {
		t.Errorf("of 20 MiB %d entries are read from disk", n)
	}
}

// TestRaftLivesInTheStore runs a real server on it, through snapshots, compaction and restarts.
func TestRaftLivesInTheStore(t *testing.T) {
	dir := t.TempDir()
	var d deaths
	total := 0
	for round := range 3 {
		s := open(t, dir, &d)
		addr, trans := raft.NewInmemTransport("n1")
		c := raft.DefaultConfig()
		c.LocalID, c.Logger, c.TrailingLogs = "n1", hclog.NewNullLogger(), 10
		c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
		if round == 0 {
			if err := raft.BootstrapCluster(c, s.Log(), s.Stable(), s.Snapshots(), trans,
				raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: addr}}}); err != nil {
				t.Fatal(err)
			}
		}
		f := &count{}
		r, err := raft.NewRaft(c, f, s.Log(), s.Stable(), s.Snapshots(), trans)
		if err != nil {
			t.Fatal(err)
		}
		if lead := <-r.LeaderCh(); !lead {
			t.Fatal("not the leader")
		}
		for range 100 {
			total++
			a := r.Apply([]byte("x"), time.Second)
			if err := a.Error(); err != nil || a.Response() != total {
				t.Fatalf("round %d: %v, %v; want %d", round, a.Response(), err, total)
			}
		}
		if err := r.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(r.Shutdown().Error(), trans.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if d.count() != 0 {
		t.Errorf("fatal: %v", d.all)
	}
}

func TestFreeSpace(t *testing.T) {
	free, total, err := store.FreeSpace(t.TempDir())
	if err != nil || free == 0 || total < free {
		t.Errorf("%d of %d, %v", free, total, err)
	}
	if _, _, err := store.FreeSpace("/nowhere"); err == nil {
		t.Error("free space nowhere")
	}
}
