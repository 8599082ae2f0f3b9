package identity

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/supnode/supnode/node/store"
	sup "github.com/supnode/supnode/supervisor"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	// File is the name of the identity's file in the data directory.
	File = "state.db"
	// raftDir is where the Raft stores are in the data directory.
	raftDir = "raft"
	// DefaultWait is how long Open waits for a former process to end.
	DefaultWait = 10 * time.Second
	// lockLook is how often it looks, while it waits, whether it is still to.
	lockLook = 100 * time.Millisecond
)

// Options are what Open needs.
type Options struct {
	Dir  string       // created 0700
	Name sup.NodeName // refused when the directory is another node's
	// Wait is how long to wait for the lock: the former process of the node may be ending still. 0 = DefaultWait, <0 = not at all.
	Wait time.Duration
}

// Identity is an open data directory. Its methods may be called from any goroutine.
type Identity struct {
	dir string
	db  *bbolt.DB

	mu  sync.Mutex // guards rec
	rec record
}

// Open locks the data directory and checks that it is this node's; ctx bounds the wait for the lock, too. Its errors say what
// to do.
func Open(ctx context.Context, o Options) (*Identity, error) {
	if o.Wait == 0 {
		o.Wait = DefaultWait
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("node.data_dir %s: %w", o.Dir, err)
	}
	if err := prepare(dir); err != nil {
		return nil, err
	}
	// The log first: it is made after state.db, so a log without state.db is no start that is under way.
	logThere, err := exists(store.Path(filepath.Join(dir, raftDir)))
	if err != nil {
		return nil, err
	}
	stateThere, err := exists(filepath.Join(dir, File))
	if err != nil {
		return nil, err
	}
	if logThere && !stateThere {
		return nil, lostState(dir)
	}
	db, err := lock(ctx, dir, o.Wait)
	if err != nil {
		return nil, err
	}
	i := &Identity{dir: dir, db: db}
	if err := i.admit(o.Name); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return i, nil
}

// admit reads the record, or makes it in a new directory, and checks it.
func (i *Identity) admit(name sup.NodeName) error {
	here, err := locate(filepath.Join(i.dir, File))
	if err != nil {
		return err
	}
	rec, found, err := load(i.db)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(i.dir, File), err)
	}
	logPath := store.Path(i.RaftDir())
	logThere, err := exists(logPath)
	if err != nil {
		return err
	}
	switch {
	case !found && logThere:
		return lostState(i.dir)
	case !found:
		i.rec = record{ID: uuid.NewString(), Name: name, place: here}
		return i.create()
	case rec.Name != name:
		return fmt.Errorf("the data directory %s is node %s's, not %s's: name that node, or give %s a node.data_dir of its own", i.dir, rec.Name, name, name)
	case rec.place != here:
		return &CopiedError{Dir: i.dir, Node: rec.Name, made: rec.place, here: here}
	case rec.Raft && !logThere:
		return fmt.Errorf("%s is gone and node %s had it: it held the node's votes, and without them the node could vote twice in one term. "+
			"Put the file back; if it is lost, this data directory must not be used any more: move it away and start a node with a new node.name", logPath, name)
	}
	i.rec = rec
	return nil
}

// create writes the first record, and makes sure that the file itself outlives a power cut.
func (i *Identity) create() error {
	if err := save(i.db, i.rec); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Join(i.dir, File), store.Explain(err))
	}
	for _, dir := range []string{i.dir, filepath.Dir(i.dir)} {
		d, err := os.Open(dir)
		if err != nil {
			return fmt.Errorf("node.data_dir: %w", err)
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			return fmt.Errorf("node.data_dir: sync %s: %w", dir, err)
		}
	}
	return nil
}

func lostState(dir string) error {
	return fmt.Errorf("%s is gone, or empty, and %s is there: a node that has lost its identity is another node to the cluster. "+
		"Put the file back; if it is lost, move the whole data directory away and start a node with a new node.name",
		filepath.Join(dir, File), store.Path(filepath.Join(dir, raftDir)))
}

