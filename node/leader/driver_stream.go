package leader

import (
	"context"
	"sync"

	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// maxOutbox bounds the frames that wait for a slow agent; its stream is closed when there are more.
const maxOutbox = 512

// Conn is an agent's sync stream. Send has a deadline of its own; Close makes Recv and Send return, and may be called more
// than once.
type Conn interface {
	Recv() (rpc.FromAgent, error)
	Send(rpc.ToAgent) error
	Close() error
	Peer() sup.NodeName // who the other side has proven to be; empty = nobody asked
}

// outbox is what the machine's goroutine has for a stream: it puts frames in, the stream's writer takes them out.
type outbox struct {
	frames chan rpc.ToAgent
	conn   Conn
}

// put queues a frame, or ends a stream that is too slow.
func (o *outbox) put(f rpc.ToAgent) {
	select {
	case o.frames <- f:
	default:
		o.conn.Close()
	}
}

// close ends the stream after what is queued.
func (o *outbox) close() { close(o.frames) }

// send queues a frame for an agent, and publishes the lease that it grants.
func (d *Driver) send(a Send) {
	out := d.streams[a.Stream]
	if out == nil {
		return
	}
	if a.Frame.Grant != nil {
		d.publish(a.Stream)
	}
	out.put(a.Frame)
}

func (d *Driver) publish(stream uint64) {
	n, ok := d.machine.NodeOf(stream)
	if !ok {
		return
	}
	if until, ok := d.machine.Lease(n); ok {
		d.mu.Lock()
		d.leases[n] = until
		d.mu.Unlock()
	}
}

// ServeSync serves an agent's stream until it breaks or the leadership is over, and closes it.
func (d *Driver) ServeSync(c Conn) {
	defer c.Close()
	if !d.enter() {
		return
	}
	defer d.tasks.Done()
	defer context.AfterFunc(d.life, func() { c.Close() })()

	out := &outbox{frames: make(chan rpc.ToAgent, maxOutbox), conn: c}
	id := d.serial.Add(1)
	var writer sync.WaitGroup
	writer.Go(func() { d.write(out) })
	if d.put(input{ev: StreamUp{Stream: id}, out: out}) {
		d.read(id, c)
		d.put(input{ev: StreamDown{Stream: id}})
	}
	c.Close()
	writer.Wait()
}

// read brings the agent's frames to the machine until the stream breaks. A frame that speaks for another node than the
// connection has proven to be ends it.
func (d *Driver) read(id uint64, c Conn) {
	for {
		f, err := c.Recv()
		if err != nil {
			return
		}
		if peer := c.Peer(); peer != "" && (f.Hello != nil && f.Hello.Node != peer || f.Register != nil && f.Register.Node != peer) {
			d.log.Warn("an agent speaks for another node than its certificate names", "peer", string(peer))
			return
		}
		if !d.put(input{ev: Received{Stream: id, Frame: f}}) {
			return
		}
	}
}

// write sends what the machine has for the agent.
func (d *Driver) write(o *outbox) {
	for {
		select {
		case <-d.life.Done():
			return
		case f, ok := <-o.frames:
			if !ok || o.conn.Send(f) != nil {
				o.conn.Close()
				return
			}
		}
	}
}
