package supervisor

import (
	"encoding/json"
	"time"
)

// Status is the state of a supervisor or a child as users see it (api.md §5).
type Status string

// The statuses of api.md §5.
const (
	StatusPending    Status = "pending"
	StatusStarting   Status = "starting"
	StatusRunning    Status = "running"
	StatusStopping   Status = "stopping"
	StatusRestarting Status = "restarting"
	StatusBackoff    Status = "backoff"
	StatusExited     Status = "exited"
	StatusStopped    Status = "stopped"
)

// Info is a supervisor with its statistics (api.md §5).
type Info struct {
	Name                Name             `json:"name"`
	Strategy            Strategy         `json:"strategy"`
	Status              Status           `json:"status"`
	Reason              string           `json:"reason,omitempty"`
	Selector            *Selector        `json:"selector"`
	Intensity           Intensity        `json:"restart_intensity"`
	AutoShutdown        AutoShutdown     `json:"auto_shutdown"`
	ChildCount          int              `json:"child_count"`
	ChildrenByNode      map[NodeName]int `json:"children_by_node"`
	TotalRestarts       uint64           `json:"total_restarts"`
	NodeFailureRestarts uint64           `json:"node_failure_restarts"`
	RestartsInWindow    int              `json:"restarts_in_window"`
	StartedAt           time.Time        `json:"started_at"`
	UptimeMS            int64            `json:"uptime_ms"`
	CreatedIndex        uint64           `json:"created_index"`
	Warnings            []string         `json:"warnings,omitempty"`       // of the answer to its start alone (S39)
	ChildTemplate       *ChildSpec       `json:"child_template,omitempty"` // of simple_one_for_one (S34)
	MaxChildren         int              `json:"max_children,omitempty"`
	Spread              string           `json:"spread,omitempty"`
}

// Exit is how an incarnation ended.
type Exit struct {
	Reason ExitReason `json:"reason"`
	Detail string     `json:"detail,omitempty"`
	At     time.Time  `json:"at"`
}

// ChildInfo is a child as users see it (api.md §5).
type ChildInfo struct {
	ID              ChildID           `json:"id"`
	Supervisor      Name              `json:"supervisor"`
	Type            ChildType         `json:"type,omitempty"` // empty: a worker
	Behavior        string            `json:"behavior"`
	Args            []json.RawMessage `json:"args"`
	Restart         Restart           `json:"restart"`
	Selector        *Selector         `json:"selector"`
	ShutdownTimeout Duration          `json:"shutdown_timeout"`
	Significant     bool              `json:"significant"`
	Status          Status            `json:"status"`
	PendingReason   string            `json:"pending_reason,omitempty"`
	Node            NodeName          `json:"node,omitempty"`
	Incarnation     uint64            `json:"incarnation,omitempty"`
	RestartCount    uint64            `json:"restart_count"`
	StartedAt       *time.Time        `json:"started_at,omitempty"`
	LastExit        *Exit             `json:"last_exit,omitempty"`
	Hanging         bool              `json:"hanging,omitempty"` // it was to be gone, and its code has not returned (S14)
	Backoff         *Backoff          `json:"backoff,omitempty"`
	RetryAt         *time.Time        `json:"retry_at,omitempty"` // in backoff: when it is to start, should a leader be there
	Require         map[string]string `json:"require,omitempty"`
	MaxPerNode      int               `json:"max_per_node,omitempty"`
}

// ChildType says what a child is that is not a worker.
type ChildType string

// TypeSupervisor is the type of a child that is a supervisor, SUP/ID.
const TypeSupervisor ChildType = "supervisor"

// Counts is what count_children answers (S35).
type Counts struct {
	Specs       int `json:"specs"`
	Active      int `json:"active"`
	Supervisors int `json:"supervisors"`
	Workers     int `json:"workers"`
}

// EventType names a lifecycle event (api.md §6).
type EventType string

// The lifecycle events of api.md §6.
const (
	EventSupervisorStarted        EventType = "supervisor_started"
	EventSupervisorStopped        EventType = "supervisor_stopped"
	EventChildStarted             EventType = "child_started"
	EventChildStopped             EventType = "child_stopped"
	EventChildRestarted           EventType = "child_restarted"
	EventChildMigrated            EventType = "child_migrated"
	EventNodeFailureDetected      EventType = "node_failure_detected"
	EventNodeJoined               EventType = "node_joined"
	EventNodeLeft                 EventType = "node_left"
	EventNodeDraining             EventType = "node_draining"
	EventNodeUndrained            EventType = "node_undrained"
	EventChildHanging             EventType = "child_hanging" // was to be gone, and its code has not returned (S14)
	EventLeaderChanged            EventType = "leader_changed"
	EventRestartIntensityExceeded EventType = "restart_intensity_exceeded"
)

// Event is a lifecycle event. ID counts without gaps; Index is the log entry it came from.
type Event struct {
	ID               uint64    `json:"id" cbor:"1,keyasint"`
	Index            uint64    `json:"index" cbor:"2,keyasint"`
	Time             time.Time `json:"time" cbor:"3,keyasint"`
	Type             EventType `json:"type" cbor:"4,keyasint"`
	Supervisor       Name      `json:"supervisor,omitempty" cbor:"5,keyasint,omitempty"`
	Child            ChildID   `json:"child,omitempty" cbor:"6,keyasint,omitempty"`
	Node             NodeName  `json:"node,omitempty" cbor:"7,keyasint,omitempty"`
	FromNode         NodeName  `json:"from_node,omitempty" cbor:"8,keyasint,omitempty"`
	ToNode           NodeName  `json:"to_node,omitempty" cbor:"9,keyasint,omitempty"`
	Incarnation      uint64    `json:"incarnation,omitempty" cbor:"10,keyasint,omitempty"`
	Attempt          uint64    `json:"attempt,omitempty" cbor:"11,keyasint,omitempty"`
	Reason           string    `json:"reason,omitempty" cbor:"12,keyasint,omitempty"`
	AffectedChildren []Key     `json:"affected_children,omitempty" cbor:"13,keyasint,omitempty"`
	Leader           NodeName  `json:"leader,omitempty" cbor:"14,keyasint,omitempty"`
	Term             uint64    `json:"term,omitempty" cbor:"15,keyasint,omitempty"`
	MaxRestarts      *int      `json:"max_restarts,omitempty" cbor:"16,keyasint,omitempty"`
	Within           *Duration `json:"within,omitempty" cbor:"17,keyasint,omitempty"`
}

// NodeInfo is a member as users see it (api.md §3).
type NodeInfo struct {
	Name           NodeName          `json:"name"`
	Addr           string            `json:"addr"`
	Status         string            `json:"status"` // up | down | draining | left
	Role           string            `json:"role"`   // leader | follower | agent
	Tags           map[string]string `json:"tags"`
	Behaviors      []string          `json:"behaviors"`
	ChildCount     int               `json:"child_count"`
	LeaseExpiresIn *Duration         `json:"lease_expires_in"`  // as the leader knows it; null when not known
	Drained        bool              `json:"drained,omitempty"` // an operator drained it; also while it is down, and when it is back
	// Staying are children of a draining node that nothing moves, and why: the first 100, in the answer for one node.
	Staying     []Staying `json:"staying,omitempty"`
	Incarnation uint64    `json:"incarnation"` // its session as one integer g·2^40 + σ, larger at every registration
}
