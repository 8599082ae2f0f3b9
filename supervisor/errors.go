package supervisor

import "fmt"

// Every code of a Problem has a type that errors.As finds in it, with the code's fields. Programs that decide on a refusal
// look for the type; people read the Problem, whose Detail says what to do.

// Unwrap gives errors.As the typed error of the code; nil for a code of one face alone.
func (p *Problem) Unwrap() error {
	switch p.Code {
	case CodeInvalidSpec:
		return &InvalidSpecError{Errors: p.Errors}
	case CodeUnauthorized:
		return &UnauthorizedError{}
	case CodeForbidden:
		return &ForbiddenError{}
	case CodeSupervisorNotFound:
		return &SupervisorNotFoundError{Supervisor: p.Supervisor}
	case CodeChildNotFound:
		return &ChildNotFoundError{Supervisor: p.Supervisor, Child: p.Child}
	case CodeNodeNotFound:
		return &NodeNotFoundError{Node: p.Node}
	case CodeNameNotFound:
		return &NameNotFoundError{Name: p.Name}
	case CodeDuplicateSupervisor:
		return &DuplicateSupervisorError{Supervisor: p.Supervisor}
	case CodeDuplicateChild:
		return &DuplicateChildError{Supervisor: p.Supervisor, Child: p.Child}
	case CodeNameTaken:
		return &NameTakenError{Name: p.Name}
	case CodeWrongStrategy:
		return &WrongStrategyError{Supervisor: p.Supervisor, Strategy: p.Strategy}
	case CodeSupervisorStopped:
		return &SupervisorStoppedError{Supervisor: p.Supervisor, Reason: p.Reason}
	case CodeBehaviorNotFound:
		return &BehaviorNotFoundError{Behavior: p.Behavior, Node: p.Node}
	case CodeSelectorNotRegistered:
		return &SelectorNotRegisteredError{Selector: p.Selector}
	case CodeNoAvailableNode:
		return &NoAvailableNodeError{Child: p.Child, Reasons: p.Reasons}
	case CodeInitFailed:
		return &InitFailedError{Supervisor: p.Supervisor, Child: p.Child, Node: p.Node, Reason: p.Reason}
	case CodeMaxRestartsExceeded:
		return &MaxRestartsExceededError{Supervisor: p.Supervisor, MaxRestarts: p.MaxRestarts, Within: p.Within}
	case CodeCallTimeout:
		return &CallTimeoutError{Child: p.Child}
	case CodeCallFailed:
		return &CallFailedError{Child: p.Child, Reason: p.Reason}
	case CodeOutcomeUnknown:
		return &OutcomeUnknownError{Child: p.Child}
	case CodeNotAnActor:
		return &NotAnActorError{Child: p.Child}
	case CodeStopPending:
		return &StopPendingError{Child: p.Child, Node: p.Node}
	case CodeIdempotencyKeyReused:
		return &IdempotencyKeyReusedError{}
	case CodeNodeUnreachable:
		return &NodeUnreachableError{Node: p.Node}
	case CodeNodeInUse:
		return &NodeInUseError{Node: p.Node}
	case CodeBusy:
		return &BusyError{Bound: p.Bound}
	case CodePayloadTooLarge:
		return &PayloadTooLargeError{Bound: p.Bound}
	case CodeQuotaExceeded:
		return &QuotaExceededError{Bound: p.Bound}
	case CodeEventsCompacted:
		return &EventsCompactedError{Oldest: uint64(max(p.Bound, 0))}
	case CodeNoLeader:
		return &NoLeaderError{Node: p.Node}
	}
	return nil
}

// InvalidSpecError says what is wrong with what was asked, place by place.
type InvalidSpecError struct {
	Errors []FieldError
}

func (e *InvalidSpecError) Error() string {
	switch len(e.Errors) {
	case 0:
		return "the request is not valid"
	case 1:
		return e.Errors[0].Location + ": " + e.Errors[0].Message
	}
	return fmt.Sprintf("%s: %s (and %d more)", e.Errors[0].Location, e.Errors[0].Message, len(e.Errors)-1)
}

