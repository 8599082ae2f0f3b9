package node

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

type fullDisk struct{ raft.StableStore }

func (fullDisk) SetUint64([]byte, uint64) error { return errors.New("no space left on device") }

// A disk that takes no more ends the node, not the program that it is part of: Raft, which would panic, hears of no error.
func TestATermThatCannotBeSavedDoesNotPanic(t *testing.T) {
	joined := make(chan struct{})
	s := terms{fullDisk{}, joined}
	if err := s.SetUint64(nil, 1); err == nil {
		t.Error("while the node starts, the error is the start's")
	}
	close(joined)
	ended := make(chan struct{})
	returned := false
	go func() {
		defer close(ended)
		_ = s.SetUint64(nil, 1)
		returned = true
	}()
	if <-ended; returned {
		t.Error("Raft went on")
	}
}
