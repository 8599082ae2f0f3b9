package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// misfit is what is wrong at one place of a body that is JSON, but not of the type that it is to be. huma passes on the text
// of an error alone, so the place goes in front of it.
type misfit struct{ at, why string }

func (m *misfit) Error() string { return m.at + placed + m.why }

// placed ends the place in front of a text.
const placed = "\x00"

// maxLook bounds how many levels of a body are looked through for a misfit: each is read anew.
const maxLook = 50

// misfitOf finds the first value of a body that does not fit into t, where huma's look found nothing wrong; nil when all do.
func misfitOf(data []byte, t reflect.Type, at string, depth int) *misfit {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	err := json.Unmarshal(data, reflect.New(t).Interface())
	if err == nil {
		return nil
	}
	var fields map[string]json.RawMessage
	var items []json.RawMessage
	switch {
	case depth > maxLook:
	case t.Kind() == reflect.Struct && json.Unmarshal(data, &fields) == nil:
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if value, there := fields[name]; there {
				if m := misfitOf(value, t.Field(i).Type, strings.TrimPrefix(at+"."+name, "."), depth+1); m != nil {
					return m
				}
			}
		}
	case t.Kind() == reflect.Slice && json.Unmarshal(data, &items) == nil:
		for i, item := range items {
			if m := misfitOf(item, t.Elem(), fmt.Sprintf("%s[%d]", at, i), depth+1); m != nil {
				return m
			}
		}
	}
	switch wrong := (*json.UnmarshalTypeError)(nil); {
	case !errors.As(err, &wrong):
		return &misfit{at, err.Error()}
	case t.Kind() == reflect.Int && strings.ContainsAny(string(data), ".eE"):
		return &misfit{at, fmt.Sprintf("%s is not written as a whole number; write its digits alone", data)}
	}
	return &misfit{at, fmt.Sprintf("%s is too large", data)}
}
