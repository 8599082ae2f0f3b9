package admin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/supnode/supnode/test/await"
)

// A manifest is applied to real commands while their leader goes: each goes and comes once, in order, those that the manifest
// leaves as they are run on, and the request that was asked through another node is answered.
func TestAChangeOfRealCommandsOutlivesItsLeader(t *testing.T) {
	f, nodes := startReal(t, 3, 3)
	f.untilReady()
	f, leader := follower(t, nodes)
	f.untilReady()
	const sleeps = `exec sleep 1000`
	const slow = `trap 'sleep 1.5; exit 0' TERM; while :; do sleep 0.05; done`
	at := string(f.api.node.Name())
	child := func(id, script string) string {
		return fmt.Sprintf(`{"id": %q, "behavior": "exec", "args": [{"command": "/bin/sh", "args": ["-c", %q]}], "selector": {"node": %q}}`, id, script, at)
	}
	manifest := func(children ...string) string {
		return `{"name": "pool", "strategy": "rest_for_one", "children": [` + strings.Join(children, ", ") + `]}`
	}
	actions := func(body map[string]any) string {
		var words []string
		for _, c := range body["changes"].([]any) {
			c := c.(map[string]any)
			words = append(words, strings.TrimSpace(fmt.Sprint(c["action"], " ", orNothing(c["child"]))))
		}
		return strings.Join(words, ", ")
	}
	first := manifest(child("w1", sleeps), child("w2", sleeps), child("w3", slow), child("w4", sleeps))
	if got := actions(f.must(http.StatusOK, http.MethodPut, "/v1/supervisors/pool", first)); got != "create, start w1, start w2, start w3, start w4" {
		t.Error(got)
	}
	w1 := f.must(http.StatusOK, http.MethodGet, "/v1/supervisors/pool/children/w1", "")["incarnation"]

	second := manifest(child("w4", sleeps), child("w1", sleeps), child("w2", "exec sleep 2000"), child("w5", sleeps))
	const want = "stop w3, reorder, restart w2, start w5"
	if got := actions(f.must(http.StatusOK, http.MethodPut, "/v1/supervisors/pool?dry_run=true", second)); got != want {
		t.Error(got)
	}
	answer := make(chan *httptest.ResponseRecorder, 1)
	go func() { answer <- f.ask(http.MethodPut, "/v1/supervisors/pool", second) }()
	await.True(f.t, "the slow one to stop", func() bool {
		return f.must(http.StatusOK, http.MethodGet, "/v1/supervisors/pool/children/w3?consistency=stale", "")["status"] == "stopping"
	})
	if err := leader.Close(); err != nil {
		t.Fatal(err)
	}
	if w := <-answer; w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"child":"w5"`) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if got := actions(f.must(http.StatusOK, http.MethodPut, "/v1/supervisors/pool", second)); got != "" {
		t.Errorf("there is something left to do: %s", got)
	}
	var ids []string
	for _, c := range f.must(http.StatusOK, http.MethodGet, "/v1/supervisors/pool/children", "")["children"].([]any) {
		c := c.(map[string]any)
		ids = append(ids, c["id"].(string))
		if c["status"] != "running" || c["id"] == "w1" && c["incarnation"] != w1 {
			t.Errorf("%v", c)
		}
	}
	if got := strings.Join(ids, " "); got != "w4 w1 w2 w5" {
		t.Errorf("start order %s", got)
	}
	var lives []string
	for _, e := range f.must(http.StatusOK, http.MethodGet, "/v1/events", "")["events"].([]any) {
		if e := e.(map[string]any); e["child"] != nil {
			lives = append(lives, strings.TrimPrefix(e["type"].(string), "child_")+" "+e["child"].(string))
		}
	}
	if got := strings.Join(lives, ", "); got != "started w1, started w2, started w3, started w4, stopped w3, stopped w2, restarted w2, started w5" {
		t.Errorf("events: %s", got)
	}
}

func orNothing(v any) any {
	if v == nil {
		return ""
	}
	return v
}
