package admin

import (
	"context"
	"encoding/json"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

// Node is what this package asks of a node; *node.Node is one. Errors are *supervisor.Problem, or the context's.
type Node interface {
	Name() sup.NodeName
	// Do returns when the outcome of cmd is known, DoCommitted when it is committed. key is the client's idempotency key.
	Do(ctx context.Context, cmd fsm.Command, key string) (fsm.Outcome, error)
	DoCommitted(ctx context.Context, cmd fsm.Command, key string) (fsm.Outcome, error)
	Read(ctx context.Context, q node.Query) (node.Answer, error)
	// CallChild and CastChild send messages to actors, wherever they run; key as for Do, but with none nothing is recorded.
	CallChild(ctx context.Context, k sup.Key, in actor.Incoming, timeout time.Duration, key string) (json.RawMessage, error)
	CastChild(ctx context.Context, k sup.Key, in actor.Incoming, key string) error
	Logs(ctx context.Context, q node.LogQuery) (node.LogReader, error)
	// TransferLeadership hands the leadership over, to any server when none is named, and returns who leads then.
	TransferLeadership(ctx context.Context, to sup.NodeName) (sup.NodeName, error)
	Status() node.Status
	Ready() node.Ready
	// Metrics are the node's own; this package adds those of its requests.
	Metrics() prometheus.Gatherer
}
