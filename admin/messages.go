package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/supnode/supnode/actor"
	sup "github.com/supnode/supnode/supervisor"
)

// callTimeout is how long a call may take unless its body says otherwise.
const callTimeout = sup.Duration(actor.DefaultCallTimeout)

type callMessage struct {
	Type    string          `json:"type" minLength:"1" maxLength:"128" doc:"The name of the message's type, as its behavior defines it." example:"pool.process"`
	Value   json.RawMessage `json:"value,omitempty" doc:"What the behavior expects for this type; none is null."`
	Timeout *sup.Duration   `json:"timeout,omitempty" doc:"How long to wait for the child to run and to answer; default 5s, at most 10m." example:"5s"`
}

type castMessage struct {
	Type  string          `json:"type" minLength:"1" maxLength:"128" doc:"The name of the message's type, as its behavior defines it." example:"pool.reset"`
	Value json.RawMessage `json:"value,omitempty" doc:"What the behavior expects for this type; none is null."`
}

type call struct {
	Writing
	OneChild
	Body callMessage
}

type cast struct {
	Writing
	OneChild
	Body castMessage
}

// reply is the answer to a call.
type reply struct {
	Reply json.RawMessage `json:"reply" doc:"What the behavior answered."`
}

// delivering are the codes of what is delivered, or not, to a child.
var delivering = []sup.Code{sup.CodeNoLeader, sup.CodeSupervisorNotFound, sup.CodeChildNotFound, sup.CodeNotAnActor, sup.CodeCallFailed, sup.CodeOutcomeUnknown, sup.CodeIdempotencyKeyReused}

func (a *api) messageRoutes() {
	tags := []string{"messages"}
	register(a, huma.Operation{
		Method: http.MethodPost, Path: "/v1/supervisors/{sup}/children/{child}/call", OperationID: "call-child", Summary: "Call an actor child", Tags: tags,
		Responses: refuses(delivering, stopped, sup.CodeCallTimeout),
		Description: "Waits until the child runs and has answered. A call is carried out at most once, and without an Idempotency-Key recorded nowhere: " +
			"after call_timeout and outcome_unknown it may have been carried out; ask again only what may happen twice. All calls with one key are carried out " +
			"once, at whatever node they are asked, and answered what the first one was, which they wait for while it is under way. busy and no_leader are " +
			"no outcome: the key is free again. An answer of more than 64 KiB is given once and not kept: a repeat is outcome_unknown, and so is a call whose " +
			"node was lost before it said what came of it.",
	}, a.call)
	register(a, huma.Operation{
		Method: http.MethodPost, Path: "/v1/supervisors/{sup}/children/{child}/cast", OperationID: "cast-to-child", Summary: "Cast to an actor child", Tags: tags,
		Responses: refuses(delivering, stopped),
		Description: "Answers when the message is queued, on this node or towards the child's. All casts with one Idempotency-Key queue one message; without a " +
			"key it is recorded nowhere.", DefaultStatus: http.StatusAccepted,
	}, func(ctx context.Context, in *cast) (*struct{}, error) {
		ctx, err := in.apply(ctx)
		if err != nil {
			return nil, err
		}
		return nil, a.node.CastChild(ctx, in.key(), incoming(in.Body.Type, in.Body.Value), in.IdempotencyKey)
	})
}

func (a *api) call(ctx context.Context, in *call) (*struct{ Body reply }, error) {
	timeout := callTimeout
	if in.Body.Timeout != nil {
		timeout = *in.Body.Timeout
	}
	if timeout <= 0 || timeout > sup.Duration(MaxTimeout) {
		return nil, invalidAt("timeout", "%s is not a duration above 0 and up to %s; write one like 5s", timeout, MaxTimeout)
	}
	ctx, err := in.apply(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := a.node.CallChild(ctx, in.key(), incoming(in.Body.Type, in.Body.Value), time.Duration(timeout), in.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	return &struct{ Body reply }{reply{answer}}, nil
}

func incoming(typ string, value json.RawMessage) actor.Incoming {
	return actor.Incoming{Type: typ, Value: compact(value)}
}
