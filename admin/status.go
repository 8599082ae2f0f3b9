package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/supnode/supnode/node"
)

func (a *api) statusRoutes() {
	register(a, huma.Operation{
		Method: http.MethodGet, Path: "/v1/status", OperationID: "status", Responses: refuses(), Summary: "This node's view", Tags: []string{"nodes"},
		Description: "What the node asked knows by itself: it neither waits for a leader nor asks one, whatever timeout and consistency say.",
	}, func(ctx context.Context, in *struct{ Reading }) (*struct{ Body node.Status }, error) {
		if _, err := in.apply(ctx); err != nil {
			return nil, err
		}
		s := a.node.Status()
		if s.Servers == nil {
			s.Servers = []node.Server{}
		}
		return &struct{ Body node.Status }{s}, nil
	})
}

// readyz answers 200 when the node can do its work, else 503, either way with every check for a person to read.
func (a *api) readyz(w http.ResponseWriter, _ *http.Request) {
	r := a.node.Ready()
	if r.Checks == nil {
		r.Checks = []node.Check{}
	}
	status := http.StatusOK
	if !r.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, r)
}
