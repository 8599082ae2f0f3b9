package courier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// The bounds of a courier.
const (
	// MaxValue bounds the value of one message and of one answer that travel between nodes, in bytes of JSON.
	MaxValue = 8 << 20
	// MaxQueued and MaxQueuedBytes bound what waits to be sent to one node; one more is ErrBusy.
	MaxQueued      = 16 << 10
	MaxQueuedBytes = 64 << 20
	// MaxCalls bounds the calls of this node's actors and clients that are under way to one node; one more is ErrBusy.
	MaxCalls = 16 << 10
	// MaxServed bounds the calls of other nodes that are under way here; one more is answered busy.
	MaxServed = 16 << 10
)

// askTimeout bounds the question whether a child runs, which a cast may have to ask, where its context has no deadline.
const askTimeout = time.Second

// retryEvery is the pause before a node that was not reached is tried again.
const retryEvery = 50 * time.Millisecond

// Port opens message streams; *rpc.Port is one.
type Port interface {
	DialMessages(ctx context.Context, addr string, to sup.NodeName) (*rpc.MessageConn, error)
}

// Config is what a Courier works with; all but Logger is needed.
type Config struct {
	Node      sup.NodeName
	Port      Port
	Directory Directory
	Logger    hclog.Logger
}

// Courier carries messages to other nodes and takes theirs. It implements actor.Router.
type Courier struct {
	node   sup.NodeName
	port   Port
	dir    Directory
	log    hclog.Logger
	system *actor.System

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	served chan struct{} // a token for each call of another node that is under way

	sent, received, lost atomic.Uint64

	mu     sync.Mutex // guards what follows
	closed bool
	lines  map[target]*line
	inlets map[sup.NodeName]*inlet // the newest of each node that sends here
}

// target is a node at an address.
type target struct {
	node sup.NodeName
	addr string
}

// New makes a courier; Use completes it.
func New(c Config) *Courier {
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	r := &Courier{node: c.Node, port: c.Port, dir: c.Directory, log: c.Logger, lines: map[target]*line{}, inlets: map[sup.NodeName]*inlet{}, served: make(chan struct{}, MaxServed)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Use gives the courier the actors of its node, before any message.
func (c *Courier) Use(s *actor.System) { c.system = s }

// Close breaks every line and waits for their goroutines. Streams that are served end with the port.
func (c *Courier) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.tasks.Wait()
}

// Drop breaks the streams to a node that the cluster has declared lost: what was sent there has an unknown outcome, and
// nobody waits for an answer that a frozen host will not give.
func (c *Courier) Drop(node sup.NodeName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for t, l := range c.lines {
		if t.node == node {
			l.cut()
		}
	}
}

// Stats counts what a courier has seen since it was made, and what waits now.
type Stats struct {
	Sent, Received uint64 // messages to and from other nodes
	Lost           uint64 // casts that were queued for another node, or came from one, and reached no mailbox
	Queued         int    // messages that wait to be sent
	Calls          int    // calls of this node that wait for an answer of another
	Served         int    // calls of other nodes that are under way here
}

// Stats returns the counters.
func (c *Courier) Stats() Stats {
	s := Stats{Sent: c.sent.Load(), Received: c.received.Load(), Lost: c.lost.Load(), Served: len(c.served)}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.lines {
		queued, calls := l.load()
		s.Queued += queued
		s.Calls += calls
	}
	return s
}

// Cast implements actor.Router.
func (c *Courier) Cast(ctx context.Context, to actor.Ref, m actor.Message) error {
	value, err := m.JSON()
	if err != nil {
		return &actor.MessageError{Node: string(c.node), Key: to.Key(), Type: m.Type(), Err: err}
	}
	return c.cast(ctx, to, m.Type(), value)
}

// CastJSON queues a message that came as JSON, wherever the child runs. Errors are those of CastMessage.Cast; one about the
// type or value is known only when the child runs on this node.
func (c *Courier) CastJSON(ctx context.Context, to actor.Ref, in actor.Incoming) error {
	err := c.system.CastJSON(to, in)
	if !errors.Is(err, actor.ErrGone) {
		return err
	}
	return c.cast(ctx, to, in.Type, in.Value)
}

func (c *Courier) cast(ctx context.Context, to actor.Ref, typ string, value json.RawMessage) error {
	if len(value) > MaxValue {
		return c.tooLarge(to, typ, len(value), false)
	}
	at, known := c.dir.Known(to.Key())
	if !known || at.Node == c.node {
		var err error
		if at, err = c.ask(ctx, to, 0); err != nil {
			if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
				err = fmt.Errorf("%w: %w", actor.ErrNoNode, err)
			}
			return err
		}
	}
	if inc := to.Incarnation(); inc != 0 && inc != at.Incarnation {
		return actor.ErrStale
	}
	return c.line(at).cast(rpc.Message{Key: keyOf(to.Key()), Inc: uint64(to.Incarnation()), Type: typ, Value: value})
}

// Call implements actor.Router.
func (c *Courier) Call(ctx context.Context, to actor.Ref, m actor.Message, chain []actor.Hop, reply any) error {
	var value json.RawMessage
	raw, err := c.carry(ctx, to, m.Type(), chain, func() (_ json.RawMessage, err error) {
		if value == nil {
			value, err = m.JSON()
		}
		return value, err
	})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, reply); err != nil {
		return &actor.MessageError{Node: string(c.node), Key: to.Key(), Type: m.Type(), Answer: true, Err: fmt.Errorf("the answer does not fit %T: %w", reply, err)}
	}
	return nil
}

