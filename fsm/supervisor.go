package fsm

import (
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// Supervisor is a supervisor's record without its children. Records are immutable: a change makes a new one.
type Supervisor struct {
	Name sup.Name `cbor:"1,keyasint"`
	// Spec is its manifest with defaults filled in, without Children: those are the child records.
	Spec      *sup.Spec    `cbor:"2,keyasint"`
	Created   uint64       `cbor:"3,keyasint"` // index of the entry that created it
	Home      sup.NodeName `cbor:"4,keyasint,omitempty"`
	Cursor    sup.NodeName `cbor:"5,keyasint,omitempty"` // the name that round_robin chose last (S29)
	Status    sup.Status   `cbor:"6,keyasint"`           // starting | running | stopping | stopped
	Reason    string       `cbor:"7,keyasint,omitempty"` // why it stops or stopped
	StartedAt int64        `cbor:"8,keyasint,omitempty"` // wall time at which its start began, then was complete, Unix ns
	// Op is the one operation in progress; nil = none (protocol.md, Group operations).
	Op *Op `cbor:"9,keyasint,omitempty"`
	// Queue are the requests that wait for Op to end, in order; at most MaxQueue.
	Queue []Queued `cbor:"10,keyasint,omitempty"`
	// Stamps are the cluster times of the counted restarts that may still be within the window, ascending (S15).
	Stamps              []int64 `cbor:"11,keyasint,omitempty"`
	TotalRestarts       uint64  `cbor:"12,keyasint,omitempty"`
	NodeFailureRestarts uint64  `cbor:"13,keyasint,omitempty"`
	NextOrder           uint64  `cbor:"14,keyasint"`           // the Order of the next child (S6)
	Stopped             uint64  `cbor:"15,keyasint,omitempty"` // of a stopped one: its place in the order of stops (S37)
	Once                bool    `cbor:"16,keyasint,omitempty"` // its manifest is created once in the cluster's life
	Exceeded            bool    `cbor:"17,keyasint,omitempty"` // it stops or stopped by restart intensity (S45)

	rev uint64 // the turn that made this copy
}

// OpKind names an operation of a supervisor.
type OpKind uint8

// The operations of a supervisor.
const (
	OpStarting OpKind = 1 // its initial children start (S12)
	OpGroup    OpKind = 2 // children stop and start in order (S8–S11): a group, or one by hand
	OpStopping OpKind = 3 // its children stop in reverse start order (S13)
	OpApplying OpKind = 4 // it is made as a manifest says
)

// Op is the operation in progress of a supervisor. It is immutable.
type Op struct {
	Kind OpKind `cbor:"1,keyasint"`
	// Cursor is the Order of the child whose stop the operation waits for. Those after it are down: gone when all of the
	// supervisor stops, due when a group goes down.
	Cursor uint64 `cbor:"2,keyasint,omitempty"`
	// Left is the number of children whose first init has not returned, of OpStarting.
	// OpApplying: of children that the change has started or is to start.
	Left int `cbor:"3,keyasint,omitempty"`
	// Starters are the requests for the start; of OpStopping: those that fail with Problem when the stop is over.
	Starters []string     `cbor:"4,keyasint,omitempty"`
	Problem  *sup.Problem `cbor:"5,keyasint,omitempty"`
	// Waiters are the requests for the stop, done when it is over.
	Waiters []string `cbor:"6,keyasint,omitempty"`
	// Remove says that nothing stays behind: the stop undoes a failed start (S12).
	Remove bool `cbor:"7,keyasint,omitempty"`
	// Down says that a group goes down: the children from this Order on stop in reverse, then they start in order; 0 = none.
	Down uint64 `cbor:"8,keyasint,omitempty"`

	// Of OpApplying: Next is the manifest, until all that goes and all that changes is down; Changes what there was to do, and
	// Missed how many children could not be started, of which Problem is the first one's. Changes is also of an OpStarting
	// that an ApplyManifest began.
	Next    *sup.Spec    `cbor:"9,keyasint,omitempty"`
	Changes []sup.Change `cbor:"10,keyasint,omitempty"`
	Missed  int          `cbor:"11,keyasint,omitempty"`
}

// Queued is a request that waits for the operation in progress. Exactly one command is set.
type Queued struct {
	Key          string        `cbor:"1,keyasint,omitempty"` // the request's key
	StartChild   *StartChild   `cbor:"2,keyasint,omitempty"`
	RestartChild *RestartChild `cbor:"3,keyasint,omitempty"`
	// ApplyManifest is of a supervisor that was there when it was asked for.
	ApplyManifest *ApplyManifest `cbor:"4,keyasint,omitempty"`
}

func (h *Supervisor) starting() bool { return h.Op != nil && h.Op.Kind == OpStarting }
func (h *Supervisor) stopping() bool { return h.Op != nil && h.Op.Kind == OpStopping }
func (h *Supervisor) applying() bool { return h.Op != nil && h.Op.Kind == OpApplying }

// tree is a supervisor with its children. All but the records is derived from them.
type tree struct {
	head     *Supervisor
	children roll[sup.ChildID, Child]
	onNode   map[sup.NodeName]int // held slots by node; without zeros
	held     int                  // slots that are held
	active   int                  // slots that are Running
	wants    int                  // slots that want a node
	dues     int                  // slots that are Due
	subs     int                  // children that are supervisors
	dueFrom  uint64               // none with a lower Order is Due
	unended  uint64               // the Order of the significant child that was found not to have ended last (S38)
	stirred  bool                 // it changed in this turn and is to advance
}

func newTree(head *Supervisor) *tree {
	return &tree{
		head:     head,
		children: newRoll(func(c *Child) sup.ChildID { return c.Key.Child }),
		onNode:   map[sup.NodeName]int{},
	}
}

// hold counts a slot as held by a node (by = 1) or no more (by = -1); a supervisor's is on none.
func (t *tree) hold(n sup.NodeName, by int) {
	t.held += by
	if n == "" {
		return
	}
	if t.onNode[n] += by; t.onNode[n] == 0 {
		delete(t.onNode, n)
	}
}

// busy is the number of children that are on their way up or down: they want a node, their init runs, or they stop.
func (t *tree) busy() int { return t.wants + t.held - t.active }

// intensity is the supervisor's restart intensity (S15).
func (h *Supervisor) intensity() sup.Intensity {
	if h.Spec.Intensity == nil {
		return sup.DefaultIntensity
	}
	return *h.Spec.Intensity
}

// selector is the supervisor's own selector.
func (h *Supervisor) selector() sup.Selector {
	if h.Spec.Selector == nil {
		return *sup.LocalFirst
	}
	return *h.Spec.Selector
}

// info is the supervisor as users see it, at cluster time now and wall time wall.
func (t *tree) info(now, wall int64) sup.Info {
	h, sel := t.head, t.head.selector()
	i := sup.Info{
		Name: h.Name, Strategy: h.Spec.Strategy, Status: h.Status, Reason: h.Reason, Selector: &sel, Intensity: h.intensity(),
		AutoShutdown: h.Spec.AutoShutdown, ChildCount: t.children.len(), ChildrenByNode: make(map[sup.NodeName]int, len(t.onNode)),
		TotalRestarts: h.TotalRestarts, NodeFailureRestarts: h.NodeFailureRestarts,
		RestartsInWindow: len(h.intensity().InWindow(h.Stamps, now)), CreatedIndex: h.Created,
		MaxChildren: h.Spec.MaxChildren, Spread: h.Spec.Spread,
	}
	if h.Spec.ChildTemplate != nil {
		template := h.Spec.ChildTemplate.Clone()
		i.ChildTemplate = &template
	}
	for n, k := range t.onNode { // any order: it becomes a map again
		i.ChildrenByNode[n] = k
	}
	if h.StartedAt != 0 {
		i.StartedAt = time.Unix(0, h.StartedAt).UTC()
		if h.Status != sup.StatusStopped && wall > h.StartedAt {
			i.UptimeMS = (wall - h.StartedAt) / 1e6
		}
	}
	return i
}
