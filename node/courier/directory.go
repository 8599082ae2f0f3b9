package courier

import (
	"context"

	"github.com/supnode/supnode/actor"
	sup "github.com/supnode/supnode/supervisor"
)

// Place is where an incarnation of a child runs.
type Place struct {
	Node        sup.NodeName
	Addr        string // of its node port
	Incarnation actor.Incarnation
}

// Directory knows where children run. Its errors are actor.ErrGone and actor.ErrNotActor, wrapped with words, or ctx's.
type Directory interface {
	// Known is what this node knows, at once. It reports false when it does not know the child to run.
	Known(k actor.Key) (Place, bool)
	// Find waits until an incarnation larger than not runs, until ctx ends, or until woken is closed: then it reports false.
	// It fails with ErrGone when the cluster has no such child.
	Find(ctx context.Context, k actor.Key, not actor.Incarnation, woken <-chan struct{}) (Place, bool, error)
	// Ask asks whoever knows best whether a child runs, once: ErrGone when it does not.
	Ask(ctx context.Context, k actor.Key) (Place, error)
	// Missed says that an incarnation does not run where it did.
	Missed(k actor.Key, inc actor.Incarnation)
}
