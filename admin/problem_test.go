package admin

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sup "github.com/supnode/supnode/supervisor"
)

// TestEveryCodeHasItsStatusAndExactlyItsFields is the table of the documentation, word by word.
func TestEveryCodeHasItsStatusAndExactlyItsFields(t *testing.T) {
	table := map[sup.Code]struct {
		status int
		fields string
	}{
		sup.CodeInvalidSpec:           {400, "errors"},
		sup.CodeUnauthorized:          {401, ""},
		sup.CodeForbidden:             {403, ""},
		sup.CodeSupervisorNotFound:    {404, "supervisor"},
		sup.CodeChildNotFound:         {404, "child"},
		sup.CodeNodeNotFound:          {404, "node"},
		sup.CodeNameNotFound:          {404, "name"},
		sup.CodeDuplicateSupervisor:   {409, "supervisor"},
		sup.CodeDuplicateChild:        {409, "supervisor child"},
		sup.CodeNameTaken:             {409, "name"},
		sup.CodeWrongStrategy:         {409, "strategy"},
		sup.CodeSupervisorStopped:     {409, "reason"},
		sup.CodeBehaviorNotFound:      {422, "behavior node"},
		sup.CodeSelectorNotRegistered: {422, "selector"},
		sup.CodeNoAvailableNode:       {503, "child reasons"},
		sup.CodeInitFailed:            {502, "child node reason"},
		sup.CodeMaxRestartsExceeded:   {409, "max_restarts within"},
		sup.CodeCallTimeout:           {504, "child"},
		sup.CodeCallFailed:            {502, "child"},
		sup.CodeOutcomeUnknown:        {502, "child"},
		sup.CodeNotAnActor:            {409, "child"},
		sup.CodeStopPending:           {504, "child node"},
		sup.CodeIdempotencyKeyReused:  {422, ""},
		sup.CodeNodeInUse:             {409, ""},
		sup.CodeNodeUnreachable:       {503, "node"},
		sup.CodeBusy:                  {429, "bound"},
		sup.CodePayloadTooLarge:       {413, "bound"},
		sup.CodeQuotaExceeded:         {409, "bound"},
		sup.CodeEventsCompacted:       {410, "bound"},
		sup.CodeNoLeader:              {503, ""},
		codeNotFound:                  {404, ""},
		codeMethodNotAllowed:          {405, ""},
		codeNotSupported:              {501, ""},
		codeInternal:                  {500, ""},
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(table)), codesInOrder()); diff != "" {
		t.Fatal(diff)
	}
	for code, want := range table {
		t.Run(string(code), func(t *testing.T) {
			// Every field is set: those that are not the code's must not show.
			p := &sup.Problem{Code: code, Detail: "d", Supervisor: "s", Child: "c", Node: "n", Behavior: "b", Strategy: "x", Reason: "r",
				Reasons: []sup.NodeReason{{Node: "n1", Reason: "down"}}, MaxRestarts: 3, Within: 5e9, Bound: 7, Name: "x", Selector: "y",
				Errors: []sup.FieldError{{Location: "l", Message: "m"}}}
			f := newFace(t)
			f.refuse, f.forged = p, true
			w := f.ask(http.MethodGet, "/v1/supervisors", "")
			if w.Code != want.status {
				t.Errorf("status %d, want %d", w.Code, want.status)
			}
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %q", got)
			}
			var body map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			fields := append([]string{"type", "title", "status", "detail", "code"}, strings.Fields(want.fields)...)
			slices.Sort(fields)
			if diff := cmp.Diff(fields, slices.Sorted(maps.Keys(body))); diff != "" {
				t.Error(diff)
			}
			if body["status"] != float64(want.status) || body["code"] != string(code) || body["title"] == "" || body["detail"] != "d" {
				t.Errorf("%v", body)
			}
			again := code == sup.CodeNoLeader || code == sup.CodeBusy
			if got := w.Header().Get("Retry-After"); (got != "") != again {
				t.Errorf("Retry-After %q", got)
			}
		})
	}
}

func TestFieldsReadAsDocumented(t *testing.T) {
	for _, c := range []struct {
		problem sup.Problem
		field   string
		want    string
	}{
		{sup.Problem{Code: sup.CodeNoAvailableNode, Reasons: []sup.NodeReason{{Node: "n1", Reason: "draining"}, {Node: "n2", Reason: "down"}}}, "reasons", `{"n1":"draining","n2":"down"}`},
		{sup.Problem{Code: sup.CodeNoAvailableNode}, "reasons", `{}`},
		{sup.Problem{Code: sup.CodeMaxRestartsExceeded, MaxRestarts: 0, Within: 1500e6}, "max_restarts", `0`},
		{sup.Problem{Code: sup.CodeMaxRestartsExceeded, MaxRestarts: 0, Within: 1500e6}, "within", `"1.5s"`},
		{sup.Problem{Code: sup.CodeBehaviorNotFound, Behavior: "gen"}, "node", `null`},
		{sup.Problem{Code: sup.CodeInvalidSpec}, "errors", `[]`},
	} {
		var body map[string]json.RawMessage
		if err := json.Unmarshal([]byte(mustJSON(t, problem{&c.problem})), &body); err != nil {
			t.Fatal(err)
		}
		if got := string(body[c.field]); got != c.want {
			t.Errorf("%s of %s: %s, want %s", c.field, c.problem.Code, got, c.want)
		}
	}
}
