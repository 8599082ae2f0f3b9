package courier

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/rpc"
)

// errUnsent says that a call did not leave this node: it may be sent again without acting twice.
var errUnsent = errors.New("not sent")

const (
	// frameMessages and frameBytes are how much of a queue goes into one frame.
	frameMessages = 1024
	frameBytes    = 1 << 20
	// idleLine is how long a stream without messages and calls is kept.
	idleLine = time.Minute
)

// line carries messages to one node, over one stream at a time. It has goroutines only while it has a stream, or wants one.
type line struct {
	c *Courier
	t target

	kick chan struct{} // wakes the goroutine of run

	mu      sync.Mutex // guards what follows
	runs    bool       // a goroutine works on the queue
	queue   []queued
	bytes   int // in queue
	cancels []uint64
	calls   map[uint64]*waiting
	last    uint64
	conn    *rpc.MessageConn
	failed  time.Time // when the node was last not reached
	why     error
}

// queued is a message that waits to be sent.
type queued struct {
	rpc.Message
	deadline time.Time // of a call
}

// waiting is a call whose answer has not come.
type waiting struct {
	done chan result // buffered
	sent bool        // it may have left this node
}

type result struct {
	answer rpc.Answer
	err    error
}

func newLine(c *Courier, t target) *line {
	return &line{c: c, t: t, kick: make(chan struct{}, 1), calls: map[uint64]*waiting{}}
}

// load is how much waits.
func (l *line) load() (queued, calls int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue), len(l.calls)
}

// cast queues a cast.
func (l *line) cast(m rpc.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil && time.Since(l.failed) < retryEvery {
		return fmt.Errorf("%w: %w", actor.ErrNoNode, l.why)
	}
	return l.put(queued{Message: m})
}

// call queues a call and waits for its answer, or until ctx ends.
func (l *line) call(ctx context.Context, m rpc.Message) (rpc.Answer, error) {
	deadline, _ := ctx.Deadline()
	w := &waiting{done: make(chan result, 1)}
	l.mu.Lock()
	if len(l.calls) >= MaxCalls {
		l.mu.Unlock()
		return rpc.Answer{}, actor.ErrBusy
	}
	l.last++
	m.ID = l.last
	l.calls[m.ID] = w
	if err := l.put(queued{m, deadline}); err != nil {
		delete(l.calls, m.ID)
		l.mu.Unlock()
		return rpc.Answer{}, err
	}
	l.mu.Unlock()
	select {
	case r := <-w.done:
		return r.answer, r.err
	case <-ctx.Done():
		if why := l.abandon(m.ID); why != nil {
			return rpc.Answer{}, late(ctx, why)
		}
		return rpc.Answer{}, ctx.Err()
	}
}

// put queues a message and makes sure that somebody works on the queue. mu is held.
func (l *line) put(q queued) error {
	size := len(q.Value)
	if len(l.queue) >= MaxQueued || (l.bytes+size > MaxQueuedBytes && len(l.queue) > 0) {
		return actor.ErrBusy
	}
	if !l.runs {
		if !l.c.start(l.run) {
			return actor.ErrClosed
		}
		l.runs = true
	}
	l.queue = append(l.queue, q)
	l.bytes += size
	l.wake()
	return nil
}

func (l *line) wake() { nudge(l.kick) }

// abandon forgets a call whose caller has given up. One that has not been sent never will be, and why says what is in its
// way, if that is known; else the other node is told.
func (l *line) abandon(id uint64) (why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.calls[id]
	if w == nil {
		return nil
	}
	delete(l.calls, id) // what is queued without a caller is left out when it is its turn
	if w.sent && l.conn != nil && len(l.cancels) < MaxCalls {
		l.cancels = append(l.cancels, id)
		l.wake()
	}
	if w.sent {
		return nil
	}
	return l.why
}

// cut breaks the stream.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.conn.Close()
	}
}

