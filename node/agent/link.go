package agent

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// Connector finds the leader.
type Connector interface {
	// Connect returns an open sync stream to whoever is the leader now. ctx bounds the search, not the stream.
	Connect(ctx context.Context) (Conn, error)
}

// Conn is one sync stream. One goroutine sends while another receives; Close may come from anywhere, more than once, and
// makes both return.
type Conn interface {
	Send(rpc.FromAgent) error
	Recv() (rpc.ToAgent, error)
	Close() error
	Leader() sup.NodeName
}

// The bounds of streams.
const (
	outboxFrames = 256                   // frames that wait to be written; more, and the stream is given up
	inboxFrames  = 64                    // frames read and not yet taken; a reader waits
	minRetry     = 10 * time.Millisecond // between two attempts to find the leader
	maxRetry     = 50 * time.Millisecond
)

// turn is one thing that happened to a stream.
type turn struct {
	link *link
	ev   Event
}

// link is a stream with its reader and its writer.
type link struct {
	id   uint64
	conn Conn
	out  chan rpc.FromAgent
	done chan struct{}
	once sync.Once
}

// close gives the stream up. Its reader notices and says so.
func (l *link) close() {
	l.once.Do(func() {
		close(l.done)
		l.conn.Close()
	})
}

// send queues a frame; a stream that does not take them in time is given up.
func (l *link) send(f rpc.FromAgent) {
	select {
	case l.out <- f:
	default:
		l.close()
	}
}

func (l *link) write() {
	for {
		select {
		case <-l.done:
			return
		case f := <-l.out:
			if l.conn.Send(f) != nil {
				l.close()
				return
			}
		}
	}
}

// links keeps one stream to the leader open, one after another, until ctx ends.
func (d *Driver) links(ctx context.Context) {
	for id := uint64(1); ctx.Err() == nil; id++ {
		search, cancel := context.WithTimeout(ctx, d.search)
		conn, err := d.o.Connector.Connect(search)
		cancel()
		if err != nil {
			d.log.Debug("no leader found", "error", err)
		} else {
			d.serve(ctx, &link{id: id, conn: conn, out: make(chan rpc.FromAgent, outboxFrames), done: make(chan struct{})})
		}
		wait := time.NewTimer(minRetry + rand.N(maxRetry-minRetry))
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

// serve brings what comes on a stream to the machine, until the stream ends.
func (d *Driver) serve(ctx context.Context, l *link) {
	defer context.AfterFunc(ctx, l.close)()
	defer l.close()
	if !d.tell(ctx, turn{l, StreamUp{Stream: l.id}}) {
		return
	}
	var writer sync.WaitGroup
	writer.Go(l.write)
	for {
		f, err := l.conn.Recv()
		if err != nil {
			d.log.Debug("stream to the leader ended", "leader", l.conn.Leader(), "error", err)
			break
		}
		if !d.tell(ctx, turn{l, Received{Stream: l.id, Frame: f}}) {
			break
		}
	}
	l.close()
	writer.Wait()
	d.tell(ctx, turn{l, StreamDown{Stream: l.id}})
}

func (d *Driver) tell(ctx context.Context, t turn) bool {
	select {
	case d.turns <- t:
		return true
	case <-ctx.Done():
		return false
	}
}
