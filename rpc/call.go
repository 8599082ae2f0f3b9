package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
	sup "github.com/supnode/supnode/supervisor"
)

// callFrame is one frame of a call connection: a request, its cancellation, or a response. Many calls share a
// connection; ID pairs them.
type callFrame struct {
	ID       uint64    `cbor:"1,keyasint"`
	Request  *request  `cbor:"2,keyasint,omitempty"`
	Response *response `cbor:"3,keyasint,omitempty"`
	Cancel   bool      `cbor:"4,keyasint,omitempty"`
}

type request struct {
	Method string          `cbor:"1,keyasint"`
	Left   int64           `cbor:"2,keyasint"` // ns until the caller gives up; clocks are not compared
	Body   cbor.RawMessage `cbor:"3,keyasint,omitempty"`
}

type response struct {
	Body      cbor.RawMessage `cbor:"1,keyasint,omitempty"`
	Problem   *sup.Problem    `cbor:"2,keyasint,omitempty"`
	NotLeader *redirect       `cbor:"3,keyasint,omitempty"`
	Unknown   bool            `cbor:"4,keyasint,omitempty"` // the error wraps ErrOutcomeUnknown
	Failed    bool            `cbor:"5,keyasint,omitempty"`
	Text      string          `cbor:"6,keyasint,omitempty"` // of Failed and Unknown
}

type redirect struct {
	Leader sup.NodeName `cbor:"1,keyasint,omitempty"`
	Addr   string       `cbor:"2,keyasint,omitempty"`
}

// target is a node at an address.
type target struct {
	addr string
	to   sup.NodeName
}

// errCancelled says that the caller gave up before anything was sent.
var errCancelled = errors.New("cancelled")

// errStale says that a pooled connection turned out to be over before anything was sent on it.
var errStale = errors.New("the connection was over")

// idleCaller is how long a call connection without calls is kept.
const idleCaller = time.Minute

// Call asks node to, at addr, and decodes its answer into resp (nil = drop it). Without a deadline in ctx it takes
// DefaultCallTimeout at most. A *supervisor.Problem and a *NotLeader come back as they were returned there. An error
// that wraps ErrOutcomeUnknown means that the request was sent and may have been carried out; after any other error that
// is not the other node's answer nothing was.
func (p *Port) Call(ctx context.Context, addr string, to sup.NodeName, method string, req, resp any) error {
	body, err := Encode(req)
	if err != nil {
		return fmt.Errorf("call %s: encode the request: %w", method, err)
	}
	select {
	case p.calls <- struct{}{}:
		defer func() { <-p.calls }()
	default:
		return busy(p.cfg.Node, "calls to other nodes", MaxCalls)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(DefaultCallTimeout)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("call %s: %w", method, err)
	}
	var r *response
	for try := 1; ; try++ {
		cl, err := p.caller(ctx, target{addr, to})
		if err != nil {
			return fmt.Errorf("call %s: %w", method, err)
		}
		r, err = cl.roundTrip(ctx, &request{Method: method, Left: int64(time.Until(deadline)), Body: body})
		if errors.Is(err, errStale) && try < 2 {
			continue
		}
		if err != nil {
			return fmt.Errorf("call %s of node %s at %s: %w", method, to, addr, err)
		}
		break
	}
	switch {
	case r.Problem != nil:
		return r.Problem
	case r.NotLeader != nil:
		return &NotLeader{Leader: r.NotLeader.Leader, Addr: r.NotLeader.Addr}
	case r.Unknown:
		return fmt.Errorf("call %s: %w: %w", method, &RemoteError{Node: to, Text: r.Text}, ErrOutcomeUnknown)
	case r.Failed:
		return fmt.Errorf("call %s: %w", method, &RemoteError{Node: to, Text: r.Text})
	case resp == nil:
		return nil
	}
	if err := Decode(r.Body, resp); err != nil {
		return fmt.Errorf("call %s of node %s: %w: its answer cannot be read: %w", method, to, ErrOutcomeUnknown, err)
	}
	return nil
}

// caller is the connection that carries this node's calls to one target.
type caller struct {
	port   *Port
	target target
	ready  chan struct{} // closed when the dial is over
	err    error         // of the dial
	f      *framed       // nil when err

	mu      sync.Mutex // guards what follows
	last    uint64
	pending map[uint64]chan *response
	retired bool // takes no new calls
	broken  error
	heard   time.Time // when the last frame came
	idle    *time.Timer
}

// caller finds or dials the connection for t. The dial belongs to the port: a caller that gives up does not end it for
// the others that wait.
func (p *Port) caller(ctx context.Context, t target) (*caller, error) {
	p.mu.Lock()
	cl := p.callers[t]
	if cl == nil {
		if p.closed {
			p.mu.Unlock()
			return nil, ErrClosed
		}
		cl = &caller{port: p, target: t, ready: make(chan struct{}), pending: map[uint64]chan *response{}}
		p.callers[t] = cl
		p.tasks.Go(cl.run)
	}
	p.mu.Unlock()
	select {
	case <-cl.ready:
		return cl, cl.err
	case <-ctx.Done():
		return nil, fmt.Errorf("dial node %s at %s: %w", t.to, t.addr, ctx.Err())
	}
}

