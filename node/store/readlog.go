package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// Entry is an entry of the log, for those who look at it.
type Entry struct {
	Index, Term uint64
	Kind        string   // command, noop, configuration, …
	Data        []byte   // of a command, in its envelope (fsm.Decode)
	Servers     []string // of a configuration
}

// MaxRead bounds the entries of one ReadLog.
const MaxRead = 100_000

// ReadLog reads entries of the log in a Raft directory, from an index on, or with 0 the newest; at most limit. Nothing is
// written there. A server may be running on it: the log is read from a copy of a moment at which it was whole.
func ReadLog(dir string, from uint64, limit int) ([]Entry, error) {
	if limit < 1 || limit > MaxRead {
		return nil, fmt.Errorf("%d entries can't be read: ask for 1 to %d", limit, MaxRead)
	}
	path := Path(dir)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no Raft log %s: name the node.data_dir of a server; an agent has none", path)
	}
	temp, err := os.MkdirTemp("", "supnode-raft-log-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	copied := filepath.Join(temp, LogFile)
	if err := copyWhole(path, copied); err != nil {
		return nil, err
	}
	if err := Sound(copied, 0); err != nil {
		return nil, fmt.Errorf("of %s a copy was read: %w", path, err)
	}
	log, err := raftboltdb.New(raftboltdb.Options{Path: copied, BoltOptions: &bbolt.Options{Timeout: lockWait}})
	if err != nil {
		return nil, fmt.Errorf("read a copy of %s: %w", path, err)
	}
	defer log.Close()
	first, err1 := log.FirstIndex()
	last, err2 := log.LastIndex()
	if err := errors.Join(err1, err2); err != nil || last == 0 {
		return nil, err
	}
	if from == 0 && last >= uint64(limit) {
		from = last - uint64(limit) + 1
	}
	var out []Entry
	for index := max(from, first); index <= last && len(out) < limit; index++ {
		var entry raft.Log
		if err := log.GetLog(index, &entry); err != nil {
			return out, fmt.Errorf("read entry %d of %s: %w", index, path, err)
		}
		e := Entry{Index: index, Term: entry.Term, Kind: strings.ToLower(strings.TrimPrefix(entry.Type.String(), "Log"))}
		switch entry.Type {
		case raft.LogCommand:
			e.Data = entry.Data
		case raft.LogConfiguration:
			for _, s := range raft.DecodeConfiguration(entry.Data).Servers {
				e.Servers = append(e.Servers, string(s.ID))
			}
		}
		out = append(out, e)
	}
	return out, nil
}

// copyTries bounds how often a log that is being written is copied.
const copyTries = 50

// copyWhole copies a log that may be written meanwhile. bbolt writes over no page that the newest meta's tree has before the
// next meta is there: a copy is whole when the newest meta is the same before and after.
func copyWhole(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if unix.Flock(int(in.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil { // nobody writes
		return copyFile(in, to)
	}
	for range copyTries {
		before, err := newestMeta(in)
		if err != nil {
			return err
		}
		if err := copyFile(in, to); err != nil {
			return err
		}
		if after, err := newestMeta(in); err == nil && after == before {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("%s is written so fast that no copy of it is whole: try again, or stop the server first", from)
}

// newestMeta is the transaction that the newest meta tells of.
func newestMeta(f *os.File) (uint64, error) {
	t := &tree{file: f}
	if _, _, err := t.meta(); err != nil {
		return 0, err
	}
	return t.tx, nil
}

func copyFile(in *os.File, to string) error {
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
