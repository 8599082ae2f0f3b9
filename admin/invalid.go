package admin

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
	sup "github.com/supnode/supnode/supervisor"
)

// ours marks this package's operations.
const ours = "supnode"

// huma makes its own errors through one function for the whole program. For this package's operations they become
// problems; for anyone else's they stay what they were. Field names are compared exactly, as the state does.
func init() {
	others := huma.NewErrorWithContext
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		if ctx == nil || ctx.Operation() == nil || ctx.Operation().Metadata[ours] == nil {
			return others(ctx, status, msg, errs...)
		}
		return problem{fromHuma(status, msg, errs)}
	}
	huma.ValidateStrictCasing = true
}

func fromHuma(status int, msg string, errs []error) *sup.Problem {
	if status >= http.StatusInternalServerError {
		return &sup.Problem{Code: codeInternal, Detail: errors.Join(append([]error{errors.New(msg)}, errs...)...).Error()}
	}
	var fields []sup.FieldError
	for _, err := range errs {
		var d *huma.ErrorDetail
		if errors.As(err, &d) {
			fields = append(fields, fieldError(d))
		} else if err != nil {
			fields = append(fields, sup.FieldError{Location: "body", Message: err.Error()})
		}
	}
	if len(fields) == 0 {
		fields = []sup.FieldError{{Location: "body", Message: msg}}
	}
	return invalid(fields...)
}

// missing is how huma says that a field is not there; it says so of the object.
var missing = regexp.MustCompile(`^expected required property (\S+) to be present$`)

func fieldError(d *huma.ErrorDetail) sup.FieldError {
	e := sup.FieldError{Location: strings.TrimPrefix(d.Location, "body."), Message: d.Message}
	if m := missing.FindStringSubmatch(d.Message); m != nil {
		return sup.FieldError{Location: strings.TrimPrefix(d.Location+"."+m[1], "body."), Message: "this field is missing"}
	}
	if at, why, ok := strings.Cut(d.Message, placed); ok {
		return sup.FieldError{Location: cmp.Or(at, e.Location), Message: why}
	}
	switch d.Message {
	case "invalid integer": // of a parameter, which is text
		e.Message = fmt.Sprintf("%q cannot be here; write a whole number", d.Value)
	case "invalid boolean":
		e.Message = fmt.Sprintf("%q is neither true nor false", d.Value)
	case validation.MsgUnexpectedProperty:
		name := e.Location[strings.LastIndexByte(e.Location, '.')+1:]
		e.Message = fmt.Sprintf("unknown field %q", name)
	case validation.MsgExpectedMatchExactlyOneSchema: // only selectors have alternatives
		e.Message = sup.SelectorForms
	}
	return e
}

// invalid is the refusal of a request that nobody could carry out.
func invalid(fields ...sup.FieldError) *sup.Problem {
	slices.SortStableFunc(fields, func(a, b sup.FieldError) int { return cmp.Compare(a.Location, b.Location) })
	return sup.InvalidSpec(fields)
}

func invalidAt(location, format string, args ...any) *sup.Problem {
	return invalid(sup.FieldError{Location: location, Message: fmt.Sprintf(format, args...)})
}
