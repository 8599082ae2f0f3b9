package fsm

import sup "github.com/supnode/supnode/supervisor"

// Entry is one log entry: facts and requests to apply in order, then proposed placements. Everything that Apply may
// depend on besides the state is in it.
type Entry struct {
	Clock      int64         `cbor:"1,keyasint"`           // proposer's cluster time, ns; Apply takes the maximum (protocol.md, Clock)
	Wall       int64         `cbor:"2,keyasint"`           // proposer's wall clock, Unix ns; for display only
	Commands   []Command     `cbor:"3,keyasint,omitempty"` // applied in order, each with its own Result
	Placements []Placement   `cbor:"4,keyasint,omitempty"` // applied after all commands, to slots that then want a node
	Unplaced   []Unplaceable `cbor:"5,keyasint,omitempty"` // applied last, to slots that still want a node
	// Term is the proposer's; in the log of another term the entry counts for nothing: a leader of an earlier term knows
	// nothing of the leases granted since. 0 = any.
	Term uint64 `cbor:"6,keyasint,omitempty"`
}

// Command is a union: exactly one pointer is set.
type Command struct {
	Request *Request `cbor:"1,keyasint,omitempty"` // set on what a client asked for (S36)

	Bootstrap  *Bootstrap  `cbor:"2,keyasint,omitempty"`
	Establish  *Establish  `cbor:"3,keyasint,omitempty"`
	Tick       *Tick       `cbor:"4,keyasint,omitempty"`
	Register   *Register   `cbor:"5,keyasint,omitempty"`
	NodeDown   *NodeDown   `cbor:"6,keyasint,omitempty"`
	Leave      *Leave      `cbor:"7,keyasint,omitempty"`
	Left       *Left       `cbor:"8,keyasint,omitempty"`
	Report     *Report     `cbor:"9,keyasint,omitempty"`
	SetTTL     *SetTTL     `cbor:"10,keyasint,omitempty"`
	TTLRetired *TTLRetired `cbor:"11,keyasint,omitempty"`
	Bump       *Bump       `cbor:"12,keyasint,omitempty"`
	Released   *Released   `cbor:"13,keyasint,omitempty"`

	StartSupervisor *StartSupervisor `cbor:"20,keyasint,omitempty"`
	StopSupervisor  *StopSupervisor  `cbor:"21,keyasint,omitempty"`
	StartChild      *StartChild      `cbor:"22,keyasint,omitempty"`
	TerminateChild  *TerminateChild  `cbor:"23,keyasint,omitempty"`
	RestartChild    *RestartChild    `cbor:"24,keyasint,omitempty"`
	ApplyManifest   *ApplyManifest   `cbor:"25,keyasint,omitempty"`

	Drain      *Drain      `cbor:"40,keyasint,omitempty"`
	ForgetNode *ForgetNode `cbor:"41,keyasint,omitempty"`
	Rebalance  *Rebalance  `cbor:"42,keyasint,omitempty"`
	Move       *Move       `cbor:"43,keyasint,omitempty"`

	Deliver   *Deliver   `cbor:"50,keyasint,omitempty"`
	Delivered *Delivered `cbor:"51,keyasint,omitempty"`
}

// Request identifies what a client asked for: the effect of a key happens once (S36).
type Request struct {
	Key  string `cbor:"1,keyasint"`           // at most 255 bytes
	Hash []byte `cbor:"2,keyasint"`           // SHA-256 of what was asked; another hash under the same key is idempotency_key_reused
	Own  bool   `cbor:"3,keyasint,omitempty"` // made by a node for a client that sent none: kept for minutes, not 24 h
}

// Bootstrap is the first command of a cluster's life; it is refused as stale ever after.
type Bootstrap struct {
	Cluster  string   `cbor:"1,keyasint"` // UUID
	Settings Settings `cbor:"2,keyasint"`
}

// Establish is the first command of every leader (its barrier): leader_changed. Stale unless Term is larger than the last one.
type Establish struct {
	Term   uint64       `cbor:"1,keyasint"`
	Leader sup.NodeName `cbor:"2,keyasint"`
}

