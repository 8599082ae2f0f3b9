package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

func TestABodyMayHaveOneMebibyte(t *testing.T) {
	f := newFace(t)
	body := func(size int) string {
		return `{"name": "` + strings.Repeat("x", size-len(`{"name": ""}`)) + `"}`
	}
	if w := f.ask(http.MethodPost, "/v1/supervisors", body(MaxBody)); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "is not a supervisor name") {
		t.Errorf("a body of the largest size: %d %.200s", w.Code, w.Body)
	}
	for _, length := range []int64{-1, MaxBody + 1} { // unknown, and said beforehand
		r := httptest.NewRequest(http.MethodPost, "/v1/supervisors", strings.NewReader(body(MaxBody+1)))
		r.Host, r.ContentLength = "localhost:8101", length
		w := httptest.NewRecorder()
		f.handler.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), `"payload_too_large"`) || !strings.Contains(w.Body.String(), `"bound": 1048576`) {
			t.Errorf("a body one byte larger: %d %s", w.Code, w.Body)
		}
	}
}

// How deep a value is, and how long its keys are, is the client's choice.
func TestADeepBodyCostsLittle(t *testing.T) {
	const depth = 9000
	step := `{"` + strings.Repeat("k", MaxBody/depth-8) + `":`
	deep := `{"id": "w", "behavior": "exec", "args": [` + strings.Repeat(step, depth) + "1" + strings.Repeat("}", depth) + `]}`
	f := newFace(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if w := f.ask(http.MethodPost, "/v1/supervisors/pool/children", deep); w.Code != http.StatusBadRequest {
		t.Errorf("%d %.200s", w.Code, w.Body)
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / MaxBody; got > 200 {
		t.Errorf("a body of %d bytes took %d MiB of memory", len(deep), got)
	}
}

func TestABodyWithThousandsOfErrorsIsToldOfAHundred(t *testing.T) {
	f := newFace(t)
	w := f.ask(http.MethodPost, "/v1/supervisors", `{"name": "pool", "children": [1`+strings.Repeat(",1", 9999)+`]}`)
	if got := strings.Count(w.Body.String(), `"location"`); got != 100 || !strings.Contains(w.Body.String(), "children[0]: expected object (and 9999 more)") {
		t.Errorf("%d errors are told: %d %.300s", got, w.Code, w.Body)
	}
}

func TestCurlNeedsNoContentType(t *testing.T) {
	f := newFace(t)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "a"}`, "Content-Type: application/x-www-form-urlencoded")
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "b"}`, "Content-Type: ")
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "c"}`, "Content-Type: application/json; charset=utf-8")
}

func TestAWebPageCannotActForTheBrowser(t *testing.T) {
	f := newFace(t)
	for _, headers := range [][]string{
		{"Origin: http://evil.example"},
		{"Sec-Fetch-Site: cross-site"},
	} {
		w := f.ask(http.MethodPost, "/v1/supervisors", `{"name": "a"}`, headers...)
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), `"forbidden"`) {
			t.Errorf("%q: %d %s", headers, w.Code, w.Body)
		}
	}
	// A name that was made to point at the loopback address.
	for host, want := range map[string]int{
		"evil.example:8101": 403, "127.0.0.1:8101": 200, "localhost:8101": 200, "[::1]:8101": 200, "n1.localhost": 200, "10.0.0.1": 200,
	} {
		r := httptest.NewRequest(http.MethodGet, "/v1/status", nil)
		r.Host = host
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8101}))
		w := httptest.NewRecorder()
		f.handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("host %s: %d, want %d", host, w.Code, want)
		}
	}
}

func TestAnswersNameTheLeaderWhenItIsAnotherNode(t *testing.T) {
	f := newFace(t)
	for leader, want := range map[sup.NodeName]string{"n1": "", "n3": "n3", "": ""} {
		f.leader = leader
		for _, path := range []string{"/v1/status", "/v1/supervisors", "/v1/supervisors/none", "/readyz"} {
			if got := f.ask(http.MethodGet, path, "").Header().Get("X-Supnode-Leader"); got != want {
				t.Errorf("leader %q, %s: header %q", leader, path, got)
			}
		}
	}
}

func TestNotReadySaysWhy(t *testing.T) {
	f := newFace(t)
	f.leader = ""
	if w := f.ask(http.MethodGet, "/readyz", ""); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"name": "leader"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestStaleReadsNeedNoLeader(t *testing.T) {
	f := newFace(t)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", pool)
	f.refuse = &sup.Problem{Code: sup.CodeNoLeader}
	for _, path := range []string{"/v1/supervisors", "/v1/supervisors/pool", "/v1/supervisors/pool/count", "/v1/supervisors/pool/children",
		"/v1/supervisors/pool/children/w1", "/v1/nodes", "/v1/nodes/n1", "/v1/events"} {
		if w := f.ask(http.MethodGet, path, ""); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", path, w.Code)
		}
		w := f.ask(http.MethodGet, path+"?consistency=stale", "")
		if got := w.Header().Get("X-Supnode-Applied-Index"); w.Code != http.StatusOK || got != strconv.FormatUint(f.state.Index(), 10) {
			t.Errorf("stale %s: %d, index %q", path, w.Code, got)
		}
	}
}

func TestTooManyRequestsAreBusy(t *testing.T) {
	f := newFace(t)
	f.hanging = true
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, MaxInFlight)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "a"}`)
	g := f.handler.(*gate)
	for i := range MaxInFlight {
		go func() {
			r := httptest.NewRequest(http.MethodPost, "/v1/supervisors/a/children", strings.NewReader(
				fmt.Sprintf(`{"id": "w%d", "behavior": "exec", "args": [{"command": "/bin/sh"}]}`, i))).WithContext(ctx)
			w := httptest.NewRecorder()
			f.handler.ServeHTTP(w, r)
			done <- w.Code
		}()
	}
	for len(g.slots) < MaxInFlight {
		select {
		case code := <-done:
			t.Fatalf("a request that should hang was answered with %d", code)
		case <-time.After(time.Millisecond):
		}
	}
	w := f.ask(http.MethodGet, "/v1/status", "")
	if w.Code != http.StatusTooManyRequests || !strings.Contains(w.Body.String(), `"busy"`) || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	f.must(http.StatusOK, http.MethodGet, "/healthz", "")
	f.must(http.StatusOK, http.MethodGet, "/readyz", "")
	cancel()
	for range MaxInFlight {
		// The node is told to give up: what became of the request is not known.
		if code := <-done; code != http.StatusBadGateway {
			t.Fatalf("a cancelled write was answered with %d", code)
		}
	}
	f.must(http.StatusOK, http.MethodGet, "/v1/status", "")
}

func TestWhatNobodyExpectedIsAnInternalProblem(t *testing.T) {
	f := newFace(t)
	f.refuse = errors.New("the sky fell")
	if w := f.ask(http.MethodGet, "/v1/nodes", ""); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "the sky fell") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
