package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/raft"
)

// snapshotDir is where raft.FileSnapshotStore keeps its snapshots.
func snapshotDir(dir string) string { return filepath.Join(dir, "snapshots") }

// snapshots is a snapshot store whose first error is its last.
type snapshots struct {
	inner raft.SnapshotStore
	latch *latch
}

func (s *snapshots) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, t raft.Transport) (raft.SnapshotSink, error) {
	if err := s.latch.open(); err != nil {
		return nil, err
	}
	k, err := s.inner.Create(v, index, term, c, ci, t)
	if err != nil {
		return nil, s.latch.check("begin a snapshot", err)
	}
	return &sink{SnapshotSink: k, latch: s.latch}, nil
}

func (s *snapshots) List() ([]*raft.SnapshotMeta, error) {
	if err := s.latch.open(); err != nil {
		return nil, err
	}
	l, err := s.inner.List()
	return l, s.latch.check("list the snapshots", err)
}

// Open reads one of the snapshots that List named. One that was compacted away meanwhile is no failure of the store.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	if err := s.latch.open(); err != nil {
		return nil, nil, err
	}
	m, r, err := s.inner.Open(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	return m, r, s.latch.check("read snapshot "+id, err)
}

// sink is a snapshot that is being written.
type sink struct {
	raft.SnapshotSink
	latch *latch
}

func (k *sink) Write(b []byte) (int, error) {
	n, err := k.SnapshotSink.Write(b)
	return n, k.latch.check("write a snapshot", err)
}

func (k *sink) Close() error { return k.latch.check("finish a snapshot", k.SnapshotSink.Close()) }

// Cancel drops a snapshot that is not finished, as when its sender went away.
func (k *sink) Cancel() error {
	return k.latch.check("drop an unfinished snapshot", k.SnapshotSink.Cancel())
}

// check reads the newest snapshot whole and sees that the log goes on where it ends. Raft itself would take an older
// snapshot, or none, and then panic with "log not found".
func check(dir string, log Log, files raft.SnapshotStore) error {
	first, err := log.FirstIndex()
	if err != nil {
		return fmt.Errorf("cannot read the Raft log %s: %w", Path(dir), err)
	}
	names, err := snapshotNames(dir)
	if err != nil {
		return err
	}
	metas, err := files.List()
	if err != nil {
		return fmt.Errorf("cannot list the snapshots in %s: %w", snapshotDir(dir), err)
	}
	known := map[string]bool{}
	for _, m := range metas {
		known[m.ID] = true
	}
	readable := func(n snapshotName) error {
		if !known[n.id] {
			return errors.New("its meta.json cannot be read")
		}
		_, r, err := files.Open(n.id)
		if err != nil {
			return err
		}
		return r.Close()
	}
	var newest uint64 // index of the newest snapshot
	if len(names) > 0 {
		if err := readable(names[0]); err != nil {
			return damaged(dir, log, first, names, readable, err)
		}
		newest = names[0].index
	}
	if first > newest+1 {
		return fmt.Errorf("the Raft log %s begins at entry %d and no snapshot in %s reaches it (they were removed, or are another node's): %s",
			Path(dir), first, snapshotDir(dir), remedy(dir, first-1))
	}
	return nil
}

// damaged says what is wrong with the newest snapshot, and what helps. Going back to the snapshot before it is right only
// when the log surely holds what came between: its entry where the damaged one ends must be of the same term. An entry of
// another term was replaced by that snapshot and must never be applied.
func damaged(dir string, log Log, first uint64, names []snapshotName, readable func(snapshotName) error, cause error) error {
	newest := names[0]
	what := fmt.Sprintf("the newest snapshot %s is damaged", filepath.Join(snapshotDir(dir), newest.id))
	var before uint64 // index of the snapshot before it, 0 = none
	if len(names) > 1 && readable(names[1]) == nil {
		before = names[1].index
	}
	var last raft.Log
	if err := log.GetLog(newest.index, &last); err == nil && last.Term == newest.term && first <= before+1 && (before > 0 || len(names) == 1) {
		return fmt.Errorf("%s (%w): move it away and start again; what is left before it and the log hold all that is needed", what, cause)
	}
	return fmt.Errorf("%s (%w): move it away and %s", what, cause, remedy(dir, newest.index))
}

// remedy makes a server whole from another one's snapshot, as Raft itself would.
func remedy(dir string, index uint64) string {
	return fmt.Sprintf("copy a directory from a healthy server's %s into %s, one whose second number is at least %d, and start again; "+
		"leave raft.db where it is, it holds this server's votes", filepath.Base(snapshotDir(dir)), snapshotDir(dir), index)
}

// snapshotName is a snapshot's directory, named TERM-INDEX-MILLISECONDS.
type snapshotName struct {
	id          string
	term, index uint64
	made        int64
}

// snapshotNames are the finished snapshots there are, newest first, readable or not.
func snapshotNames(dir string) ([]snapshotName, error) {
	entries, err := os.ReadDir(snapshotDir(dir))
	if err != nil {
		return nil, fmt.Errorf("cannot read the snapshot directory: %w", err)
	}
	var out []snapshotName
	for _, e := range entries {
		n := snapshotName{id: e.Name()}
		if !e.IsDir() || strings.HasSuffix(n.id, ".tmp") {
			continue
		}
		if k, err := fmt.Sscanf(n.id, "%d-%d-%d", &n.term, &n.index, &n.made); k != 3 || err != nil {
			continue
		}
		out = append(out, n)
	}
	// Raft's order: by term, index, and the time they were made.
	slices.SortFunc(out, func(a, b snapshotName) int {
		return cmp.Or(cmp.Compare(b.term, a.term), cmp.Compare(b.index, a.index), cmp.Compare(b.made, a.made))
	})
	return out, nil
}
