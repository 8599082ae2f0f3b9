package rpc_test

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// memory is a listener in memory.
type memory struct {
	name string
	in   chan net.Conn
	done chan struct{}
	once sync.Once
}

func newMemory(name string) *memory {
	return &memory{name: name, in: make(chan net.Conn), done: make(chan struct{})}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.in:
		return c, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error   { m.once.Do(func() { close(m.done) }); return nil }
func (m *memory) Addr() net.Addr { return m }

func (m *memory) Network() string { return "memory" }
func (m *memory) String() string  { return m.name }

// dialIn dials among listeners in memory.
func dialIn(hosts map[string]*memory) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, addr string) (net.Conn, error) {
		refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		l := hosts[addr]
		if l == nil {
			return nil, refused
		}
		here, there := net.Pipe()
		select {
		case l.in <- there:
			return here, nil
		case <-l.done:
			return nil, refused
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// TestPortsRunOnVirtualTime: whole nodes are tested in a synctest bubble, which stands still when a lock is held across a wait.
func TestPortsRunOnVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := map[string]*memory{"n1:1": newMemory("n1:1"), "n2:1": newMemory("n2:1")}
		port := func(name sup.NodeName) *rpc.Port {
			p, err := rpc.Open(rpc.Config{Node: name, Listener: hosts[string(name)+":1"], Dial: dialIn(hosts), Insecure: true})
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		p, q := port("n1"), port("n2")
		echo(p)
		leads(p)
		p.OnSync(func(c *rpc.SyncConn) {
			for {
				if _, err := c.RecvFromAgent(); err != nil {
					return
				}
				time.Sleep(time.Minute)
				if err := c.SendToAgent(rpc.ToAgent{Grant: &rpc.Grant{}}); err != nil {
					return
				}
			}
		})
		p.Handle("slow", func(ctx context.Context, _ sup.NodeName, _ []byte) (any, error) {
			time.Sleep(10 * time.Second)
			return "slow", nil
		})
		s, err := q.DialSync(t.Context(), "n1:1", "n1")
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					var got string
					if err := q.Call(t.Context(), "n1:1", "n1", "slow", nil, &got); err != nil || got != "slow" {
						t.Errorf("%q, %v", got, err)
					}
				})
			}
			if err := s.SendFromAgent(rpc.FromAgent{}); err != nil {
				t.Fatal(err)
			}
			if m, err := s.RecvToAgent(); err != nil || m.Grant == nil {
				t.Fatalf("%+v, %v", m, err)
			}
			wg.Wait()
			mustEchoAt(t, q, "n1:1", "n1")
			time.Sleep(time.Hour) // idle connections close; the next call dials again
		}
		s.Close()
		q.Close()
		p.Close()
	})
}

func mustEchoAt(t *testing.T, from *rpc.Port, addr string, to sup.NodeName) {
	t.Helper()
	var got string
	if err := from.Call(t.Context(), addr, to, "echo", "hi", &got); err != nil || got != string(from.Node())+":hi" {
		t.Errorf("%q, %v", got, err)
	}
}
