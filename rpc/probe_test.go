package rpc_test

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/supnode/supnode/rpc"
	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/expect"
	"golang.org/x/sys/unix"
)

func TestIsLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:7101": true, "127.9.9.9:1": true, "127.0.0.1": true, "[::1]:7101": true, "::1": true, "localhost:7101": true, "LocalHost": true,
		"[::ffff:127.0.0.1]:1": true,
		"":                     false, ":7101": false, "0.0.0.0:7101": false, "[::]:7101": false, "192.0.2.1:7101": false, "localhost.example.com:1": false,
		"127.0.0.1.example.com:1": false, "n1:7101": false,
	} {
		if got := rpc.IsLoopback(addr); got != want {
			t.Errorf("IsLoopback(%q) = %v", addr, got)
		}
	}
}

func TestP2_RefusedIsProof(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	began := time.Now()
	if !rpc.Probe(t.Context(), addr) {
		t.Error("nothing listens, and the probe does not say so")
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("it took %v", d)
	}
}

// TestP2_NothingElseIsProof: a backlog that accepts, a live node, a reset and an address that does not answer.
func TestP2_NothingElseIsProof(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the backlog accepts, nobody answers: a stopped process
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	live := open(t, rpc.Config{Node: "n1", HandshakeTimeout: 50 * time.Millisecond})
	resets, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := resets.Accept()
			if err != nil {
				return
			}
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
	defer func() { resets.Close(); <-done }()
	for name, addr := range map[string]string{
		"silent": silent.Addr().String(), "live": live.Addr().String(), "resets": resets.Addr().String(),
		"bad address": "127.0.0.1", "no such name": "n1.invalid:1",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if rpc.Probe(ctx, addr) {
			t.Errorf("%s: taken as a proof of death", name)
		}
		cancel()
	}
}

// TestP2_AProbeOfANodeIsNoWarning: probes are no junk in the log of the node probed.
func TestP2_AProbeOfANodeIsNoWarning(t *testing.T) {
	var log lines
	for _, files := range []*rpc.TLSFiles{nil, issue(t, newCA(t), "n1")} {
		p := open(t, rpc.Config{Node: "n1", HandshakeTimeout: 50 * time.Millisecond, Logger: log.logger(), TLS: files})
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		rpc.Probe(ctx, p.Addr().String())
		cancel()
		p.Close()
	}
	if log.String() != "" {
		t.Errorf("logged:\n%s", &log)
	}
}

// TestP0_TheProbeHoldsUntilTheLastListenerCloses: the port is closed, a duplicate keeps it open, as a guardian does.
func TestP0_TheProbeHoldsUntilTheLastListenerCloses(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	echo(p)
	q := open(t, rpc.Config{Node: "n2"})
	fd, err := p.DupListener()
	if err != nil {
		t.Fatal(err)
	}
	guardian := os.NewFile(uintptr(fd), "guardian's listener")
	defer guardian.Close()
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %x, %v: not close-on-exec", flags, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("status flags %x, %v: the shared listener became blocking", flags, err)
	}
	mustEcho(t, q, p) // accepting goes on
	addr := p.Addr().String()
	p.Close() // and Close does not hang

	refused := make(chan bool, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() { refused <- rpc.Probe(ctx, addr) }()
	await.True(t, "a probe in the backlog", func() bool { return backlog(t, fd) > 0 })
	select {
	case <-refused:
		t.Fatal("refused while the guardian holds the port")
	default:
	}
	began := time.Now()
	guardian.Close()
	if !<-refused {
		t.Error("the last listener is closed and the probe does not say so")
	}
	if d := time.Since(began); d > 200*time.Millisecond {
		t.Errorf("it was seen after %v only", d)
	}
}

// backlog is how many connections wait to be accepted on a listener.
func backlog(t *testing.T, fd int) int {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Unacked) // of a listener: the length of its accept queue
}

func TestAListenerWithoutASocketIsNotShared(t *testing.T) {
	l := newMemory("n1:1")
	p := open(t, rpc.Config{Node: "n1", Listener: l, Insecure: true})
	_, err := p.DupListener()
	expect.Error(t, err, "no socket to share")
}

func TestP2_InMemoryPortsAreProbedThroughTheirDial(t *testing.T) {
	var up bool
	dial := func(context.Context, string, string) (net.Conn, error) {
		if !up {
			up = true
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ETIMEDOUT)}
		}
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	p := open(t, rpc.Config{Node: "n1", Dial: dial})
	if !p.Probe(t.Context(), "n2:1") {
		t.Error("no proof")
	}
}
