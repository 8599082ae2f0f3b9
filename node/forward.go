package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// The methods of the node port.
const (
	methodDo   = "do"   // doRequest → Outcome, at the leader
	methodRead = "read" // Query → Answer: linearizable at the leader, stale at any server
	methodWho  = "who"  // whoRequest → whoReply: what a server knows of a node and of the leader
)

type doRequest struct {
	Command   fsm.Command `cbor:"1,keyasint"`
	Committed bool        `cbor:"2,keyasint,omitempty"`
}

type whoRequest struct {
	Node sup.NodeName `cbor:"1,keyasint"`
	// Empty says that the node's data_dir is empty: the leader makes sure that its answer is of now.
	Empty bool `cbor:"2,keyasint,omitempty"`
	// Servers are the names in cluster.servers of a node with an empty data_dir, sorted.
	Servers []sup.NodeName `cbor:"3,keyasint,omitempty"`
}

type whoReply struct {
	Cluster string       `cbor:"1,keyasint,omitempty"`
	Known   bool         `cbor:"2,keyasint,omitempty"`
	ID      string       `cbor:"3,keyasint,omitempty"` // UUID of the node's state.db, when known
	Leader  sup.NodeName `cbor:"4,keyasint,omitempty"`
	// Sure: Known is what the cluster knows now. New: this server itself has followed no leader yet. Neither: its replica
	// may lag, what it does not know says nothing.
	Sure bool `cbor:"5,keyasint,omitempty"`
	New  bool `cbor:"6,keyasint,omitempty"`
}

// serve registers what other nodes may ask of this one.
func (n *Node) serve() {
	n.serveTransfer()
	n.serveDelivered()
	n.port.Handle(methodDo, func(ctx context.Context, _ sup.NodeName, body []byte) (any, error) {
		var ask doRequest
		if err := rpc.Decode(body, &ask); err != nil {
			return nil, err
		}
		if ask.Command.Request == nil {
			return nil, errors.New("a forwarded request names its key")
		}
		if !forClients(ask.Command) && !isClaim(ask.Command) {
			return nil, errNoRequest
		}
		if _, err := prepared(ask.Command); err != nil {
			return nil, err
		}
		o, err := n.doHere(ctx, ask)
		return o, err
	})
	n.port.Handle(methodRead, func(ctx context.Context, _ sup.NodeName, body []byte) (any, error) {
		var q Query
		if err := rpc.Decode(body, &q); err != nil {
			return nil, err
		}
		if q.Stale {
			a, err := n.readReplica(ctx, q)
			return a, err
		}
		a, err := n.readHere(ctx, q)
		return a, err
	})
}

// errNoRequest refuses what every replica would stop at for ever, once it is in the log.
var errNoRequest = errors.New("a request is exactly one command, of those that clients may give")

// forClients reports whether a command is exactly one of those that clients may give.
func forClients(c fsm.Command) bool {
	given := 0
	for _, set := range []bool{c.StartSupervisor != nil, c.StopSupervisor != nil, c.StartChild != nil, c.TerminateChild != nil, c.RestartChild != nil,
		c.ApplyManifest != nil, c.Drain != nil, c.ForgetNode != nil, c.Rebalance != nil} {
		if set {
			given++
		}
	}
	c.Request, c.StartSupervisor, c.StopSupervisor, c.StartChild, c.TerminateChild, c.RestartChild = nil, nil, nil, nil, nil, nil
	c.ApplyManifest = nil
	c.Drain, c.ForgetNode, c.Rebalance = nil, nil, nil
	return given == 1 && c == fsm.Command{}
}

// serveWho answers other servers' questions before this one runs Raft: servers that start together ask each other.
func (n *Node) serveWho() {
	n.port.Handle(methodWho, func(ctx context.Context, _ sup.NodeName, body []byte) (any, error) {
		var q whoRequest
		if err := rpc.Decode(body, &q); err != nil {
			return nil, err
		}
		r := whoReply{New: n.isNew()}
		select {
		case <-n.joined:
			r.Leader = n.leaderName()
		default:
		}
		if q.Empty {
			if own := n.cfg.serverNames(); !slices.Equal(own, q.Servers) {
				return nil, &sup.Problem{Code: sup.CodeInvalidSpec, Node: n.cfg.Name, Detail: fmt.Sprintf(
					"cluster.servers has %v in the file of node %s and %v in that of node %s: it must be the same on every node", q.Servers, q.Node, own, n.cfg.Name)}
			}
			r.Sure = n.catchUp(ctx)
		}
		n.fsm.View(func(s *fsm.State) {
			r.Cluster = s.Cluster()
			if m := s.Node(q.Node); m != nil {
				r.Known, r.ID = true, m.ID
			}
		})
		return r, nil
	})
}

func asProblem(err error, p **sup.Problem) bool { return errors.As(err, p) }
