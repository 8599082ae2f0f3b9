package admin

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// isDescribed checks an answer against the OpenAPI document: its status, its kind, a problem's code, and every field of
// its body. Every answer that a test of this package gets goes through it.
func (f *face) isDescribed(r *http.Request, w *httptest.ResponseRecorder) {
	f.t.Helper()
	if f.forged || f.api == nil {
		return
	}
	_, pattern := f.handler.(*gate).mux.Handler(r)
	method, path, ok := strings.Cut(pattern, " ")
	if !ok || method != r.Method {
		return // there is no such route
	}
	op := operation(f.api.huma.OpenAPI().Paths[path], method)
	if op == nil {
		f.t.Errorf("%s is not described", pattern)
		return
	}
	response := op.Responses[strconv.Itoa(w.Code)]
	if response == nil {
		f.t.Errorf("%s: an answer with status %d is not described: %s", pattern, w.Code, w.Body)
		return
	}
	if w.Body.Len() == 0 {
		return
	}
	kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	media := response.Content[kind]
	if media == nil {
		f.t.Errorf("%s: a %d as %s is not described", pattern, w.Code, kind)
		return
	}
	if !strings.HasSuffix(kind, "json") {
		return
	}
	documents := [][]byte{w.Body.Bytes()}
	if kind == ndjson {
		documents = bytes.SplitAfter(bytes.TrimSuffix(w.Body.Bytes(), []byte("\n")), []byte("\n"))
	}
	for _, document := range documents {
		f.documentIsDescribed(pattern, kind, w.Code, media, document)
	}
}

func (f *face) documentIsDescribed(pattern, kind string, status int, media *huma.MediaType, document []byte) {
	f.t.Helper()
	var body any
	if err := json.Unmarshal(document, &body); err != nil {
		f.t.Errorf("%s: %v: %s", pattern, err, document)
		return
	}
	if kind == "application/problem+json" {
		if code := body.(map[string]any)["code"]; !slices.Contains(media.Schema.Properties["code"].Enum, code) {
			f.t.Errorf("%s: the code %v is not described", pattern, code)
		}
	}
	var wrong huma.ValidateResult
	huma.Validate(f.api.huma.OpenAPI().Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, body, &wrong)
	for _, err := range wrong.Errors {
		f.t.Errorf("%s: %d: %v", pattern, status, err)
	}
}

func operation(p *huma.PathItem, method string) *huma.Operation {
	if p == nil {
		return nil
	}
	return map[string]*huma.Operation{http.MethodGet: p.Get, http.MethodPost: p.Post, http.MethodPut: p.Put, http.MethodDelete: p.Delete}[method]
}
