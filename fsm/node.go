package fsm

import (
	"slices"
	"strings"

	sup "github.com/supnode/supnode/supervisor"
)

// Node is a member's record. Records are immutable: a change makes a new one.
type Node struct {
	Name      sup.NodeName `cbor:"1,keyasint"`
	ID        string       `cbor:"2,keyasint"` // UUID of its state.db
	Session   sup.Session  `cbor:"3,keyasint"` // the last one it had; it may hold slots while Live
	Status    NodeStatus   `cbor:"4,keyasint"`
	Addr      string       `cbor:"5,keyasint"`
	Admin     string       `cbor:"6,keyasint,omitempty"`
	Voter     bool         `cbor:"7,keyasint,omitempty"`
	Tags      []Tag        `cbor:"8,keyasint,omitempty"`
	Behaviors []string     `cbor:"9,keyasint,omitempty"`
	Level     uint64       `cbor:"10,keyasint"`
	// Drained: an operator drained it. It has no live session, or is Draining, until that is undone.
	Drained bool `cbor:"20,keyasint,omitempty"`
	// Goodbye says of a Drained node that its process is leaving too.
	Goodbye bool `cbor:"21,keyasint,omitempty"`
}

// Leaving reports whether the node's process has begun a goodbye (P3); a node that is Draining otherwise stays.
func (n *Node) Leaving() bool { return n.Status == MemberDraining && (!n.Drained || n.Goodbye) }

// Tag is the value of one of the node's tags.
func (n *Node) Tag(key string) (value string, ok bool) {
	i, ok := slices.BinarySearchFunc(n.Tags, key, func(t Tag, key string) int { return strings.Compare(t.Key, key) })
	if !ok {
		return "", false
	}
	return n.Tags[i].Value, true
}

// Live reports whether the node's session may hold slots.
func (n *Node) Live() bool { return n.Status == MemberUp || n.Status == MemberDraining }

// member is a node with the slots that it holds.
type member struct {
	node  *Node
	slots roster
}
