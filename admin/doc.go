// Package admin is the HTTP face of a node: JSON in and out, problems as RFC 9457 documents, described by an OpenAPI
// document that it serves itself. It keeps nothing: what it is asked becomes a command or a query of the node, and every
// refusal is a *supervisor.Problem that one table (problem.go) turns into a status and its fields.
//
// It must not know Raft, the state or the other nodes; the node forwards what needs the leader.
//
//	server, err := admin.Listen("127.0.0.1:8101", "", "", logger)
//	server.Handle(admin.Starting())
//	go server.Serve()
//	n, err := node.Start(ctx, config)
//	handler, err := admin.New(n, admin.Options{Logger: logger})
//	server.Handle(handler)
package admin
