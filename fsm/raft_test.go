package fsm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func commandLogs(t *testing.T, from uint64, entries ...[]byte) []*raft.Log {
	t.Helper()
	var logs []*raft.Log
	for i, e := range entries {
		logs = append(logs, &raft.Log{Index: from + uint64(i), Type: raft.LogCommand, Data: e})
	}
	return logs
}

// Entries are applied in order, each is told to the watchers, logs of other types are left out.
func TestFSMAppliesBatches(t *testing.T) {
	f := NewFSM(hclog.NewNullLogger(), func(err error) { t.Error(err) })
	var told []uint64
	f.OnApplied(func(a Applied) { told = append(told, a.Index) })
	logs := commandLogs(t, 3, corpus(t)...)
	logs = slices.Insert(logs, 1, &raft.Log{Index: 4, Type: raft.LogConfiguration})
	for i, l := range logs {
		l.Index = uint64(i + 3)
	}
	answers := f.ApplyBatch(logs)
	if len(answers) != len(logs) || answers[1] != nil {
		t.Fatalf("%d answers to %d logs", len(answers), len(logs))
	}
	last := logs[len(logs)-1].Index
	if a, ok := answers[len(answers)-1].(Applied); !ok || a.Index != last || len(told) != len(logs)-1 || told[len(told)-1] != last || f.Index() != last {
		t.Fatalf("last answer %+v, told %v, index %d", answers[len(answers)-1], told, f.Index())
	}
	f.View(func(s *State) {
		if err := s.Check(); err != nil || s.Cluster() != "c" {
			t.Fatalf("state of cluster %q: %v", s.Cluster(), err)
		}
	})
}

// What a leader of an earlier term proposed counts for nothing in a later one: it knows nothing of the leases granted since
// (L1, L3).
func TestFSMLeavesOutAnEntryOfAFormerTerm(t *testing.T) {
	f := NewFSM(hclog.NewNullLogger(), func(err error) { t.Error(err) })
	told := 0
	f.OnApplied(func(Applied) { told++ })
	log := func(index, term uint64, e Entry) *raft.Log {
		b, err := Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		return &raft.Log{Index: index, Term: term, Type: raft.LogCommand, Data: b}
	}
	bump := func(gen uint64) []Command { return []Command{{Bump: &Bump{Gen: gen}}} }
	answers := f.ApplyBatch([]*raft.Log{
		log(1, 7, Entry{Term: 7, Commands: bump(2)}), log(2, 7, Entry{Term: 5, Commands: bump(3)}), log(3, 7, Entry{Commands: bump(4)}),
		log(4, 7, Entry{Term: 5, Commands: bump(5)}),
	})
	for i, a := range answers {
		if err, failed := a.(error); failed != (i%2 == 1) || failed && !errors.Is(err, ErrFormerTerm) {
			t.Errorf("answer %d is %v", i, a)
		}
	}
	f.View(func(s *State) {
		if s.Gen() != 4 || s.Index() != 3 || told != 2 {
			t.Errorf("generation %d at entry %d, %d told", s.Gen(), s.Index(), told)
		}
	})
}

// A damaged entry stops the node: fatal is called, nothing is applied any more, whoever waits is told.
func TestFSMStopsAtADamagedEntry(t *testing.T) {
	var fatal []error
	f := NewFSM(hclog.NewNullLogger(), func(err error) { fatal = append(fatal, err) })
	entries := corpus(t)
	entries[2] = bytes.Clone(entries[2])
	entries[2][10] ^= 1
	answers := f.ApplyBatch(commandLogs(t, 1, entries...))
	if len(fatal) != 1 || !errors.Is(fatal[0], ErrCorrupt) {
		t.Fatalf("fatal: %v", fatal)
	}
	for i, a := range answers {
		if _, failed := a.(error); failed != (i >= 2) {
			t.Errorf("answer %d is %v", i, a)
		}
	}
	if f.Index() != 2 {
		t.Errorf("entry %d was applied", f.Index())
	}
	if err := f.WaitIndex(t.Context(), 9); !errors.Is(err, ErrCorrupt) {
		t.Errorf("wait: %v", err)
	}
	if a, ok := f.Apply(&raft.Log{Index: 20, Type: raft.LogCommand, Data: entries[0]}).(error); !ok || a == nil || f.Index() != 2 {
		t.Errorf("a broken FSM applies: %v", a)
	}
	if _, err := f.Snapshot(); err == nil {
		t.Error("a broken FSM makes snapshots")
	}
}

