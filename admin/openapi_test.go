package admin

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheAPIDescribesItself(t *testing.T) {
	f := newFace(t)
	w := f.ask(http.MethodGet, "/openapi.json", "")
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]json.RawMessage
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("version %s", doc.OpenAPI)
	}
	var got []string
	for path, methods := range doc.Paths {
		for m := range methods {
			got = append(got, strings.ToUpper(m)+" "+path)
		}
	}
	slices.Sort(got)
	want := []string{
		"DELETE /v1/nodes/{node}",
		"DELETE /v1/supervisors/{sup}",
		"DELETE /v1/supervisors/{sup}/children/{child}",
		"GET /healthz",
		"GET /metrics",
		"GET /openapi.json",
		"GET /readyz",
		"GET /v1/events",
		"GET /v1/nodes",
		"GET /v1/nodes/{node}",
		"GET /v1/status",
		"GET /v1/supervisors",
		"GET /v1/supervisors/{sup}",
		"GET /v1/supervisors/{sup}/children",
		"GET /v1/supervisors/{sup}/children/{child}",
		"GET /v1/supervisors/{sup}/children/{child}/logs",
		"GET /v1/supervisors/{sup}/count",
		"POST /v1/nodes/{node}/drain",
		"POST /v1/nodes/{node}/undrain",
		"POST /v1/raft/transfer-leadership",
		"POST /v1/rebalance",
		"POST /v1/supervisors",
		"POST /v1/supervisors/{sup}/children",
		"POST /v1/supervisors/{sup}/children/{child}/call",
		"POST /v1/supervisors/{sup}/children/{child}/cast",
		"POST /v1/supervisors/{sup}/children/{child}/restart",
		"PUT /v1/supervisors/{sup}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, ref := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		if doc.Components.Schemas[ref[1]] == nil {
			t.Errorf("%s is referred to and not described", ref[1])
		}
	}
	for _, name := range []string{"Manifest", "ChildSpec", "Supervisor", "Child", "Node", "Event", "Problem"} {
		if doc.Components.Schemas[name] == nil {
			t.Errorf("%s is not described", name)
		}
	}
	if strings.Contains(w.Body.String(), "ErrorModel") {
		t.Error("huma's own errors are described")
	}
}