// lock opens state.db, whose lock says that this process is the node.
func lock(ctx context.Context, dir string, wait time.Duration) (*bbolt.DB, error) {
	path := filepath.Join(dir, File)
	const remedy = "put it back from before the damage; if that is impossible, move the whole data directory away and start a node with a new node.name"
	if err := store.Sound(path, 50*time.Millisecond); err != nil {
		return nil, fmt.Errorf("%w: %s", err, remedy)
	}
	began := time.Now()
	var db *bbolt.DB
	var err error
	for {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: min(max(wait, 1), lockLook)}) // 0 would be for ever
		if !errors.Is(err, berrors.ErrTimeout) || time.Since(began) >= wait || ctx.Err() != nil {
			break
		}
	}
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, &InUseError{Dir: dir, Holders: holders(path), waited: time.Since(began)}
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%s is damaged (%w): %s", path, err, remedy)
	}
	return nil, fmt.Errorf("cannot open %s: %w", path, store.Explain(err))
}

// Close gives the directory up. Everything that acts for the node must have ended before.
func (i *Identity) Close() error { return i.db.Close() }

// ID is the node's UUID, the same for the directory's life.
func (i *Identity) ID() string { return i.get().ID }

// Cluster is the cluster's UUID; empty until SetCluster.
func (i *Identity) Cluster() string { return i.get().Cluster }

// Gen is the highest generation that was set.
func (i *Identity) Gen() uint64 { return i.get().Gen }

// RaftDir is where the Raft stores belong.
func (i *Identity) RaftDir() string { return filepath.Join(i.dir, raftDir) }

// SetCluster records the node's cluster. A cluster other than the recorded one is refused: the node must stop.
func (i *Identity) SetCluster(id string) error {
	if id == "" {
		return errors.New("the cluster's UUID is empty")
	}
	return i.update(func(r *record) error {
		if r.Cluster != "" && r.Cluster != id {
			return fmt.Errorf("the data directory %s belongs to cluster %s, and the servers it reaches are cluster %s: correct cluster.servers, "+
				"or give this node a node.data_dir of its own for that cluster", i.dir, r.Cluster, id)
		}
		r.Cluster = id
		return nil
	})
}

// SetGen remembers the highest generation seen; a lower one changes nothing.
func (i *Identity) SetGen(gen uint64) error {
	return i.update(func(r *record) error { r.Gen = max(r.Gen, gen); return nil })
}

// RaftCreated records that the Raft log exists: from now on its absence is a loss, and refused.
func (i *Identity) RaftCreated() error {
	return i.update(func(r *record) error { r.Raft = true; return nil })
}

func (i *Identity) get() record {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.rec
}

// update changes the record, on disk, then in memory; nothing is written when nothing changes. A failure to write means
// that the disk does not take it: what was to be remembered is not, and the node must stop.
func (i *Identity) update(change func(*record) error) error {
	now := i.get()
	same := now
	if err := change(&now); err != nil || now == same {
		return err
	}
	var refused error
	err := i.db.Update(func(tx *bbolt.Tx) error {
		stored, _, err := read(tx) // another update may have come between
		if err != nil {
			return err
		}
		if refused = change(&stored); refused != nil {
			return refused
		}
		now = stored
		return write(tx, stored)
	})
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return fmt.Errorf("write %s: %w", filepath.Join(i.dir, File), store.Explain(err))
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rec.merge(now)
	return nil
}

// prepare makes the data directory, or checks the one there is.
func prepare(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
			return fmt.Errorf("node.data_dir %s cannot be created: %w", dir, store.Explain(err))
		}
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("node.data_dir %s cannot be created: %w", dir, store.Explain(err))
		}
		return nil
	case err != nil:
		return fmt.Errorf("node.data_dir: %w", err)
	case !st.IsDir():
		return fmt.Errorf("node.data_dir %s is not a directory: name one, or a path where one can be made", dir)
	case st.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("node.data_dir %s can be written by other users (mode %04o): chmod 700 it, or name a path where a directory can be made", dir, st.Mode().Perm())
	}
	return nil
}

// exists says whether there is a file with something in it.
func exists(path string) (bool, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("node.data_dir: %w", err)
	}
	return st.Size() > 0, nil
}
