package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

func TestKeysReachTheNode(t *testing.T) {
	f := newFace(t)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", pool, "Idempotency-Key: k1")
	f.must(http.StatusOK, http.MethodPost, "/v1/supervisors/pool/children/w1/restart", "", "Idempotency-Key: k2")
	f.must(http.StatusOK, http.MethodPost, "/v1/supervisors/pool/children/w1/call", `{"type": "x", "value": 1}`, "Idempotency-Key: k3")
	f.must(http.StatusAccepted, http.MethodPost, "/v1/supervisors/pool/children/w1/cast", `{"type": "x", "value": 1}`, "Idempotency-Key: k4")
	f.must(http.StatusNoContent, http.MethodDelete, "/v1/supervisors/pool/children/w1", "", "Idempotency-Key: k5")
	f.must(http.StatusOK, http.MethodDelete, "/v1/supervisors/pool", "", "Idempotency-Key: k6")
	if got := strings.Join(f.seen, " "); got != "k1 k2 k3 k4 k5 k6" {
		t.Errorf("keys %q", got)
	}
	if w := f.ask(http.MethodPost, "/v1/supervisors", pool, "Idempotency-Key: "+strings.Repeat("k", 256)); w.Code != http.StatusBadRequest {
		t.Errorf("a key of 256 bytes: %d %s", w.Code, w.Body)
	}
}

// S36: the answer to a repeated request is the first one, also when what it made is gone again.
func TestARepeatedStartIsAnsweredAgainAfterTheChildIsGone(t *testing.T) {
	f := newFace(t)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "pool"}`)
	const child = `{"id": "w1", "behavior": "exec", "args": [{"command": "/bin/sh"}], "shutdown_timeout": "1s"}`
	first := f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors/pool/children", child, "Idempotency-Key: k")
	f.must(http.StatusNoContent, http.MethodDelete, "/v1/supervisors/pool/children/w1", "")
	again := f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors/pool/children", child, "Idempotency-Key: k")
	for _, field := range []string{"id", "supervisor", "behavior", "node", "incarnation", "status", "restart", "shutdown_timeout"} {
		if first[field] != again[field] {
			t.Errorf("%s: first %v, then %v", field, first[field], again[field])
		}
	}
	f.must(http.StatusNotFound, http.MethodGet, "/v1/supervisors/pool/children/w1", "")
}

// S36: the answer to a repeated request is the first one, whatever became of what it made, or of its name.
func TestARepeatedRequestIsAnsweredWithTheFirstOutcome(t *testing.T) {
	f := newFace(t)
	same := func(what string, first, again map[string]any, fields ...string) {
		t.Helper()
		for _, field := range fields {
			if fmt.Sprint(first[field]) != fmt.Sprint(again[field]) {
				t.Errorf("%s: %s was %v, then %v", what, field, first[field], again[field])
			}
		}
	}
	start := func() map[string]any {
		return f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", pool, "Idempotency-Key: start")
	}
	restart := func() map[string]any {
		return f.must(http.StatusOK, http.MethodPost, "/v1/supervisors/pool/children/w1/restart", "", "Idempotency-Key: restart")
	}
	stop := func() map[string]any {
		return f.must(http.StatusOK, http.MethodDelete, "/v1/supervisors/pool?reason=done", "", "Idempotency-Key: stop")
	}
	sup := []string{"name", "strategy", "status", "reason", "child_count", "restart_intensity", "created_index", "started_at"}
	child := []string{"id", "status", "node", "incarnation", "behavior", "args", "restart"}
	started, restarted := start(), restart()
	f.crash("pool", "w1")
	same("a restart, after a crash", restarted, restart(), child...)
	stopped := stop()
	same("a start, after the stop", started, start(), sup...)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "pool", "restart_intensity": {"max_restarts": 9}}`)
	same("a start, the name used anew", started, start(), sup[:6]...)
	f.forged = true // nobody knows any more what strategy it had
	same("a stop, the name used anew", stopped, stop(), "name", "status", "reason")
}

// The leader may go between the commit and the look at what was done: that is still a success.
func TestADoneWriteIsNotTurnedIntoAFailureByTheLook(t *testing.T) {
	m := newMemory(t)
	h, err := New(&forgetful{memory: m}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &face{t: t, memory: m, handler: h}
	s := f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", pool)
	if s["name"] != "pool" || s["status"] != "running" || s["child_count"] != 2.0 || s["strategy"] != "one_for_one" {
		t.Errorf("%v", s)
	}
	c := f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors/pool/children", `{"id": "w9", "behavior": "exec", "args": [{"command": "/bin/sh"}]}`)
	if c["id"] != "w9" || c["node"] != "n1" || c["status"] != "running" || c["incarnation"] == nil {
		t.Errorf("%v", c)
	}
	r := f.must(http.StatusOK, http.MethodPost, "/v1/supervisors/pool/children/w9/restart", "")
	if r["id"] != "w9" || r["node"] != "n1" || r["status"] != "running" {
		t.Errorf("%v", r)
	}
	d := f.must(http.StatusOK, http.MethodDelete, "/v1/supervisors/pool?reason=done", "")
	if d["name"] != "pool" || d["status"] != "stopped" || d["reason"] != "done" {
		t.Errorf("%v", d)
	}
}

func TestHomeIsTheNodeThatWasAsked(t *testing.T) {
	f := newFace(t)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", pool)
	if got := f.state.Home("pool"); got != "n1" {
		t.Errorf("home %q", got)
	}
}

func TestArgsAreKeptAsTheyAreWithoutWhiteSpace(t *testing.T) {
	f := newFace(t)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "pool", "children": [
		{"id": "w1", "behavior": "exec", "args": [{ "command" : "/bin/sh", "args": ["<&>", "\u00e4"] } ]}]}`)
	c := f.state.Child(sup.Key{Supervisor: "pool", Child: "w1"})
	if got, want := string(c.Spec.Args[0]), `{"command":"/bin/sh","args":["<&>","\u00e4"]}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAMadeNameIsAName(t *testing.T) {
	f := newFace(t)
	a := f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{}`)
	b := f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{}`)
	if a["name"] == b["name"] || !sup.Name(a["name"].(string)).Valid() {
		t.Errorf("names %v and %v", a["name"], b["name"])
	}
}

func TestANameIsEscapedInAPath(t *testing.T) {
	f := newFace(t)
	w := f.ask(http.MethodGet, "/v1/supervisors/pool%2Fw1/children", "")
	var p struct{ Supervisor string }
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Supervisor != "pool/w1" {
		t.Errorf("%s, %v", w.Body, err)
	}
}

func TestOldEventsAreGone(t *testing.T) {
	f := newFace(t)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", pool)
	for range 100 {
		f.must(http.StatusOK, http.MethodPost, "/v1/supervisors/pool/children/w1/restart", "")
	}
	p := f.must(http.StatusGone, http.MethodGet, "/v1/events?since=3", "")
	if p["code"] != "events_compacted" || p["bound"] == 0.0 {
		t.Errorf("%v", p)
	}
}

// forgetful is a node that can't be read.
type forgetful struct{ *memory }

func (*forgetful) Read(context.Context, node.Query) (node.Answer, error) {
	return node.Answer{}, &sup.Problem{Code: sup.CodeNoLeader}
}
