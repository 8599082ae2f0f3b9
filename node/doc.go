// Package node is one running member of a cluster: it puts Raft, the replicated state, the leader, the agent and the node
// port together.
package node
