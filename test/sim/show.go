package sim

import (
	"encoding/json"
	"fmt"
	"regexp"
)

// nothing is what an event leaves empty.
var nothing = regexp.MustCompile(`"[A-Za-z]+":(null|0|""|false|\{\}),?`)

// show writes an event or action for the trace.
func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%T%+v", v, v)
	}
	return fmt.Sprintf("%T%s", v, nothing.ReplaceAll(nothing.ReplaceAll(b, nil), nil))
}
