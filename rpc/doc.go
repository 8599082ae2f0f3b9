// Package rpc is the node port: one TCP port that carries the Raft stream, the agents' sync streams, forwarded requests and
// the messages of actors, under mutual TLS where it is configured.
//
// Every connection begins with a handshake that has a deadline: magic, protocol version, who calls whom and for which
// class of traffic (raft, sync, call, message). Nodes are known by name, never by address, so a node may be reached through a proxy or
// a changed address: the dialer says which node it means and the answering node must be that one. With TLS both ends prove
// their names by a certificate of the cluster's CA; without it a port serves loopback addresses only, unless Insecure.
//
// What the package keeps: a connection that does not speak the protocol is closed and disturbs nothing else; every dial,
// handshake, write and call has a deadline; every queue, frame and number of connections a bound; Close waits for every
// goroutine. What it must not know: what the bytes of Raft and the bodies of calls mean, who the leader is (it asks), and how often
// to try again.
//
//	p, err := rpc.Open(rpc.Config{Node: "n1", Listen: "127.0.0.1:7101", Logger: log})
//	p.SetLeader(func() (sup.NodeName, string, bool) { … })
//	p.OnSync(func(c *rpc.SyncConn) { … })
//	p.OnMessages(func(c *rpc.MessageConn) { … })
//	p.Handle("query", func(ctx context.Context, from sup.NodeName, body []byte) (any, error) { … })
//	layer, err := rpc.RaftLayer[raft.ServerAddress](p, addrOf) // a raft.StreamLayer whose addresses are node names
//	defer p.Close()
package rpc
