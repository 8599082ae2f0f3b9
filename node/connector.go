package node

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/supnode/supnode/node/agent"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

const (
	// connectTimeout bounds the attempt to reach one server.
	connectTimeout = 250 * time.Millisecond
	// headStart is what the server that is held for the leader has before the others are asked too: a host that answers
	// nothing must not hold up the search, whose length L5 counts on (D).
	headStart = 25 * time.Millisecond
)

// connector finds the leader for the agent's sync stream.
type connector struct{ n *Node }

// Connect asks the server that is held for the leader, and a moment later every other one at the same time. The first
// that leads has the stream; one that does not says so in its handshake.
func (c connector) Connect(ctx context.Context) (agent.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	var dials sync.WaitGroup
	defer dials.Wait()
	defer cancel()
	type result struct {
		conn *rpc.SyncConn
		err  error
	}
	results := make(chan result)
	hint, others := c.n.leaderName(), []sup.NodeName{}
	dial := func(name sup.NodeName) {
		dials.Go(func() {
			conn, err := c.dial(ctx, name)
			if name == hint && errors.Is(err, syscall.ECONNREFUSED) {
				c.n.suspect(name)
			}
			select {
			case results <- result{conn, err}:
			case <-ctx.Done():
				if conn != nil {
					conn.Close() // another one was faster
				}
			}
		})
	}
	for _, s := range c.n.cfg.Servers {
		if s.Name != hint {
			others = append(others, s.Name)
		}
	}
	wait, open := time.Duration(0), 0
	if len(others) < len(c.n.cfg.Servers) {
		dial(hint)
		wait, open = headStart, 1
	}
	next := time.NewTimer(wait)
	defer next.Stop()
	var errs []error
	for {
		select {
		case <-next.C:
			for _, name := range others {
				dial(name)
			}
			open += len(others)
			others = nil
		case r := <-results:
			if r.err == nil {
				c.n.known.Store(&leaderAddr{name: r.conn.Peer(), addr: c.n.cfg.addrOf(r.conn.Peer())})
				return agentConn{r.conn, c.n}, nil
			}
			errs = append(errs, r.err)
			open--
			next.Reset(0)
		case <-ctx.Done():
			c.n.known.Store(nil)
			return nil, errors.Join(append(errs, ctx.Err())...)
		}
		if open == 0 && len(others) == 0 {
			c.n.known.Store(nil)
			return nil, errors.Join(errs...)
		}
	}
}

func (c connector) dial(ctx context.Context, name sup.NodeName) (*rpc.SyncConn, error) {
	return c.n.port.DialSync(ctx, c.n.serverAddr(name), name)
}

// serverAddr is where a server is dialled; no link is between a node and itself.
func (n *Node) serverAddr(name sup.NodeName) string {
	if name == n.cfg.Name {
		return n.port.Addr().String()
	}
	return n.cfg.addrOf(name)
}

// agentConn is the agent's end of a sync stream.
type agentConn struct {
	*rpc.SyncConn
	n *Node
}

func (c agentConn) Send(f rpc.FromAgent) error { return c.SendFromAgent(f) }
func (c agentConn) Leader() sup.NodeName       { return c.Peer() }

func (c agentConn) Recv() (rpc.ToAgent, error) {
	f, err := c.RecvToAgent()
	if err != nil {
		c.n.suspect(c.Peer())
	}
	return f, err
}

// leaderConn is the leader's end of a sync stream.
type leaderConn struct{ *rpc.SyncConn }

func (c leaderConn) Send(f rpc.ToAgent) error     { return c.SendToAgent(f) }
func (c leaderConn) Recv() (rpc.FromAgent, error) { return c.RecvFromAgent() }
