package courier

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

const (
	// maxMissed bounds the children of Answers.Missed that wait to be told.
	maxMissed = 1024
	// maxAnswers and MaxQueuedBytes are how much may wait to be answered before no more is read: who asks without taking the
	// answers waits.
	maxAnswers = MaxServed
	// lastWords is how long the stream that a newer one follows may take to end by itself.
	lastWords = time.Second
)

// inlet takes the messages of one stream of another node, and answers them.
type inlet struct {
	c    *Courier
	conn *rpc.MessageConn
	kick chan struct{} // wakes the writer
	room chan struct{} // wakes the reader: the writer took something
	mute chan struct{} // closed when the writer has ended
	over chan struct{} // closed when nothing more is read

	mu      sync.Mutex // guards what follows
	answers []rpc.Answer
	bytes   int // in answers
	missed  []sup.Key
	calls   map[uint64]context.CancelFunc
}

// Serve takes the messages of a stream until it ends. A message is in its mailbox before the next is read (S42).
func (c *Courier) Serve(conn *rpc.MessageConn) {
	in := &inlet{c: c, conn: conn, kick: make(chan struct{}, 1), room: make(chan struct{}, 1), mute: make(chan struct{}), over: make(chan struct{}),
		calls: map[uint64]context.CancelFunc{}}
	ctx, cancel := context.WithCancel(c.ctx)
	stop := context.AfterFunc(c.ctx, conn.Close)
	var tasks sync.WaitGroup
	tasks.Go(func() { in.write(ctx) })
	in.follow()
	for in.awaitRoom() {
		m, err := conn.Recv()
		if err != nil {
			break
		}
		c.received.Add(uint64(len(m.Messages)))
		for _, m := range m.Messages {
			if m.ID == 0 {
				in.cast(m)
			} else {
				in.call(ctx, m, &tasks)
			}
		}
		for _, id := range m.Cancels {
			in.mu.Lock()
			if end := in.calls[id]; end != nil {
				end()
			}
			in.mu.Unlock()
		}
	}
	in.leave()
	stop()
	conn.Close()
	cancel() // what is not begun will not be
	tasks.Wait()
}

// follow waits until nothing more is read from the peer's former stream, which may hold what was sent before (S42).
func (in *inlet) follow() {
	peer := in.conn.Peer()
	in.c.mu.Lock()
	old := in.c.inlets[peer]
	in.c.inlets[peer] = in
	in.c.mu.Unlock()
	if old == nil {
		return
	}
	t := time.NewTimer(lastWords)
	defer t.Stop()
	select {
	case <-old.over:
	case <-t.C: // the peer's end of it was lost
		old.conn.Close()
		<-old.over
	}
}

// leave says that nothing more is read.
func (in *inlet) leave() {
	close(in.over)
	in.c.mu.Lock()
	defer in.c.mu.Unlock()
	if peer := in.conn.Peer(); in.c.inlets[peer] == in {
		delete(in.c.inlets, peer)
	}
}

// awaitRoom waits until there is room for another frame's answers; false when none will be sent any more.
func (in *inlet) awaitRoom() bool {
	for {
		in.mu.Lock()
		full := len(in.answers) >= maxAnswers || in.bytes >= MaxQueuedBytes
		in.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-in.room:
		case <-in.mute:
			return false
		}
	}
}

func refOf(m rpc.Message) actor.Ref {
	return actor.RefTo(string(m.Key.Supervisor), string(m.Key.Child)).PinnedTo(actor.Incarnation(m.Inc))
}

func incoming(m rpc.Message) actor.Incoming {
	in := actor.Incoming{Type: m.Type, Value: m.Value}
	for _, h := range m.Chain {
		in.Chain = append(in.Chain, actor.Hop{Key: actorKey(h.Key), Incarnation: actor.Incarnation(h.Inc)})
	}
	return in
}

// cast queues a cast. Nobody waits for word of it: one that is lost is counted.
func (in *inlet) cast(m rpc.Message) {
	err := in.c.system.CastJSON(refOf(m), incoming(m))
	switch {
	case err == nil || errors.Is(err, actor.ErrUnhandled): // which the System counts
		return
	case errors.Is(err, actor.ErrGone):
		in.mu.Lock()
		if len(in.missed) < maxMissed {
			in.missed = append(in.missed, m.Key)
		}
		in.mu.Unlock()
		in.wake()
	}
	in.c.lost.Add(1)
	in.c.log.Debug("a cast from another node is lost", "peer", string(in.conn.Peer()), "supervisor", string(m.Key.Supervisor),
		"child", string(m.Key.Child), "type", m.Type, "error", err)
}

// call queues a call, and has a goroutine wait for its answer.
func (in *inlet) call(ctx context.Context, m rpc.Message, tasks *sync.WaitGroup) {
	select {
	case in.c.served <- struct{}{}:
	default:
		in.answer(rpc.Answer{ID: m.ID, Verdict: rpc.VerdictBusy})
		return
	}
	deadline := time.Now().Add(time.Duration(m.Left))
	d, err := in.c.system.Deliver(deadline, refOf(m), incoming(m))
	if err != nil {
		<-in.c.served
		in.answer(refused(m.ID, err))
		return
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	in.mu.Lock()
	in.calls[m.ID] = cancel
	in.mu.Unlock()
	tasks.Go(func() {
		value, err := d.Wait(ctx)
		in.mu.Lock()
		delete(in.calls, m.ID)
		in.mu.Unlock()
		cancel()
		<-in.c.served
		in.answer(answered(m.ID, value, err))
	})
}

func (in *inlet) answer(a rpc.Answer) {
	in.mu.Lock()
	in.answers = append(in.answers, a)
	in.bytes += len(a.Value)
	in.mu.Unlock()
	in.wake()
}

func (in *inlet) wake() { nudge(in.kick) }

// nudge wakes who waits on a channel of one place, now or when it next does.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write sends the answers, all that have come meanwhile in one frame.
func (in *inlet) write(ctx context.Context) {
	defer close(in.mute)
	for {
		a := in.take()
		if len(a.Answers)+len(a.Missed) > 0 {
			if err := in.conn.Answer(a); err != nil {
				in.conn.Close()
				return
			}
			continue
		}
		select {
		case <-in.kick:
		case <-ctx.Done():
			return
		}
	}
}

// take takes the next frame of answers. What handlers answered does not leave the node once its lease is over (A2).
func (in *inlet) take() (a rpc.Answers) {
	in.mu.Lock()
	n, size := 0, 0
	for ; n < len(in.answers) && (size == 0 || size+len(in.answers[n].Value) <= frameBytes); n++ {
		size += len(in.answers[n].Value)
	}
	a.Answers, a.Missed = in.answers[:n:n], in.missed
	in.answers, in.missed = in.answers[n:], nil
	in.bytes -= size
	in.mu.Unlock()
	nudge(in.room)
	if !in.c.system.Open() {
		for i := range a.Answers {
			if a.Answers[i].Verdict.Worked() {
				a.Answers[i] = rpc.Answer{ID: a.Answers[i].ID, Verdict: rpc.VerdictUnknown}
			}
		}
	}
	return a
}
