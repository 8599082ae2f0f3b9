package store

import (
	"sync"

	"github.com/hashicorp/raft"
)

const (
	// CachedEntries is how many of the newest log entries are kept in memory at most,
	CachedEntries = 512
	// CachedBytes how much they may hold together: an entry may be as large as a request.
	CachedBytes = 16 << 20
)

// recentLog is a log store whose newest entries are read from memory: the state machine and the servers that follow closely
// ask for them at once.
type recentLog struct {
	raft.LogStore

	mu      sync.RWMutex // guards what follows
	entries []*raft.Log  // the newest, without a gap
	bytes   int
}

func (r *recentLog) GetLog(index uint64, log *raft.Log) error {
	if e := r.recent(index); e != nil {
		*log = *e
		return nil
	}
	return r.LogStore.GetLog(index, log)
}

// recent is an entry that is in memory, or nil.
func (r *recentLog) recent(index uint64) *raft.Log {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.entries) == 0 || index < r.entries[0].Index || index-r.entries[0].Index >= uint64(len(r.entries)) {
		return nil
	}
	return r.entries[index-r.entries[0].Index]
}

func (r *recentLog) StoreLog(log *raft.Log) error { return r.StoreLogs([]*raft.Log{log}) }

func (r *recentLog) StoreLogs(logs []*raft.Log) error {
	if err := r.LogStore.StoreLogs(logs); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range logs {
		if n := len(r.entries); n > 0 && l.Index != r.entries[n-1].Index+1 {
			r.forget()
		}
		r.entries = append(r.entries, l)
		r.bytes += len(l.Data)
	}
	for len(r.entries) > CachedEntries || r.bytes > CachedBytes {
		r.bytes -= len(r.entries[0].Data)
		r.entries[0] = nil
		r.entries = r.entries[1:]
	}
	return nil
}

// DeleteRange forgets what is in memory first: what is deleted must not be read.
func (r *recentLog) DeleteRange(first, last uint64) error {
	r.mu.Lock()
	r.forget()
	r.mu.Unlock()
	return r.LogStore.DeleteRange(first, last)
}

// forget empties the memory. r.mu is held.
func (r *recentLog) forget() { r.entries, r.bytes = nil, 0 }
