package edges

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/test/await"
)

// What a client sees of leaders: answers name them, a key is answered again by another one with the first outcome, and without
// one a request waits as long as it asked to, no longer, while stale reads go on.
func TestLeadersAsClientsSeeThem(t *testing.T) {
	t.Parallel()
	w := startTown(t, nil)
	ctx := within(t)
	leader, err := w.Leader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	others := w.Others(leader)
	unharmed := w.undisturbed(t)

	// It hands over when it is asked to, through any node; no child is touched.
	status, out, said := supnode(t, "raft", "transfer-leadership", others[0], "--addr", w.url(others[1], ""))
	if status != 0 || out != others[0]+" leads\n" {
		t.Fatalf("status %d: %s%s", status, out, said)
	}
	leader, others = others[0], []string{leader, others[1]}
	if now, err := w.Leader(ctx); err != nil || now != leader {
		t.Fatalf("%s leads, %v", now, err)
	}
	if status, _, said = supnode(t, "raft", "transfer-leadership", "n9", "--addr", w.url(others[1], "")); status != 1 {
		t.Errorf("status %d", status)
	}
	wantWords(t, said, "n9 is not a server, and servers alone lead: name one of n1, n2, n3")
	if _, out, said = supnode(t, "raft", "peers", "--addr", w.url(others[1], "")); strings.Count(out, "\n") != 4 || strings.Count(out, "leader") != 1 {
		t.Errorf("%s%s", out, said)
	}
	if _, out, said = supnode(t, "raft", "log", w.Node(leader).Data, "--limit", "1000"); !strings.Contains(out, "start_supervisor steady") || !strings.Contains(out, "place steady/c1 on n1") {
		t.Errorf("the log of a server that runs: %s%s", out, said)
	}
	unharmed()

	// Through any node; one that does not lead names the one that does. A stale read says of when it is.
	for _, n := range w.Names() {
		a := ask(t, "GET", w.url(n, "/v1/supervisors/steady"), "")
		named := a.header.Get("X-Supnode-Leader")
		if a.status != 200 || n == leader && named != "" || n != leader && named != leader {
			t.Errorf("%s: %d, leader %q: %s", n, a.status, named, a.body)
		}
		stale := ask(t, "GET", w.url(n, "/v1/supervisors/steady?consistency=stale"), "")
		if i := stale.header.Get("X-Supnode-Applied-Index"); stale.status != 200 || i == "" || i == "0" {
			t.Errorf("%s, stale: %d, index %q", n, stale.status, i)
		}
	}

	// Paging and filters: every child once, in start order.
	manifest := map[string]any{"name": "paged", "children": []any{}}
	for i := range 7 {
		manifest["children"] = append(manifest["children"].([]any), map[string]any{"id": fmt.Sprintf("w%d", i), "behavior": "exec",
			"selector": map[string]any{"node": others[i%2]}, "args": []any{map[string]any{"command": "/bin/sleep", "args": []string{"1000"}}}})
	}
	body, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	first := ask(t, "POST", w.url(others[0], "/v1/supervisors"), string(body), "Idempotency-Key: begin")
	if first.status != 201 {
		t.Fatal(first.body)
	}
	var seen []string
	for after, pages := "", 0; ; pages++ {
		var page struct {
			Children []struct{ ID, Node string }
			Next     string
		}
		ask(t, "GET", w.url(others[1], "/v1/supervisors/paged/children?limit=2&after="+after), "").into(t, &page)
		for _, c := range page.Children {
			seen = append(seen, c.ID)
		}
		if after = page.Next; after == "" || pages > 9 {
			break
		}
	}
	if got := strings.Join(seen, " "); got != "w0 w1 w2 w3 w4 w5 w6" {
		t.Errorf("the pages have %s", got)
	}
	var filtered struct {
		Children []struct{ ID, Node, Status string }
	}
	ask(t, "GET", w.url(leader, "/v1/supervisors/paged/children?status=running&node="+others[1]), "").into(t, &filtered)
	if len(filtered.Children) != 3 {
		t.Errorf("the filters let through %v", filtered)
	}
	restart := func(node string) answer {
		return ask(t, "POST", w.url(node, "/v1/supervisors/paged/children/w0/restart"), "", "Idempotency-Key: again")
	}
	restarted := restart(others[1])

	// The leader goes. Its successor gives the same answers to the same keys, and does nothing twice.
	if err := w.Node(leader).Kill(); err != nil {
		t.Fatal(err)
	}
	same := func(what string, first, again answer, fields ...string) {
		t.Helper()
		var a, b map[string]any
		first.into(t, &a)
		again.into(t, &b)
		for _, f := range fields {
			if fmt.Sprint(a[f]) != fmt.Sprint(b[f]) || first.status != again.status {
				t.Errorf("%s: %d, %s was %v; then %d, %v", what, first.status, f, a[f], again.status, b[f])
			}
		}
	}
	same("a start", first, ask(t, "POST", w.url(others[1], "/v1/supervisors"), string(body), "Idempotency-Key: begin"),
		"name", "status", "created_index", "started_at", "child_count")
	same("a restart", restarted, restart(others[0]), "id", "status", "node", "incarnation", "restart_count")
	a := ask(t, "POST", w.url(others[0], "/v1/supervisors"), `{"name": "other"}`, "Idempotency-Key: begin")
	if a.status != 422 || !strings.Contains(a.body, "idempotency_key_reused") || !strings.Contains(a.body, "use a new key for a new request") {
		t.Errorf("a key for something else: %d %s", a.status, a.body)
	}

	// The command line asks the nodes of its list in turn.
	status, out, said = supnode(t, "sup", "list", "--addr", w.url(leader, "")+","+w.url(others[1], ""))
	if status != 0 || !strings.Contains(out, "paged") {
		t.Errorf("status %d: %s%s", status, out, said)
	}

	// A second one goes, and with it the majority.
	if err := w.Node(others[1]).Kill(); err != nil {
		t.Fatal(err)
	}
	last := others[0]
	for _, r := range [][3]string{{"GET", "/v1/supervisors?timeout=700ms", ""}, {"POST", "/v1/supervisors?timeout=700ms", `{"name": "late"}`}} {
		began := time.Now()
		a := ask(t, r[0], w.url(last, r[1]), r[2])
		took := time.Since(began)
		if a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, `"no_leader"`) || !strings.Contains(a.body, "a majority of the servers must be up") {
			t.Errorf("%s without a leader: %d %v %s", r[0], a.status, a.header, a.body)
		}
		if took < 500*time.Millisecond || took > 10*time.Second {
			t.Errorf("%s was answered after %s, asked for 700ms", r[0], took)
		}
	}
	if a := ask(t, "GET", w.url(last, "/v1/supervisors?consistency=stale"), ""); a.status != 200 || !strings.Contains(a.body, "paged") {
		t.Errorf("a stale read without a leader: %d %s", a.status, a.body)
	}
	status, _, said = supnode(t, "sup", "list", "--timeout", "500ms", "--addr", w.url(leader, "")+","+w.url(last, ""))
	if status != 1 {
		t.Errorf("status %d", status)
	}
	wantWords(t, said, "no leader was reached in 500ms: a majority of the servers must be up and connected")
	await.Nil(t, "readyz to say whom it misses", func() error {
		a, err := try(ctx, "GET", w.url(last, "/readyz"), "")
		if err == nil && (a.status != 503 || !strings.Contains(a.body, leader+": ") || !strings.Contains(a.body, "connection refused")) {
			err = fmt.Errorf("%d %s", a.status, a.body)
		}
		return err
	})
	if err := w.Node(leader).Start(); err != nil {
		t.Fatal(err)
	}
	if err := w.Ready(ctx, last, leader); err != nil {
		t.Fatal(err)
	}
	if a := ask(t, "GET", w.url(last, "/v1/supervisors/late"), ""); a.status != 404 {
		t.Errorf("what was answered with no_leader has happened: %s", a.body)
	}
}
