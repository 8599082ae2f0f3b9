package admin

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/supnode/supnode/node"
	"github.com/supnode/supnode/test/await"
)

// follower is a face of a node that does not lead, and the leader's node.
func follower(t *testing.T, nodes []*node.Node) (*face, *node.Node) {
	t.Helper()
	var leader, other *node.Node
	for _, n := range nodes {
		if n.Status().Role == "leader" {
			leader = n
		} else {
			other = n
		}
	}
	if leader == nil {
		t.Fatal("nobody leads")
	}
	a, g, err := newAPI(other, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &face{t: t, handler: g, api: a}, leader
}

// untilAllUp waits until so many nodes take children.
func (f *face) untilAllUp(nodes int) {
	f.t.Helper()
	await.True(f.t, "all nodes to be up", func() bool {
		up := 0
		list, _ := f.must(http.StatusOK, http.MethodGet, "/v1/nodes", "")["nodes"].([]any)
		for _, n := range list {
			if n := n.(map[string]any); n["status"] == "up" && n["lease_expires_in"] != nil {
				up++
			}
		}
		return up == nodes
	})
}

// S34 on real nodes: children made from a template are spread over the cluster, those that end for good are gone, and the
// ids go on where they were when another node leads.
func TestS34ChildrenFromATemplateOnRealNodes(t *testing.T) {
	f, nodes := startReal(t, 3, 3)
	f.untilReady()
	f, leader := follower(t, nodes)
	f.untilReady()
	f.untilAllUp(3)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "jobs", "strategy": "simple_one_for_one", "selector": "round_robin",
		"max_children": 4, "child_template": {"behavior": "exec", "restart": "transient", "shutdown_timeout": "1s"}}`)
	start := func(status int, script string) map[string]any {
		t.Helper()
		return f.must(status, http.MethodPost, "/v1/supervisors/jobs/children", fmt.Sprintf(`{"args": [{"command": "/bin/sh", "args": ["-c", %q]}]}`, script))
	}
	on := map[any]bool{}
	for i := range 3 {
		c := start(http.StatusCreated, "exec sleep 1000")
		if c["id"] != fmt.Sprintf("child_%d", i+1) || c["status"] != "running" {
			t.Errorf("%v", c)
		}
		on[c["node"]] = true
	}
	if len(on) != 3 {
		t.Errorf("round_robin used %v", on)
	}
	count := func() map[string]any {
		return f.must(http.StatusOK, http.MethodGet, "/v1/supervisors/jobs/count", "")
	}
	if c := start(http.StatusCreated, "exit 0"); c["id"] != "child_4" {
		t.Errorf("%v", c)
	}
	await.True(f.t, "the one that ended well to be gone", func() bool { return count()["specs"] == 3.0 })
	f.must(http.StatusNotFound, http.MethodGet, "/v1/supervisors/jobs/children/child_4", "")

	if err := leader.Close(); err != nil {
		t.Fatal(err)
	}
	await.True(f.t, "the leader's child to run elsewhere", func() bool { return count()["active"] == 3.0 })
	if c := start(http.StatusCreated, "exec sleep 1000"); c["id"] != "child_5" {
		t.Errorf("the new leader made %v", c)
	}
	if p := start(http.StatusConflict, "exec sleep 1000"); p["code"] != "quota_exceeded" || p["bound"] != 4.0 {
		t.Errorf("%v", p)
	}
	if s := f.must(http.StatusOK, http.MethodDelete, "/v1/supervisors/jobs", ""); s["status"] != "stopped" || s["child_count"] != 0.0 {
		t.Errorf("%v", s)
	}
}
