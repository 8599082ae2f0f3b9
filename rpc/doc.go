// Package rpc is the node port: one TCP port that carries the Raft stream, the agents' sync streams and forwarded
// requests, under mutual TLS where it is configured.
package rpc
