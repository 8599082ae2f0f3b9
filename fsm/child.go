package fsm

import (
	"encoding/json"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// Child is a child's record. Records are immutable: a change makes a new one.
type Child struct {
	Key   sup.Key        `cbor:"1,keyasint"`
	Spec  *sup.ChildSpec `cbor:"2,keyasint"` // with defaults filled in
	Order uint64         `cbor:"3,keyasint"` // place in the start order (S6); rises within a supervisor
	Phase Phase          `cbor:"4,keyasint"`
	// Wants says that an Unplaced slot is to be placed as soon as the leader finds a node. Never set in another phase.
	Wants bool `cbor:"5,keyasint,omitempty"`
	// NotBefore is the cluster time before which a wanting slot is not to be placed (S20); 0 = at once.
	NotBefore int64 `cbor:"6,keyasint,omitempty"`
	// Avoid lists nodes that this decision excludes when another one is eligible (S18, S25).
	Avoid []sup.NodeName `cbor:"7,keyasint,omitempty"`

	// Of a slot that is not Unplaced:
	Node    sup.NodeName    `cbor:"8,keyasint,omitempty"`
	Session sup.Session     `cbor:"9,keyasint"`
	Inc     sup.Incarnation `cbor:"10,keyasint"`

	RestartCount uint64 `cbor:"11,keyasint,omitempty"` // S22

	// Why says what follows the stop of a Stopping slot. While the state is Held an Unplaced slot can have it too: its stop
	// is not acknowledged before Released.
	Why Why `cbor:"12,keyasint,omitempty"`
	// LastNode is where an init of it returned last; empty until the first one did.
	LastNode sup.NodeName `cbor:"13,keyasint,omitempty"`
	// Lost counts the placements that its first start lost to nodes (S12).
	Lost uint8 `cbor:"14,keyasint,omitempty"`
	// PendingReason says why no node could be found for a wanting slot (S19).
	PendingReason string `cbor:"15,keyasint,omitempty"`
	StartedAt     int64  `cbor:"16,keyasint,omitempty"` // wall time of the last init's return, Unix ns
	LastExit      *Exit  `cbor:"17,keyasint,omitempty"`
	// Waiters are the requests that wait for this child to run or to be gone.
	Waiters []Waiter `cbor:"18,keyasint,omitempty"`
	// Seat is its place in the order of wishes, or on its node: the number of the wish or placement, which rises for ever.
	Seat uint64 `cbor:"19,keyasint,omitempty"`
	// Toward is the node that a Rebalance chose for it: it is to move there, and is placed there when it can be.
	Toward sup.NodeName `cbor:"40,keyasint,omitempty"`

	// Crashes and Since are kept for a child with a backoff (S20): how often it crashed since its waits began anew, and the cluster
	// time at which its running incarnation's init returned.
	Crashes uint64 `cbor:"21,keyasint,omitempty"`
	Since   int64  `cbor:"22,keyasint,omitempty"`

	// Due says that a free slot is to want a node when its turn comes: its supervisor starts children in order (S10).
	Due bool `cbor:"20,keyasint,omitempty"`

	// Hanging says that the incarnation was to be gone and that its code has not returned (S14).
	Hanging bool `cbor:"50,keyasint,omitempty"`
	// Part is what a change of its supervisor's manifest does to it, while it does; 0 = nothing.
	Part Part `cbor:"23,keyasint,omitempty"`

	// Ran says of a supervisor that its start was complete once.
	Ran bool `cbor:"24,keyasint,omitempty"`

	rev   uint64 // the turn that made this copy; it may change the copy until it ends
	noted uint64 // the turn that noted a change of it
}

// Exit is how the last incarnation of a child ended.
type Exit struct {
	Reason sup.ExitReason `cbor:"1,keyasint"`
	Detail string         `cbor:"2,keyasint,omitempty"`
	At     int64          `cbor:"3,keyasint"` // wall time, Unix ns
}

// Waiter is a request that waits for a child.
type Waiter struct {
	Key  string `cbor:"1,keyasint"`
	Gone bool   `cbor:"2,keyasint,omitempty"` // for it to be gone; else for it to run
}

// Started reports whether an init of the child has ever returned.
func (c *Child) Started() bool { return c.LastNode != "" || c.Ran }

// IsSupervisor reports whether the child is a supervisor of its own, Key.Supervisor/Key.Child. It holds a slot on no node: it
// is Placed while its children start, Running when they do, and Stopping until its tree is gone.
func (c *Child) IsSupervisor() bool { return c.Spec.Supervisor != nil }

// ShutdownTimeout is how long the child may take to stop (S14).
func (c *Child) ShutdownTimeout() sup.Duration {
	if c.IsSupervisor() {
		return sup.Infinity
	}
	if c.Spec.ShutdownTimeout == nil {
		return sup.DefaultShutdownTimeout
	}
	return *c.Spec.ShutdownTimeout
}

// InitTimeout bounds the child's init (S14a).
func (c *Child) InitTimeout() sup.Duration {
	if c.Spec.InitTimeout == nil {
		return sup.DefaultInitTimeout
	}
	return *c.Spec.InitTimeout
}

// Status is the child's status at cluster time now (api.md §5).
func (c *Child) Status(now int64) sup.Status {
	switch {
	case c.Phase == Running:
		return sup.StatusRunning
	case c.Phase == Stopping || c.Why != 0:
		return sup.StatusStopping
	case c.Phase == Unplaced && !c.Wants && !c.Due && c.Part != PartReplaced:
		return sup.StatusExited
	case c.Wants && c.NotBefore > now:
		return sup.StatusBackoff
	case c.Wants && c.PendingReason != "":
		return sup.StatusPending
	case c.Started():
		return sup.StatusRestarting
	}
	return sup.StatusStarting
}

// info is the child as users see it, at cluster time now and wall time wall; it shares nothing with c.
func (c *Child) info(now, wall int64, selector sup.Selector) sup.ChildInfo {
	own := *c.Spec
	own.Supervisor = nil // not shown
	own = own.Clone()
	i := sup.ChildInfo{
		ID: c.Key.Child, Supervisor: c.Key.Supervisor, Behavior: own.Behavior, Args: own.Args,
		Restart: own.Restart, Selector: &selector, ShutdownTimeout: c.ShutdownTimeout(), Significant: own.Significant,
		Status: c.Status(now), Node: c.Node, RestartCount: c.RestartCount, Hanging: c.Hanging, Backoff: own.Backoff,
		Require: own.Require, MaxPerNode: own.MaxPerNode,
	}
	if c.IsSupervisor() {
		i.Type = sup.TypeSupervisor
	}
	if i.Args == nil {
		i.Args = []json.RawMessage{}
	}
	if i.Status == sup.StatusPending {
		i.PendingReason = c.PendingReason
	}
	if i.Status == sup.StatusBackoff {
		at := time.Unix(0, wall+c.NotBefore-now).UTC()
		i.RetryAt = &at
	}
	if !c.Inc.IsZero() {
		i.Incarnation = c.Inc.Token()
	}
	if c.StartedAt != 0 && (c.Phase == Running || c.Phase == Stopping) {
		at := time.Unix(0, c.StartedAt).UTC()
		i.StartedAt = &at
	}
	if c.LastExit != nil {
		i.LastExit = &sup.Exit{Reason: c.LastExit.Reason, Detail: lossInWords(c.LastExit.Detail), At: time.Unix(0, c.LastExit.At).UTC()}
	}
	return i
}
