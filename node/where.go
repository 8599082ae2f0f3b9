package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/courier"
	sup "github.com/supnode/supnode/supervisor"
)

// Place is where a child runs (QueryPlace).
type Place struct {
	Status      sup.Status   `json:"status"`
	Reason      string       `json:"reason,omitempty"`      // of pending
	Node        sup.NodeName `json:"node,omitempty"`        // of one that runs
	Addr        string       `json:"addr,omitempty"`        // of the node's port
	Incarnation uint64       `json:"incarnation,omitempty"` // of one that runs
}

// runs reports whether the child runs.
func (p Place) runs() bool { return p.Incarnation != 0 }

// place is where a child runs, or why it takes no messages: it is unknown, or no actor.
func place(s *fsm.State, k sup.Key) (Place, error) {
	c := s.Child(k)
	switch {
	case c == nil:
		return Place{}, s.NoChild(k)
	case c.IsSupervisor():
		return Place{}, &sup.Problem{Code: sup.CodeNotAnActor, Supervisor: k.Supervisor, Child: k.Child,
			Detail: fmt.Sprintf("child %s is a supervisor, which takes no messages; its children may", k)}
	case c.Spec.Behavior == execBehavior:
		return Place{}, &sup.Problem{Code: sup.CodeNotAnActor, Supervisor: k.Supervisor, Child: k.Child,
			Detail: fmt.Sprintf("child %s is a command (behavior %s), which takes no messages", k, execBehavior)}
	}
	p := Place{Status: c.Status(s.Clock()), Reason: c.PendingReason}
	if c.Phase == fsm.Running {
		p.Node, p.Incarnation = c.Node, c.Inc.Token()
		if n := s.Node(c.Node); n != nil {
			p.Addr = n.Addr
		}
	}
	return p, nil
}

// execBehavior is the built-in behavior whose children are commands.
const execBehavior = "exec"

// whereabouts is this node's courier.Directory: its replica, or on a plain agent what servers said.
type whereabouts struct {
	n *Node

	mu    sync.Mutex // guards heard
	heard map[actor.Key]heard
}

// heard is what a plain agent was told of a child.
type heard struct {
	courier.Place
	at time.Time
}

const (
	// maxHeard bounds the children that a plain agent remembers.
	maxHeard = 16 << 10
	// heardFor is how long it trusts what it was told.
	heardFor = time.Second
	// sayWhy is how much earlier than its caller's patience the search for a leader ends, so that it is no_leader that is said.
	sayWhy = 5 * time.Millisecond
	// askEvery is how often a plain agent asks whether a child runs, at first and at most.
	askFirst, askEvery = 10 * time.Millisecond, 250 * time.Millisecond
)

// Known implements courier.Directory.
func (w *whereabouts) Known(k actor.Key) (at courier.Place, ok bool) {
	if w.n.fsm == nil {
		w.mu.Lock()
		h, known := w.heard[k]
		w.mu.Unlock()
		return h.Place, known && time.Since(h.at) < heardFor
	}
	w.n.fsm.View(func(s *fsm.State) {
		if p, err := place(s, supKey(k)); err == nil && p.runs() {
			at, ok = w.at(p), true
		}
	})
	return at, ok
}

// at is a place as this node reaches it: servers at the addresses of its own file.
func (w *whereabouts) at(p Place) courier.Place {
	addr := w.n.cfg.addrOf(p.Node)
	if addr == "" {
		addr = p.Addr
	}
	return courier.Place{Node: p.Node, Addr: addr, Incarnation: actor.Incarnation(p.Incarnation)}
}

// Missed implements courier.Directory.
func (w *whereabouts) Missed(k actor.Key, inc actor.Incarnation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h, ok := w.heard[k]; ok && h.Incarnation <= inc {
		delete(w.heard, k)
	}
}

// Ask implements courier.Directory: the leader knows best.
func (w *whereabouts) Ask(ctx context.Context, k actor.Key) (courier.Place, error) {
	p, err := w.read(ctx, k, false)
	switch {
	case err != nil:
		return courier.Place{}, err
	case !p.runs():
		return courier.Place{}, fmt.Errorf("%w: it is %s", actor.ErrGone, p)
	}
	return w.at(p), nil
}

