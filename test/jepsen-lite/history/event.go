package history

import "time"

// Event is a lifecycle event as api.md §6 shows it.
type Event struct {
	ID          uint64    `json:"id"`
	Index       uint64    `json:"index"`
	Time        time.Time `json:"time"`
	Type        string    `json:"type"`
	Supervisor  string    `json:"supervisor,omitempty"`
	Child       string    `json:"child,omitempty"`
	Node        string    `json:"node,omitempty"`
	FromNode    string    `json:"from_node,omitempty"`
	ToNode      string    `json:"to_node,omitempty"`
	Incarnation uint64    `json:"incarnation,omitempty"`
	Attempt     uint64    `json:"attempt,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Affected    []Key     `json:"affected_children,omitempty"`
	Leader      string    `json:"leader,omitempty"`
	Term        uint64    `json:"term,omitempty"`
	MaxRestarts *int      `json:"max_restarts,omitempty"`
	Within      string    `json:"within,omitempty"`
}

// Key is the child that e is about.
func (e Event) Key() Key { return Key{Supervisor: e.Supervisor, Child: e.Child} }

// The types of api.md §6.
const (
	SupervisorStarted   = "supervisor_started"
	SupervisorStopped   = "supervisor_stopped"
	ChildStarted        = "child_started"
	ChildStopped        = "child_stopped"
	ChildRestarted      = "child_restarted"
	ChildMigrated       = "child_migrated"
	NodeFailureDetected = "node_failure_detected"
	NodeJoined          = "node_joined"
	NodeLeft            = "node_left"
	LeaderChanged       = "leader_changed"
	IntensityExceeded   = "restart_intensity_exceeded"
)

// Stream is what one consumer of the events saw, in the order it saw it.
type Stream struct {
	Consumer string  `json:"consumer"`
	Events   []Event `json:"events"`
}