// CallJSON carries out a call that came as JSON, wherever the child runs. Errors are those of CallMessage.Call; the
// handler's own is a *HandlerError. ctx has a deadline.
func (c *Courier) CallJSON(ctx context.Context, to actor.Ref, in actor.Incoming) (json.RawMessage, error) {
	to = c.system.Bind(to)
	deadline, _ := ctx.Deadline()
	for {
		d, err := c.system.Deliver(deadline, to, in)
		if err == nil {
			raw, err := d.Wait(ctx)
			if !actor.Undelivered(err) {
				return raw, err
			}
		} else if !errors.Is(err, actor.ErrGone) {
			return nil, err
		}
		raw, err := c.carry(ctx, to, in.Type, in.Chain, func() (json.RawMessage, error) { return in.Value, nil })
		if !errors.Is(err, actor.ErrHere) {
			return raw, err
		}
	}
}

// carry finds the child and has its node carry out a call, again and again until a node has taken it. ErrHere: it runs on
// this node.
func (c *Courier) carry(ctx context.Context, to actor.Ref, typ string, chain []actor.Hop, value func() (json.RawMessage, error)) (json.RawMessage, error) {
	var not actor.Incarnation // is known not to run
	pinned := to.Incarnation()
	for {
		at, err := c.find(ctx, to, not)
		switch {
		case err != nil:
			return nil, err
		case pinned != 0 && pinned != at.Incarnation:
			return nil, actor.ErrStale
		case at.Node == c.node:
			not = max(not, at.Incarnation) // it did run here
			continue
		}
		v, err := value()
		if err != nil {
			return nil, &actor.MessageError{Node: string(c.node), Key: to.Key(), Type: typ, Err: err}
		}
		if len(v) > MaxValue {
			return nil, c.tooLarge(to, typ, len(v), false)
		}
		a, err := c.line(at).call(ctx, rpc.Message{Key: keyOf(to.Key()), Inc: uint64(to.Incarnation()), Type: typ, Value: v, Chain: hopsOf(chain)})
		switch {
		case errors.Is(err, errUnsent):
			if pause(ctx, retryEvery) != nil {
				return nil, late(ctx, err)
			}
		case err != nil:
			return nil, err
		case a.Verdict == rpc.VerdictUndelivered:
			not = max(not, at.Incarnation)
			c.dir.Missed(to.Key(), at.Incarnation)
		default:
			return taken(at.Node, to.Key(), typ, a)
		}
	}
}

// find says where a child runs with an incarnation larger than not, and waits for it. A pinned incarnation is not waited
// for: it has run.
func (c *Courier) find(ctx context.Context, to actor.Ref, not actor.Incarnation) (Place, error) {
	if at, ok := c.dir.Known(to.Key()); ok && at.Incarnation > not && at.Node != c.node {
		return at, nil
	}
	if to.Incarnation() != 0 {
		return c.ask(ctx, to, not)
	}
	woken, release, err := c.system.Woken(to)
	if err != nil {
		return Place{}, err
	}
	defer release()
	at, found, err := c.dir.Find(ctx, to.Key(), not, woken)
	if err == nil && !found {
		err = actor.ErrHere
	}
	return at, err
}

// ask asks where a pinned incarnation, or one of a child that a cast is for, runs.
func (c *Courier) ask(ctx context.Context, to actor.Ref, not actor.Incarnation) (Place, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, askTimeout)
		defer cancel()
	}
	at, err := c.dir.Ask(ctx, to.Key())
	if err == nil && (at.Incarnation <= not || at.Node == c.node) {
		err = actor.ErrGone // it does not run there, whatever is not known yet
	}
	if to.Incarnation() != 0 && errors.Is(err, actor.ErrGone) {
		err = actor.ErrStale
	}
	return at, err
}

// late is the end of a call's patience, with why it was in vain.
func late(ctx context.Context, why error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", actor.ErrTimeout, why)
	}
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Courier) tooLarge(to actor.Ref, typ string, n int, answer bool) error {
	return &actor.MessageError{Node: string(c.node), Key: to.Key(), Type: typ, Answer: answer,
		Err: fmt.Errorf("it has %d bytes as JSON, and %d travel between nodes at most", n, MaxValue)}
}

// line is the one to a node.
func (c *Courier) line(at Place) *line {
	t := target{at.Node, at.Addr}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lines[t]
	if l == nil {
		l = newLine(c, t)
		c.lines[t] = l
	}
	return l
}

// start runs f on a goroutine that Close waits for; false when the courier is closed.
func (c *Courier) start(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.tasks.Go(f)
	return true
}

func keyOf(k actor.Key) sup.Key {
	return sup.Key{Supervisor: sup.Name(k.Supervisor), Child: sup.ChildID(k.Child)}
}

func actorKey(k sup.Key) actor.Key {
	return actor.Key{Supervisor: string(k.Supervisor), Child: string(k.Child)}
}

func hopsOf(chain []actor.Hop) (hops []rpc.Hop) {
	for _, h := range chain {
		hops = append(hops, rpc.Hop{Key: keyOf(h.Key), Inc: uint64(h.Incarnation)})
	}
	return hops
}

var _ actor.Router = (*Courier)(nil)
