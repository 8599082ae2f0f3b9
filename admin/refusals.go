package admin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	sup "github.com/supnode/supnode/supervisor"
)

// The codes that operations have in common.
var (
	anybody  = []sup.Code{sup.CodeInvalidSpec, sup.CodeUnauthorized, sup.CodeForbidden, sup.CodePayloadTooLarge, sup.CodeBusy, codeInternal}
	asking   = []sup.Code{sup.CodeNoLeader}
	changing = []sup.Code{sup.CodeNoLeader, sup.CodeOutcomeUnknown, sup.CodeIdempotencyKeyReused, sup.CodeQuotaExceeded}
	stopped  = []sup.Code{sup.CodeSupervisorStopped, sup.CodeMaxRestartsExceeded}
	placing  = []sup.Code{sup.CodeBehaviorNotFound, sup.CodeSelectorNotRegistered, sup.CodeNoAvailableNode, sup.CodeInitFailed}
)

// refuses is what an operation may refuse with, besides what anybody may be refused with.
func refuses(codes ...any) map[string]*huma.Response {
	all := slices.Clone(anybody)
	for _, c := range codes {
		switch c := c.(type) {
		case sup.Code:
			all = append(all, c)
		case []sup.Code:
			all = append(all, c...)
		}
	}
	slices.Sort(all)
	byStatus := map[int][]sup.Code{}
	for _, c := range slices.Compact(all) {
		status := refusalOf(c).status
		byStatus[status] = append(byStatus[status], c)
	}
	responses := map[string]*huma.Response{}
	for status, codes := range byStatus {
		var names []string
		var enum []any
		for _, c := range codes {
			names, enum = append(names, string(c)), append(enum, string(c))
		}
		responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status) + ": " + strings.Join(names, ", "),
			Content: map[string]*huma.MediaType{"application/problem+json": {Schema: &huma.Schema{
				AllOf: []*huma.Schema{{Ref: "#/components/schemas/Problem"}},
				Properties: map[string]*huma.Schema{
					"code":   {Type: huma.TypeString, Enum: enum},
					"status": {Type: huma.TypeInteger, Enum: []any{status}},
				},
			}}},
		}
	}
	return responses
}

// describeRest describes what huma does not know of.
func (a *api) describeRest() {
	node := a.huma.OpenAPI().Components.Schemas.Map()["Node"]
	lease := *node.Properties["lease_expires_in"]
	lease.Nullable, lease.Description = true, "As the leader knows it; null where it is not known."
	node.Properties["lease_expires_in"] = &lease
	plain := func(description, kind string, schema *huma.Schema) *huma.Response {
		return &huma.Response{Description: description, Content: map[string]*huma.MediaType{kind: {Schema: schema}}}
	}
	any := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
	text := &huma.Schema{Type: huma.TypeString}
	ready := &huma.Schema{Ref: "#/components/schemas/Ready"}
	a.huma.OpenAPI().Components.Schemas.Map()["Ready"] = readySchema()
	open, guarded := []map[string][]string{}, []map[string][]string{{bearer: {}}, {}}
	refused := refuses()
	with := func(responses map[string]*huma.Response) map[string]*huma.Response {
		for status, r := range refused {
			if responses[status] == nil {
				responses[status] = r
			}
		}
		return responses
	}
	for _, op := range []*huma.Operation{
		{Path: "/healthz", OperationID: "healthz", Summary: "The process is alive", Security: open,
			Responses: with(map[string]*huma.Response{"200": plain("OK", "application/json", any)})},
		{Path: "/readyz", OperationID: "readyz", Summary: "The node can do its work, check by check", Security: open,
			Responses: with(map[string]*huma.Response{"200": plain("Ready", "application/json", ready), "503": plain("Not ready", "application/json", ready)})},
		{Path: "/metrics", OperationID: "metrics", Summary: "Metrics for Prometheus", Security: guarded,
			Responses: with(map[string]*huma.Response{"200": plain("OK", "text/plain", text)})},
		{Path: "/openapi.json", OperationID: "openapi", Summary: "This document", Security: guarded,
			Responses: with(map[string]*huma.Response{"200": plain("OK", "application/openapi+json", any)})},
	} {
		op.Method, op.Tags = http.MethodGet, []string{"operations"}
		a.huma.OpenAPI().AddOperation(op)
	}
}

func readySchema() *huma.Schema {
	truth, text := &huma.Schema{Type: huma.TypeBoolean}, &huma.Schema{Type: huma.TypeString}
	check := object(map[string]*huma.Schema{"name": text, "ok": truth, "detail": text}, "name", "ok", "detail")
	return object(map[string]*huma.Schema{"ready": truth, "checks": {Type: huma.TypeArray, Items: check}}, "ready", "checks")
}
