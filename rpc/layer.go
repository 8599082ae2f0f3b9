package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// maxWaitingStreams bounds the Raft connections that wait to be accepted.
const maxWaitingStreams = 64

// Layer is the port's Raft traffic: Layer[raft.ServerAddress] is a raft.StreamLayer. Its addresses are node names, so
// that Raft's configuration has none that could change: give raft.Server the node's name as both ID and Address.
type Layer[A ~string] struct {
	port   *Port
	addrOf func(sup.NodeName) (string, bool)
	in     chan *conn
	done   chan struct{}
	once   sync.Once

	mu       sync.Mutex // guards conns
	conns    map[*raftConn]struct{}
	handlers sync.WaitGroup // of accepted connections, each until it closes its own
}

// RaftLayer opens the port for Raft. addrOf says where a node's port is, and by that which nodes may speak Raft. A port has
// one layer at a time.
func RaftLayer[A ~string](p *Port, addrOf func(sup.NodeName) (addr string, ok bool)) (*Layer[A], error) {
	l := &Layer[A]{port: p, addrOf: addrOf, in: make(chan *conn, maxWaitingStreams), done: make(chan struct{}), conns: map[*raftConn]struct{}{}}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if p.raft != nil {
		return nil, errors.New("the node port serves Raft already")
	}
	p.raft = l
	return l, nil
}

// Accept waits for the next connection of a peer.
func (l *Layer[A]) Accept() (net.Conn, error) {
	for {
		select {
		case <-l.done:
			return nil, net.ErrClosed
		case <-l.port.ctx.Done():
			return nil, net.ErrClosed
		case c := <-l.in:
			if rc := l.keep(c, true); rc != nil {
				return rc, nil
			}
		}
	}
}

// Dial connects to the node with this name.
func (l *Layer[A]) Dial(node A, timeout time.Duration) (net.Conn, error) {
	to := sup.NodeName(node)
	addr, ok := l.addrOf(to)
	if !ok {
		return nil, fmt.Errorf("no address is known for node %s: is it in cluster.servers?", to)
	}
	ctx, cancel := context.WithTimeout(l.port.ctx, timeout)
	defer cancel()
	c, err := l.port.dial(ctx, addr, to, classRaft)
	if err != nil {
		return nil, err
	}
	rc := l.keep(c, false)
	if rc == nil {
		return nil, ErrClosed
	}
	return rc, nil
}

// Addr is this node's name.
func (l *Layer[A]) Addr() net.Addr { return nodeAddr(l.port.cfg.Node) }

// Close ends all Raft connections, both ways; the port's other traffic goes on.
func (l *Layer[A]) Close() error {
	l.once.Do(func() {
		l.port.mu.Lock()
		if l.port.raft == raftSink(l) {
			l.port.raft = nil
		}
		l.port.mu.Unlock()
		l.mu.Lock()
		close(l.done)
		var open []*raftConn
		for c := range l.conns {
			open = append(open, c)
		}
		l.mu.Unlock()
		for _, c := range open {
			c.conn.Close()
		}
		for {
			select {
			case c := <-l.in:
				c.Close()
			default:
				return
			}
		}
	})
	return nil
}

// Wait waits, after Close, until nothing handles a message of an accepted connection any more. Raft's transport does not wait
// for its handlers, and they write to Raft's store. It returns ctx's error when that is over first.
func (l *Layer[A]) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { // ends with the last handler
		l.handlers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deliver hands an accepted connection to Accept; false when there is no room or nobody accepts any more.
func (l *Layer[A]) deliver(c *conn) bool {
	if _, known := l.addrOf(c.peer); !known { // whoever speaks Raft can change the cluster: servers alone may
		l.port.rejections.log(l.port.log, "refused a Raft connection of a node that is not among the servers", "node", string(c.peer))
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.done:
		return false
	default:
	}
	select {
	case l.in <- c:
		return true
	default:
		return false
	}
}

// keep registers a connection with Close; nil when the layer is closed.
func (l *Layer[A]) keep(c *conn, accepted bool) *raftConn {
	rc := &raftConn{conn: c, accepted: accepted}
	rc.forget = sync.OnceFunc(func() {
		l.mu.Lock()
		delete(l.conns, rc)
		l.mu.Unlock()
		if accepted {
			l.handlers.Done()
		}
	})
	l.mu.Lock()
	select {
	case <-l.done:
		l.mu.Unlock()
		c.Close()
		return nil
	default:
	}
	l.conns[rc] = struct{}{}
	if accepted {
		l.handlers.Add(1)
	}
	l.mu.Unlock()
	return rc
}

// raftConn is a connection in Raft's hands.
type raftConn struct {
	*conn
	forget   func()
	accepted bool
}

func (c *raftConn) Close() error {
	c.forget()
	return c.conn.Close()
}

// Read makes the end of an accepted connection an io.EOF however it came: Raft's transport logs anything else as an error, and
// a peer that was killed is none.
func (c *raftConn) Read(b []byte) (int, error) {
	n, err := c.conn.Read(b)
	if err != nil && c.accepted && (errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ETIMEDOUT)) {
		err = io.EOF
	}
	return n, err
}

// nodeAddr is a node's name as a net.Addr.
type nodeAddr sup.NodeName

func (nodeAddr) Network() string  { return "supnode" }
func (a nodeAddr) String() string { return string(a) }
