package node

import (
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// maxKeyBytes bounds an idempotency key.
const maxKeyBytes = 255

// MaxRequest bounds a change that is asked for, in bytes as the log has it. A manifest of 100,000 children has about six
// million. One that takes longer to replicate than the stall time-out would end its leader (L6).
const MaxRequest = 8 << 20

type idempotencyKeyKey struct{}

// WithIdempotencyKey gives the next change that is asked for with ctx a key: asked again with the same key, on any node and
// also after the program has died in between, it has its effect once (S36). One key is for one request.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, idempotencyKeyKey{}, key)
}

func idempotencyKey(ctx context.Context) string {
	key, _ := ctx.Value(idempotencyKeyKey{}).(string)
	return key
}

// prepared is a command with its defaults filled in, when it is valid: what does not read back, or breaks a rule of its
// spec, must not reach the log, where every replica would stop at it.
func prepared(cmd fsm.Command) (fsm.Command, error) {
	var wrong []sup.FieldError
	switch {
	case cmd.StartSupervisor != nil:
		start := *cmd.StartSupervisor
		start.Spec, wrong = named(start.Spec)
		cmd.StartSupervisor = &start
	case cmd.ApplyManifest != nil:
		apply := *cmd.ApplyManifest
		apply.Spec, wrong = named(apply.Spec)
		cmd.ApplyManifest = &apply
	case cmd.StartChild != nil && cmd.StartChild.Spec != nil:
		start := *cmd.StartChild
		spec := start.Spec.WithDefaults()
		start.Spec, wrong = &spec, spec.Validate()
		cmd.StartChild = &start
	case cmd.StartChild != nil:
		args := make([]json.RawMessage, len(cmd.StartChild.Args))
		for i, a := range cmd.StartChild.Args {
			args[i] = a
		}
		wrong = sup.ValidateArgs(args)
	}
	if len(wrong) > 0 {
		return cmd, sup.InvalidSpec(wrong)
	}
	return cmd, nil
}

// named is the spec of a supervisor of its own with its defaults, and what is wrong with it.
func named(spec sup.Spec) (sup.Spec, []sup.FieldError) {
	spec = spec.WithDefaults()
	wrong := spec.Validate()
	if spec.Name == "" {
		wrong = append(wrong, sup.FieldError{Location: "name", Message: "a supervisor needs a name"})
	}
	return spec, wrong
}

// fits reports an error when what was encoded is more than the log takes at once.
func fits(encoded []byte) error {
	if len(encoded) <= MaxRequest {
		return nil
	}
	return &sup.Problem{Code: sup.CodePayloadTooLarge, Bound: MaxRequest,
		Detail: fmt.Sprintf("the request has %d bytes, and a change has %d at most: ask for it in parts, with what is large elsewhere", len(encoded), MaxRequest)}
}

// readable reports an error when what was encoded for the log and the wire does not read back: text that is no UTF-8.
func readable(encoded []byte) error {
	var c fsm.Command
	if err := rpc.Decode(encoded, &c); err != nil {
		return sup.InvalidSpec([]sup.FieldError{{Location: "request", Message: fmt.Sprintf("it has text that is not UTF-8: %s", err)}})
	}
	return nil
}

func validKey(key string) error {
	switch {
	case len(key) > maxKeyBytes:
		return sup.InvalidSpec([]sup.FieldError{{Location: "Idempotency-Key", Message: fmt.Sprintf("it is longer than %d bytes", maxKeyBytes)}})
	case !utf8.ValidString(key):
		return sup.InvalidSpec([]sup.FieldError{{Location: "Idempotency-Key", Message: "it is not UTF-8"}})
	}
	return nil
}
