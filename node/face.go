package node

import (
	"time"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// QueryKind names what a Query reads.
type QueryKind string

// The kinds of queries.
const (
	QuerySupervisors QueryKind = "supervisors"
	QuerySupervisor  QueryKind = "supervisor"
	QueryChildren    QueryKind = "children"
	QueryChild       QueryKind = "child"
	QueryCount       QueryKind = "count"
	QueryPlace       QueryKind = "place"
	QueryNodes       QueryKind = "nodes"
	QueryNode        QueryKind = "node"
	QueryEvents      QueryKind = "events"
	QueryChanges     QueryKind = "changes"
	QueryRebalance   QueryKind = "rebalance" // what a rebalance would move
)

// Query is a read of the replicated state.
type Query struct {
	Kind       QueryKind    `cbor:"1,keyasint"`
	Stale      bool         `cbor:"2,keyasint,omitempty"` // answer from the node asked, without asking the leader
	Supervisor sup.Name     `cbor:"3,keyasint,omitempty"`
	Child      sup.ChildID  `cbor:"4,keyasint,omitempty"`
	Node       sup.NodeName `cbor:"5,keyasint,omitempty"` // of QueryNode; a filter of QueryChildren
	Status     sup.Status   `cbor:"6,keyasint,omitempty"` // a filter of QueryChildren
	Limit      int          `cbor:"7,keyasint,omitempty"` // of QueryChildren, QueryEvents and QueryRebalance; 0 = 1000
	After      string       `cbor:"8,keyasint,omitempty"` // of QueryChildren: the former answer's Next
	Since      uint64       `cbor:"9,keyasint,omitempty"` // of QueryEvents
	// Wait is how long a Stale QueryEvents waits for an event after Since before it answers that there is none; at most MaxWait.
	Wait time.Duration `cbor:"10,keyasint,omitempty"`
	// Manifest is of QueryChanges: what would an ApplyManifest of it do?
	Manifest *sup.Spec `cbor:"11,keyasint,omitempty"`
}

// Answer answers a Query; only the fields of its kind are set.
type Answer struct {
	Index       uint64          `json:"-" cbor:"index"`        // applied index of the state that was read
	By          sup.NodeName    `json:"-" cbor:"by"`           // the node that answered
	Leader      sup.NodeName    `json:"-" cbor:"led_by"`       // the leader as that node knew it
	Supervisors []sup.Info      `json:"supervisors,omitempty"` // of QuerySupervisors
	Supervisor  *sup.Info       `json:"supervisor,omitempty"`  // of QuerySupervisor
	Children    []sup.ChildInfo `json:"children,omitempty"`    // of QueryChildren, in start order
	Next        string          `json:"next,omitempty"`        // of QueryChildren; empty = no more
	Child       *sup.ChildInfo  `json:"child,omitempty"`       // of QueryChild
	LastNode    sup.NodeName    `json:"-" cbor:"last_node"`    // of QueryChild: where its init returned last; empty = nowhere yet
	Count       *sup.Counts     `json:"count,omitempty"`       // of QueryCount
	Place       *Place          `json:"place,omitempty"`       // of QueryPlace
	Nodes       []sup.NodeInfo  `json:"nodes,omitempty"`       // of QueryNodes
	Node        *sup.NodeInfo   `json:"node,omitempty"`        // of QueryNode
	Moves       []sup.Move      `json:"moves,omitempty"`       // of QueryRebalance
	Changes     []sup.Change    `json:"changes,omitempty"`     // of QueryChanges
	Apart       []string        `json:"apart,omitempty"`       // of QueryChanges: where the changes do nothing, and all is not as the manifest says
	Events      []sup.Event     `json:"events,omitempty"`      // of QueryEvents
	LastEvent   uint64          `json:"last_event,omitempty"`  // of QueryEvents: the newest id there is
}

// Status is this node's own view (GET /v1/status).
type Status struct {
	Node         sup.NodeName `json:"node"`
	Role         string       `json:"role"` // leader | follower | agent
	Leader       sup.NodeName `json:"leader"`
	Term         uint64       `json:"term"`
	CommitIndex  uint64       `json:"commit_index"`
	AppliedIndex uint64       `json:"applied_index"`
	Servers      []Server     `json:"servers"`
	Version      string       `json:"version"`
}

// Server is a Raft voter.
type Server struct {
	Name sup.NodeName `json:"name"`
	Addr string       `json:"addr"`
}

// Ready says whether the node can do its work, check by check, for a person to read (GET /readyz).
type Ready struct {
	Ready  bool    `json:"ready"`
	Checks []Check `json:"checks"`
}

// Check is one line of Ready.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Outcome of a request; see Node.Do.
type Outcome = fsm.Outcome
