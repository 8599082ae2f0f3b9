package supervisor

import (
	"encoding/json"
	"fmt"
)

// Args are the args of a child spec, each value in its JSON form. A value that has none is told when the spec is used, as
// what is wrong with that argument.
func Args(values ...any) []json.RawMessage {
	args := make([]json.RawMessage, len(values))
	for i, v := range values {
		raw, err := json.Marshal(v)
		if err != nil {
			raw = []byte(noJSON + err.Error())
		}
		args[i] = raw
	}
	return args
}

// noJSON begins an argument that is no JSON but the reason why there is none.
const noJSON = "\x00"

// argError says what is wrong with an argument; "" when nothing is.
func argError(arg json.RawMessage) string {
	switch {
	case len(arg) > 0 && arg[0] == noJSON[0]:
		return fmt.Sprintf("this value has no JSON form: %s", arg[1:])
	case !json.Valid(arg):
		return "this is not JSON"
	}
	return ""
}

// ValidateArgs says what is wrong with the args of a child of simple_one_for_one, as ChildSpec.Validate does.
func ValidateArgs(args []json.RawMessage) []FieldError {
	var v validator
	v.args("", ChildSpec{Args: args})
	return v.errors
}
