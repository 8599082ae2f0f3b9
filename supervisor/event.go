package supervisor

import "encoding/json"

// MarshalJSON implements json.Marshaler: node_failure_detected always says which children it affects, be it none (S44).
func (e Event) MarshalJSON() ([]byte, error) {
	type plain Event
	if e.Type != EventNodeFailureDetected {
		return json.Marshal(plain(e))
	}
	affected := e.AffectedChildren
	if affected == nil {
		affected = []Key{}
	}
	return json.Marshal(struct {
		plain
		AffectedChildren []Key `json:"affected_children"`
	}{plain(e), affected})
}
