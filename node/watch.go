package node

import (
	"context"
	"sync"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// The bounds of waiting for events.
const (
	// MaxWait bounds Query.Wait.
	MaxWait = 25 * time.Second
	// MaxWatchers bounds those who wait for events at one node, for itself and for agents; one more is refused with busy.
	MaxWatchers = 128
	// serverPatience is how long an agent waits for one server's answer before it asks the next, besides Query.Wait.
	serverPatience = 3 * time.Second
)

// watch wakes those who wait for events of this node's replica.
type watch struct {
	mu      sync.Mutex
	newest  uint64        // id of the newest event
	moved   chan struct{} // closed when newest moves; nil while nobody waits
	waiting int
}

// tell says what the newest event is; it does not block. A restored replica may be told of many at once.
func (w *watch) tell(newest uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if newest == w.newest {
		return
	}
	w.newest = newest
	if w.moved != nil {
		close(w.moved)
		w.moved = nil
	}
}

// after is closed at the next event after since, or nil when there is one already.
func (w *watch) after(since uint64) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.newest > since {
		return nil
	}
	if w.moved == nil {
		w.moved = make(chan struct{})
	}
	return w.moved
}

// last is the id of the newest event.
func (w *watch) last() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.newest
}

// count is how many wait.
func (w *watch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting
}

// enter takes one of the places of those who wait.
func (w *watch) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting >= MaxWatchers {
		return false
	}
	w.waiting++
	return true
}

func (w *watch) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting--
}

// awaitEvents returns when this node's replica has an event after since, when d is over, or when ctx or the node ends.
func (n *Node) awaitEvents(ctx context.Context, since uint64, d time.Duration) error {
	if !n.events.enter() {
		return &sup.Problem{Code: sup.CodeBusy, Node: n.cfg.Name, Bound: MaxWatchers, Detail: "too many wait for this node's events"}
	}
	defer n.events.leave()
	enough := time.NewTimer(min(d, MaxWait))
	defer enough.Stop()
	for {
		moved := n.events.after(since)
		if moved == nil {
			return nil
		}
		select {
		case <-moved:
		case <-enough.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-n.closing:
			return &sup.Problem{Code: sup.CodeNoLeader, Node: n.cfg.Name, Detail: "this node is shutting down"}
		}
	}
}