// read asks the leader, or a server.
func (w *whereabouts) read(ctx context.Context, k actor.Key, stale bool) (Place, error) {
	if deadline, ok := ctx.Deadline(); ok {
		ctx = WithLeaderTimeout(ctx, min(leaderTimeout(ctx), time.Until(deadline)-sayWhy))
	}
	a, err := w.n.Read(ctx, Query{Kind: QueryPlace, Stale: stale, Supervisor: sup.Name(k.Supervisor), Child: sup.ChildID(k.Child)})
	switch {
	case err != nil && w.n.isClosing():
		return Place{}, actor.ErrClosed
	case err != nil:
		return Place{}, noPlace(err)
	}
	if w.n.fsm != nil && !stale {
		err = w.n.fsm.WaitIndex(ctx, a.Index) // from here on this node knows it itself
	} else if a.Place.runs() {
		w.keep(k, w.at(*a.Place))
	}
	return *a.Place, err
}

// noPlace makes of a refusal the error that callers of actors know.
func noPlace(err error) error {
	var p *sup.Problem
	switch {
	case !errors.As(err, &p):
		return err
	case p.Code == sup.CodeNotAnActor:
		return fmt.Errorf("%w: %w", actor.ErrNotActor, p)
	case p.Code == sup.CodeNoLeader:
		return fmt.Errorf("%w: %w", actor.ErrNoNode, p)
	}
	return fmt.Errorf("%w: %w", actor.ErrGone, p)
}

// keep remembers what was heard; a full memory forgets something.
func (w *whereabouts) keep(k actor.Key, at courier.Place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for old := range w.heard {
		if len(w.heard) < maxHeard {
			break
		}
		delete(w.heard, old)
	}
	w.heard[k] = heard{at, time.Now()}
}

// Find implements courier.Directory.
func (w *whereabouts) Find(ctx context.Context, k actor.Key, not actor.Incarnation, woken <-chan struct{}) (courier.Place, bool, error) {
	if w.n.fsm == nil {
		return w.findByAsking(ctx, k, not, woken)
	}
	sure := false // that what this replica does not have is not there
	for {
		since := w.n.events.last()
		moved := w.n.events.after(since)
		var p Place
		var err error
		w.n.fsm.View(func(s *fsm.State) { p, err = place(s, supKey(k)) })
		switch {
		case err != nil && sure:
			return courier.Place{}, false, noPlace(err)
		case err != nil:
			if _, err = w.read(ctx, k, false); err != nil && ctx.Err() == nil {
				return courier.Place{}, false, err
			}
			sure = true
			if ctx.Err() == nil {
				continue
			}
		case p.runs() && actor.Incarnation(p.Incarnation) > not:
			return w.at(p), true, nil
		}
		if moved == nil {
			continue
		}
		select {
		case <-moved:
		case <-woken:
			return courier.Place{}, false, nil
		case <-ctx.Done():
			w.n.fsm.View(func(s *fsm.State) { p, _ = place(s, supKey(k)) }) // not every change is an event
			return courier.Place{}, false, waited(ctx, p)
		case <-w.n.closing:
			return courier.Place{}, false, actor.ErrClosed
		}
	}
}

// findByAsking is Find on a node without a replica.
func (w *whereabouts) findByAsking(ctx context.Context, k actor.Key, not actor.Incarnation, woken <-chan struct{}) (courier.Place, bool, error) {
	stale := false // the first answer is the leader's, so that what is not there is not there
	for pause := askFirst; ; pause = min(2*pause, askEvery) {
		p, err := w.read(ctx, k, stale)
		switch {
		case err != nil && ctx.Err() == nil:
			return courier.Place{}, false, err
		case err == nil && p.runs() && actor.Incarnation(p.Incarnation) > not:
			return w.at(p), true, nil
		}
		stale = true
		select {
		case <-time.After(pause):
		case <-woken:
			return courier.Place{}, false, nil
		case <-ctx.Done():
			return courier.Place{}, false, waited(ctx, p)
		case <-w.n.closing:
			return courier.Place{}, false, actor.ErrClosed
		}
	}
}

// waited is the end of a wait for a child to run (S40).
func waited(ctx context.Context, p Place) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && p.Status != "" && !p.runs() {
		return fmt.Errorf("%w: the child is %s", actor.ErrTimeout, p)
	}
	return ctx.Err()
}

func (p Place) String() string {
	if p.Reason != "" && p.Status == sup.StatusPending {
		return fmt.Sprintf("%s (%s)", p.Status, p.Reason)
	}
	return string(p.Status)
}

func supKey(k actor.Key) sup.Key {
	return sup.Key{Supervisor: sup.Name(k.Supervisor), Child: sup.ChildID(k.Child)}
}
