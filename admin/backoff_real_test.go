package admin

import (
	"net/http"
	"testing"
	"time"

	"github.com/supnode/supnode/test/await"
)

// S20 on real nodes: a command that keeps failing is started again after ever longer waits, which a new leader keeps.
func TestS20ARealCommandBacksOff(t *testing.T) {
	f, nodes := startReal(t, 3, 3)
	f.untilReady()
	f, leader := follower(t, nodes)
	f.untilReady()
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "pool", "selector": "round_robin", "restart_intensity": {"max_restarts": 100, "within": "1m"},
		"children": [{"id": "w1", "behavior": "exec", "args": [{"command": "/bin/sh", "args": ["-c", "exit 3"]}],
			"backoff": {"initial": "100ms", "max": "2s", "factor": 4, "jitter": 0}}]}`)
	child := func() map[string]any {
		return f.must(http.StatusOK, http.MethodGet, "/v1/supervisors/pool/children/w1", "")
	}
	at := func(text any) time.Time {
		t.Helper()
		when, err := time.Parse(time.RFC3339Nano, text.(string))
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	var c map[string]any
	await.True(f.t, "the third wait", func() bool {
		c = child()
		return c["status"] == "backoff" && c["restart_count"].(float64) >= 3
	})
	wait := at(c["retry_at"]).Sub(at(c["last_exit"].(map[string]any)["at"]))
	if wait < 1500*time.Millisecond || wait > 2100*time.Millisecond || c["node"] != nil {
		t.Errorf("it waits for %s: %v", wait, c)
	}
	before := c["restart_count"].(float64)
	if err := leader.Close(); err != nil {
		t.Fatal(err)
	}
	await.True(f.t, "the new leader to start it again", func() bool { return child()["restart_count"].(float64) > before })
	page := f.must(http.StatusOK, http.MethodGet, "/v1/events", "")
	var ended []time.Time // when runs ended, and when they began
	var began []time.Time
	for _, e := range page["events"].([]any) {
		switch e := e.(map[string]any); e["type"] {
		case "child_stopped":
			ended = append(ended, at(e["time"]))
		case "child_started", "child_restarted":
			began = append(began, at(e["time"]))
		}
	}
	for i, least := range []time.Duration{90, 390, 1590} {
		if pause := began[i+1].Sub(ended[i]); pause < least*time.Millisecond {
			t.Errorf("pause %d took %s, want %d ms at least", i+1, pause, least)
		}
	}
	r := f.must(http.StatusOK, http.MethodPost, "/v1/supervisors/pool/children/w1/restart", "")
	if r["status"] != "running" {
		t.Errorf("by hand it starts at once: %v", r)
	}
}
