package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/node/courier"
	sup "github.com/supnode/supnode/supervisor"
)

// CallChild has an actor carry out a call that came as JSON, wherever it runs; timeout bounds it, 0 = actor.DefaultCallTimeout.
// It is carried out at most once (S41). With a key, the client's idempotency key, that holds for all calls with the key, and
// each of them has the answer of the first; an answer of more than fsm.MaxReply bytes is not kept for them. Errors are
// *supervisor.Problem.
func (n *Node) CallChild(ctx context.Context, k sup.Key, in actor.Incoming, timeout time.Duration, key string) (json.RawMessage, error) {
	if timeout <= 0 {
		timeout = actor.DefaultCallTimeout
	}
	send := func(ctx context.Context) (json.RawMessage, error) { return n.call(ctx, k, in, timeout) }
	if key == "" {
		return send(ctx)
	}
	return n.once(ctx, message{Key: k, Type: in.Type, Value: in.Value, Timeout: timeout}, key, send)
}

func (n *Node) call(ctx context.Context, k sup.Key, in actor.Incoming, timeout time.Duration) (json.RawMessage, error) {
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	reply, err := n.courier.CallJSON(within, actor.RefTo(string(k.Supervisor), string(k.Child)), in)
	if err != nil && ctx.Err() != nil {
		return nil, unknownOutcome(k, fmt.Sprintf("the call of %s was given up before child %s answered: it may have been carried out, and is not repeated", in.Type, k))
	}
	return reply, messageProblem(k, in.Type, err, timeout)
}

// CastChild queues a message that came as JSON for an actor, wherever it runs. With a key, the client's idempotency key, all
// casts with the key queue one message. Errors are *supervisor.Problem, or ctx's.
func (n *Node) CastChild(ctx context.Context, k sup.Key, in actor.Incoming, key string) error {
	if key == "" {
		return n.cast(ctx, k, in)
	}
	send := func(ctx context.Context) (json.RawMessage, error) { return nil, n.cast(ctx, k, in) }
	_, err := n.once(ctx, message{Key: k, Cast: true, Type: in.Type, Value: in.Value}, key, send)
	return err
}

func (n *Node) cast(ctx context.Context, k sup.Key, in actor.Incoming) error {
	asking, cancel := context.WithTimeout(ctx, leaderTimeout(ctx))
	defer cancel()
	err := n.courier.CastJSON(asking, actor.RefTo(string(k.Supervisor), string(k.Child)), in)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return messageProblem(k, in.Type, err, 0)
}

// messageProblem says in the words of the API what became of a message.
func messageProblem(k sup.Key, typ string, err error, timeout time.Duration) error {
	if err == nil {
		return nil
	}
	p := &sup.Problem{Code: sup.CodeCallFailed, Supervisor: k.Supervisor, Child: k.Child, Detail: err.Error()}
	var known *sup.Problem
	var wrong *actor.MessageError
	var panicked *actor.PanicError
	switch {
	case errors.As(err, &panicked):
		p.Detail = fmt.Sprintf("child %s panicked at %s: %s; its last_exit has the stack", k, typ, panicked.Value)
	case errors.As(err, &wrong) && !wrong.Answer:
		return notTaken(k, wrong)
	case errors.As(err, new(*actor.HandlerError)), errors.As(err, &wrong):
	case errors.Is(err, actor.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		p.Code, p.Detail = sup.CodeCallTimeout, fmt.Sprintf("child %s did not answer %s within %s; it may still do what was asked", k, typ, timeout)
		if errors.Is(err, actor.ErrTimeout) && err != actor.ErrTimeout {
			p.Detail = fmt.Sprintf("child %s did not answer %s within %s: %s", k, typ, timeout, strings.TrimPrefix(err.Error(), actor.ErrTimeout.Error()+": "))
		}
	case errors.Is(err, actor.ErrOutcomeUnknown):
		p.Code, p.Detail = sup.CodeOutcomeUnknown, fmt.Sprintf("child %s was stopped, or its node lost, while %s was with it (%s); it is not repeated", k, typ, err)
	case errors.As(err, &known):
		return known
	case errors.Is(err, actor.ErrBusy):
		p.Code, p.Bound, p.Detail = sup.CodeBusy, actor.DefaultMailbox, fmt.Sprintf("too many messages wait for child %s; try again in a moment", k)
	case errors.Is(err, actor.ErrGone):
		p.Detail = fmt.Sprintf("child %s is not running, so nothing was queued (%s)", k, err)
	}
	return p
}

// notTaken is for a message whose type or value does not fit its child.
func notTaken(k sup.Key, e *actor.MessageError) *sup.Problem {
	at := "value"
	if errors.Is(e, actor.ErrUnhandled) {
		at = "type"
	}
	message := fmt.Sprintf("%q to child %s on node %s: %s", e.Type, k, e.Node, e.Err)
	return &sup.Problem{Code: sup.CodeInvalidSpec, Supervisor: k.Supervisor, Child: k.Child,
		Detail: at + ": " + message, Errors: []sup.FieldError{{Location: at, Message: message}}}
}

// newCourier makes what carries messages between nodes; it takes them from other nodes once the actors are there.
func (n *Node) newCourier() {
	n.courier = courier.New(courier.Config{
		Node: n.cfg.Name, Port: n.port, Directory: &whereabouts{n: n, heard: map[actor.Key]heard{}}, Logger: n.log.Named("messages"),
	})
}

// dropLost breaks the streams to nodes that the cluster declares lost, until ctx ends.
func (n *Node) dropLost(ctx context.Context) {
	since := n.events.last()
	for {
		since = n.eachEvent(since, func(e sup.Event) {
			if e.Type == sup.EventNodeFailureDetected {
				n.courier.Drop(e.Node)
			}
		})
		more := n.events.after(since)
		if more == nil {
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
	}
}