// run works on the queue until it has been empty for a while or the stream breaks.
func (l *line) run() {
	conn, err := l.c.port.DialMessages(l.c.ctx, l.t.addr, l.t.node)
	if err != nil {
		l.end(err)
		return
	}
	l.mu.Lock()
	l.conn, l.failed, l.why = conn, time.Time{}, nil
	l.mu.Unlock()
	stop := context.AfterFunc(l.c.ctx, conn.Close)
	defer stop()
	broken := make(chan error, 1)
	var reader sync.WaitGroup
	reader.Go(func() { broken <- l.read(conn) })
	err = l.write(conn, broken)
	conn.Close()
	reader.Wait()
	l.end(err)
}

// write sends what is queued. It returns nil when the line was idle.
func (l *line) write(conn *rpc.MessageConn, broken <-chan error) error {
	idle := time.NewTimer(idleLine)
	defer idle.Stop()
	for {
		m := l.take()
		if len(m.Messages)+len(m.Cancels) > 0 {
			if _, err := conn.Send(m); err != nil {
				for _, m := range m.Messages {
					if m.ID == 0 {
						l.c.lost.Add(1) // or not: nobody knows
					}
				}
				return err
			}
			idle.Reset(idleLine)
			continue
		}
		select {
		case <-l.kick:
		case err := <-broken:
			return err
		case <-idle.C:
			if queued, calls := l.load(); queued+calls == 0 {
				return nil
			}
			idle.Reset(idleLine)
		}
	}
}

// take takes the next frame from the queue.
func (l *line) take() (m rpc.Messages) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m.Cancels, l.cancels = l.cancels, nil
	now, size, n := time.Now(), 0, 0
	for ; n < len(l.queue) && len(m.Messages) < frameMessages && (size == 0 || size+len(l.queue[n].Value) <= frameBytes); n++ {
		q := &l.queue[n]
		size += len(q.Value)
		if q.ID != 0 {
			w := l.calls[q.ID]
			if w == nil {
				continue // its caller has given up
			}
			if q.Left = int64(q.deadline.Sub(now)); q.Left <= 0 {
				continue // and this one is about to
			}
			w.sent = true
		}
		m.Messages = append(m.Messages, q.Message)
	}
	if n == len(l.queue) {
		clear(l.queue)
		l.queue, l.bytes = l.queue[:0], 0
		if cap(l.queue) > frameMessages {
			l.queue = nil
		}
	} else {
		for _, q := range l.queue[:n] {
			l.bytes -= len(q.Value)
		}
		clear(l.queue[:n])
		l.queue = l.queue[n:]
	}
	l.c.sent.Add(uint64(len(m.Messages)))
	return m
}

// read hands answers to their callers until the stream ends.
func (l *line) read(conn *rpc.MessageConn) error {
	for {
		a, err := conn.RecvAnswers()
		if err != nil {
			return err
		}
		for _, answer := range a.Answers {
			l.mu.Lock()
			w := l.calls[answer.ID]
			delete(l.calls, answer.ID)
			l.mu.Unlock()
			if w != nil {
				w.done <- result{answer: answer}
			}
		}
		for _, k := range a.Missed {
			if at, ok := l.c.dir.Known(actorKey(k)); ok && at.Node == l.t.node {
				l.c.dir.Missed(actorKey(k), at.Incarnation)
			}
		}
	}
}

// end takes the line to rest: calls that were sent have an unknown outcome, those that were not may be sent again, and casts
// are lost. err is nil when the line was idle; then what has come since begins anew.
func (l *line) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	neverUp := l.conn == nil
	l.conn, l.runs = nil, false
	if err == nil && len(l.queue) > 0 && l.c.start(l.run) {
		l.runs = true
		return
	}
	if err == nil {
		err = rpc.ErrClosed
	} else if neverUp {
		l.failed, l.why = time.Now(), err
		l.c.log.Debug("a node was not reached with messages", "peer", string(l.t.node), "error", err)
	}
	for id, w := range l.calls {
		delete(l.calls, id)
		if w.sent {
			w.done <- result{err: fmt.Errorf("%w: the stream to node %s broke before the answer came: %w", actor.ErrOutcomeUnknown, l.t.node, err)}
		} else {
			w.done <- result{err: fmt.Errorf("%w: %w", errUnsent, err)}
		}
	}
	for _, q := range l.queue {
		if q.ID == 0 {
			l.c.lost.Add(1)
		}
	}
	l.queue, l.bytes, l.cancels = nil, 0, nil
}
