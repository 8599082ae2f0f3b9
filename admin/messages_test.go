package admin

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/node"
	"github.com/supnode/supnode/test/await"
)

// tills are the behavior of these tests.
func tills() *actor.Registry {
	type till struct{ sum int }
	b := actor.New("till", func(*actor.Context, struct{}) (*till, error) { return &till{}, nil })
	actor.OnCall(b, actor.DefineCall[int, map[string]any]("till.add"), func(c *actor.Context, t *till, n int) (map[string]any, error) {
		t.sum += n
		return map[string]any{"sum": t.sum, "node": c.Node()}, nil
	})
	actor.OnCall(b, actor.DefineCall[string, int]("till.fail"), func(_ *actor.Context, _ *till, why string) (int, error) {
		if strings.HasPrefix(why, "panic") {
			panic(why)
		}
		return 0, errors.New(why)
	})
	actor.OnCall(b, actor.DefineCall[struct{}, int]("till.hang"), func(c *actor.Context, _ *till, _ struct{}) (int, error) {
		<-c.Done()
		return 0, c.Err()
	})
	actor.OnCast(b, actor.DefineCast[int]("till.put"), func(_ *actor.Context, t *till, n int) error { t.sum += n; return nil })
	r := actor.NewRegistry()
	r.Register(b)
	return r
}

// Actors are called and cast to through any node, and every answer is as the description says.
func TestActorsAreCalledThroughAnyNode(t *testing.T) {
	f, nodes := startReal(t, 3, 3, func(c *node.Config) { c.Behaviors = tills() })
	f.untilReady()
	for _, n := range nodes {
		await.True(f.t, "every node to be ready", func() bool { return n.Ready().Ready })
	}
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "shop", "restart_intensity": {"max_restarts": 9, "within": "5s"}, "children": [
		{"id": "t1", "behavior": "till", "selector": {"node": "n1"}}, {"id": "t2", "behavior": "till", "selector": {"node": "n2"}},
		{"id": "x", "behavior": "exec", "args": [{"command": "/bin/sleep", "args": ["1000"]}]}]}`)
	for _, to := range []string{"t1", "t2"} {
		at := "/v1/supervisors/shop/children/" + to
		f.must(http.StatusAccepted, http.MethodPost, at+"/cast", `{"type": "till.put", "value": 40}`)
		got := f.must(http.StatusOK, http.MethodPost, at+"/call", `{"type": "till.add", "value": 2}`)["reply"].(map[string]any)
		if got["sum"] != 42.0 || got["node"] != "n"+to[1:] {
			t.Errorf("%s: %v", to, got)
		}
		for _, c := range []struct {
			body   string
			status int
			code   string
			words  string
		}{
			{`{"type": "till.fail", "value": "no change"}`, http.StatusBadGateway, "call_failed", "no change"},
			{`{"type": "till.hang", "timeout": "50ms"}`, http.StatusGatewayTimeout, "call_timeout", "within 50ms"},
			{`{"type": "till.none"}`, http.StatusBadRequest, "invalid_spec", `type: "till.none" to child shop/` + to},
			{`{"type": "till.add", "value": "x"}`, http.StatusBadRequest, "invalid_spec", "a JSON string, and a Go int is wanted"},
			{`{"type": "till.fail", "value": "panic at noon"}`, http.StatusBadGateway, "call_failed", "panicked at till.fail: panic at noon"},
		} {
			if c.code == "call_failed" && strings.Contains(c.body, "panic") { // the one that hangs ends first
				f.must(http.StatusOK, http.MethodPost, at+"/restart", "")
			}
			p := f.must(c.status, http.MethodPost, at+"/call", c.body)
			if p["code"] != c.code || !strings.Contains(p["detail"].(string), c.words) {
				t.Errorf("%s: %s: %v", to, c.body, p)
			}
			if c.code == "call_timeout" {
				f.must(http.StatusOK, http.MethodPost, at+"/restart", "")
			}
		}
		await.True(f.t, "its restart", func() bool {
			c := f.must(http.StatusOK, http.MethodGet, at, "")
			exit, _ := c["last_exit"].(map[string]any)
			return c["status"] == "running" && exit["reason"] == "error" && strings.Contains(exit["detail"].(string), "panic at till.fail: panic at noon\n") &&
				strings.Contains(exit["detail"].(string), "messages_test.go")
		})
	}
	if p := f.must(http.StatusConflict, http.MethodPost, "/v1/supervisors/shop/children/x/call", `{"type": "till.add"}`); p["code"] != "not_an_actor" || p["child"] != "x" {
		t.Errorf("%v", p)
	}
	f.must(http.StatusConflict, http.MethodPost, "/v1/supervisors/shop/children/x/cast", `{"type": "till.add"}`)
	f.must(http.StatusNotFound, http.MethodPost, "/v1/supervisors/shop/children/none/call", `{"type": "till.add"}`)
	f.must(http.StatusRequestEntityTooLarge, http.MethodPost, "/v1/supervisors/shop/children/t2/call", `{"type": "till.add", "value": "`+strings.Repeat("x", MaxBody)+`"}`)
	if err := nodes[1].Close(); err != nil {
		t.Error(err)
	}
	await.True(f.t, "the child to wait for its node", func() bool {
		return f.must(http.StatusOK, http.MethodGet, "/v1/supervisors/shop/children/t2", "")["status"] == "pending"
	})
	began := time.Now()
	p := f.must(http.StatusGatewayTimeout, http.MethodPost, "/v1/supervisors/shop/children/t2/call", `{"type": "till.add", "value": 1, "timeout": "200ms"}`)
	if p["code"] != "call_timeout" || !strings.Contains(p["detail"].(string), "pending") || time.Since(began) < 200*time.Millisecond {
		t.Errorf("%v", p)
	}
	p = f.must(http.StatusBadGateway, http.MethodPost, "/v1/supervisors/shop/children/t2/cast", `{"type": "till.put", "value": 1}`)
	if p["code"] != "call_failed" || !strings.Contains(p["detail"].(string), "not running") {
		t.Errorf("%v", p)
	}
}
