package admin

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// Codes of this face alone: what goes wrong before the cluster is asked.
const (
	codeNotFound         sup.Code = "not_found"
	codeMethodNotAllowed sup.Code = "method_not_allowed"
	codeNotSupported     sup.Code = "not_supported"
	codeInternal         sup.Code = "internal"
)

// refusal is how a code looks on HTTP: its status, its title, and the fields that its problems have besides the standard
// ones. All of them are always there; what is unknown is null.
type refusal struct {
	status int
	title  string
	fields []string
	again  bool // worth asking again soon: Retry-After
}

// refusals is the one table from codes to HTTP (api.md §3).
var refusals = map[sup.Code]refusal{
	sup.CodeInvalidSpec:           {http.StatusBadRequest, "The request is not valid", []string{"errors"}, false},
	sup.CodeUnauthorized:          {http.StatusUnauthorized, "A valid token is needed", nil, false},
	sup.CodeForbidden:             {http.StatusForbidden, "This is not allowed", nil, false},
	sup.CodeSupervisorNotFound:    {http.StatusNotFound, "No such supervisor", []string{"supervisor"}, false},
	sup.CodeChildNotFound:         {http.StatusNotFound, "No such child", []string{"child"}, false},
	sup.CodeNodeNotFound:          {http.StatusNotFound, "No such node", []string{"node"}, false},
	sup.CodeNameNotFound:          {http.StatusNotFound, "No such name", []string{"name"}, false},
	sup.CodeDuplicateSupervisor:   {http.StatusConflict, "A supervisor of this name exists", []string{"supervisor"}, false},
	sup.CodeDuplicateChild:        {http.StatusConflict, "A child of this id exists", []string{"supervisor", "child"}, false},
	sup.CodeNameTaken:             {http.StatusConflict, "The name is taken", []string{"name"}, false},
	sup.CodeWrongStrategy:         {http.StatusConflict, "The supervisor's strategy does not allow this", []string{"strategy"}, false},
	sup.CodeSupervisorStopped:     {http.StatusConflict, "The supervisor is stopped", []string{"reason"}, false},
	sup.CodeBehaviorNotFound:      {http.StatusUnprocessableEntity, "No node has this behavior", []string{"behavior", "node"}, false},
	sup.CodeSelectorNotRegistered: {http.StatusUnprocessableEntity, "The leader does not have this selector", []string{"selector"}, false},
	sup.CodeNoAvailableNode:       {http.StatusServiceUnavailable, "No node can take the child", []string{"child", "reasons"}, false},
	sup.CodeInitFailed:            {http.StatusBadGateway, "The child's init failed", []string{"child", "node", "reason"}, false},
	sup.CodeMaxRestartsExceeded:   {http.StatusConflict, "The supervisor stopped: too many restarts", []string{"max_restarts", "within"}, false},
	sup.CodeCallTimeout:           {http.StatusGatewayTimeout, "The call got no answer in time", []string{"child"}, false},
	sup.CodeCallFailed:            {http.StatusBadGateway, "The call failed", []string{"child"}, false},
	sup.CodeOutcomeUnknown:        {http.StatusBadGateway, "The outcome is unknown", []string{"child"}, false},
	sup.CodeNotAnActor:            {http.StatusConflict, "The child is not an actor", []string{"child"}, false},
	sup.CodeStopPending:           {http.StatusGatewayTimeout, "A child hangs in its stop, which goes on", []string{"child", "node"}, false},
	sup.CodeIdempotencyKeyReused:  {http.StatusUnprocessableEntity, "The idempotency key belongs to another request", nil, false},
	sup.CodeNodeUnreachable:       {http.StatusServiceUnavailable, "The node cannot be reached", []string{"node"}, false},
	sup.CodeNodeInUse:             {http.StatusConflict, "The node is in use", nil, false},
	sup.CodeBusy:                  {http.StatusTooManyRequests, "Too much is waiting", []string{"bound"}, true},
	sup.CodePayloadTooLarge:       {http.StatusRequestEntityTooLarge, "The body is too large", []string{"bound"}, false},
	sup.CodeQuotaExceeded:         {http.StatusConflict, "A quota is exhausted", []string{"bound"}, false},
	sup.CodeEventsCompacted:       {http.StatusGone, "These events are no longer kept", []string{"bound"}, false},
	sup.CodeNoLeader:              {http.StatusServiceUnavailable, "The cluster has no leader", nil, true},
	codeNotFound:                  {http.StatusNotFound, "There is nothing at this path", nil, false},
	codeMethodNotAllowed:          {http.StatusMethodNotAllowed, "The path does not have this method", nil, false},
	codeNotSupported:              {http.StatusNotImplemented, "This version does not have this", nil, false},
	codeInternal:                  {http.StatusInternalServerError, "Something went wrong inside the node", nil, false},
}

func refusalOf(c sup.Code) refusal {
	if r, ok := refusals[c]; ok {
		return r
	}
	return refusals[codeInternal]
}

// problem is a Problem as application/problem+json. It is huma's error type too.
type problem struct{ *sup.Problem }

func (p problem) GetStatus() int              { return refusalOf(p.Code).status }
func (p problem) ContentType(_ string) string { return "application/problem+json" }
func (p problem) Unwrap() error               { return p.Problem }

// GetHeaders makes the problem say when to come again, and with what.
func (p problem) GetHeaders() http.Header {
	h := http.Header{}
	if refusalOf(p.Code).again {
		h.Set("Retry-After", "1")
	}
	if p.Code == sup.CodeUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="supnode"`)
	}
	return h
}

// MarshalJSON writes the standard fields in their order, then exactly those of the code.
func (p problem) MarshalJSON() ([]byte, error) {
	r := refusalOf(p.Code)
	type member struct {
		name  string
		value any
	}
	members := []member{
		{"type", "urn:problem-type:supnode:" + string(p.Code)},
		{"title", r.title},
		{"status", r.status},
		{"detail", p.Detail},
		{"code", p.Code},
	}
	for _, name := range r.fields {
		members = append(members, member{name, p.field(name)})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // people read this
	for i, m := range members {
		if i == 0 {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		b.WriteString(`"` + m.name + `":`)
		if err := e.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (p problem) field(name string) any {
	switch name {
	case "supervisor":
		return orNull(string(p.Supervisor))
	case "child":
		return orNull(string(p.Child))
	case "node":
		return orNull(string(p.Node))
	case "behavior":
		return orNull(p.Behavior)
	case "strategy":
		return orNull(string(p.Strategy))
	case "reason":
		return orNull(p.Reason)
	case "reasons":
		out := map[sup.NodeName]string{}
		for _, r := range p.Reasons {
			out[r.Node] = r.Reason
		}
		return out
	case "errors":
		if p.Errors == nil {
			return []sup.FieldError{}
		}
		return p.Errors
	case "max_restarts":
		return p.MaxRestarts
	case "within":
		return p.Within
	case "name":
		return orNull(p.Name)
	case "selector":
		return orNull(p.Selector)
	case "bound":
		return p.Bound
	}
	return nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// writeProblem answers outside of huma.
func writeProblem(w http.ResponseWriter, p *sup.Problem) {
	for k, v := range (problem{p}).GetHeaders() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(problem{p}.GetStatus())
	writeBody(w, problem{p})
}

// codesInOrder are all codes, sorted.
func codesInOrder() []sup.Code { return slices.Sorted(maps.Keys(refusals)) }
