package supervisor

import (
	"encoding/json"
	"errors"
	"math"
)

// Backoff is how long a child that crashed waits before it is started again (S20). The first wait is Initial; each further
// crash multiplies it by Factor, up to Max; a run of ResetAfter or longer begins anew. Each wait is shortened by a part of it
// between none and Jitter, so that children that crashed together don't come back together. In Go a field that is zero has the
// default of DefaultBackoff, but for Jitter, which is none.
type Backoff struct {
	Initial    Duration `json:"initial" required:"false" doc:"The first wait." cbor:"1,keyasint"`
	Max        Duration `json:"max" required:"false" doc:"The longest wait." cbor:"2,keyasint"`
	Factor     float64  `json:"factor" required:"false" minimum:"1" maximum:"100" doc:"What each further crash multiplies the wait by." cbor:"3,keyasint"`
	Jitter     float64  `json:"jitter" required:"false" minimum:"0" maximum:"1" doc:"The part of a wait by which chance may shorten it." cbor:"4,keyasint"`
	ResetAfter Duration `json:"reset_after" required:"false" doc:"After a run this long the waits begin anew." cbor:"5,keyasint"`
}

// DefaultBackoff gives the fields that a backoff does not name.
var DefaultBackoff = Backoff{Initial: 100e6, Max: 30e9, Factor: 2, Jitter: 0.2, ResetAfter: 60e9}

// Bounds of a backoff.
const (
	MaxBackoff       = Duration(24 * 3600e9) // of initial and max
	MaxBackoffFactor = 100
)

// unsaid is a longest wait that is not named: WithDefaults gives it, for it is never below Initial.
const unsaid = Duration(math.MinInt64)

// SetDefaults gives b the values that missing fields mean.
func (b *Backoff) SetDefaults() {
	*b = DefaultBackoff
	b.Max = unsaid
}

// Named is called when the fields that are named have their values. It refuses a zero, which would be taken for a default: the
// field and what is wrong with it.
func (b *Backoff) Named() (field, wrong string) {
	const noTime = `"0s" is no time to wait; write a duration like "100ms", or leave backoff out`
	switch {
	case b.Initial == 0:
		return "initial", noTime
	case b.Max == 0:
		return "max", noTime
	case b.Factor == 0:
		return "factor", "0 is not between 1 and 100; 1 keeps the wait as it is"
	case b.ResetAfter == 0:
		return "reset_after", `"0s" is no time to run; write a duration like "1m", or "infinity"`
	case b.Max == unsaid:
		b.Max = 0
	}
	return "", ""
}

// UnmarshalJSON implements json.Unmarshaler: a field that is missing has its default.
func (b *Backoff) UnmarshalJSON(text []byte) error {
	type fields Backoff // without this method
	b.SetDefaults()
	if err := json.Unmarshal(text, (*fields)(b)); err != nil {
		return err
	}
	if field, wrong := b.Named(); wrong != "" {
		return errors.New("backoff." + field + ": " + wrong)
	}
	return nil
}

// WithDefaults is b with the defaults of the fields that are zero.
func (b Backoff) WithDefaults() Backoff {
	if b.Initial == 0 {
		b.Initial = DefaultBackoff.Initial
	}
	if b.Max == 0 {
		b.Max = max(DefaultBackoff.Max, b.Initial)
	}
	if b.Factor == 0 {
		b.Factor = DefaultBackoff.Factor
	}
	if b.ResetAfter == 0 {
		b.ResetAfter = DefaultBackoff.ResetAfter
	}
	return b
}

// Wait is how long the child waits after so many crashes since its waits began anew; draw is any number, the chance in it. The
// arithmetic is the same on every machine, for every replica does it.
func (b Backoff) Wait(crashes uint64, draw uint64) Duration {
	wait := float64(b.Initial)
	for i := uint64(1); i < crashes && wait < float64(b.Max) && b.Factor > 1; i++ {
		wait *= b.Factor
	}
	d := b.Max
	if wait < float64(b.Max) {
		d = Duration(wait)
	}
	const part = 1_000_000
	shorter := int64(b.Jitter*part) * int64(draw%(part+1)) / part // in millionths
	return d - Duration(int64(d)/part*shorter+int64(d)%part*shorter/part)
}

// RanLong reports whether an incarnation that ran for so long begins the waits anew.
func (b Backoff) RanLong(ran Duration) bool { return b.ResetAfter != Infinity && ran >= b.ResetAfter }

func (v *validator) backoff(at string, c ChildSpec) {
	b := c.Backoff
	if b == nil {
		return
	}
	if c.Restart == Temporary {
		v.add(at, "a temporary child is never restarted, so it never waits; leave backoff out")
		return
	}
	if b.Initial <= 0 || b.Initial > MaxBackoff {
		v.add(at+".initial", `%s is not a first wait; write a duration like "100ms", %s at most`, b.Initial, MaxBackoff)
	}
	switch {
	case b.Max <= 0 || b.Max > MaxBackoff:
		v.add(at+".max", `%s is not a longest wait; write a duration like "30s", %s at most`, b.Max, MaxBackoff)
	case b.Max < b.Initial:
		v.add(at+".max", "%s is shorter than the first wait, %s", b.Max, b.Initial)
	}
	if !(b.Factor >= 1 && b.Factor <= MaxBackoffFactor) { // NaN too
		v.add(at+".factor", "%v is not between 1 and %d; 1 keeps the wait as it is", b.Factor, MaxBackoffFactor)
	}
	if !(b.Jitter >= 0 && b.Jitter <= 1) {
		v.add(at+".jitter", "%v is not between 0 and 1; 0.2 shortens each wait by up to a fifth", b.Jitter)
	}
	if b.ResetAfter <= 0 && b.ResetAfter != Infinity {
		v.add(at+".reset_after", `%s is not a time to run; write a duration like "1m", or "infinity"`, b.ResetAfter)
	}
}