// UnauthorizedError says that a token is missing or not known.
type UnauthorizedError struct{}

func (*UnauthorizedError) Error() string {
	return "a valid token is needed"
}

// ForbiddenError says that the token's role does not allow this.
type ForbiddenError struct{}

func (*ForbiddenError) Error() string {
	return "this is not allowed"
}

// SupervisorNotFoundError says that there is no supervisor of this name.
type SupervisorNotFoundError struct {
	Supervisor Name
}

func (e *SupervisorNotFoundError) Error() string {
	return fmt.Sprintf("there is no supervisor %q", e.Supervisor)
}

// ChildNotFoundError says that the supervisor has no child with this id.
type ChildNotFoundError struct {
	Supervisor Name
	Child      ChildID
}

func (e *ChildNotFoundError) Error() string {
	return fmt.Sprintf("supervisor %q has no child %q", e.Supervisor, e.Child)
}

// NodeNotFoundError says that there is no node of this name.
type NodeNotFoundError struct {
	Node NodeName
}

func (e *NodeNotFoundError) Error() string {
	return fmt.Sprintf("there is no node %q", e.Node)
}

// NameNotFoundError says that nobody has this global name.
type NameNotFoundError struct {
	Name string
}

func (e *NameNotFoundError) Error() string {
	return fmt.Sprintf("nobody has the name %q", e.Name)
}

// DuplicateSupervisorError says that there is a supervisor of this name, and that it has not stopped.
type DuplicateSupervisorError struct {
	Supervisor Name
}

func (e *DuplicateSupervisorError) Error() string {
	return fmt.Sprintf("there is a supervisor %q already", e.Supervisor)
}

// DuplicateChildError says that the supervisor has a child with this id already.
type DuplicateChildError struct {
	Supervisor Name
	Child      ChildID
}

func (e *DuplicateChildError) Error() string {
	return fmt.Sprintf("supervisor %q has a child %q already", e.Supervisor, e.Child)
}

// NameTakenError says that another child has this global name.
type NameTakenError struct {
	Name string
}

func (e *NameTakenError) Error() string {
	return fmt.Sprintf("the name %q is taken", e.Name)
}

// WrongStrategyError says that a child was asked for in a way that its supervisor's strategy does not know: by a spec of
// simple_one_for_one, by args of another.
type WrongStrategyError struct {
	Supervisor Name
	Strategy   Strategy // of the supervisor
}

func (e *WrongStrategyError) Error() string {
	return fmt.Sprintf("supervisor %q is %s", e.Supervisor, e.Strategy)
}

// SupervisorStoppedError says that the supervisor has stopped, or is stopping, but not by its restart intensity (S45).
type SupervisorStoppedError struct {
	Supervisor Name
	Reason     string
}

func (e *SupervisorStoppedError) Error() string {
	return fmt.Sprintf("supervisor %q has stopped (%s)", e.Supervisor, e.Reason)
}

// BehaviorNotFoundError says that no live node has the behavior, or that Node, to which the child is pinned, has not.
type BehaviorNotFoundError struct {
	Behavior string
	Node     NodeName // empty: no live node
}

func (e *BehaviorNotFoundError) Error() string {
	if e.Node == "" {
		return fmt.Sprintf("behavior %q is registered on no live node", e.Behavior)
	}
	return fmt.Sprintf("behavior %q is not registered on node %s", e.Behavior, e.Node)
}

// SelectorNotRegisteredError says that the leader has no custom selector of this name (S29).
type SelectorNotRegisteredError struct {
	Selector string
}

func (e *SelectorNotRegisteredError) Error() string {
	return fmt.Sprintf("the leader has no selector %q", e.Selector)
}

// NoAvailableNodeError says that no node can take the child; Reasons says why for each.
type NoAvailableNodeError struct {
	Child   ChildID
	Reasons []NodeReason // sorted by node
}

func (e *NoAvailableNodeError) Error() string {
	return fmt.Sprintf("no node can take child %q", e.Child)
}

