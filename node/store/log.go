package store

import (
	"errors"

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
