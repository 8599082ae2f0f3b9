package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// ?dry_run without a value is no dry run for whoever reads it as false: it must not move anything.
func TestAParameterWithoutAValueIsRefused(t *testing.T) {
	f := newFace(t)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", pool)
	for _, c := range []struct{ method, path, name string }{
		{http.MethodPost, "/v1/rebalance?dry_run", "dry_run"},
		{http.MethodPost, "/v1/rebalance?dry_run=", "dry_run"},
		{http.MethodPost, "/v1/rebalance?max=", "max"},
		{http.MethodPut, "/v1/supervisors/pool?dry_run", "dry_run"},
		{http.MethodGet, "/v1/events?since=", "since"},
		{http.MethodGet, "/v1/supervisors/pool/children?limit=", "limit"},
		{http.MethodGet, "/v1/supervisors?consistency=", "consistency"},
	} {
		body := ""
		if c.method == http.MethodPut {
			body = `{"name": "pool"}`
		}
		w := f.ask(c.method, c.path, body)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), c.name+" has no value; write "+c.name+"=VALUE or leave it out") {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
	f.must(http.StatusOK, http.MethodGet, "/v1/supervisors/pool/children?after=", "")                      // what the last page's next says
	for _, keys := range [][]string{{"Idempotency-Key: "}, {"Idempotency-Key: a", "Idempotency-Key: b"}} { // a script's variable was not set
		w := f.ask(http.MethodPost, "/v1/supervisors/pool/children/w1/restart", "", keys...)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "give one key, or leave the header out") {
			t.Errorf("%q: %d %s", keys, w.Code, w.Body)
		}
	}
}

// A path with .. or an empty element in it leads nowhere: a client that followed a redirect from it would stop the supervisor.
func TestAPathIsTakenAsItIsWritten(t *testing.T) {
	f := newFace(t)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", pool)
	for _, path := range []string{
		"/v1/supervisors/pool/children/..", "/v1/supervisors/pool/children/../", "/v1/supervisors/pool/children/w1/../..", "/v1/supervisors/./pool",
		"/v1//supervisors/pool", "//v1/supervisors/pool", "/v1/supervisors/pool//", "/v1/supervisors/pool/children//w1", "/v1/supervisors/pool/children/%2e%2e",
	} {
		w := httptest.NewRecorder()
		f.handler.ServeHTTP(w, httptest.NewRequest(http.MethodDelete, "http://127.0.0.1:8101"+path, nil))
		if w.Code != http.StatusNotFound || w.Header().Get("Location") != "" {
			t.Errorf("%s: %d %s %s", path, w.Code, w.Header().Get("Location"), w.Body)
		}
	}
	if is := f.must(http.StatusOK, http.MethodGet, "/v1/supervisors/pool", ""); is["status"] != "running" {
		t.Errorf("%v", is)
	}
}
