package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

const (
	// followPage bounds the events that are held for one follower.
	followPage = 100
	// followAgain is the pause before a follower on an agent asks the servers again, when none answers.
	followAgain = 200 * time.Millisecond
)

// LastEvent is the id of the newest lifecycle event, as of the call or later.
func (n *Node) LastEvent(ctx context.Context) (uint64, error) {
	a, err := n.Read(ctx, Query{Kind: QueryEvents, Since: ^uint64(0) >> 1, Limit: 1})
	return a.LastEvent, err
}

// Follow calls f with every lifecycle event whose id is above since, in order and each once, until ctx or the node ends or f
// returns an error, which it returns. Ids have no gaps, and are the same on every node: whoever keeps the id of the last event
// that it has dealt with misses none, also when it goes on at another node or another leader leads. 0 begins with the first
// event that there ever was.
//
// Nothing is queued: f's own pace is kept, and what it has not seen yet is read from the history, which holds event_history
// bytes. Whoever falls behind further gets a *supervisor.EventsCompactedError, which says where the history begins now;
// following from its Oldest-1 goes on with what is left.
func (n *Node) Follow(ctx context.Context, since uint64, f func(sup.Event) error) error {
	for {
		events, err := n.eventsAfter(ctx, since)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := ctx.Err(); err != nil {
				return err
			}
			if n.isClosing() {
				return n.errClosing()
			}
			e.Time = e.Time.UTC()
			if err := f(e); err != nil {
				return err
			}
			since = e.ID
		}
	}
}

// eventsAfter waits for the next events after since, and returns some.
func (n *Node) eventsAfter(ctx context.Context, since uint64) ([]sup.Event, error) {
	q := Query{Kind: QueryEvents, Stale: true, Since: since, Limit: followPage}
	for {
		if n.raft == nil {
			q.Wait = MaxWait
			a, err := n.readAtServer(ctx, q)
			if retry := (*sup.NoLeaderError)(nil); errors.As(err, &retry) || errors.As(err, new(*sup.BusyError)) {
				if err := n.pause(ctx, followAgain); err != nil {
					return nil, err
				}
				continue
			}
			if err != nil || len(a.Events) > 0 {
				return a.Events, err
			}
			continue
		}
		a, err := n.answer(q)
		if err != nil || len(a.Events) > 0 {
			return a.Events, err
		}
		moved := n.events.after(since)
		if moved == nil {
			continue
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-n.closing:
			return nil, n.errClosing()
		}
	}
}

// eachEvent calls f for the events after since that this node's replica has, and says which is the newest.
func (n *Node) eachEvent(since uint64, f func(sup.Event)) uint64 {
	for {
		var events []sup.Event
		var oldest uint64
		n.fsm.View(func(s *fsm.State) { events, oldest, _ = s.Events(since, MaxPage) })
		if len(events) == 0 {
			return max(since, oldest-1)
		}
		for _, e := range events {
			since = e.ID
			f(e)
		}
	}
}

func (n *Node) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.closing:
		return n.errClosing()
	}
}

func (n *Node) isClosing() bool {
	select {
	case <-n.closing:
		return true
	default:
		return false
	}
}

func (n *Node) errClosing() error {
	return &sup.Problem{Code: sup.CodeNoLeader, Node: n.cfg.Name, Detail: "this node is shutting down"}
}

// subscriptions are the callbacks that the node still calls.
type subscriptions struct {
	mu     sync.Mutex // guards closed, and the growth of all
	closed bool
	all    sync.WaitGroup
}

// begin runs f on a goroutine, and over when it has returned; once the node has ended, over alone.
func (s *subscriptions) begin(f, over func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		over()
		return
	}
	s.all.Go(func() {
		defer over()
		f()
	})
}

// end waits until none is called any more.
func (s *subscriptions) end() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.all.Wait()
}

// OnLifecycleEvent calls f with every lifecycle event from now on, in order and each once, on a goroutine of its own, whoever
// leads. A slow f delays nobody but itself: what it has not seen yet is read from the history; should it fall behind further
// than that goes, the node logs how many events it has missed. Who must know uses Follow.
//
// "Now" is what the cluster says it is: the first of it is to ask for the newest event, which waits for a leader as Do does.
// Without one f begins with what this node has not seen yet.
//
// stop ends it and waits until f is not running any more; the end of the node does so too. So f must not call stop, Close or
// Leave.
func (n *Node) OnLifecycleEvent(f func(sup.Event)) (stop func()) {
	mustCall(f != nil)
	ctx, cancel := context.WithCancel(context.Background())
	since, err := n.LastEvent(ctx)
	if err != nil {
		since = n.events.last()
		n.log.Warn("lifecycle events are told from what this node knows", "after", since, "why", err)
	}
	done := make(chan struct{})
	n.subscriptions.begin(func() { n.subscribe(ctx, since, f) }, func() { close(done) })
	return func() {
		cancel()
		<-done
	}
}

// mustCall panics at a subscription without a function: its first event would end the process, far from the mistake.
func mustCall(there bool) {
	if !there {
		panic("node: a subscription to events has no function")
	}
}

// subscribe follows events, and goes on after a gap.
func (n *Node) subscribe(ctx context.Context, since uint64, f func(sup.Event)) {
	for {
		err := n.Follow(ctx, since, func(e sup.Event) error {
			f(e)
			since = e.ID
			return nil
		})
		var gap *sup.EventsCompactedError
		if !errors.As(err, &gap) {
			return
		}
		n.log.Warn("a subscriber to lifecycle events was too slow", "missed", gap.Oldest-1-since, "goes on with", gap.Oldest)
		since = gap.Oldest - 1
	}
}

// OnNodeUp calls f with the name of every node that joins the cluster from now on, or comes back. See OnLifecycleEvent.
func (n *Node) OnNodeUp(f func(sup.NodeName)) (stop func()) {
	mustCall(f != nil)
	return n.OnLifecycleEvent(func(e sup.Event) {
		if e.Type == sup.EventNodeJoined {
			f(e.Node)
		}
	})
}

// ReasonLeft is the reason of OnNodeDown for a node that has left by itself.
const ReasonLeft = "left"

// OnNodeDown calls f with the name of every node that is lost from now on, with the proof of its death as the reason, or that
// leaves, with ReasonLeft. See OnLifecycleEvent.
func (n *Node) OnNodeDown(f func(node sup.NodeName, reason string)) (stop func()) {
	mustCall(f != nil)
	return n.OnLifecycleEvent(func(e sup.Event) {
		switch e.Type {
		case sup.EventNodeFailureDetected:
			f(e.Node, e.Reason)
		case sup.EventNodeLeft:
			f(e.Node, ReasonLeft)
		}
	})
}
