package node

import (
	"context"
	"time"

	"github.com/supnode/supnode/fsm"
)

// learnCluster keeps the cluster's UUID as soon as it is known: from then on nodes of other clusters are refused at the
// node port, and this data_dir by other clusters.
func (n *Node) learnCluster(ctx context.Context) {
	for {
		if id := n.clusterID(ctx); id != "" {
			if err := n.id.SetCluster(id); err != nil {
				n.fatal(err)
				return
			}
			n.port.SetCluster(id)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// clusterID is the cluster's UUID as the replica, or on a plain agent a server, knows it.
func (n *Node) clusterID(ctx context.Context) (id string) {
	if n.fsm != nil {
		n.fsm.View(func(s *fsm.State) { id = s.Cluster() })
		return id
	}
	for _, s := range n.cfg.Servers {
		if who, err := n.who(ctx, s); err == nil && who.Cluster != "" {
			return who.Cluster
		}
	}
	return ""
}

// whoTimeout bounds the question to one server.
const whoTimeout = time.Second

// who asks a server what it knows of this node, of the leader and of the cluster.
func (n *Node) who(ctx context.Context, s Server) (whoReply, error) {
	return n.askWho(ctx, s, whoRequest{Node: n.cfg.Name})
}

func (n *Node) askWho(ctx context.Context, s Server, q whoRequest) (whoReply, error) {
	ctx, cancel := context.WithTimeout(ctx, whoTimeout)
	defer cancel()
	var r whoReply
	err := n.port.Call(ctx, s.Addr, s.Name, methodWho, q, &r)
	return r, err
}
