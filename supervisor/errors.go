package supervisor

import "fmt"

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

// DuplicateChildError says that the supervisor has a child with this id already.
type DuplicateChildError struct {
	Supervisor Name
	Child      ChildID
}

func (e *DuplicateChildError) Error() string {
	return fmt.Sprintf("supervisor %q has a child %q already", e.Supervisor, e.Child)
}

// ChildNotFoundError says that the supervisor has no child with this id.
type ChildNotFoundError struct {
	Supervisor Name
	Child      ChildID
}

func (e *ChildNotFoundError) Error() string {
	return fmt.Sprintf("supervisor %q has no child %q", e.Supervisor, e.Child)
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

// NoAvailableNodeError says that no node can take the child; Reasons says why for each.
type NoAvailableNodeError struct {
	Child   ChildID
	Reasons []NodeReason
}

func (e *NoAvailableNodeError) Error() string {
	return fmt.Sprintf("no node can take child %q", e.Child)
}

// Unwrap gives errors.As the typed errors of the codes that have one.
func (p *Problem) Unwrap() error {
	switch p.Code {
	case CodeBehaviorNotFound:
		return &BehaviorNotFoundError{Behavior: p.Behavior, Node: p.Node}
	case CodeDuplicateChild:
		return &DuplicateChildError{Supervisor: p.Supervisor, Child: p.Child}
	case CodeChildNotFound:
		return &ChildNotFoundError{Supervisor: p.Supervisor, Child: p.Child}
	case CodeMaxRestartsExceeded:
		return &MaxRestartsExceededError{Supervisor: p.Supervisor, MaxRestarts: p.MaxRestarts, Within: p.Within}
	case CodeNoAvailableNode:
		return &NoAvailableNodeError{Child: p.Child, Reasons: p.Reasons}
	}
	return nil
}
