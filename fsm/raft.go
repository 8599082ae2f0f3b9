package fsm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// FSM gives a State to Raft. Apply, ApplyBatch, Snapshot and Restore are for Raft alone; the other methods may be called
// from any goroutine.
type FSM struct {
	logger hclog.Logger
	fatal  func(error)

	mu      sync.RWMutex // guards what follows
	state   *State
	broken  error         // set once; nothing is applied afterwards
	moved   chan struct{} // closed when index moves
	watched bool          // somebody waits for moved

	watchMu  sync.RWMutex // guards watchers
	watchers []func(Applied)
}

var _ raft.BatchingFSM = (*FSM)(nil)

// NewFSM is an empty state for Raft. fatal is called once when the log or a snapshot cannot be followed (a checksum does
// not match, or it was written by another version): the node must stop, nothing is applied any more.
func NewFSM(logger hclog.Logger, fatal func(error)) *FSM {
	return &FSM{logger: logger, fatal: fatal, state: New(), moved: make(chan struct{})}
}

// View calls read with the state. The state does not change meanwhile; read must not keep it, nor block.
func (f *FSM) View(read func(*State)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	read(f.state)
}

// OnApplied registers a function that is called after every entry, in order, on the apply path: it must not block. After a
// snapshot was restored it is called with Restored set.
func (f *FSM) OnApplied(watch func(Applied)) {
	f.watchMu.Lock()
	defer f.watchMu.Unlock()
	f.watchers = append(f.watchers, watch)
}

// Index is the index of the last entry applied here. Raft's own applied index runs ahead of it.
func (f *FSM) Index() uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.state.index
}

// WaitIndex waits until the command with this index is applied here. Only indexes of commands are waited for: other
// entries of the Raft log do not move Index.
func (f *FSM) WaitIndex(ctx context.Context, index uint64) error {
	for {
		f.mu.Lock()
		at, broken, moved := f.state.index, f.broken, f.moved
		if at < index && broken == nil {
			f.watched = true
		}
		f.mu.Unlock()
		switch {
		case at >= index:
			return nil
		case broken != nil:
			return broken
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for entry %d, at %d: %w", index, at, ctx.Err())
		}
	}
}

// ErrFormerTerm is the answer to an entry that a leader proposed in an earlier term than that in which Raft took it, as may
// happen to one that lost its leadership, regained it and has not noticed. The entry changes nothing, on every replica.
var ErrFormerTerm = errors.New("the entry is of an earlier term")

// Apply implements raft.FSM. It answers Applied, ErrFormerTerm, or an error when the FSM is broken.
func (f *FSM) Apply(log *raft.Log) any { return f.ApplyBatch([]*raft.Log{log})[0] }

// ApplyBatch implements raft.BatchingFSM.
func (f *FSM) ApplyBatch(logs []*raft.Log) []any {
	answers := make([]any, len(logs))
	applied := make([]Applied, 0, len(logs))
	err := f.applyAll(logs, answers, &applied)
	f.tell(applied...)
	if err != nil {
		f.fatal(err)
	}
	return answers
}

func (f *FSM) applyAll(logs []*raft.Log, answers []any, applied *[]Applied) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.wake()
	for i, log := range logs {
		if log.Type != raft.LogCommand {
			continue
		}
		if f.broken != nil {
			answers[i] = f.broken
			continue
		}
		entry, err := Decode(log.Data)
		if err != nil {
			err = fmt.Errorf("entry %d of the Raft log: %w", log.Index, err)
			f.broken, answers[i] = err, err
			f.answerBroken(logs[i:], answers[i:])
			return err
		}
		if entry.Term != 0 && entry.Term != log.Term {
			answers[i] = ErrFormerTerm
			continue
		}
		a := f.state.Apply(log.Index, entry)
		answers[i] = a
		*applied = append(*applied, a)
	}
	return nil
}

func (f *FSM) answerBroken(logs []*raft.Log, answers []any) {
	for i, log := range logs {
		if log.Type == raft.LogCommand {
			answers[i] = f.broken
		}
	}
}

// wake tells those who wait for an index to look again; f.mu is held.
func (f *FSM) wake() {
	if f.watched {
		close(f.moved)
		f.moved, f.watched = make(chan struct{}), false
	}
}

func (f *FSM) tell(applied ...Applied) {
	f.watchMu.RLock()
	watchers := f.watchers
	f.watchMu.RUnlock()
	for _, a := range applied {
		for _, watch := range watchers {
			watch(a)
		}
	}
}

// Snapshot implements raft.FSM: it only captures; Persist encodes beside Apply.
func (f *FSM) Snapshot() (raft.FSMSnapshot, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.broken != nil {
		return nil, f.broken
	}
	return &persister{image: f.state.Capture()}, nil
}

// Restore implements raft.FSM: the state is replaced as a whole, or not at all.
func (f *FSM) Restore(r io.ReadCloser) error {
	state, err := Restore(r)
	if cerr := r.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close a snapshot: %w", cerr)
	}
	if err != nil {
		f.mu.Lock()
		f.broken = err
		f.wake()
		f.mu.Unlock()
		f.fatal(err)
		return err
	}
	f.mu.Lock()
	f.state = state
	f.wake()
	a := Applied{Index: state.index, LastEvent: state.history.newest, Restored: true}
	f.mu.Unlock()
	f.logger.Info("state restored from a snapshot", "index", a.Index)
	f.tell(a)
	return nil
}

// persister is a captured state on its way to Raft's snapshot store.
type persister struct{ image *Image }

// Persist implements raft.FSMSnapshot.
func (p *persister) Persist(sink raft.SnapshotSink) error {
	if _, err := p.image.WriteTo(sink); err != nil {
		_ = sink.Cancel() // the write's error says more
		return fmt.Errorf("write a snapshot: %w", err)
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (p *persister) Release() { p.image = nil }
