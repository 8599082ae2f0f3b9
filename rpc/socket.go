package rpc

import (
	"context"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// keepAlive finds a silent peer that is gone in about twenty seconds.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3}

// userTimeout ends a connection whose peer acknowledges nothing for this long. The kernel would go on for a quarter of
// an hour, and after a partition it would try again only at its own, doubled, intervals.
const userTimeout = 10 * time.Second

// lingerFor is how long a closing connection waits for the peer to have read the last words. Closing while the peer still
// sends would reset the connection and may destroy them.
const lingerFor = 250 * time.Millisecond

// tune sets a socket's options; sockets that are not TCP have none.
func tune(c net.Conn) {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	rc, err := t.SyscallConn()
	if err != nil {
		return
	}
	// Best effort: without it the connection only takes longer to be given up.
	_ = rc.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
	})
}

// linger ends a connection whose last words are out: no more is sent, what still comes is dropped, for a moment.
func linger(c net.Conn) {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		if h.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerFor)) == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(c, MaxFrame))
		}
	}
	c.Close()
}

// dialTCP is how a port dials unless Config.Dial says otherwise.
func dialTCP(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive}
	return d.DialContext(ctx, network, addr)
}

// DupListener duplicates the listening socket for the guardian, which holds it until no command is left (P0). The
// duplicate is close-on-exec, and the caller's to close. It shares the socket's non-blocking mode: whoever inherits it
// must not make it blocking, or Close here would hang.
func (p *Port) DupListener() (fd int, err error) {
	s, ok := p.listener.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("the node port listens on %s, which has no socket to share", p.listener.Addr())
	}
	rc, err := s.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("duplicate the node port's socket: %w", err)
	}
	var dupErr error
	if err := rc.Control(func(sock uintptr) {
		fd, dupErr = unix.FcntlInt(sock, unix.F_DUPFD_CLOEXEC, 3)
	}); err != nil {
		return -1, fmt.Errorf("duplicate the node port's socket: %w", err)
	}
	if dupErr != nil {
		return -1, fmt.Errorf("duplicate the node port's socket: %w", dupErr)
	}
	return fd, nil
}

// Socket is the listening socket, for the guardian, which holds a duplicate until no command is left (P0); nil when the port
// listens on something that has none. Whoever duplicates it must keep its non-blocking mode, or Close here would hang.
func (p *Port) Socket() syscall.Conn {
	s, _ := p.listener.(syscall.Conn)
	return s
}
