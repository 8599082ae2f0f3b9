// Package identity is a node's data directory: who the node is, for good, and that one process at a time is it.
//
// DATA_DIR/state.db holds the node's UUID, its name, its cluster and the highest generation it has seen. It is open, and
// locked, as long as the node runs: P1 rests on that. What it keeps: two processes never are one node, whether on one directory
// (the lock) or on two copies of it (the device, inode and machine id are recorded); a node never comes back having forgotten
// its votes (raft.db gone), under another name, or in another cluster. The guardian's lock is package guardian's; the
// order at a start is: Open, the guardian's lock, then the node port.
//
//	id, err := identity.Open(ctx, identity.Options{Dir: dir, Name: "n1"})
//	s, err := store.Open(store.Options{Dir: id.RaftDir(), …})
//	err = id.RaftCreated()
//	err = id.SetCluster(uuid)  // once the cluster is known, and at every start: another one is refused
//	err = id.SetGen(g)
//	…
//	err = id.Close() // last of all
package identity
