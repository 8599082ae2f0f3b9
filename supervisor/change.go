package supervisor

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// ChangeAction says what a Change does.
type ChangeAction string

// What a change of a manifest does, in the order in which it is done.
const (
	ChangeCreate  ChangeAction = "create"  // the supervisor is not there, or has stopped
	ChangeStop    ChangeAction = "stop"    // a child that the manifest does not name
	ChangeSet     ChangeAction = "set"     // a setting of the supervisor, without restarts
	ChangeReorder ChangeAction = "reorder" // the start order, without restarts (S6)
	ChangeStart   ChangeAction = "start"   // a child that is not there yet
	ChangeRestart ChangeAction = "restart" // a child whose spec differs: stopped, and started with the new one
)

// Change is one difference between a supervisor and a manifest that it is to be as.
type Change struct {
	Action ChangeAction `json:"action" enum:"create,stop,set,reorder,start,restart" cbor:"1,keyasint"`
	Child  ChildID      `json:"child,omitempty" doc:"Of stop, start and restart." cbor:"2,keyasint,omitempty"`
	Fields []string     `json:"fields,omitempty" doc:"Of restart and set: what differs." cbor:"3,keyasint,omitempty"`
	// From and To are of a set.
	From json.RawMessage `json:"from,omitempty" doc:"Of set: what it was." cbor:"4,keyasint,omitempty"`
	To   json.RawMessage `json:"to,omitempty" doc:"Of set: what it is to be." cbor:"5,keyasint,omitempty"`
}

// Creation is what there is to do when nothing is there.
func (s Spec) Creation() []Change {
	changes := []Change{{Action: ChangeCreate}}
	for _, c := range s.Children {
		changes = append(changes, Change{Action: ChangeStart, Child: c.ID})
	}
	return changes
}

// Changes is what there is to do for a supervisor that is as s, its children in start order, to be as next says; both have
// their defaults and the same strategy. Of simple_one_for_one the children of s are those that were started from its
// template. What stops does so first, in reverse start order; what starts, in the new one.
func (s Spec) Changes(next Spec) []Change {
	wanted := make(map[ChildID]*ChildSpec, len(next.Children))
	for i := range next.Children {
		wanted[next.Children[i].ID] = &next.Children[i]
	}
	template := differing(s.template(), next.template())
	var stops, starts []Change
	restarts := make(map[ChildID][]string)
	for _, c := range s.Children {
		fields := template
		if w := wanted[c.ID]; w != nil {
			fields = differing(c, *w)
		} else if s.Strategy != SimpleOneForOne {
			stops = append(stops, Change{Action: ChangeStop, Child: c.ID})
			continue
		}
		if len(fields) > 0 {
			restarts[c.ID] = fields
		}
	}
	slices.Reverse(stops)
	order := next.Children
	if s.Strategy == SimpleOneForOne {
		order = s.Children
	}
	there := make(map[ChildID]bool, len(s.Children))
	for _, c := range s.Children {
		there[c.ID] = true
	}
	for _, c := range order {
		if fields, ok := restarts[c.ID]; ok {
			starts = append(starts, Change{Action: ChangeRestart, Child: c.ID, Fields: fields})
		} else if !there[c.ID] {
			starts = append(starts, Change{Action: ChangeStart, Child: c.ID})
		}
	}
	changes := append(stops, s.settings(next)...)
	if s.reorders(next, wanted) {
		changes = append(changes, Change{Action: ChangeReorder})
	}
	return append(changes, starts...)
}

// reorders reports whether the children of s that next names too stand in another order there, or behind new ones.
func (s Spec) reorders(next Spec, wanted map[ChildID]*ChildSpec) bool {
	if s.Strategy == SimpleOneForOne {
		return false
	}
	i := 0
	for _, c := range s.Children {
		if wanted[c.ID] == nil {
			continue
		}
		if next.Children[i].ID != c.ID {
			return true
		}
		i++
	}
	return false
}

// settings are the differences that concern no child.
func (s Spec) settings(next Spec) (changes []Change) {
	set := func(field string, from, to any) {
		a, b := inJSON(from), inJSON(to)
		if !bytes.Equal(a, b) {
			changes = append(changes, Change{Action: ChangeSet, Fields: []string{field}, From: a, To: b})
		}
	}
	set("selector", s.Selector, next.Selector)
	set("restart_intensity", s.Intensity, next.Intensity)
	set("auto_shutdown", s.AutoShutdown, next.AutoShutdown)
	set("max_children", s.MaxChildren, next.MaxChildren)
	set("spread", s.Spread, next.Spread)
	if fields := differing(s.template(), next.template()); len(fields) > 0 {
		for i := range fields {
			fields[i] = "child_template." + fields[i]
		}
		changes = append(changes, Change{Action: ChangeSet, Fields: fields})
	}
	return changes
}

func (s Spec) template() ChildSpec {
	if s.ChildTemplate == nil {
		return ChildSpec{}
	}
	return *s.ChildTemplate
}

func inJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("supervisor: a setting has no JSON form: " + err.Error()) // it came from JSON, or was validated
	}
	return b
}

// differing are the names of the fields in which two specs of a child differ, its id aside.
func differing(a, b ChildSpec) (fields []string) {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		name, _, _ := strings.Cut(x.Type().Field(i).Tag.Get("json"), ",")
		switch {
		case name == "id":
		case name == "args":
			if !sameArgs(a.Args, b.Args) {
				fields = append(fields, name)
			}
		case !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()):
			fields = append(fields, name)
		}
	}
	return fields
}

// sameArgs reports whether args mean the same: white space and the order of keys make no difference.
func sameArgs(a, b []json.RawMessage) bool {
	return slices.EqualFunc(a, b, func(x, y json.RawMessage) bool {
		if bytes.Equal(x, y) {
			return true
		}
		v, okX := meaning(x)
		w, okY := meaning(y)
		return okX && okY && reflect.DeepEqual(v, w)
	})
}

func meaning(raw json.RawMessage) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err := d.Decode(&v)
	return v, err == nil
}
