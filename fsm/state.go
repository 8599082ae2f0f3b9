package fsm

import sup "github.com/supnode/supnode/supervisor"

// Phase is the slot guard's state of a child (protocol.md, Replicated state).
type Phase uint8

// The phases of a slot: Unplaced → Placed → Running → Stopping → Unplaced; Placed may go to Stopping.
const (
	Unplaced Phase = iota
	Placed
	Running
	Stopping
)

// MaxDetail bounds the detail of an exit, in bytes.
const MaxDetail = 4096

// NodeStatus is a member's state (api.md §3).
type NodeStatus string

// The states of a member. Up and Draining members have a live session.
const (
	MemberUp       NodeStatus = "up"
	MemberDown     NodeStatus = "down"
	MemberDraining NodeStatus = "draining"
	MemberLeft     NodeStatus = "left"
)

// Node is a member's record. Records are immutable: a change makes a new one.
type Node struct {
	Name      sup.NodeName
	ID        string // UUID of its state.db
	Session   sup.Session
	Status    NodeStatus
	Addr      string
	Admin     string
	Voter     bool
	Tags      []Tag
	Behaviors []string
	Level     uint64
}

// Live reports whether the node's session may hold slots.
func (n *Node) Live() bool { return n.Status == MemberUp || n.Status == MemberDraining }

// Child is a child's record. Records are immutable: a change makes a new one.
type Child struct {
	Key   sup.Key
	Spec  *sup.ChildSpec // with defaults filled in
	Order uint64         // place in the start order (S6); rises within a supervisor
	Phase Phase
	// Wants says that an Unplaced slot is to be placed as soon as the leader finds a node. Never set in another phase.
	Wants bool
	// NotBefore is the cluster time before which a wanting slot is not to be placed (S20); 0 = at once.
	NotBefore int64
	// Avoid lists nodes that this decision excludes when another one is eligible (S18, S25).
	Avoid []sup.NodeName

	// Of a slot that is not Unplaced:
	Node    sup.NodeName
	Session sup.Session
	Inc     sup.Incarnation

	RestartCount uint64
	// … the core's own fields follow.
}
