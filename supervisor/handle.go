package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/supnode/supnode/actor/ref"
)

// Ref names a child for messages, wherever it runs; it is actor.Ref, and what a typed message's Call and Cast take.
type Ref = ref.Ref

// Options are what a supervisor is started with: its manifest, as it would stand in a file. Name is optional; zero values
// mean the defaults of api.md §4.
type Options = Spec

// Cluster is what a Handle asks for everything; *node.Node is one. Its errors are *Problem, or the context's.
type Cluster interface {
	// StartSupervisor returns when all initial children run (S12); a Spec without a name gets one.
	StartSupervisor(ctx context.Context, s Spec) (Name, error)
	// ApplyManifest returns when the supervisor is as the Spec says.
	ApplyManifest(ctx context.Context, s Spec) ([]Change, error)
	// StopSupervisor returns when it has stopped.
	StopSupervisor(ctx context.Context, n Name, reason string) error
	// StartChild and StartChildArgs return when the child's init has.
	StartChild(ctx context.Context, n Name, c ChildSpec) (ChildID, error)
	StartChildArgs(ctx context.Context, n Name, args []json.RawMessage) (ChildID, error)
	// TerminateChild returns when the child is gone, RestartChild when it runs again.
	TerminateChild(ctx context.Context, k Key) error
	RestartChild(ctx context.Context, k Key) error

	// What follows reads the state as of the call or later.
	Supervisor(ctx context.Context, n Name) (Info, error)
	Children(ctx context.Context, n Name) ([]ChildInfo, error)
	Child(ctx context.Context, k Key) (ChildInfo, error)
	CountChildren(ctx context.Context, n Name) (Counts, error)

	// Ref names a child; its messages go out from this node.
	Ref(n Name, id ChildID) Ref
}

// Handle is a program's hold on one supervisor of the cluster. The supervisor does not live in the program: it goes on when
// the program or its node ends, and Find takes hold of it again, on any node. A handle means the name; when that is used
// again after a stop, the handle is of the new supervisor. Handles may be copied and used by many goroutines.
//
// Every method asks the cluster and may wait for a leader. Errors are *Problem, in which errors.As finds the type for its
// code (*ChildNotFoundError, *MaxRestartsExceededError, …), or the context's; then the outcome is unknown.
type Handle struct {
	at   Cluster
	name Name
}

// Child is a child of a supervisor, with the Ref that messages to it take. That of a command or a supervisor takes none.
type Child struct {
	ChildInfo
	Ref Ref
}

// Start starts a supervisor through a node, which is its home, and returns when all its children run. When one of them
// can't start, those already started are stopped, nothing stays behind, and the error is that child's (S12). What of the
// options has no effect is in their Warnings, and in the node's log.
func Start(ctx context.Context, at Cluster, o Options) (*Handle, error) {
	name, err := at.StartSupervisor(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Handle{at, name}, nil
}

// Find takes hold of a supervisor that somebody has started, one that has stopped too, as long as it is remembered (S37); of a
// child that is a supervisor by its path, "pool/db". The error is a *SupervisorNotFoundError when there is none.
func Find(ctx context.Context, at Cluster, name Name) (*Handle, error) {
	if _, err := at.Supervisor(ctx, name); err != nil {
		return nil, err
	}
	return &Handle{at, name}, nil
}

// Apply makes the supervisor as o says, and answers what that changed: it starts what is new, stops what is gone, restarts
// what differs and leaves the rest alone. One that has stopped is started. o's name may be left out.
func (h *Handle) Apply(ctx context.Context, o Options) ([]Change, error) {
	if o.Name == "" {
		o.Name = h.name
	}
	if o.Name != h.name {
		return nil, InvalidSpec([]FieldError{{Location: "name", Message: fmt.Sprintf("this is the handle of supervisor %q, and %q is another one", h.name, o.Name)}})
	}
	return h.at.ApplyManifest(ctx, o)
}

// Name is the supervisor's name.
func (h *Handle) Name() Name { return h.name }

// StartChild adds a child at the end of the start order and returns when its init has (S31). After a failure nothing of it
// is kept. A simple_one_for_one supervisor takes StartChildArgs.
func (h *Handle) StartChild(ctx context.Context, c ChildSpec) (Ref, error) {
	id, err := h.at.StartChild(ctx, h.name, c)
	if err != nil {
		return Ref{}, err
	}
	return h.at.Ref(h.name, id), nil
}

// StartChildArgs adds a child to a simple_one_for_one supervisor: its args are those of the template, then these (S34).
func (h *Handle) StartChildArgs(ctx context.Context, args ...any) (Ref, error) {
	id, err := h.at.StartChildArgs(ctx, h.name, Args(args...))
	if err != nil {
		return Ref{}, err
	}
	return h.at.Ref(h.name, id), nil
}

// TerminateChild stops a child and removes it, whatever state it is in; it returns once the child is gone (S32).
func (h *Handle) TerminateChild(ctx context.Context, id ChildID) error {
	return h.at.TerminateChild(ctx, Key{Supervisor: h.name, Child: id})
}

// RestartChild stops a child and starts it again on a newly selected node; it returns once the child runs (S33). Restarts
// by hand are not counted in the intensity window. The Ref is the one that the child had.
func (h *Handle) RestartChild(ctx context.Context, id ChildID) (Ref, error) {
	if err := h.at.RestartChild(ctx, Key{Supervisor: h.name, Child: id}); err != nil {
		return Ref{}, err
	}
	return h.at.Ref(h.name, id), nil
}

// Children are all children, in start order. Those of a supervisor with more than a thousand are read in several parts, and
// what changes meanwhile may show in one of them only.
func (h *Handle) Children(ctx context.Context) ([]Child, error) {
	infos, err := h.at.Children(ctx, h.name)
	if err != nil {
		return nil, err
	}
	children := make([]Child, len(infos))
	for i, c := range infos {
		children[i] = Child{c, h.at.Ref(h.name, c.ID)}
	}
	return children, nil
}

// Child is one child; the error is a *ChildNotFoundError when there is none.
func (h *Handle) Child(ctx context.Context, id ChildID) (Child, error) {
	c, err := h.at.Child(ctx, Key{Supervisor: h.name, Child: id})
	if err != nil {
		return Child{}, err
	}
	return Child{c, h.at.Ref(h.name, c.ID)}, nil
}

// CountChildren counts the children (S35).
func (h *Handle) CountChildren(ctx context.Context) (Counts, error) {
	return h.at.CountChildren(ctx, h.name)
}

// Stats are the supervisor's statistics; they stay readable after it has stopped (S37).
func (h *Handle) Stats(ctx context.Context) (Info, error) { return h.at.Supervisor(ctx, h.name) }

// IsRunning reports whether the supervisor is there and neither stops nor has stopped.
func (h *Handle) IsRunning(ctx context.Context) (bool, error) {
	i, err := h.at.Supervisor(ctx, h.name)
	if none := (*SupervisorNotFoundError)(nil); errors.As(err, &none) {
		return false, nil
	}
	return err == nil && (i.Status == StatusStarting || i.Status == StatusRunning), err
}

// Stop stops the children in reverse start order, then the supervisor, and returns when that is done (S13). The reason is
// what the event and the record say, 1024 bytes of it; empty means ReasonShutdown. A supervisor that has stopped already gives a
// *SupervisorStoppedError, or a *MaxRestartsExceededError.
func (h *Handle) Stop(ctx context.Context, reason string) error {
	return h.at.StopSupervisor(ctx, h.name, reason)
}
