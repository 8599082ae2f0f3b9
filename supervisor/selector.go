package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// SelectorKind names a way to choose a node (S29).
type SelectorKind string

// The kinds of selectors.
const (
	SelectLocalFirst  SelectorKind = "local_first"
	SelectRoundRobin  SelectorKind = "round_robin"
	SelectLeastLoaded SelectorKind = "least_loaded"
	SelectRandom      SelectorKind = "random"
	SelectNode        SelectorKind = "node"
	SelectCustom      SelectorKind = "custom"
)

// Selector chooses a node for a child. In JSON it is a kind's name, {"node":"n2","fallback":"least_loaded"}
// or {"custom":"NAME"}.
type Selector struct {
	Kind     SelectorKind `cbor:"1,keyasint"`
	Node     NodeName     `cbor:"2,keyasint,omitempty"` // of SelectNode
	Fallback SelectorKind `cbor:"3,keyasint,omitempty"` // of SelectNode; empty = never elsewhere (S26)
	Custom   string       `cbor:"4,keyasint,omitempty"` // of SelectCustom
}

// The selectors without parameters.
var (
	LocalFirst  = &Selector{Kind: SelectLocalFirst}
	RoundRobin  = &Selector{Kind: SelectRoundRobin}
	LeastLoaded = &Selector{Kind: SelectLeastLoaded}
	Random      = &Selector{Kind: SelectRandom}
)

// OnNode pins a child to one node: it never runs elsewhere.
func OnNode(n NodeName) *Selector { return &Selector{Kind: SelectNode, Node: n} }

type selectorObject struct {
	Node     NodeName     `json:"node,omitempty"`
	Fallback SelectorKind `json:"fallback,omitempty"`
	Custom   string       `json:"custom,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (s Selector) MarshalJSON() ([]byte, error) {
	switch s.Kind {
	case SelectNode, SelectCustom:
		return json.Marshal(selectorObject{Node: s.Node, Fallback: s.Fallback, Custom: s.Custom})
	}
	return json.Marshal(string(s.Kind))
}

// String says it to people.
func (s Selector) String() string {
	switch {
	case s.Kind == SelectNode && s.Fallback != "":
		return fmt.Sprintf("%s, else %s", s.Node, s.Fallback)
	case s.Kind == SelectNode:
		return fmt.Sprintf("only %s", s.Node)
	case s.Kind == SelectCustom:
		return "custom " + s.Custom
	}
	return string(s.Kind)
}

// SelectorForms says to people how a selector is written.
const SelectorForms = `a selector is "local_first", "round_robin", "least_loaded", "random", {"node": NAME}, ` +
	`{"node": NAME, "fallback": "least_loaded"} or {"custom": NAME}`

// UnmarshalJSON implements json.Unmarshaler; it refuses unknown fields and kinds.
func (s *Selector) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var k SelectorKind
		if err := json.Unmarshal(b, &k); err != nil {
			return err
		}
		switch k {
		case SelectLocalFirst, SelectRoundRobin, SelectLeastLoaded, SelectRandom:
			*s = Selector{Kind: k}
			return nil
		}
		return fmt.Errorf("unknown selector %q: %s", k, SelectorForms)
	}
	var o selectorObject
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return fmt.Errorf("%s is no selector: %s", b, SelectorForms)
	}
	switch {
	case o.Node != "" && o.Custom == "":
		*s = Selector{Kind: SelectNode, Node: o.Node, Fallback: o.Fallback}
	case o.Custom != "" && o.Node == "" && o.Fallback == "":
		*s = Selector{Kind: SelectCustom, Custom: o.Custom}
	default:
		return fmt.Errorf("%s is no selector: %s", b, SelectorForms)
	}
	return nil
}
