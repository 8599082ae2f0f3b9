package rpc

import (
	"errors"
	"fmt"

	sup "github.com/supnode/supnode/supervisor"
)

var (
	// ErrClosed says that the port or the connection was closed on this side.
	ErrClosed = errors.New("rpc: closed")
	// ErrOutcomeUnknown says that a request may or may not have been carried out: it was sent, and its answer did not
	// come. Only a request with an idempotency key may be sent again.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrFrameTooLarge says that a frame exceeds MaxFrame; nothing of it was sent.
	ErrFrameTooLarge = errors.New("frame is too large")
)

// NotLeader says that the node asked is not the leader, and which one is as far as it knows. A handler may return it;
// it crosses the wire as itself.
type NotLeader struct {
	Leader sup.NodeName // empty = not known
	Addr   string       // of the leader's node port; empty = not known
}

func (e *NotLeader) Error() string {
	if e.Leader == "" {
		return "not the leader, and no leader is known"
	}
	return fmt.Sprintf("not the leader, which is %s at %s", e.Leader, e.Addr)
}

// RefusedError is a handshake that the other node refused; Why is its text.
type RefusedError struct {
	Node sup.NodeName // the node that was meant
	Addr string
	Why  string
	// Cluster is the UUID of the other node's cluster, when it refused for being of another one.
	Cluster string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("node %s at %s refused the connection: %s", e.Node, e.Addr, e.Why)
}

// RemoteError is the error of a handler on another node that is neither a *supervisor.Problem nor a *NotLeader.
type RemoteError struct {
	Node sup.NodeName
	Text string
}

func (e *RemoteError) Error() string { return fmt.Sprintf("node %s: %s", e.Node, e.Text) }

// busy is the refusal of one call too many.
func busy(node sup.NodeName, what string, bound int) *sup.Problem {
	return &sup.Problem{Code: sup.CodeBusy, Node: node, Bound: int64(bound),
		Detail: fmt.Sprintf("node %s has %d %s under way, try again in a moment", node, bound, what)}
}
