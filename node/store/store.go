package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	// LogFile is the name of the log store's file in its directory.
	LogFile = "raft.db"
	// RetainedSnapshots is how many snapshots are kept on disk.
	RetainedSnapshots = 2
	// lockWait bounds the wait for raft.db's lock: state.db's is taken before, so a former process is gone by then.
	lockWait = time.Second
)

// Log is a log store with a stable store: the seam for other ones.
type Log interface {
	raft.LogStore
	raft.StableStore
	Close() error
}

// Options are what Open needs.
type Options struct {
	Dir    string       // created 0700
	Logger hclog.Logger // nil = none
	// Fatal is called with the first error of the store, on the goroutine that met it: the node must stop, saying why. What is
	// asked of the store afterwards fails with the same error. Required.
	Fatal func(error)
	// Verify says what is wrong with the bytes of a command in the log; nil = nothing is looked at.
	Verify func([]byte) error
	// Wrap puts a layer between the store's rules and the log store, for tests that break it; nil = none.
	Wrap func(Log) Log
}

// Store is an open store.
type Store struct {
	dir    string
	log    *guardedLog
	recent *recentLog
	snaps  *snapshots
}

// Open opens or creates the store in o.Dir, and checks that it can be started from.
func Open(o Options) (*Store, error) {
	if o.Fatal == nil {
		return nil, errors.New("store: Options.Fatal is required")
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot create the Raft directory: %w", Explain(err))
	}
	latch := &latch{fatal: o.Fatal}
	log, err := openLog(filepath.Join(o.Dir, LogFile))
	if err != nil {
		return nil, err
	}
	if o.Wrap != nil {
		log = o.Wrap(log)
	}
	files, err := raft.NewFileSnapshotStoreWithLogger(o.Dir, RetainedSnapshots, o.Logger)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot use the snapshot directory %s: %w", snapshotDir(o.Dir), Explain(err)), log.Close())
	}
	if err := errors.Join(entries(o.Dir, log, o.Verify), check(o.Dir, log, files)); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	guarded := &guardedLog{inner: log, latch: latch}
	return &Store{dir: o.Dir, log: guarded, recent: &recentLog{LogStore: guarded}, snaps: &snapshots{inner: files, latch: latch}}, nil
}

// openLog opens raft.db. Each write is on disk before it is acknowledged. The free list is rebuilt at the start
// rather than written with every entry.
func openLog(path string) (Log, error) {
	if err := Sound(path, lockWait); err != nil {
		return nil, fmt.Errorf("%w: %s", err, putBack)
	}
	b, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{
		Timeout: lockWait, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	}})
	switch {
	case err == nil:
		return b, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%s is locked by another process: is a tool reading it? End that first", path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%s is damaged (%w): %s", path, err, putBack)
	}
	return nil, fmt.Errorf("cannot open the Raft log %s: %w", path, Explain(err))
}

// putBack is what helps when the log is damaged.
const putBack = "put this node's data directory back from before the damage, " +
	"do not start it with an empty one under the same name: it would have forgotten its votes"

// Log is the log for Raft: the newest entries are read from memory.
func (s *Store) Log() raft.LogStore { return s.recent }

// Stable is the stable store for Raft.
func (s *Store) Stable() raft.StableStore { return s.log }

// Snapshots is the snapshot store for Raft.
func (s *Store) Snapshots() raft.SnapshotStore { return s.snaps }

// Path is where the log store's file is in a Raft directory.
func Path(dir string) string { return filepath.Join(dir, LogFile) }

// Close closes the log store; Raft must be shut down before.
func (s *Store) Close() error { return s.log.inner.Close() }

// latch keeps the first error and hands it on once.
type latch struct {
	fatal func(error)
	mu    sync.Mutex // guards err
	err   error
}

// open is nil until the store has failed.
func (l *latch) open() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// check turns an error into the end of the store.
func (l *latch) check(op string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("the Raft store failed to %s: %w", op, Explain(err))
	l.mu.Lock()
	first := l.err == nil
	if first {
		l.err = err
	}
	l.mu.Unlock()
	if first {
		l.fatal(err)
	}
	return err
}
