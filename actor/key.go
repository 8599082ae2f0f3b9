package actor

import (
	"fmt"

	"github.com/supnode/supnode/actor/ref"
)

// Key names a child of a supervisor, whichever incarnation of it runs.
type Key = ref.Key

// Incarnation is the fencing token of one start of a child: larger at every start, below 2^53. A resource that remembers
// the largest one it has seen, and refuses lower ones, is safe from a paused predecessor.
type Incarnation = ref.Incarnation

// Reason says how an incarnation ended, or why it is to end (S5).
type Reason string

// The reasons of S5 that an actor knows.
const (
	Normal   Reason = "normal"   // it stopped itself without an error
	Shutdown Reason = "shutdown" // it was asked to stop and did
	Killed   Reason = "killed"   // it did not stop in time, or was stopped at once
	Error    Reason = "error"    // an error, a panic, or an init that failed
)

// Exit is the end of an incarnation: nothing of it runs any more.
type Exit struct {
	Key         Key
	Incarnation Incarnation
	Reason      Reason
	Detail      string // of Error: the error, or the panic with its stack
	InitFailed  bool   // its init did not succeed
}

func (e Exit) String() string {
	return fmt.Sprintf("%s %d: %s %s", e.Key, e.Incarnation, e.Reason, e.Detail)
}
