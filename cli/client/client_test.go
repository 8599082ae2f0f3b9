package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/test/machine"
)

// answering is a node that always answers the same, and counts.
func answering(t *testing.T, status int, body string) (*httptest.Server, *[]*http.Request) {
	t.Helper()
	var asked []*http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r)
		w.WriteHeader(status)
		w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s, &asked
}

const noLeader = `{"title": "The cluster has no leader", "status": 503, "detail": "none was reached", "code": "no_leader"}`

func TestNodesAreAskedInTurnUntilOneAnswers(t *testing.T) {
	lonely, first := answering(t, 503, noLeader)
	broken, second := answering(t, 500, "<html>")
	good, third := answering(t, 200, `{"ok": true}`)
	never, fourth := answering(t, 200, `{}`)
	c, err := New([]string{machine.Addr(), lonely.URL, broken.URL, good.URL, never.URL}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ans, err := c.Do(context.Background(), Request{Method: http.MethodPost, Path: []string{"v1", "x"}, Body: []byte("{}")})
	if err != nil || string(ans.Body) != `{"ok": true}` {
		t.Fatalf("%s, %v", ans.Body, err)
	}
	if len(*first) != 1 || len(*second) != 1 || len(*third) != 1 || len(*fourth) != 0 {
		t.Errorf("asked %d, %d, %d, %d times", len(*first), len(*second), len(*third), len(*fourth))
	}
	key := (*first)[0].Header.Get("Idempotency-Key")
	if key == "" || key != (*third)[0].Header.Get("Idempotency-Key") {
		t.Errorf("keys %q and %q", key, (*third)[0].Header.Get("Idempotency-Key"))
	}
}

// A paused process takes a connection and says nothing: the next node is asked. One that lives is waited for.
func TestAPausedNodeIsPassedOver(t *testing.T) {
	paused := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // or the end of the connection is not seen
		<-r.Context().Done()
	}))
	defer paused.Close()
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			select {
			case <-time.After(250 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
		w.Write([]byte(`{}`))
	}))
	defer slow.Close()
	for _, addrs := range [][]string{{paused.URL, slow.URL}, {paused.URL}} {
		c, err := New(addrs, "")
		if err != nil {
			t.Fatal(err)
		}
		c.patience = 50 * time.Millisecond
		_, err = c.Do(context.Background(), Request{Method: http.MethodPost, Path: []string{"v1", "x"}, Body: []byte("{}")})
		c.Close()
		if want := paused.URL + " can't be reached: it takes connections and answers nothing, /healthz neither"; len(addrs) == 1 && (err == nil || err.Error() != want) || len(addrs) == 2 && err != nil {
			t.Errorf("%v", err)
		}
	}
}

func TestARefusalIsFinal(t *testing.T) {
	no, _ := answering(t, 404, `{"title": "No such child", "status": 404, "detail": "there is none", "code": "child_not_found", "child": "x"}`)
	other, asked := answering(t, 200, `{}`)
	c, err := New([]string{no.URL, other.URL}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Do(context.Background(), Request{Method: http.MethodGet})
	var p *Problem
	if !errors.As(err, &p) || p.Code != "child_not_found" || err.Error() != "No such child: there is none" || len(*asked) != 0 {
		t.Errorf("%v, the other was asked %d times", err, len(*asked))
	}
}

func TestOfManyFailuresTheMostTellingIsReported(t *testing.T) {
	lonely, _ := answering(t, 503, noLeader)
	for _, addrs := range [][]string{{lonely.URL, machine.Addr()}, {machine.Addr(), lonely.URL}} {
		c, err := New(addrs, "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Do(context.Background(), Request{Method: http.MethodGet})
		c.Close()
		if err == nil || err.Error() != "The cluster has no leader: none was reached" {
			t.Errorf("%v", err)
		}
	}
	gone := machine.Addr()
	c, err := New([]string{gone}, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Do(context.Background(), Request{Method: http.MethodGet})
	if want := "http://" + gone + " can't be reached: dial tcp " + gone + ": connect: connection refused"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestWhatIsSent(t *testing.T) {
	s, asked := answering(t, 200, `{}`)
	c, err := New([]string{strings.TrimPrefix(s.URL, "http://") + "/"}, "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Timeout = 1500 * time.Millisecond
	if err := c.Get(context.Background(), &struct{}{}, url.Values{"since": {"3"}}, "v1", "supervisors", "pool/w1"); err != nil {
		t.Fatal(err)
	}
	r := (*asked)[0]
	if got := r.URL.RequestURI(); got != "/v1/supervisors/pool%2Fw1?since=3&timeout=1.5s" {
		t.Errorf("%s", got)
	}
	if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("Idempotency-Key") != "" {
		t.Errorf("%v", r.Header)
	}
}

// What is meant for a child is not done to what its path would lead to: DELETE …/children/.. is not the stop of the supervisor.
func TestNothingIsDoneElsewhere(t *testing.T) {
	s, asked := answering(t, 200, `{}`)
	moved := httptest.NewServer(http.RedirectHandler(s.URL+"/v1/supervisors/pool", http.StatusTemporaryRedirect))
	defer moved.Close()
	for _, addr := range []string{moved.URL, s.URL} {
		c, err := New([]string{addr}, "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, err = c.Do(context.Background(), Request{Method: http.MethodDelete, Path: []string{"v1", "supervisors", "pool", "children", ".."}})
		if want := moved.URL + " answered with status 307: it points to " + s.URL + "/v1/supervisors/pool, and is no node"; addr == moved.URL && (err == nil || err.Error() != want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if len(*asked) != 1 || (*asked)[0].RequestURI != "/v1/supervisors/pool/children/%2E%2E" {
		t.Errorf("asked %d times, %s", len(*asked), (*asked)[0].RequestURI)
	}
}

func TestAddressesAreChecked(t *testing.T) {
	for _, addr := range []string{"", "ftp://x:1", "http://", ",", "a:0", "127.0.0.1:99999", "http://:8101", "http://a:1?x=y", "http://a:1,b c:70000"} {
		if _, err := New([]string{addr}, ""); err == nil {
			t.Errorf("%q is accepted", addr)
		}
	}
}

// A message is taken once: the node that broke off may have taken it, so the next one is asked under the same key. One node
// alone is asked without a key.
func TestACallIsNotRepeated(t *testing.T) {
	keys := make(chan string, 9) // by the servers' goroutines
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys <- r.Header.Get("Idempotency-Key")
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	}))
	defer broken.Close()
	good, asked := answering(t, 200, `{"reply": 1}`)
	call := func(addrs ...string) (Answer, error) {
		c, err := New(addrs, "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.Do(context.Background(), Request{Method: http.MethodPost, Body: []byte("{}"), Light: true})
	}
	ans, err := call(broken.URL, good.URL)
	first, second := <-keys, (*asked)[0].Header.Get("Idempotency-Key")
	if err != nil || string(ans.Body) != `{"reply": 1}` || first == "" || first != second || len(keys) > 0 {
		t.Errorf("%s %v; keys %q and %q, and %d more", ans.Body, err, first, second, len(keys))
	}
	if ans, err := call(broken.URL); err == nil || <-keys != "" || len(keys) > 0 {
		t.Errorf("one node: %s %v", ans.Body, err)
	}
}