// Tick changes nothing but the clock; its commit proves that a quorum still followed (L1).
type Tick struct{}

// Register gives a node a new session (A4). It is stale unless Replaces is still the node's session.
// It ends the former session: every slot of it is freed as by NodeDown (P1).
type Register struct {
	Node      sup.NodeName `cbor:"1,keyasint"`
	ID        string       `cbor:"2,keyasint"` // UUID of its state.db; another one under a known name is refused (node_in_use)
	Replaces  sup.Session  `cbor:"3,keyasint"` // zero: never registered
	Nonce     uint64       `cbor:"4,keyasint"` // echoed in the Result
	Addr      string       `cbor:"5,keyasint"` // host:port of its node port
	Admin     string       `cbor:"6,keyasint,omitempty"`
	Voter     bool         `cbor:"7,keyasint,omitempty"`
	Tags      []Tag        `cbor:"8,keyasint,omitempty"` // sorted by key
	Behaviors []string     `cbor:"9,keyasint,omitempty"` // sorted
	Level     uint64       `cbor:"10,keyasint"`          // highest feature level its binary understands
}

// Tag is one of a node's tags.
type Tag struct {
	Key   string `cbor:"1,keyasint"`
	Value string `cbor:"2,keyasint"`
}

// NodeDown declares the session of a node dead (L4): only after proof or after the leader's wait. Stale unless live.
type NodeDown struct {
	Node    sup.NodeName `cbor:"1,keyasint"`
	Session sup.Session  `cbor:"2,keyasint"`
	Why     string       `cbor:"3,keyasint,omitempty"` // in words
}

// Leave begins a goodbye (P3): the node takes no more children, those it has are moved, uncounted. Paced: the leader moves
// them, some at a time, with Move; otherwise all are stopped at once.
type Leave struct {
	Node    sup.NodeName `cbor:"1,keyasint"`
	Session sup.Session  `cbor:"2,keyasint"`
	Paced   bool         `cbor:"3,keyasint,omitempty"`
}

// Left ends a session whose process has stopped everything and leaves: node_left. Slots still on it are freed and run
// again elsewhere, uncounted; when the node says Why it could not hand them over, the event has that and lists them.
type Left struct {
	Node    sup.NodeName `cbor:"1,keyasint"`
	Session sup.Session  `cbor:"2,keyasint"`
	Why     string       `cbor:"3,keyasint,omitempty"`
}

// Drain has a node take no more children, and those that can run elsewhere are moved off it with Move; Undo ends that. It
// outlasts the node's sessions: a drained node that starts again is still drained.
type Drain struct {
	Node sup.NodeName `cbor:"1,keyasint"`
	Undo bool         `cbor:"2,keyasint,omitempty"`
}

// ForgetNode removes the record of an agent that is down or has left (node_in_use otherwise): its name may be taken by
// another node.
type ForgetNode struct {
	Node sup.NodeName `cbor:"1,keyasint"`
}

// Rebalance has children move so that nodes hold about as many. Max is what was asked for, 0 = MaxMoves; Moves is the
// leader's plan (PlanRebalance), of which Apply takes what still holds.
type Rebalance struct {
	Max   int        `cbor:"1,keyasint,omitempty"`
	Moves []sup.Move `cbor:"2,keyasint,omitempty"`
}

// Move stops a child that is to run on another node, uncounted (S16): because its node is draining, or for a Rebalance.
// Stale unless the slot holds that very incarnation and may be moved now (Moves).
type Move struct {
	Key sup.Key         `cbor:"1,keyasint"`
	Inc sup.Incarnation `cbor:"2,keyasint"`
}

// Deliver is a client's message to an actor, under the client's key: Node is to deliver it, once, and says with Delivered what
// came of it. It is Pending until then; Claim tells this one from others that the same key is given.
type Deliver struct {
	Key   sup.Key      `cbor:"1,keyasint"` // of the child
	Node  sup.NodeName `cbor:"2,keyasint"`
	Claim uint64       `cbor:"3,keyasint"` // drawn at random; not 0
}