// WaitIndex returns when the entry is applied, or when its context ends.
func TestWaitIndex(t *testing.T) {
	f := NewFSM(hclog.NewNullLogger(), func(err error) { t.Error(err) })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if err := f.WaitIndex(ctx, uint64(i+1)); err != nil {
				t.Error(err)
			}
		})
	}
	for _, l := range commandLogs(t, 1, corpus(t)[:4]...) {
		f.Apply(l)
	}
	wg.Wait()
	wg.Go(func() {
		if err := f.WaitIndex(ctx, 100); !errors.Is(err, context.Canceled) {
			t.Errorf("wait: %v", err)
		}
	})
	cancel()
	wg.Wait()
}

// A real Raft of one: what was applied survives a snapshot and a restart from it; a watcher hears of the restored state.
func TestFSMUnderRaft(t *testing.T) {
	logs, stable, snaps := raft.NewInmemStore(), raft.NewInmemStore(), raft.NewInmemSnapshotStore()
	addr, transport := raft.NewInmemTransport("")
	conf := raft.DefaultConfig()
	conf.LocalID, conf.Logger = "n1", hclog.NewNullLogger()
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	conf.TrailingLogs = 1
	err := raft.BootstrapCluster(conf, logs, stable, snaps, transport, raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: addr}}})
	if err != nil {
		t.Fatal(err)
	}
	start := func(f *FSM) *raft.Raft {
		r, err := raft.NewRaft(conf, f, logs, stable, snaps, transport)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	f := NewFSM(hclog.NewNullLogger(), func(err error) { t.Error(err) })
	r := start(f)
	<-r.LeaderCh()
	var index uint64
	for _, e := range corpus(t) {
		future := r.Apply(e, time.Second)
		if err := future.Error(); err != nil {
			t.Fatal(err)
		}
		index = future.Index()
		if a, ok := future.Response().(Applied); !ok || a.Index != index {
			t.Fatalf("response %v", future.Response())
		}
	}
	if err := r.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	if err := r.Shutdown().Error(); err != nil {
		t.Fatal(err)
	}
	want := bytesOf(t, f)

	again := NewFSM(hclog.NewNullLogger(), func(err error) { t.Error(err) })
	var restored []Applied
	again.OnApplied(func(a Applied) { restored = append(restored, a) })
	r = start(again)
	defer func() {
		if err := r.Shutdown().Error(); err != nil {
			t.Error(err)
		}
	}()
	if err := again.WaitIndex(t.Context(), index); err != nil {
		t.Fatal(err)
	}
	if got := bytesOf(t, again); !bytes.Equal(got, want) {
		t.Error("the state differs after a restart from a snapshot")
	}
	if len(restored) == 0 || !restored[0].Restored || restored[0].Index != index {
		t.Errorf("watchers were told %+v", restored)
	}
}

// A snapshot that does not check out replaces nothing and stops the node.
func TestFSMRefusesADamagedSnapshot(t *testing.T) {
	var fatal error
	f := NewFSM(hclog.NewNullLogger(), func(err error) { fatal = err })
	for _, l := range commandLogs(t, 1, corpus(t)...) {
		f.Apply(l)
	}
	b := bytesOf(t, f)
	b[len(b)/2] ^= 4
	if err := f.Restore(io.NopCloser(bytes.NewReader(b))); !errors.Is(err, ErrCorrupt) || fatal == nil {
		t.Fatalf("restore: %v, fatal: %v", err, fatal)
	}
	f.View(func(s *State) {
		if s.Supervisor("pool") == nil {
			t.Error("the former state is gone")
		}
	})
}

func bytesOf(t *testing.T, f *FSM) (b []byte) {
	t.Helper()
	f.View(func(s *State) { b = snapshot(t, s) })
	return b
}
