package history

// The kinds of client operations.
const (
	OpStart     = "start"
	OpTerminate = "terminate"
	OpRestart   = "restart"
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