// Delivered ends a Deliver. Stale unless that very Claim is pending.
type Delivered struct {
	Request string `cbor:"1,keyasint"` // the request's key
	Claim   uint64 `cbor:"2,keyasint"`
	// Outcome is what came of the message; nil: it was not delivered, and the key may be used again.
	Outcome *Outcome `cbor:"3,keyasint,omitempty"`
}

// Report is what an agent says of one incarnation. Stale unless the slot holds that very incarnation (slot guard).
type Report struct {
	Key    sup.Key         `cbor:"1,keyasint"`
	Inc    sup.Incarnation `cbor:"2,keyasint"`
	Kind   ReportKind      `cbor:"3,keyasint"`
	Reason sup.ExitReason  `cbor:"4,keyasint,omitempty"` // of Ended
	Detail string          `cbor:"5,keyasint,omitempty"` // of Ended; at most MaxDetail bytes
}

// ReportKind says what a Report reports.
type ReportKind uint8

// The kinds of reports. An Ended slot that was Stopping completes its stop; any other has exited.
const (
	ReportRunning    ReportKind = 1 // init has returned
	ReportEnded      ReportKind = 2 // nothing of it is left
	ReportInitFailed ReportKind = 3 // its init failed, nothing of it is left (S12, S18, S31)
	ReportHanging    ReportKind = 4 // it was to be gone, and its code has not returned (S14)
	ReportMoved      ReportKind = 5 // nothing of it is left, the leader had it stopped for a Move, which may not be applied yet
)

// Final reports whether a report says that nothing of the incarnation is left.
func (k ReportKind) Final() bool {
	return k == ReportEnded || k == ReportInitFailed || k == ReportMoved
}

// SetTTL changes the replicated lease settings. While the larger wait is not yet retired every leader uses it.
type SetTTL struct {
	HeartbeatInterval int64 `cbor:"1,keyasint"` // ns
	LeaseTTL          int64 `cbor:"2,keyasint"` // ns
}

// TTLRetired drops the former, larger TTL; proposed only after a leader waited its W (protocol.md, Names).
type TTLRetired struct {
	LeaseTTL int64 `cbor:"1,keyasint"` // the one to drop; stale when it is not the one kept
}

// Bump raises the generation to Gen: after a restore or a recovery, or when an agent reports a generation ≥ ours.
// Every slot is unplaced, every session over. Stale unless Gen is larger than the state's. From then on the state is Held:
// placements are ignored and no stop is acknowledged, until Released.
type Bump struct {
	Gen uint64 `cbor:"1,keyasint"`
}

// Released ends the hold of a Bump. A leader proposes it once it has waited W, the largest that the settings permit, since
// its own establishment or since it applied the Bump, whichever is later. Stale unless the state is Held in generation Gen.
type Released struct {
	Gen uint64 `cbor:"1,keyasint"`
}

// StartSupervisor starts a supervisor (S12); Spec has its defaults filled in and is valid.
type StartSupervisor struct {
	Spec sup.Spec     `cbor:"1,keyasint"`
	Home sup.NodeName `cbor:"2,keyasint,omitempty"`
	// Once marks a manifest of the config file: created once in the cluster's life, never again after a stop.
	Once bool `cbor:"3,keyasint,omitempty"`
}

// StopSupervisor stops a supervisor and its children in reverse start order (S13).
type StopSupervisor struct {
	Name   sup.Name `cbor:"1,keyasint"`
	Reason string   `cbor:"2,keyasint,omitempty"` // default "shutdown"
}

// StartChild adds a child (S31): Spec for a static strategy, Args for simple_one_for_one (S34).
type StartChild struct {
	Supervisor sup.Name       `cbor:"1,keyasint"`
	Spec       *sup.ChildSpec `cbor:"2,keyasint,omitempty"`
	Args       [][]byte       `cbor:"3,keyasint,omitempty"` // JSON values
}

// TerminateChild stops and removes a child (S32).
type TerminateChild struct {
	Key sup.Key `cbor:"1,keyasint"`
}

