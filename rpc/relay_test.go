package rpc_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// relay is a proxy in front of a node. It can be cut, and it can swallow what goes through it: a connection on which it did
// never brings anything again.
type relay struct {
	l       net.Listener
	swallow atomic.Bool
	served  sync.WaitGroup
	mu      sync.Mutex // guards conns
	conns   []net.Conn
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{l: l}
	r.served.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			r.mu.Lock()
			r.conns = append(r.conns, in, out)
			r.mu.Unlock()
			swallowed := &atomic.Bool{}
			r.served.Go(func() { r.pass(in, out, swallowed) })
			r.served.Go(func() { r.pass(out, in, swallowed) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.cut()
		r.served.Wait()
	})
	return r
}

func (r *relay) pass(dst, src net.Conn, swallowed *atomic.Bool) {
	defer dst.Close()
	b := make([]byte, 4096)
	for {
		n, err := src.Read(b)
		if err != nil {
			return
		}
		if r.swallow.Load() {
			swallowed.Store(true)
		}
		if swallowed.Load() {
			continue
		}
		if _, err := dst.Write(b[:n]); err != nil {
			return
		}
	}
}

func (r *relay) addr() string { return r.l.Addr().String() }

// cut closes all connections through it.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}
