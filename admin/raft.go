package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	sup "github.com/supnode/supnode/supervisor"
)

type transferLeadership struct {
	Patience
	To sup.NodeName `query:"to" maxLength:"63" doc:"The server that is to lead; left out: one that is up to date."`
}

type transferred struct {
	Leader sup.NodeName `json:"leader" doc:"Who leads now."`
}

func (a *api) raftRoutes() {
	register(a, huma.Operation{
		Method: http.MethodPost, Path: "/v1/raft/transfer-leadership", OperationID: "transfer-leadership", Tags: []string{"nodes"},
		Responses: refuses(asking, sup.CodeOutcomeUnknown, sup.CodeNodeNotFound, sup.CodeNodeUnreachable), Summary: "Hand the leadership to another server",
		Description: "Answers when another server leads, or at once when the one that is named leads already. No child is touched. " +
			"It is recorded nowhere, and an Idempotency-Key has no effect: asked again with `to`, it finds that one leading.",
		Metadata: map[string]any{needs: Admin},
	}, func(ctx context.Context, in *transferLeadership) (*struct{ Body transferred }, error) {
		ctx, err := in.apply(ctx)
		if err != nil {
			return nil, err
		}
		leader, err := a.node.TransferLeadership(ctx, in.To)
		if err != nil {
			return nil, err
		}
		return &struct{ Body transferred }{transferred{leader}}, nil
	})
}
