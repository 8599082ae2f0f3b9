// Package node is one running member of a cluster: it puts Raft, the replicated state, the leader, the agent and the node
// port together.
//
//	behaviors := actor.NewRegistry()
//	behaviors.Register(poolWorker)                       // before the node starts: it announces them then
//	n, err := node.Start(ctx, node.Config{
//		Name: "n1", DataDir: "/var/lib/myprog", Servers: servers, // the same list on every node
//		RPC: node.RPCConfig{Listen: "10.0.0.1:7101", TLS: &tls}, Behaviors: behaviors,
//	})
//	pool, err := supervisor.Start(ctx, n, supervisor.Options{Name: "pool", Children: children})
//	stop := n.OnLifecycleEvent(func(e supervisor.Event) { … })
//	err = n.Leave(ctx)                                   // hands its children over; Close stops them
//
// A program that lets its nodes run commands (Config.Exec) calls supnode.Guard first in main; one that wants the HTTP API
// serves the handler of package admin.
//
// Whatever a node asks of the cluster it asks of the leader, wherever that is, and again when another one leads, under a key
// that makes the repetition harmless (S36). What programs ask for is checked before it reaches the log, where every replica
// would have to live with it.
package node
