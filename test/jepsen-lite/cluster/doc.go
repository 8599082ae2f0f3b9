// Package cluster drives a cluster of real supnode processes on loopback: it builds the binary, writes the config files that
// a user would write, starts, kills, pauses and ends processes, waits until they are ready, asks them over HTTP, and looks
// at the end that nothing is left.
//
// Invariant: it knows the product as a user does, by files, HTTP and signals, and by what /proc shows of it. It writes down
// every thing that it does to a process, and every end of a process that nobody ordered. A cluster's processes do not
// outlive the harness: the kernel kills each with the thread that started it.
//
//	c, err := cluster.New(cluster.Config{Binary: bin, Dir: dir, Nodes: 3, Timing: t, FastFailover: "off"})
//	defer c.Close()
//	err = c.Start(ctx)
//	leader, err := c.Leader(ctx)
//	err = c.Node(leader).Kill()
package cluster
