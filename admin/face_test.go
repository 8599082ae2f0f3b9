package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/expect"
)

// face is a handler under test.
type face struct {
	t *testing.T
	*memory
	handler http.Handler
	api     *api
	forged  bool // its node refuses with what no node would
}

func newFace(t *testing.T) *face {
	t.Helper()
	m := newMemory(t)
	a, g, err := newAPI(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &face{t: t, memory: m, handler: g, api: a}
}

// ask sends a request; body may be empty. headers are "Name: value".
func (f *face) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:8101"
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	if body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	f.isDescribed(r, w)
	return w
}

// must is ask for what is expected to succeed.
func (f *face) must(status int, method, path, body string, headers ...string) map[string]any {
	f.t.Helper()
	w := f.ask(method, path, body, headers...)
	if w.Code != status {
		f.t.Fatalf("%s %s: status %d, want %d: %s", method, path, w.Code, status, w.Body)
	}
	var out map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			f.t.Fatal(err)
		}
	}
	return out
}

const pool = `{"name": "pool", "children": [
	{"id": "w1", "behavior": "exec", "args": [{"command": "/bin/sh", "args": ["-c", "sleep 9"]}]},
	{"id": "w2", "behavior": "exec", "args": [{"command": "/bin/sh"}], "restart": "transient", "selector": {"node": "n1"}}]}`

var request = regexp.MustCompile(`^(GET|POST|DELETE|PUT) (\S+)(?: (.*))?$`)

// TestConversations runs scripts: each line is a request; the golden file has the answers.
func TestConversations(t *testing.T) {
	expect.Scripts(t, "testdata/*.http", func(t *testing.T, script string) string { return newFace(t).converse(script) })
}

// converse copies comments and requests and writes each answer below its request.
func (f *face) converse(script string) string {
	var out strings.Builder
	for _, line := range strings.Split(script, "\n") {
		if strings.HasPrefix(line, "#") {
			fmt.Fprintln(&out, line)
			continue
		}
		if name, ok := strings.CutPrefix(line, "CRASH "); ok {
			of, child, _ := strings.Cut(name, "/")
			f.crash(sup.Name(of), sup.ChildID(child))
			fmt.Fprintf(&out, "%s\n\n", line)
			continue
		}
		m := request.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		body, headers := m[3], []string(nil)
		if strings.HasPrefix(body, "[") {
			h, rest, _ := strings.Cut(body[1:], "]")
			headers, body = strings.Split(h, "; "), strings.TrimSpace(rest)
		}
		w := f.ask(m[1], m[2], body, headers...)
		fmt.Fprintf(&out, "%s\n%d", line, w.Code)
		for _, h := range []string{"Content-Type", "Location", "X-Supnode-Leader", "Retry-After", "Allow"} {
			if v := w.Header().Get(h); v != "" && v != "application/json" {
				fmt.Fprintf(&out, " %s: %s", h, v)
			}
		}
		fmt.Fprintln(&out)
		if w.Body.Len() > 0 {
			var indented bytes.Buffer
			if err := json.Indent(&indented, bytes.TrimSpace(w.Body.Bytes()), "", "  "); err != nil {
				f.t.Errorf("%s: %v: %s", line, err, w.Body)
			}
			fmt.Fprintln(&out, indented.String())
		}
		fmt.Fprintln(&out)
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}
