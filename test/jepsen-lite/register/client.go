package register

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// Client writes to a register over one connection, which it makes anew when it was lost. One write at a time.
type Client struct {
	Addr string

	conn    net.Conn
	answers *bufio.Reader
}

// Write writes in the name of an incarnation and reports whether the register accepted it. An error means that nobody
// knows.
func (c *Client) Write(ctx context.Context, key history.Key, node string, incarnation uint64) (accepted bool, err error) {
	if c.conn == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.Addr)
		if err != nil {
			return false, err
		}
		c.conn, c.answers = conn, bufio.NewReader(conn)
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if _, err := fmt.Fprintln(c.conn, key.Supervisor, key.Child, node, incarnation); err != nil {
		return false, err
	}
	answer, err := c.answers.ReadString('\n')
	if err != nil {
		return false, err
	}
	switch answer = strings.TrimSpace(answer); answer {
	case "ok":
		return true, nil
	case "refused":
		return false, nil
	}
	return false, fmt.Errorf("the register answered %q", answer)
}

// Close closes the connection; the next Write makes another.
func (c *Client) Close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
