package rpc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/expect"
)

// knock sends bytes to a port and returns what comes back until the port closes the connection.
func knock(t *testing.T, p *rpc.Port, b []byte) []byte {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Fatalf("the port holds a connection that began with %q", b[:min(len(b), 16)])
	}
	return answer
}

// hello is a handshake's opening, as a dialer of some version sends it.
func hello(version byte, greeting map[int]any) []byte {
	body, err := cbor.Marshal(greeting)
	if err != nil {
		panic(err)
	}
	b := append([]byte("SUPN"), version)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

func TestJunkIsClosedWithOneWarningAndDisturbsNothing(t *testing.T) {
	var log lines
	p := open(t, rpc.Config{Node: "n1", Logger: log.logger(), HandshakeTimeout: 300 * time.Millisecond})
	echo(p)
	p.SetLeader(func() (sup.NodeName, string, bool) { return "n1", "", true })
	frames := make(chan rpc.FromAgent, 1)
	p.OnSync(func(c *rpc.SyncConn) {
		for {
			m, err := c.RecvFromAgent()
			if err != nil {
				return
			}
			frames <- m
		}
	})
	q := open(t, rpc.Config{Node: "n2"})
	s, err := q.DialSync(t.Context(), p.Advertise(), "n1")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()

	valid := map[int]any{1: 3, 4: "n2", 5: "n1"}
	long := hello(1, valid)
	binary.BigEndian.PutUint32(long[5:], 1<<31)
	junk := [][]byte{
		[]byte("GET / HTTP/1.1\r\nHost: n1\r\n\r\n"),
		[]byte("SUPN"),
		{0},
		bytes.Repeat([]byte{0xff}, 100_000),
		long,
		hello(1, map[int]any{1: 9, 4: "n2", 5: "n1"}),
		hello(1, map[int]any{1: 3, 4: "N 2", 5: "n1"}),
		hello(1, map[int]any{4: strings.Repeat("x", 5000)}),
		append(hello(1, valid), 0x7f, 0xff, 0xff, 0xff),             // a call frame that is too long
		append(hello(1, valid), 0, 0, 0, 3, 0xff, 0xff, 0xff),       // one that is no CBOR
		append(hello(1, valid), 0, 0, 0, 4, 0xa1, 0x18, 0x63, 0x01), // one with an unknown field
		append(hello(1, valid), 0, 0, 0, 5, 0xa2, 1, 1, 1, 1),       // one with a field twice
		append(hello(1, valid), 0, 0, 0, 3, 0xa1, 1, 1),             // one that asks nothing
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		b := make([]byte, 1+rng.IntN(300))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		junk = append(junk, b)
	}
	began := time.Now()
	for _, b := range junk {
		knock(t, p, b)
	}
	most := 2 + int(time.Since(began)/time.Second)
	if n := strings.Count(log.String(), "[WARN]"); n < 1 || n > most {
		t.Errorf("%d warnings for %d pieces of junk, want one a second:\n%s", n, len(junk), &log)
	}
	if err := s.SendFromAgent(rpc.FromAgent{Hello: &rpc.Hello{Node: "n2"}}); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-frames:
		if m.Hello == nil || m.Hello.Node != "n2" {
			t.Errorf("the stream beside the junk brought %+v", m)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the stream beside the junk stands still")
	}
	mustEcho(t, q, p)
}

func TestSlowHandshakesEndAtTheirDeadline(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1", HandshakeTimeout: 300 * time.Millisecond})
	echo(p)
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stop := make(chan struct{})
	dripped := make(chan struct{})
	go func() { // a byte now and then, never a whole greeting
		defer close(dripped)
		for _, b := range hello(1, map[int]any{1: 3, 4: "n2", 5: "n1"}) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	began := time.Now()
	_ = c.SetReadDeadline(began.Add(5 * time.Second))
	_, err = io.ReadAll(c)
	took := time.Since(began)
	close(stop)
	<-dripped
	if ne, ok := err.(net.Error); ok && ne.Timeout() || took > 2*time.Second {
		t.Errorf("a slow handshake was held for %v (%v)", took, err)
	}
	q := open(t, rpc.Config{Node: "n2"})
	mustEcho(t, q, p)
}

// TestAPortThatNobodyServesFailsInTime is the backlog that accepts while a guardian cleans up.
func TestAPortThatNobodyServesFailsInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	q := open(t, rpc.Config{Node: "n2", HandshakeTimeout: 200 * time.Millisecond})
	began := time.Now()
	err = q.Call(t.Context(), l.Addr().String(), "n1", "echo", "x", nil)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	expect.Error(t, err, "n1", l.Addr().String(), "did not finish the handshake in time")
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, rpc.ErrOutcomeUnknown) {
		t.Errorf("%v: want a deadline and a known outcome", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := q.DialSync(ctx, l.Addr().String(), "n1"); !errors.Is(err, context.Canceled) {
		t.Errorf("a dial whose ctx ends: %v", err)
	}
}

func TestAnotherProtocolVersionIsToldSo(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1", Version: "1.2.3"})
	answer := knock(t, p, hello(7, map[int]any{1: 3, 99: "of the future"}))
	if !bytes.HasPrefix(answer, []byte("SUPN\x01")) || !bytes.Contains(answer, []byte("n1 (supnode 1.2.3) speaks protocol version 1, not 7")) {
		t.Errorf("answer: %q", answer)
	}
}

func TestALaterGreetingMaySayMore(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(hello(1, map[int]any{1: 3, 4: "n2", 5: "n1", 99: "of the future"})); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	head := make([]byte, 9)
	if _, err := io.ReadFull(c, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head[5:]))
	if _, err := io.ReadFull(c, body); err != nil {
		t.Fatal(err)
	}
	var reply map[int]any
	if err := cbor.Unmarshal(body, &reply); err != nil || reply[1] != true {
		t.Errorf("reply %v, %v", reply, err)
	}
}

func TestSomethingElseAtTheAddress(t *testing.T) {
	for _, c := range []struct{ says, want string }{
		{"HTTP/1.1 400 Bad Request\r\n\r\n", "not a supnode node port"},
		{"\x15\x03\x01\x00\x02\x02\x28", "speaks TLS and this node plain text"},
		{"", "handshake with node n1"},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			in, err := l.Accept()
			if err != nil {
				return
			}
			defer in.Close()
			_, _ = in.Read(make([]byte, 512))
			_, _ = in.Write([]byte(c.says))
		}()
		q := open(t, rpc.Config{Node: "n2"})
		_, err = q.DialSync(t.Context(), l.Addr().String(), "n1")
		expect.Error(t, err, "n1", c.want)
		l.Close()
		<-done
	}
}

func TestAClassThatNobodyServesYetIsRefused(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	q := open(t, rpc.Config{Node: "n2"})
	var nl *rpc.NotLeader
	if _, err := q.DialSync(t.Context(), p.Advertise(), "n1"); !errors.As(err, &nl) || nl.Leader != "" {
		t.Errorf("sync to a node that serves none yet: %v", err)
	}
	l, err := rpc.RaftLayer[string](q, func(sup.NodeName) (string, bool) { return p.Advertise(), true })
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Dial("n1", time.Second)
	expect.Error(t, err, "node n1 does not serve raft")
}