// InitFailedError says that the child's init returned an error, panicked, or took too long.
type InitFailedError struct {
	Supervisor Name
	Child      ChildID
	Node       NodeName
	Reason     string // the init's own words
}

func (e *InitFailedError) Error() string {
	return fmt.Sprintf("the init of child %q on node %s failed: %s", e.Child, e.Node, e.Reason)
}

// MaxRestartsExceededError says that the supervisor stopped because its children restarted too often (S15).
type MaxRestartsExceededError struct {
	Supervisor  Name
	MaxRestarts int
	Within      Duration
}

func (e *MaxRestartsExceededError) Error() string {
	return fmt.Sprintf("supervisor %q had more than %d restarts within %s", e.Supervisor, e.MaxRestarts, e.Within)
}

// CallTimeoutError says that a call got no answer in time.
type CallTimeoutError struct {
	Child ChildID
}

func (e *CallTimeoutError) Error() string {
	return fmt.Sprintf("the call to child %q got no answer in time", e.Child)
}

// CallFailedError says that the child answered a call with an error, Reason.
type CallFailedError struct {
	Child  ChildID
	Reason string
}

func (e *CallFailedError) Error() string {
	return fmt.Sprintf("the call to child %q failed: %s", e.Child, e.Reason)
}

// OutcomeUnknownError says that whether a request or call had its effect is not known (S41).
type OutcomeUnknownError struct {
	Child ChildID // of a call
}

func (e *OutcomeUnknownError) Error() string {
	return "the outcome is unknown"
}

// NotAnActorError says that the child takes no messages: it is a command.
type NotAnActorError struct {
	Child ChildID
}

func (e *NotAnActorError) Error() string {
	return fmt.Sprintf("child %q is not an actor", e.Child)
}

// StopPendingError says that a child hangs in its stop, which goes on (S14).
type StopPendingError struct {
	Child ChildID
	Node  NodeName
}

func (e *StopPendingError) Error() string {
	return fmt.Sprintf("child %q on node %s hangs in its stop, which goes on", e.Child, e.Node)
}

// IdempotencyKeyReusedError says that the key belongs to another request (S36).
type IdempotencyKeyReusedError struct{}

func (*IdempotencyKeyReusedError) Error() string {
	return "the idempotency key belongs to another request"
}

// NodeUnreachableError says that the node that was to answer does not.
type NodeUnreachableError struct {
	Node NodeName
}

func (e *NodeUnreachableError) Error() string { return fmt.Sprintf("node %s does not answer", e.Node) }

// NodeInUseError says that the node is up, or that its name belongs to another data directory.
type NodeInUseError struct {
	Node NodeName
}

func (e *NodeInUseError) Error() string {
	return fmt.Sprintf("node %s is in use", e.Node)
}

// BusyError says that Bound requests wait already: nothing was done, ask again later.
type BusyError struct {
	Bound int64
}

func (e *BusyError) Error() string {
	return "too much is waiting"
}

// PayloadTooLargeError says that what was sent has more than Bound bytes.
type PayloadTooLargeError struct {
	Bound int64
}

func (e *PayloadTooLargeError) Error() string {
	return fmt.Sprintf("more than %d bytes were sent", e.Bound)
}

// QuotaExceededError says that there are Bound of what was asked for already.
type QuotaExceededError struct {
	Bound int64
}

func (e *QuotaExceededError) Error() string {
	return fmt.Sprintf("there may be no more than %d", e.Bound)
}

// EventsCompactedError says that events which were asked for are no longer kept.
type EventsCompactedError struct {
	Oldest uint64 // id of the oldest event that is kept
}

func (e *EventsCompactedError) Error() string {
	return fmt.Sprintf("events before %d are no longer kept", e.Oldest)
}

// NoLeaderError says that no leader was reached in time, or that the node is shutting down.
type NoLeaderError struct {
	Node NodeName // the node that was asked
}

func (e *NoLeaderError) Error() string {
	return "no leader was reached"
}
