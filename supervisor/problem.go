package supervisor

import "fmt"

// Code names a refusal; it is the `code` of a problem on every face (api.md §3).
type Code string

// The codes of api.md §3 and §4.
const (
	CodeInvalidSpec           Code = "invalid_spec"
	CodeUnauthorized          Code = "unauthorized"
	CodeForbidden             Code = "forbidden"
	CodeSupervisorNotFound    Code = "supervisor_not_found"
	CodeChildNotFound         Code = "child_not_found"
	CodeNodeNotFound          Code = "node_not_found"
	CodeNameNotFound          Code = "name_not_found"
	CodeDuplicateSupervisor   Code = "duplicate_supervisor"
	CodeDuplicateChild        Code = "duplicate_child"
	CodeNameTaken             Code = "name_taken"
	CodeWrongStrategy         Code = "wrong_strategy"
	CodeSupervisorStopped     Code = "supervisor_stopped"
	CodeBehaviorNotFound      Code = "behavior_not_found"
	CodeSelectorNotRegistered Code = "selector_not_registered"
	CodeNoAvailableNode       Code = "no_available_node"
	CodeInitFailed            Code = "init_failed"
	CodeMaxRestartsExceeded   Code = "max_restarts_exceeded"
	CodeCallTimeout           Code = "call_timeout"
	CodeCallFailed            Code = "call_failed"
	CodeOutcomeUnknown        Code = "outcome_unknown"
	CodeNotAnActor            Code = "not_an_actor"
	CodeStopPending           Code = "stop_pending"
	CodeIdempotencyKeyReused  Code = "idempotency_key_reused"
	CodeNodeUnreachable       Code = "node_unreachable"
	CodeNodeInUse             Code = "node_in_use"
	CodeBusy                  Code = "busy"
	CodePayloadTooLarge       Code = "payload_too_large"
	CodeQuotaExceeded         Code = "quota_exceeded"
	CodeEventsCompacted       Code = "events_compacted"
	CodeNoLeader              Code = "no_leader"
)

// FieldError says what is wrong with one place of a request or file.
type FieldError struct {
	Location string `json:"location" cbor:"1,keyasint"` // e.g. children[2].restart
	Message  string `json:"message" cbor:"2,keyasint"`
}

// NodeReason says why one node cannot take a child.
type NodeReason struct {
	Node   NodeName `json:"node" cbor:"1,keyasint"`
	Reason string   `json:"reason" cbor:"2,keyasint"`
}

// Problem is a refusal by the cluster. It is replicated, crosses the wire, and is the one source of HTTP problems,
// CLI messages and Go errors. Fields that its code does not use are empty.
type Problem struct {
	Code        Code         `json:"code" cbor:"1,keyasint"`
	Detail      string       `json:"detail,omitempty" cbor:"2,keyasint,omitempty"`
	Supervisor  Name         `json:"supervisor,omitempty" cbor:"3,keyasint,omitempty"`
	Child       ChildID      `json:"child,omitempty" cbor:"4,keyasint,omitempty"`
	Node        NodeName     `json:"node,omitempty" cbor:"5,keyasint,omitempty"`
	Behavior    string       `json:"behavior,omitempty" cbor:"6,keyasint,omitempty"`
	Strategy    Strategy     `json:"strategy,omitempty" cbor:"7,keyasint,omitempty"`
	Reason      string       `json:"reason,omitempty" cbor:"8,keyasint,omitempty"`
	Reasons     []NodeReason `json:"reasons,omitempty" cbor:"9,keyasint,omitempty"` // sorted by node; a JSON object {node: why} on HTTP
	MaxRestarts int          `json:"max_restarts,omitempty" cbor:"10,keyasint,omitempty"`
	Within      Duration     `json:"within,omitempty" cbor:"11,keyasint,omitempty"`
	Errors      []FieldError `json:"errors,omitempty" cbor:"12,keyasint,omitempty"`
	Bound       int64        `json:"bound,omitempty" cbor:"13,keyasint,omitempty"`
	Name        string       `json:"name,omitempty" cbor:"14,keyasint,omitempty"`     // a global name
	Selector    string       `json:"selector,omitempty" cbor:"15,keyasint,omitempty"` // a custom selector
}

func (p *Problem) Error() string {
	if p.Detail == "" {
		return string(p.Code)
	}
	return fmt.Sprintf("%s: %s", p.Code, p.Detail)
}
