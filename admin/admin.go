package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

// Options of New.
type Options struct {
	Logger hclog.Logger // nil: nothing is logged
	Tokens []Token      // none: whoever reaches the address may do everything
}

// api is the handler's parts.
type api struct {
	node Node
	huma huma.API
	log  hclog.Logger

	followers *followers
	routes    map[string]route // by the mux's pattern
}

// New makes the handler of a node's HTTP face.
func New(n Node, o Options) (http.Handler, error) {
	_, g, err := newAPI(n, o)
	if err != nil {
		return nil, err
	}
	return g, nil
}

func newAPI(n Node, o Options) (*api, *gate, error) {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	mux := http.NewServeMux()
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "supnode", Version: n.Status().Version, Description: "OTP-style supervision for a cluster."},
			Components: &huma.Components{Schemas: schemas(), SecuritySchemes: map[string]*huma.SecurityScheme{
				bearer: {Type: "http", Scheme: "bearer", Description: "A token of the node's tokens_file; needed where there is such a file."},
			}},
		},
		Formats:       map[string]huma.Format{"application/json": strictJSON, "json": strictJSON},
		DefaultFormat: "application/json",
	}
	a := &api{node: n, huma: humago.New(mux, config), log: o.Logger, followers: newFollowers(), routes: map[string]route{}}
	a.statusRoutes()
	a.nodeRoutes()
	a.raftRoutes()
	a.supervisorRoutes()
	a.applyRoutes()
	a.childRoutes()
	a.messageRoutes()
	a.logRoutes()
	a.eventRoutes()
	a.describeRest()
	document, err := a.document()
	if err != nil {
		return nil, nil, fmt.Errorf("describe the API: %w", err)
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		w.Write(document)
	})
	announce(mux)
	mux.HandleFunc("GET /healthz", healthz)
	mux.HandleFunc("GET /readyz", a.readyz)
	m := newMetrics()
	mux.Handle("GET /metrics", m.handler(n.Metrics()))
	return a, &gate{
		node: n, mux: mux, origin: http.NewCrossOriginProtection(), slots: make(chan struct{}, MaxInFlight),
		tokens: tokensOf(o.Tokens), routes: a.routes, metrics: m,
	}, nil
}

// document is the OpenAPI description, with the problem in place of huma's own error.
func (a *api) document() ([]byte, error) {
	s := a.huma.OpenAPI().Components.Schemas.Map()
	delete(s, "ErrorModel")
	delete(s, "ErrorDetail")
	s["Problem"] = problemSchema()
	return json.Marshal(a.huma.OpenAPI())
}

// bearer is the name of the security scheme.
const bearer = "token"

// register adds an operation. Its handler's errors become problems.
func register[I, O any](a *api, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	role, given := op.Metadata[needs].(Role)
	if !given {
		role = needed(op.Method)
	}
	op.Extensions = map[string]any{"x-supnode-role": role}
	op.Security = []map[string][]string{{bearer: {}}, {}}
	op.Metadata = map[string]any{ours: true}
	op.MaxBodyBytes = MaxBody + 1 // the gate has checked; huma counts the bound itself as too many
	op.BodyReadTimeout = -1       // the gate has read it
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, problem{a.problem(ctx, op.Method, err)}
		}
		return out, nil
	})
	a.routes[op.Method+" "+op.Path] = routeOf(role, a.huma.OpenAPI().Paths[op.Path], op.Method)
}

// problem makes a problem of whatever a handler failed with.
func (a *api) problem(ctx context.Context, method string, err error) *sup.Problem {
	var p *sup.Problem
	switch {
	case errors.As(err, &p):
	case ctx.Err() != nil && method == http.MethodGet:
		p = &sup.Problem{Code: sup.CodeNoLeader, Detail: "this node is shutting down"}
	case ctx.Err() != nil:
		p = &sup.Problem{Code: sup.CodeOutcomeUnknown, Detail: "this node is shutting down; ask again with the same Idempotency-Key to learn the outcome"}
	default:
		a.log.Error("a request failed", "method", method, "error", err)
		p = &sup.Problem{Code: codeInternal, Detail: err.Error()}
	}
	return p
}

// Patience is the parameter of every request that needs the leader.
type Patience struct {
	Timeout string `query:"timeout" default:"10s" doc:"How long to wait for a leader before no_leader is answered." example:"10s"`
}

// MaxTimeout bounds ?timeout=.
const MaxTimeout = 10 * time.Minute

func (p Patience) apply(ctx context.Context) (context.Context, error) {
	d, err := time.ParseDuration(p.Timeout)
	if err != nil || d <= 0 || d > MaxTimeout {
		return ctx, invalidAt("query.timeout", "%q is not a duration above 0 and up to %s; write one like 10s", p.Timeout, MaxTimeout)
	}
	return node.WithLeaderTimeout(ctx, d), nil
}

// Reading are the parameters of every read.
type Reading struct {
	Patience
	Consistency string `query:"consistency" enum:"linearizable,stale" default:"linearizable" doc:"stale: what the node asked knows, without asking the leader."`
}

// Writing are the parameters of every write.
type Writing struct {
	Patience
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"The same key and request within 24 h answers the first outcome again instead of acting twice."`
}

// read is the answer to a read.
type read[T any] struct {
	AppliedIndex string `header:"X-Supnode-Applied-Index" doc:"The Raft index of the state that was read."`
	Body         T
}

func (a *api) read(ctx context.Context, r Reading, q node.Query) (node.Answer, error) {
	ctx, err := r.apply(ctx)
	if err != nil {
		return node.Answer{}, err
	}
	q.Stale = r.Consistency == "stale"
	return a.node.Read(ctx, q)
}

func answered[T any](ans node.Answer, body T) *read[T] {
	return &read[T]{AppliedIndex: strconv.FormatUint(ans.Index, 10), Body: body}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	writeBody(w, v)
}

// writeBody writes JSON for a person to read. A client that went away is the only error, and nobody is left to tell.
func writeBody(w io.Writer, v any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}
