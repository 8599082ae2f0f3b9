package courier

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// maxStack bounds the stack of a panic that travels.
const maxStack = 16 << 10

// refused answers a call that Deliver did not take.
func refused(id uint64, err error) rpc.Answer {
	a := rpc.Answer{ID: id}
	var wrong *actor.MessageError
	switch {
	case errors.As(err, &wrong):
		a.Verdict, a.Text, a.Unhandled = rpc.VerdictMessage, wrong.Err.Error(), errors.Is(err, actor.ErrUnhandled)
	case errors.Is(err, actor.ErrGone):
		a.Verdict = rpc.VerdictUndelivered
	case errors.Is(err, actor.ErrStale):
		a.Verdict = rpc.VerdictStale
	case errors.Is(err, actor.ErrDeadlock):
		a.Verdict = rpc.VerdictDeadlock
	case errors.Is(err, actor.ErrBusy):
		a.Verdict = rpc.VerdictBusy
	default:
		a.Verdict = rpc.VerdictClosed
	}
	return a
}

// answered answers a call that was in a mailbox.
func answered(id uint64, value json.RawMessage, err error) rpc.Answer {
	a := rpc.Answer{ID: id}
	var failed *actor.HandlerError
	var panicked *actor.PanicError
	var wrong *actor.MessageError
	switch {
	case err == nil && len(value) > MaxValue:
		a.Verdict, a.Text = rpc.VerdictAnswer, fmt.Sprintf("the answer has %d bytes as JSON, and %d travel between nodes at most", len(value), MaxValue)
	case err == nil:
		a.Value = value
	case actor.Undelivered(err):
		a.Verdict = rpc.VerdictUndelivered
	case errors.As(err, &failed):
		a.Verdict, a.Text = rpc.VerdictFailed, failed.Text
	case errors.As(err, &panicked):
		a.Verdict, a.Text, a.Stack = rpc.VerdictPanic, panicked.Value, panicked.Stack[:min(len(panicked.Stack), maxStack)]
	case errors.As(err, &wrong):
		a.Verdict, a.Text, a.Unhandled = rpc.VerdictMessage, wrong.Err.Error(), errors.Is(err, actor.ErrUnhandled)
		if wrong.Answer {
			a.Verdict = rpc.VerdictAnswer
		}
	case errors.Is(err, actor.ErrBusy): // dropped for a newer message
		a.Verdict = rpc.VerdictBusy
	case errors.Is(err, actor.ErrTimeout):
		a.Verdict = rpc.VerdictTimeout
	default:
		a.Verdict = rpc.VerdictUnknown
	}
	return a
}

// taken is what an answer of a node says to the caller.
func taken(node sup.NodeName, k actor.Key, typ string, a rpc.Answer) (json.RawMessage, error) {
	wrong := &actor.MessageError{Node: string(node), Key: k, Type: typ, Err: errors.New(a.Text)}
	if a.Unhandled {
		wrong.Err = unhandled{a.Text}
	}
	switch a.Verdict {
	case rpc.VerdictReply:
		return a.Value, nil
	case rpc.VerdictBusy:
		return nil, actor.ErrBusy
	case rpc.VerdictDeadlock:
		return nil, actor.ErrDeadlock
	case rpc.VerdictMessage:
		return nil, wrong
	case rpc.VerdictAnswer:
		wrong.Answer = true
		return nil, wrong
	case rpc.VerdictClosed:
		return nil, actor.ErrClosed
	case rpc.VerdictStale:
		return nil, actor.ErrStale
	case rpc.VerdictTimeout:
		return nil, actor.ErrTimeout
	case rpc.VerdictFailed:
		return nil, &actor.HandlerError{Node: string(node), Key: k, Type: typ, Text: a.Text}
	case rpc.VerdictPanic:
		return nil, &actor.PanicError{Key: k, Type: typ, Value: a.Text, Stack: a.Stack}
	case rpc.VerdictUnknown:
		return nil, fmt.Errorf("%w: node %s says so", actor.ErrOutcomeUnknown, node)
	}
	return nil, fmt.Errorf("%w: node %s gave the verdict %d, which this node does not know", actor.ErrOutcomeUnknown, node, a.Verdict)
}

// unhandled is actor.ErrUnhandled in another node's words.
type unhandled struct{ text string }

func (e unhandled) Error() string        { return e.text }
func (e unhandled) Is(target error) bool { return target == actor.ErrUnhandled }
