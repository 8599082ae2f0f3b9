package admin

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/expect"
)

func TestRequestsAreCounted(t *testing.T) {
	f := newFace(t)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", pool)
	f.must(http.StatusOK, http.MethodGet, "/v1/supervisors/pool", "")
	f.must(http.StatusNotFound, http.MethodGet, "/v1/supervisors/none", "")
	f.must(http.StatusNotFound, http.MethodGet, "/some/thing", "")
	got := f.ask(http.MethodGet, "/metrics", "").Body.String()
	for _, want := range []string{
		`supnode_http_requests_total{route="POST /v1/supervisors",status="201"} 1`,
		`supnode_http_requests_total{route="GET /v1/supervisors/{sup}",status="200"} 1`,
		`supnode_http_requests_total{route="GET /v1/supervisors/{sup}",status="404"} 1`,
		`supnode_http_requests_total{route="",status="404"} 1`,
		`supnode_http_request_seconds_count{route="GET /v1/supervisors/{sup}"} 2`,
		`supnode_http_requests_in_flight 1`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("there is no %s in\n%s", want, got)
		}
	}
}

// TestARealNodeHasFigures kills a child's process and looks whether the figures say so.
func TestARealNodeHasFigures(t *testing.T) {
	f, nodes := startReal(t, 1, 1)
	f.untilReady()
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors",
		`{"name": "pool", "children": [{"id": "w1", "behavior": "exec", "args": [{"command": "/bin/sleep", "args": ["1000"]}]}]}`)
	f.must(http.StatusOK, http.MethodPost, "/v1/supervisors/pool/children/w1/restart", "")
	var got string
	await.True(f.t, "the restart to be counted", func() bool {
		got = f.ask(http.MethodGet, "/metrics", "").Body.String()
		return strings.Contains(got, `supnode_events_total{type="child_restarted"} 1`)
	})
	s := nodes[0].Status()
	for _, want := range []string{
		"supnode_leader 1", "supnode_has_leader 1", fmt.Sprintf("supnode_raft_term %d", s.Term),
		`supnode_info{node="n1",role="leader",version="test"} 1`,
		`supnode_children{status="running"} 1`, `supnode_children{status="pending"} 0`,
		`supnode_supervisors{status="running"} 1`, `supnode_nodes{status="up"} 1`,
		"supnode_lease_held 1", "supnode_lease_lapses_total 0", `supnode_agent_children{phase="running"} 1`,
		"supnode_guardian_up 1", "supnode_guardian_fenced 0", "supnode_guardian_commands 1",
		`supnode_queue_length{queue="wanting"} 0`, `supnode_queue_length{queue="raft_apply"} 0`,
		`supnode_failover_seconds_count{phase="restart"} 0`, "supnode_commit_failures_total 0",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
	for _, positive := range []string{"supnode_raft_commit_index ", "supnode_raft_applied_index ", "supnode_commit_seconds_count ",
		"supnode_commit_commands_sum ", "supnode_lease_remaining_seconds ", "go_goroutines "} {
		_, rest, found := strings.Cut(got, "\n"+positive)
		var v float64
		if _, err := fmt.Sscan(rest, &v); !found || err != nil || v <= 0 {
			t.Errorf("%sis %v (%v)", positive, v, err)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
	documented(t, got)
}

// documented compares docs/metrics.md with what a node that has done something says of its metrics.
func documented(t *testing.T, metrics string) {
	t.Helper()
	kinds, labels, helps := map[string]string{}, map[string][]string{}, map[string]string{}
	sample := regexp.MustCompile(`^(supnode_\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? `)
	label := regexp.MustCompile(`(\w+)="`)
	for line := range strings.Lines(metrics) {
		if rest, ok := strings.CutPrefix(line, "# HELP supnode_"); ok {
			name, help, _ := strings.Cut(strings.TrimSpace(rest), " ")
			helps["supnode_"+name] = help
		} else if rest, ok := strings.CutPrefix(line, "# TYPE supnode_"); ok {
			name, kind, _ := strings.Cut(strings.TrimSpace(rest), " ")
			kinds["supnode_"+name] = kind
		} else if m := sample.FindStringSubmatch(line); m != nil {
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				if l[1] != "le" && !slices.Contains(labels[m[1]], l[1]) {
					labels[m[1]] = append(labels[m[1]], l[1])
				}
			}
		}
	}
	var b strings.Builder
	b.WriteString("# Metrics\n\nWhat `GET /metrics` tells, in Prometheus' format, beside the Go runtime's own figures. Made from a node's answer by\n" +
		"`go test ./admin -run TestARealNodeHasFigures -update`. [Operations](operations.md#what-to-watch) says which to watch.\n\n" +
		"| metric | type | labels | |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(helps)) {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, kinds[name], strings.Join(labels[name], ", "), strings.ReplaceAll(helps[name], "|", `\|`))
	}
	expect.File(t, filepath.Join("..", "docs", "metrics.md"), b.String())
}
