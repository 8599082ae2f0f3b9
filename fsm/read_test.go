package fsm

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	sup "github.com/supnode/supnode/supervisor"
)

// A program that changes what it was answered changes nothing but that: one replica would go on with other specs than the rest.
func TestWhatIsReadIsTheReadersOwn(t *testing.T) {
	w := newWorld(t)
	w.register("n1", "job")
	w.placing = false
	full := sup.ChildSpec{
		ID: "w", Behavior: "job", Args: []json.RawMessage{[]byte(`{"a":"b"}`)}, Selector: sup.OnNode("n1"), Backoff: &sup.DefaultBackoff,
		Require: map[string]string{"zone": "a"},
	}.WithDefaults()
	template := full
	template.ID = ""
	trees := sup.Spec{Name: "pool", Selector: &sup.Selector{Kind: sup.SelectRandom}, Children: []sup.ChildSpec{full, {ID: "jobs", Supervisor: &sup.Spec{
		Strategy: sup.SimpleOneForOne, ChildTemplate: &template, MaxChildren: 3,
	}}}}.WithDefaults()
	w.apply(Command{StartSupervisor: &StartSupervisor{Spec: trees, Home: "n1"}})
	read := func() (all []any) {
		for _, n := range []sup.Name{"pool", "pool/jobs"} {
			info, ok := w.s.Info(n)
			if !ok {
				t.Fatalf("no %s: %v", n, w.last)
			}
			children, _ := w.s.Children(n, "", 10, nil)
			all = append(all, &info, children)
		}
		one, _ := w.s.ChildInfo(sup.Key{Supervisor: "pool", Child: "w"})
		events, _, _ := w.s.Events(0, 10)
		copied := trees.Clone()
		return append(all, &one, events, &copied)
	}
	text := func(v any) string {
		b, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	answers := read()
	before := text(answers)
	for _, answer := range answers {
		scribble(reflect.ValueOf(answer))
	}
	if d := cmp.Diff(before, text(read())); d != "" {
		t.Error(d)
	}
}

// scribble writes over all that v refers to.
func scribble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			scribble(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			scribble(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			scribble(v.Index(i))
		}
	case reflect.Map:
		v.Clear()
	default:
		if v.CanSet() {
			v.SetZero()
		}
	}
}
