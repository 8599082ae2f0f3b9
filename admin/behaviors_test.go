package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/node"
	"github.com/supnode/supnode/test/await"
)

// Each node announces the behaviors that it has; a child runs where its behavior is, and a behavior that nobody has, or that
// the pinned node has not, is told.
func TestRule_S28_BehaviorsAreAnnouncedAndPlacementRespectsThem(t *testing.T) {
	f, nodes := startReal(t, 3, 3, func(c *node.Config) {
		clerk := actor.New("clerk", func(*actor.Context, struct{}) (int, error) { return 0, nil })
		switch c.Name {
		case "n1":
			c.Behaviors = tills()
		case "n2":
			c.Behaviors = tills()
			c.Behaviors.Register(clerk)
			c.Exec.Enabled = false
		}
	})
	for _, n := range nodes {
		await.True(f.t, "every node to be ready", func() bool { return n.Ready().Ready })
	}
	want := map[string][]string{"n1": {"exec", "till"}, "n2": {"clerk", "till"}, "n3": {"exec"}}
	for _, n := range f.must(http.StatusOK, http.MethodGet, "/v1/nodes", "")["nodes"].([]any) {
		info := n.(map[string]any)
		var has []string
		for _, b := range info["behaviors"].([]any) {
			has = append(has, b.(string))
		}
		if slices.Sort(has); !slices.Equal(has, want[info["name"].(string)]) {
			t.Errorf("%s announces %q", info["name"], has)
		}
	}
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "shop", "selector": "round_robin"}`)
	start := func(status int, spec string) map[string]any {
		return f.must(status, http.MethodPost, "/v1/supervisors/shop/children", spec)
	}
	for i := range 6 {
		for behavior, on := range map[string]string{"till": "n1 n2", "clerk": "n2"} {
			c := start(http.StatusCreated, fmt.Sprintf(`{"id": "%s%d", "behavior": "%s"}`, behavior, i, behavior))
			if !strings.Contains(on, c["node"].(string)) {
				t.Errorf("a %s runs on %s", behavior, c["node"])
			}
		}
	}
	p := start(http.StatusUnprocessableEntity, `{"id": "x", "behavior": "baker"}`)
	if p["code"] != "behavior_not_found" || p["behavior"] != "baker" || p["node"] != nil {
		t.Errorf("%v", p)
	}
	p = start(http.StatusUnprocessableEntity, `{"id": "x", "behavior": "clerk", "selector": {"node": "n1"}}`)
	if p["code"] != "behavior_not_found" || p["behavior"] != "clerk" || p["node"] != "n1" {
		t.Errorf("%v", p)
	}
	if p = start(http.StatusUnprocessableEntity, `{"id": "x", "behavior": "exec", "args": [{"command": "/bin/sleep", "args": ["9"]}], "selector": {"node": "n2"}}`); p["node"] != "n2" {
		t.Errorf("%v", p)
	}
	// With its only node gone a clerk waits, and says why.
	if err := nodes[1].Close(); err != nil {
		t.Error(err)
	}
	var why string
	await.True(f.t, "the clerk to wait", func() bool {
		c := f.must(http.StatusOK, http.MethodGet, "/v1/supervisors/shop/children/clerk0", "")
		why, _ = c["pending_reason"].(string)
		return c["status"] == "pending"
	})
	if !strings.Contains(why, `"clerk"`) {
		t.Errorf("it waits: %s", why)
	}
}
