package rpc

import (
	"context"
	"crypto/tls"
	"net"
	"sync"

	sup "github.com/supnode/supnode/supervisor"
)

// conn is a connection of this port: TLS or plain, with the socket beneath and the name of the other end.
type conn struct {
	net.Conn          // what is read and written: TLS, or the socket itself
	raw      net.Conn // the socket
	port     *Port
	peer     sup.NodeName
	accepted bool
	once     sync.Once
}

// Close breaks the connection at once; data that the kernel has is still sent. It never waits for the peer, as TLS would for its
// closing alert: frames carry their own length.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		c.port.forget(c)
		err = c.raw.Close()
	})
	return err
}

// tlsServer and tlsClient put TLS on the socket.
func (c *conn) tlsServer(ctx context.Context, cfg *tls.Config) error {
	t := tls.Server(c.raw, cfg)
	c.Conn = t
	return t.HandshakeContext(ctx)
}

func (c *conn) tlsClient(ctx context.Context, cfg *tls.Config) error {
	t := tls.Client(c.raw, cfg)
	c.Conn = t
	return t.HandshakeContext(ctx)
}