// RestartChild stops and starts a child again, uncounted (S33, S16).
type RestartChild struct {
	Key sup.Key `cbor:"1,keyasint"`
}

// ApplyManifest makes a supervisor as a manifest says: it starts what is new, stops what is gone, restarts what changed and
// leaves the rest alone; it creates one that is not there or has stopped. Spec has its defaults filled in and is valid.
type ApplyManifest struct {
	Spec sup.Spec     `cbor:"1,keyasint"`
	Home sup.NodeName `cbor:"2,keyasint,omitempty"` // of one that it creates
}

// Placement proposes a node for a slot. Apply takes it when the slot wants a node, the node's live session is Session
// and the node is eligible (S28); then the entry's index is the incarnation's. Otherwise it is ignored.
type Placement struct {
	Key     sup.Key      `cbor:"1,keyasint"`
	Node    sup.NodeName `cbor:"2,keyasint"`
	Session sup.Session  `cbor:"3,keyasint"`
}

// Unplaceable says that the leader finds no node for a slot, and why (S19). A first start by call fails with it;
// a restart stays pending with it.
type Unplaceable struct {
	Key     sup.Key     `cbor:"1,keyasint"`
	Problem sup.Problem `cbor:"2,keyasint"` // no_available_node, behavior_not_found or selector_not_registered
	// Seat is the slot's when the leader looked: a wish that is newer, by another spec perhaps, is not meant. 0 = any.
	Seat uint64 `cbor:"3,keyasint,omitempty"`
}

// ResultStatus says what became of a command.
type ResultStatus uint8

// The statuses of results. Stale is a result, not an error: the command's precondition did not hold.
const (
	OK      ResultStatus = 1
	Stale   ResultStatus = 2
	Pending ResultStatus = 3 // committed; its outcome follows under the request's key (Applied.Completed)
	Refused ResultStatus = 4 // Problem says why
)

// Result is what Apply says of one command.
type Result struct {
	Status  ResultStatus
	Session sup.Session // of Register: the new session; of a stale Register: the one the node has
	Nonce   uint64      // of Register
	Outcome *Outcome    // of a request that is complete (OK or Refused)
	Problem *sup.Problem
}

// Outcome is how a request ended. It is kept under its key and answered again to whoever repeats the request (S36).
type Outcome struct {
	Problem     *sup.Problem `cbor:"1,keyasint,omitempty"` // nil = done
	Supervisor  sup.Name     `cbor:"2,keyasint,omitempty"`
	Child       sup.ChildID  `cbor:"3,keyasint,omitempty"` // the child started or restarted
	Node        sup.NodeName `cbor:"4,keyasint,omitempty"`
	Incarnation uint64       `cbor:"5,keyasint,omitempty"`
	Index       uint64       `cbor:"6,keyasint"`            // the entry that completed it
	Moves       []sup.Move   `cbor:"20,keyasint,omitempty"` // of a Rebalance
	Changes     []sup.Change `cbor:"21,keyasint,omitempty"` // of an ApplyManifest
	Reply       []byte       `cbor:"22,keyasint,omitempty"` // of a Deliver: what a call was answered, JSON
	Unkept      int          `cbor:"23,keyasint,omitempty"` // bytes of a Reply that is not kept
	Claim       uint64       `cbor:"24,keyasint,omitempty"` // of a Deliver that is pending; never kept
}

// Completion pairs a request's key with its outcome; nil: it had no effect, and may be asked again under its key.
type Completion struct {
	Key     string
	Outcome *Outcome
}

// Applied is all that one entry did, for those who act on it: the leader pushes and answers, watchers wake.
type Applied struct {
	Index     uint64
	Results   []Result       // one per command
	Changed   []sup.Key      // slots whose phase, node or wish to be placed changed, each once, in the order of change
	Nodes     []sup.NodeName // nodes whose record changed, each once
	Completed []Completion   // requests that ended by this entry, those in Results too
	LastEvent uint64         // id of the newest event after this entry
	Restored  bool           // no entry: the whole state was replaced by a snapshot; everything may have changed
}
