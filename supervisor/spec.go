package supervisor

import (
	"encoding/json"
	"errors"
)

// Strategy says which children a failure concerns (S7–S9, S34).
type Strategy string

// The four OTP strategies.
const (
	OneForOne       Strategy = "one_for_one"
	OneForAll       Strategy = "one_for_all"
	RestForOne      Strategy = "rest_for_one"
	SimpleOneForOne Strategy = "simple_one_for_one"
)

// Restart says after which exits a child runs again (S1–S3).
type Restart string

// The three OTP restart types.
const (
	Permanent Restart = "permanent"
	Transient Restart = "transient"
	Temporary Restart = "temporary"
)

// AutoShutdown says when the end of significant children stops their supervisor (S38).
type AutoShutdown string

// The values of AutoShutdown.
const (
	NeverShutdown  AutoShutdown = "never"
	AnySignificant AutoShutdown = "any_significant"
	AllSignificant AutoShutdown = "all_significant"
)

// ExitReason says how an incarnation ended (S5).
type ExitReason string

// The exit reasons of S5.
const (
	ExitNormal   ExitReason = "normal"    // the behavior stopped itself without error; a command with status 0
	ExitShutdown ExitReason = "shutdown"  // asked to stop and did
	ExitKilled   ExitReason = "killed"    // did not stop in time
	ExitError    ExitReason = "error"     // error, panic, non-zero status, signal, init failure
	ExitNodeDown ExitReason = "node_down" // its node was lost
)

// The reasons with which a supervisor stops by itself or by default; a caller's own text is allowed too.
const (
	ReasonShutdown            = "shutdown"
	ReasonMaxRestartsExceeded = "max_restarts_exceeded"
)

// Intensity bounds restarts: at most MaxRestarts within any window of length Within (S15).
type Intensity struct {
	MaxRestarts int      `json:"max_restarts" required:"false" cbor:"1,keyasint"`
	Within      Duration `json:"within" required:"false" cbor:"2,keyasint"`
}

// SetDefaults gives i the values that missing fields mean.
func (i *Intensity) SetDefaults() { *i = DefaultIntensity }

// UnmarshalJSON implements json.Unmarshaler: a field that is missing has its default.
func (i *Intensity) UnmarshalJSON(b []byte) error {
	type fields Intensity // without this method
	i.SetDefaults()
	if err := json.Unmarshal(b, (*fields)(i)); err != nil {
		return err
	}
	if field, wrong := i.Named(); wrong != "" {
		return errors.New("restart_intensity." + field + ": " + wrong)
	}
	return nil
}

// Named is called when the fields that are named have their values. It refuses a zero, which would be taken for a default: the
// field and what is wrong with it.
func (i *Intensity) Named() (field, wrong string) {
	if i.Within == 0 {
		return "within", `"0s" is not a window; write a duration like "5s"`
	}
	return "", ""
}

// ChildSpec says what a child is and how it is kept (api.md §4). The zero value of a field means its default;
// WithDefaults fills them in.
type ChildSpec struct {
	ID              ChildID           `json:"id,omitempty" cbor:"1,keyasint,omitempty"`
	Behavior        string            `json:"behavior,omitempty" cbor:"2,keyasint,omitempty"`
	Args            []json.RawMessage `json:"args,omitempty" cbor:"3,keyasint,omitempty"`
	Restart         Restart           `json:"restart,omitempty" cbor:"4,keyasint,omitempty"`
	Selector        *Selector         `json:"selector,omitempty" cbor:"5,keyasint,omitempty"` // nil = the supervisor's
	ShutdownTimeout *Duration         `json:"shutdown_timeout,omitempty" cbor:"6,keyasint,omitempty"`
	InitTimeout     *Duration         `json:"init_timeout,omitempty" cbor:"7,keyasint,omitempty"`
	Significant     bool              `json:"significant,omitempty" cbor:"8,keyasint,omitempty"`
	Backoff         *Backoff          `json:"backoff,omitempty" cbor:"9,keyasint,omitempty"` // nil = restarted at once
	// Require are the tags that a node must have; MaxPerNode is how many children of the supervisor, this one among them, a
	// node may hold (S28). 0 = any number.
	Require    map[string]string `json:"require,omitempty" cbor:"12,keyasint,omitempty"`
	MaxPerNode int               `json:"max_per_node,omitempty" cbor:"13,keyasint,omitempty"`
	// Supervisor, in place of a behavior, makes the child a supervisor: a manifest without name.
	Supervisor *Spec `json:"supervisor,omitempty" cbor:"20,keyasint,omitempty"`
}

// Spec is a supervisor's manifest (api.md §4).
type Spec struct {
	Name          Name         `json:"name,omitempty" cbor:"1,keyasint,omitempty"`
	Strategy      Strategy     `json:"strategy,omitempty" cbor:"2,keyasint,omitempty"`
	Selector      *Selector    `json:"selector,omitempty" cbor:"3,keyasint,omitempty"`
	Intensity     *Intensity   `json:"restart_intensity,omitempty" cbor:"4,keyasint,omitempty"`
	AutoShutdown  AutoShutdown `json:"auto_shutdown,omitempty" cbor:"5,keyasint,omitempty"`
	Children      []ChildSpec  `json:"children,omitempty" cbor:"6,keyasint,omitempty"`
	ChildTemplate *ChildSpec   `json:"child_template,omitempty" cbor:"7,keyasint,omitempty"`
	MaxChildren   int          `json:"max_children,omitempty" cbor:"8,keyasint,omitempty"`
	// Spread names a tag over whose values the children are spread (S29).
	Spread string `json:"spread,omitempty" cbor:"12,keyasint,omitempty"`
}