// run dials, then reads responses until the connection ends.
func (cl *caller) run() {
	c, err := cl.port.dial(cl.port.ctx, cl.target.addr, cl.target.to, classCall)
	if err != nil {
		cl.retire()
		cl.err = err
		close(cl.ready)
		return
	}
	cl.f = newFramed(c)
	cl.mu.Lock()
	cl.idle = time.AfterFunc(idleCaller, cl.closeIfIdle)
	cl.mu.Unlock()
	close(cl.ready)
	for {
		var m callFrame
		if err = cl.f.read(&m); err != nil {
			break
		}
		if m.Response == nil {
			err = errors.New("it sent something that is not a response")
			break
		}
		cl.mu.Lock()
		ch := cl.pending[m.ID]
		delete(cl.pending, m.ID)
		cl.heard = time.Now()
		cl.settle()
		cl.mu.Unlock()
		if ch != nil {
			ch <- m.Response // buffered
		}
	}
	cl.retire()
	cl.mu.Lock()
	cl.broken = err
	cl.idle.Stop()
	waiting := cl.pending
	cl.pending = nil
	cl.mu.Unlock()
	cl.f.close()
	for _, ch := range waiting {
		close(ch)
	}
}

// roundTrip sends a request and waits for its response.
func (cl *caller) roundTrip(ctx context.Context, req *request) (*response, error) {
	cl.mu.Lock()
	if cl.broken != nil {
		cl.mu.Unlock()
		return nil, fmt.Errorf("%w: %w", errStale, cl.broken)
	}
	cl.last++
	id, ch := cl.last, make(chan *response, 1)
	cl.pending[id] = ch
	cl.idle.Stop()
	cl.mu.Unlock()

	frame, err := encodeFrame(callFrame{ID: id, Request: req}, cl.f.limit)
	if err != nil {
		cl.drop(id)
		return nil, err
	}
	sent := time.Now()
	begun, err := cl.f.write(frame, ctx.Done())
	if err != nil {
		cl.drop(id)
		switch {
		case begun:
			return nil, fmt.Errorf("%w: the connection broke while the request was sent: %w", ErrOutcomeUnknown, err)
		case err == errCancelled:
			return nil, ctx.Err()
		}
		cl.retire()
		return nil, fmt.Errorf("%w: %w", errStale, err)
	}
	select {
	case r, ok := <-ch:
		if !ok {
			cl.mu.Lock()
			why := cl.broken
			cl.mu.Unlock()
			return nil, fmt.Errorf("%w: the connection broke before the answer came: %w", ErrOutcomeUnknown, why)
		}
		return r, nil
	case <-ctx.Done():
		// A connection that brought nothing in all that time may be dead: later calls take a fresh one.
		cl.mu.Lock()
		silent := cl.heard.Before(sent)
		cl.mu.Unlock()
		if silent {
			cl.retire()
		}
		cl.abandon(id)
		return nil, fmt.Errorf("%w: no answer in time: %w", ErrOutcomeUnknown, ctx.Err())
	}
}

// abandon forgets a call and tells the other node, if that can be done without waiting.
func (cl *caller) abandon(id uint64) {
	defer cl.drop(id)
	frame, err := encodeFrame(callFrame{ID: id, Cancel: true}, maxGreeting)
	if err != nil {
		return
	}
	select {
	case cl.f.writing <- struct{}{}: // so there is one such goroutine a connection at most
	default:
		return
	}
	if !cl.port.start(func() { _, _ = cl.f.writeHeld(frame) }) { // a connection that breaks cancels as well
		<-cl.f.writing
	}
}

// drop forgets a call.
func (cl *caller) drop(id uint64) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	delete(cl.pending, id)
	cl.settle()
}

// settle decides what becomes of a connection whose last call ended. cl.mu is held.
func (cl *caller) settle() {
	if len(cl.pending) > 0 || cl.broken != nil {
		return
	}
	wait := idleCaller
	if cl.retired {
		wait = 0
	}
	cl.idle.Reset(wait)
}

// closeIfIdle ends a connection that has no calls; the reader does the rest. A call that finds it at this moment fails
// before anything is sent, so it is taken out of the pool first.
func (cl *caller) closeIfIdle() {
	cl.retire()
	cl.mu.Lock()
	busy := len(cl.pending) > 0
	cl.mu.Unlock()
	if !busy {
		cl.f.close()
	}
}

// retire takes the connection out of the pool: it serves the calls that it has.
func (cl *caller) retire() {
	cl.port.mu.Lock()
	if cl.port.callers[cl.target] == cl {
		delete(cl.port.callers, cl.target)
	}
	cl.port.mu.Unlock()
	cl.mu.Lock()
	cl.retired = true
	cl.mu.Unlock()
}
