package node

import (
	"context"
	"errors"
	"time"

	"github.com/supnode/supnode/node/agent"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// connectTimeout bounds one attempt to reach one server: a partition must not hold up the search (D).
const connectTimeout = 250 * time.Millisecond

// connector finds the leader for the agent's sync stream.
type connector struct{ n *Node }

// Connect asks the server that Raft holds for the leader, then every other; each may name the leader it knows. The
// attempts run one after another and are cheap: a server that does not lead says so in its handshake.
func (c connector) Connect(ctx context.Context) (agent.Conn, error) {
	tried := map[sup.NodeName]bool{}
	var errs []error
	try := func(name sup.NodeName) agent.Conn {
		for name != "" && !tried[name] && ctx.Err() == nil {
			tried[name] = true
			conn, err := c.dial(ctx, name)
			if err == nil {
				return conn
			}
			errs = append(errs, err)
			var other *rpc.NotLeader
			if !errors.As(err, &other) {
				return nil
			}
			name = other.Leader
		}
		return nil
	}
	if conn := try(c.n.leaderName()); conn != nil {
		return conn, nil
	}
	for _, s := range c.n.cfg.Servers {
		if conn := try(s.Name); conn != nil {
			return conn, nil
		}
	}
	c.n.known.Store(nil)
	return nil, errors.Join(append(errs, ctx.Err())...)
}

func (c connector) dial(ctx context.Context, name sup.NodeName) (agent.Conn, error) {
	addr := c.n.cfg.addrOf(name)
	if name == c.n.cfg.Name {
		addr = c.n.port.Addr().String() // to itself no link is between
	}
	if addr == "" {
		return nil, errors.New("server " + string(name) + " is not in cluster.servers")
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := c.n.port.DialSync(ctx, addr, name)
	if err != nil {
		return nil, err
	}
	c.n.known.Store(&leaderAddr{name: name, addr: addr})
	return agentConn{conn}, nil
}

// agentConn is the agent's end of a sync stream.
type agentConn struct{ *rpc.SyncConn }

func (c agentConn) Send(f rpc.FromAgent) error { return c.SendFromAgent(f) }
func (c agentConn) Recv() (rpc.ToAgent, error) { return c.RecvToAgent() }
func (c agentConn) Leader() sup.NodeName       { return c.Peer() }

// leaderConn is the leader's end of a sync stream.
type leaderConn struct{ *rpc.SyncConn }

func (c leaderConn) Send(f rpc.ToAgent) error     { return c.SendToAgent(f) }
func (c leaderConn) Recv() (rpc.FromAgent, error) { return c.RecvFromAgent() }
