package node

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// StartSupervisor implements supervisor.Cluster; this node becomes the supervisor's home. A spec without a name gets one.
func (n *Node) StartSupervisor(ctx context.Context, s sup.Spec) (sup.Name, error) {
	if s.Name == "" {
		s.Name = MadeName(idempotencyKey(ctx))
	}
	n.warn(s)
	_, err := n.Do(ctx, fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: s, Home: n.cfg.Name}}, idempotencyKey(ctx))
	return s.Name, err
}

// warn logs what of a manifest has no effect: a Go program and a config file have no answer to say it in (S39).
func (n *Node) warn(s sup.Spec) {
	for _, w := range s.Warnings() {
		n.log.Warn("a manifest says what has no effect", "supervisor", s.Name, "warning", w)
	}
}

// MadeName names a supervisor whose manifest does not; a request that is repeated under its idempotency key gets the same
// name again.
func MadeName(key string) sup.Name {
	if key == "" {
		key = rand.Text()
	}
	sum := sha256.Sum256([]byte(key))
	return sup.Name("supervisor-" + hex.EncodeToString(sum[:6]))
}

// ApplyManifest implements supervisor.Cluster: it makes a supervisor as a manifest says, and answers what that changed; it creates one that is not there or has
// stopped, with this node as its home.
func (n *Node) ApplyManifest(ctx context.Context, s sup.Spec) ([]sup.Change, error) {
	n.warn(s)
	o, err := n.Do(ctx, fsm.Command{ApplyManifest: &fsm.ApplyManifest{Spec: s, Home: n.cfg.Name}}, idempotencyKey(ctx))
	return o.Changes, err
}

// StopSupervisor implements supervisor.Cluster.
func (n *Node) StopSupervisor(ctx context.Context, s sup.Name, reason string) error {
	if reason == "" {
		reason = sup.ReasonShutdown
	}
	_, err := n.Do(ctx, fsm.Command{StopSupervisor: &fsm.StopSupervisor{Name: s, Reason: reason}}, idempotencyKey(ctx))
	return err
}

// StartChild implements supervisor.Cluster.
func (n *Node) StartChild(ctx context.Context, s sup.Name, c sup.ChildSpec) (sup.ChildID, error) {
	o, err := n.Do(ctx, fsm.Command{StartChild: &fsm.StartChild{Supervisor: s, Spec: &c}}, idempotencyKey(ctx))
	return o.Child, err
}

// StartChildArgs implements supervisor.Cluster.
func (n *Node) StartChildArgs(ctx context.Context, s sup.Name, args []json.RawMessage) (sup.ChildID, error) {
	cmd := &fsm.StartChild{Supervisor: s}
	for _, a := range args {
		cmd.Args = append(cmd.Args, a)
	}
	o, err := n.Do(ctx, fsm.Command{StartChild: cmd}, idempotencyKey(ctx))
	return o.Child, err
}

// TerminateChild implements supervisor.Cluster.
func (n *Node) TerminateChild(ctx context.Context, k sup.Key) error {
	_, err := n.Do(ctx, fsm.Command{TerminateChild: &fsm.TerminateChild{Key: k}}, idempotencyKey(ctx))
	return err
}

// RestartChild implements supervisor.Cluster.
func (n *Node) RestartChild(ctx context.Context, k sup.Key) error {
	_, err := n.Do(ctx, fsm.Command{RestartChild: &fsm.RestartChild{Key: k}}, idempotencyKey(ctx))
	return err
}

// Supervisor implements supervisor.Cluster.
func (n *Node) Supervisor(ctx context.Context, s sup.Name) (sup.Info, error) {
	a, err := n.Read(ctx, Query{Kind: QuerySupervisor, Supervisor: s})
	if err != nil {
		return sup.Info{}, err
	}
	return *a.Supervisor, nil
}

// Children implements supervisor.Cluster.
func (n *Node) Children(ctx context.Context, s sup.Name) (all []sup.ChildInfo, err error) {
	q := Query{Kind: QueryChildren, Supervisor: s}
	for {
		a, err := n.Read(ctx, q)
		if err != nil {
			return nil, err
		}
		if all = append(all, a.Children...); a.Next == "" {
			return all, nil
		}
		q.After = a.Next
	}
}

// Child implements supervisor.Cluster.
func (n *Node) Child(ctx context.Context, k sup.Key) (sup.ChildInfo, error) {
	a, err := n.Read(ctx, Query{Kind: QueryChild, Supervisor: k.Supervisor, Child: k.Child})
	if err != nil {
		return sup.ChildInfo{}, err
	}
	return *a.Child, nil
}

// CountChildren implements supervisor.Cluster.
func (n *Node) CountChildren(ctx context.Context, s sup.Name) (sup.Counts, error) {
	a, err := n.Read(ctx, Query{Kind: QueryCount, Supervisor: s})
	if err != nil {
		return sup.Counts{}, err
	}
	return *a.Count, nil
}

// Nodes are the members, by name.
func (n *Node) Nodes(ctx context.Context) ([]sup.NodeInfo, error) {
	a, err := n.Read(ctx, Query{Kind: QueryNodes})
	return a.Nodes, err
}

var _ sup.Cluster = (*Node)(nil)
