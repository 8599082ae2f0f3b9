package store

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// guardedLog is a Log whose first error is its last.
type guardedLog struct {
	inner Log
	latch *latch
}

// do runs one operation unless the store has failed before: after a failed fsync nobody knows what is on disk.
func (g *guardedLog) do(op string, f func() error) error {
	if err := g.latch.open(); err != nil {
		return err
	}
	return g.latch.check(op, f())
}

func (g *guardedLog) FirstIndex() (i uint64, err error) {
	err = g.do("find the first log entry", func() error { i, err = g.inner.FirstIndex(); return err })
	return i, err
}

func (g *guardedLog) LastIndex() (i uint64, err error) {
	err = g.do("find the last log entry", func() error { i, err = g.inner.LastIndex(); return err })
	return i, err
}

// GetLog passes raft.ErrLogNotFound on: Raft asks for entries that may be compacted.
func (g *guardedLog) GetLog(index uint64, log *raft.Log) error {
	if err := g.latch.open(); err != nil {
		return err
	}
	err := g.inner.GetLog(index, log)
	if errors.Is(err, raft.ErrLogNotFound) {
		return raft.ErrLogNotFound
	}
	return g.latch.check("read a log entry", err)
}

func (g *guardedLog) StoreLog(log *raft.Log) error { return g.StoreLogs([]*raft.Log{log}) }

func (g *guardedLog) StoreLogs(logs []*raft.Log) error {
	return g.do("write log entries", func() error { return g.inner.StoreLogs(logs) })
}

func (g *guardedLog) DeleteRange(first, last uint64) error {
	return g.do("delete log entries", func() error { return g.inner.DeleteRange(first, last) })
}

func (g *guardedLog) Set(key, value []byte) error {
	return g.do("write "+string(key), func() error { return g.inner.Set(key, value) })
}

func (g *guardedLog) SetUint64(key []byte, value uint64) error {
	return g.do("write "+string(key), func() error { return g.inner.SetUint64(key, value) })
}

// Get passes on that there is no such key.
func (g *guardedLog) Get(key []byte) ([]byte, error) {
	if err := g.latch.open(); err != nil {
		return nil, err
	}
	v, err := g.inner.Get(key)
	if keyNotFound(err) {
		return nil, err
	}
	return v, g.latch.check("read "+string(key), err)
}

func (g *guardedLog) GetUint64(key []byte) (uint64, error) {
	if err := g.latch.open(); err != nil {
		return 0, err
	}
	v, err := g.inner.GetUint64(key)
	if keyNotFound(err) {
		return 0, err
	}
	return v, g.latch.check("read "+string(key), err)
}

// keyNotFound says that a stable store has no such key. Raft knows that by its text alone, so every store says it so.
func keyNotFound(err error) bool { return err != nil && err.Error() == "not found" }

// entries reads the log once, from its first entry to its last: bbolt keeps no checksums of what it stores, and Raft, or the
// state machine, would meet a damaged entry in the midst of its work, or take it for another kind and pass it over.
func entries(dir string, log Log, verify func([]byte) error) error {
	first, err1 := log.FirstIndex()
	last, err2 := log.LastIndex()
	if err := errors.Join(err1, err2); err != nil || last == 0 {
		return err
	}
	damaged := func(index uint64, what string, args ...any) error {
		return fmt.Errorf("%s is damaged (entry %d of the log: %w): %s", Path(dir), index, fmt.Errorf(what, args...), putBack)
	}
	var term uint64
	for index := first; index <= last; index++ {
		var entry raft.Log
		if err := log.GetLog(index, &entry); err != nil {
			return damaged(index, "%w", err)
		}
		switch {
		case entry.Index != index:
			return damaged(index, "it calls itself %d", entry.Index)
		case entry.Term < term || entry.Term == 0:
			return damaged(index, "its term %d follows term %d", entry.Term, term)
		case entry.Type > raft.LogConfiguration:
			return damaged(index, "it is of an unknown kind")
		case entry.Type == raft.LogCommand && verify != nil:
			if err := verify(entry.Data); err != nil {
				return damaged(index, "%w", err)
			}
		}
		term = entry.Term
	}
	return nil
}
