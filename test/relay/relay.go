// Package relay has a proxy that tests put before a node: it can be cut, it can swallow, and it keeps what it was told.
package relay

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Relay is a proxy in front of an address.
type Relay struct {
	Addr    string
	Swallow atomic.Bool  // what goes through is lost; a connection on which that happened never brings anything again
	Heard   atomic.Int64 // pieces of what those who dialled said, on all connections

	l      net.Listener
	served sync.WaitGroup
	mu     sync.Mutex // guards both below
	conns  []net.Conn
	tapes  []*bytes.Buffer
}

// New is a relay to an address, until the test ends.
func New(t testing.TB, to string) *Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Addr: l.Addr().String(), l: l}
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
			r.connect(in, out)
		}
	})
	t.Cleanup(r.close)
	return r
}

func (r *Relay) connect(in, out net.Conn) {
	tape := &bytes.Buffer{}
	r.mu.Lock()
	r.conns, r.tapes = append(r.conns, in, out), append(r.tapes, tape)
	r.mu.Unlock()
	swallowed := &atomic.Bool{}
	r.served.Go(func() {
		r.pass(out, in, swallowed, func(b []byte) {
			r.mu.Lock()
			tape.Write(b)
			r.mu.Unlock()
			r.Heard.Add(1)
		})
	})
	r.served.Go(func() { r.pass(in, out, swallowed, func([]byte) {}) })
}

func (r *Relay) pass(dst, src net.Conn, swallowed *atomic.Bool, heard func([]byte)) {
	defer dst.Close()
	b := make([]byte, 4096)
	for {
		n, err := src.Read(b)
		if err != nil {
			return
		}
		heard(b[:n])
		if r.Swallow.Load() {
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

// Said is what those who dialled have said, one piece for each connection.
func (r *Relay) Said() (said [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, tape := range r.tapes {
		said = append(said, bytes.Clone(tape.Bytes()))
	}
	return said
}

// Cut closes all connections through it.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

func (r *Relay) close() {
	r.l.Close()
	r.Cut()
	r.served.Wait()
}
