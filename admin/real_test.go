package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/machine"
)

// startReal starts the first running nodes of a cluster of servers, at free ports.
func startReal(t *testing.T, servers, running int, change ...func(*node.Config)) (*face, []*node.Node) {
	t.Helper()
	var list []node.Server
	for i, addr := range machine.Addrs(servers) {
		list = append(list, node.Server{Name: sup.NodeName(fmt.Sprintf("n%d", i+1)), Addr: addr})
	}
	dir := t.TempDir()
	nodes := make([]*node.Node, running)
	errs := make(chan error, running)
	for i, s := range list[:running] {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			cfg := node.Config{
				Name: s.Name, DataDir: filepath.Join(dir, string(s.Name)), Servers: list, Version: "test",
				RPC:  node.RPCConfig{Listen: s.Addr},
				Exec: node.ExecConfig{Enabled: true, Allow: []string{"/bin/*", "/usr/bin/*"}},
			}
			for _, f := range change {
				f(&cfg)
			}
			n, err := node.Start(ctx, cfg)
			nodes[i] = n
			errs <- err
		}()
	}
	for range running {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		for _, n := range nodes {
			if n != nil {
				if err := n.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	a, g, err := newAPI(nodes[0], Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &face{t: t, handler: g, api: a}, nodes
}

func (f *face) untilReady() {
	f.t.Helper()
	await.True(f.t, "the node to be ready", func() bool { return f.ask(http.MethodGet, "/readyz", "").Code == http.StatusOK })
}

// TestARealNodeThroughItsFace takes a supervisor with real commands through its life.
func TestARealNodeThroughItsFace(t *testing.T) {
	f, _ := startReal(t, 1, 1)
	// A supervisor can be started as soon as there is a leader; a child as soon as the node has its lease.
	f.untilReady()
	const sleeper = `{"id": "w1", "behavior": "exec", "args": [{"command": "/bin/sleep", "args": ["1000"]}]}`
	s := f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "pool", "children": [`+sleeper+`]}`, "Idempotency-Key: k1")
	if s["status"] != "running" || s["children_by_node"].(map[string]any)["n1"] != 1.0 {
		t.Errorf("%v", s)
	}
	again := f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "pool", "children": [`+sleeper+`]}`, "Idempotency-Key: k1")
	if again["created_index"] != s["created_index"] {
		t.Errorf("a second one was made: %v", again)
	}
	f.must(http.StatusConflict, http.MethodPost, "/v1/supervisors/pool/children", sleeper)
	first := f.must(http.StatusOK, http.MethodGet, "/v1/supervisors/pool/children/w1", "")
	second := f.must(http.StatusOK, http.MethodPost, "/v1/supervisors/pool/children/w1/restart", "")
	if second["incarnation"].(float64) <= first["incarnation"].(float64) || second["status"] != "running" {
		t.Errorf("first %v, then %v", first, second)
	}
	p := f.must(http.StatusBadGateway, http.MethodPost, "/v1/supervisors/pool/children", `{"id": "w2", "behavior": "exec", "args": [{"command": "/sbin/nothing"}]}`)
	if p["code"] != "init_failed" || p["child"] != "w2" || p["node"] != "n1" || p["reason"] == nil {
		t.Errorf("%v", p)
	}
	p = f.must(http.StatusUnprocessableEntity, http.MethodPost, "/v1/supervisors/pool/children", `{"id": "w2", "behavior": "gen"}`)
	if p["code"] != "behavior_not_found" || p["behavior"] != "gen" {
		t.Errorf("%v", p)
	}
	f.must(http.StatusNoContent, http.MethodDelete, "/v1/supervisors/pool/children/w1", "")
	if c := f.must(http.StatusOK, http.MethodGet, "/v1/supervisors/pool/count", ""); c["specs"] != 0.0 {
		t.Errorf("%v", c)
	}
	d := f.must(http.StatusOK, http.MethodDelete, "/v1/supervisors/pool?reason=done", "")
	if d["status"] != "stopped" || d["reason"] != "done" {
		t.Errorf("%v", d)
	}
	events := f.must(http.StatusOK, http.MethodGet, "/v1/events", "")
	var types []string
	for i, e := range events["events"].([]any) {
		e := e.(map[string]any)
		types = append(types, e["type"].(string))
		if e["id"] != float64(i+1) {
			t.Errorf("event %d has the id %v", i+1, e["id"])
		}
	}
	want := "leader_changed node_joined child_started supervisor_started child_stopped child_restarted child_stopped child_stopped supervisor_stopped"
	if got := strings.Join(types, " "); got != want {
		t.Errorf("events\n%s, want\n%s", got, want)
	}
	n := f.must(http.StatusOK, http.MethodGet, "/v1/nodes/n1", "")
	if n["status"] != "up" || n["role"] != "leader" || n["lease_expires_in"] == nil {
		t.Errorf("%v", n)
	}
}

// A minority answers no_leader when the client's patience is over, and reads from what it has.
func TestWithoutAQuorumTheTimeoutHolds(t *testing.T) {
	f, nodes := startReal(t, 3, 2)
	if err := nodes[1].Close(); err != nil {
		t.Fatal(err)
	}
	await.True(t, "it does not lead without a quorum", func() bool { return nodes[0].Status().Role != "leader" })
	for _, c := range []struct{ method, path, body string }{
		{http.MethodGet, "/v1/supervisors", ""},
		{http.MethodPost, "/v1/supervisors", `{"name": "pool"}`},
		{http.MethodDelete, "/v1/supervisors/pool", ""},
	} {
		began := time.Now()
		r := httptest.NewRequest(c.method, c.path+"?timeout=300ms", strings.NewReader(c.body))
		w := httptest.NewRecorder()
		f.handler.ServeHTTP(w, r)
		took := time.Since(began)
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"no_leader"`) || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
		if took < 250*time.Millisecond || took > 5*time.Second {
			t.Errorf("%s %s took %s", c.method, c.path, took)
		}
	}
	w := f.ask(http.MethodGet, "/v1/supervisors?consistency=stale", "")
	if _, err := strconv.ParseUint(w.Header().Get("X-Supnode-Applied-Index"), 10, 64); w.Code != http.StatusOK || err != nil {
		t.Errorf("%d %s %v", w.Code, w.Body, err)
	}
	if w := f.ask(http.MethodGet, "/readyz", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a lonely server is ready: %s", w.Body)
	}
}
