package history

// The kinds of client operations.
const (
	OpStart     = "start"
	OpTerminate = "terminate"
	OpRestart   = "restart"
	OpRead      = "read" // of a Call
)

// The outcomes of client operations.
const (
	OK      = "ok"      // acknowledged
	Refused = "refused" // the cluster said no: it has no effect
	Maybe   = "maybe"   // no answer in time
)

// Op is one client operation on a child, from its first attempt to its last answer. Attempts share one idempotency key.
type Op struct {
	Key
	Kind     string  `json:"kind"`
	Invoked  Instant `json:"invoked"`
	Returned Instant `json:"returned"`
	Outcome  string  `json:"outcome"`
	Attempts int     `json:"attempts"`
	Detail   string  `json:"detail,omitempty"` // of a refusal or of the last failure
}

// Call is one operation of a client on a child that several clients start, restart and terminate at will: a register whose
// value is what its start said.
type Call struct {
	Op
	Client      int    `json:"client"`          // one asks for one thing after another
	Value       string `json:"value,omitempty"` // of a start: no other has it; of a read: what it saw
	Code        string `json:"code,omitempty"`  // of a refusal; of a read: child_not_found
	Incarnation uint64 `json:"incarnation,omitempty"`
	Index       uint64 `json:"index,omitempty"` // of a read: of the state that it saw
}
