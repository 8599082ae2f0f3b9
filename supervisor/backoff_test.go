package supervisor

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// S20: the first wait, each further one longer by the factor, none above the longest.
func TestS20WaitsGrowUpToTheLongest(t *testing.T) {
	b := Backoff{Initial: 100e6, Max: 1e9, Factor: 2}
	for i, want := range []string{"100ms", "200ms", "400ms", "800ms", "1s", "1s"} {
		if got := b.Wait(uint64(i+1), 12345); got.String() != want {
			t.Errorf("wait %d is %s, want %s", i+1, got, want)
		}
	}
	if got := b.Wait(math.MaxUint64, 1); got != b.Max {
		t.Errorf("after very many crashes %s", got)
	}
	b.Factor = 1
	if got := b.Wait(math.MaxUint64, 1); got != b.Initial {
		t.Errorf("a factor of 1 keeps the wait: %s", got)
	}
	b = Backoff{Initial: 1e6, Max: MaxBackoff, Factor: 1.5}
	for i := uint64(1); i < 100; i++ {
		if a, z := b.Wait(i, 0), b.Wait(i+1, 0); z < a || z > b.Max {
			t.Fatalf("wait %d is %s, wait %d is %s", i, a, i+1, z)
		}
	}
}

// Chance shortens a wait by up to jitter of it, and spreads the waits.
func TestS20ChanceShortensAWait(t *testing.T) {
	b := Backoff{Initial: 10e9, Max: 10e9, Factor: 2, Jitter: 0.2}
	least, most := Duration(math.MaxInt64), Duration(0)
	for draw := range uint64(1_000_001) {
		d := b.Wait(1, draw)
		least, most = min(least, d), max(most, d)
	}
	if least != 8e9 || most != 10e9 {
		t.Errorf("waits from %s to %s", least, most)
	}
	b.Jitter = 1
	if got := b.Wait(1, 1_000_000); got != 0 {
		t.Errorf("all of it: %s", got)
	}
	if got := (Backoff{Initial: 500, Max: 500, Factor: 2, Jitter: 0.5}).Wait(1, 1_000_000); got != 250 {
		t.Errorf("of a very short one: %d ns", got)
	}
	if got := (Backoff{Initial: MaxBackoff, Max: MaxBackoff, Factor: 2, Jitter: 0.5}).Wait(1, 1_000_000); got != MaxBackoff/2 {
		t.Errorf("of the longest one: %s", got)
	}
}

func TestS20TheWaitsBeginAnewAfterALongRun(t *testing.T) {
	b := DefaultBackoff
	if b.RanLong(59_999e6) || !b.RanLong(60e9) {
		t.Error("a minute is long, less is not")
	}
	b.ResetAfter = Infinity
	if b.RanLong(math.MaxInt64) {
		t.Error("no run is longer than infinity")
	}
}

func TestS20MissingFieldsHaveDefaults(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                 `{"initial":"100ms","max":"30s","factor":2,"jitter":0.2,"reset_after":"1m0s"}`,
		`{"jitter": 0}`:      `{"initial":"100ms","max":"30s","factor":2,"jitter":0,"reset_after":"1m0s"}`,
		`{"initial": "40s"}`: `{"initial":"40s","max":"40s","factor":2,"jitter":0.2,"reset_after":"1m0s"}`,
		`{"initial": "1ms", "max": "5ms", "factor": 1, "jitter": 1, "reset_after": "infinity"}`: `{"initial":"1ms","max":"5ms","factor":1,"jitter":1,"reset_after":"infinity"}`,
	} {
		c := ChildSpec{ID: "w", Behavior: "x", Backoff: &Backoff{}}
		if err := json.Unmarshal([]byte(text), c.Backoff); err != nil {
			t.Fatal(err)
		}
		c = c.WithDefaults()
		got, err := json.Marshal(c.Backoff)
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
		if wrong := c.Validate(); wrong != nil {
			t.Errorf("%s: %v", text, wrong)
		}
	}
	inGo := ChildSpec{ID: "w", Behavior: "x", Backoff: &Backoff{Initial: 1e9}}.WithDefaults()
	if *inGo.Backoff != (Backoff{Initial: 1e9, Max: 30e9, Factor: 2, ResetAfter: 60e9}) {
		t.Errorf("%+v", inGo.Backoff)
	}
	if inGo := (ChildSpec{ID: "w", Behavior: "x", Backoff: &Backoff{}}.WithDefaults()); *inGo.Backoff != (Backoff{Initial: 1e8, Max: 30e9, Factor: 2, ResetAfter: 60e9}) {
		t.Errorf("%+v", inGo.Backoff)
	}
	for _, wrong := range []Backoff{{Initial: MaxBackoff + 1, Max: MaxBackoff}, {ResetAfter: -5}} { // as Go can write it
		c := ChildSpec{ID: "w", Behavior: "x", Backoff: &wrong}.WithDefaults()
		if c.Validate() == nil {
			t.Errorf("%+v is valid", wrong)
		}
	}
	for text, want := range map[string]string{
		`{"initial": "0s"}`: "0s", `{"reset_after": "0s"}`: "0s", `{"max": "0s"}`: "backoff.max", `{"factor": 0}`: "between 1 and 100", `{"initial": 5}`: "initial",
	} {
		var b Backoff
		if err := json.Unmarshal([]byte(text), &b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
