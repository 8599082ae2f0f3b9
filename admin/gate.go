package admin

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// MaxInFlight bounds the requests that are served at once.
const MaxInFlight = 1024

// answerTimeout bounds how long a client may take to read an answer.
const answerTimeout = 30 * time.Second

// gate is what every request passes first. Without tokens what keeps strangers out is that only this host reaches the
// address; the gate keeps a web page that this host's browser shows from acting in its place.
type gate struct {
	node   Node
	mux    *http.ServeMux
	origin *http.CrossOriginProtection
	slots  chan struct{} // one taken for each request that is served
	tokens tokens
	routes map[string]route // by the mux's pattern

	metrics *metrics
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	pattern := g.pattern(r)
	out := &answer{ResponseWriter: w, node: g.node}
	defer func() { g.metrics.answered(pattern, out, time.Since(began)) }()
	if !g.enter(r) {
		writeProblem(out, &sup.Problem{Code: sup.CodeBusy, Bound: MaxInFlight,
			Detail: fmt.Sprintf("%d requests are being served by this node already", MaxInFlight)})
		return
	}
	defer g.leave(r)
	g.metrics.inFlight.Inc()
	defer g.metrics.inFlight.Dec()
	out.begin()
	if p := g.stranger(r); p != nil {
		writeProblem(out, p)
		return
	}
	if p := g.entitled(r, pattern); p != nil {
		writeProblem(out, p)
		return
	}
	if p := readBody(out, r); p != nil {
		writeProblem(out, p)
		return
	}
	if pattern == "" {
		g.refuse(out, r)
		return
	}
	if to, ok := g.routes[pattern]; ok {
		if p := to.check(r); p != nil {
			writeProblem(out, p)
			return
		}
	}
	g.mux.ServeHTTP(out, r)
}

// pattern is the mux's pattern for a request; "" when there is none. The mux would send whoever asks for …/children/.. on to the
// path of the supervisor, and a DELETE that follows would stop it: nothing of the API is at such a path.
func (g *gate) pattern(r *http.Request) string {
	asked := r.URL.EscapedPath()
	if clean := path.Clean(asked); clean != asked && clean+"/" != asked {
		return ""
	}
	_, pattern := g.mux.Handler(r)
	return pattern
}

// enter takes a slot. Whoever asks how the node is needs none: a busy node is not a dead one.
func (g *gate) enter(r *http.Request) bool {
	if probe(r) {
		return true
	}
	select {
	case g.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (g *gate) leave(r *http.Request) {
	if !probe(r) {
		<-g.slots
	}
}

// entitled refuses whoever has no token for a request. Whoever asks how the node is needs none.
func (g *gate) entitled(r *http.Request, pattern string) *sup.Problem {
	if probe(r) {
		return nil
	}
	role := needed(r.Method)
	if to, ok := g.routes[pattern]; ok {
		role = to.role
	}
	return g.tokens.check(r, role)
}

func probe(r *http.Request) bool { return r.URL.Path == "/healthz" || r.URL.Path == "/readyz" }

// stranger refuses what a browser sends for a foreign page, also one whose name was made to point at this host.
func (g *gate) stranger(r *http.Request) *sup.Problem {
	if err := g.origin.Check(r); err != nil {
		return &sup.Problem{Code: sup.CodeForbidden, Detail: err.Error()}
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || !loopback(local) {
		return nil
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "" ||
		host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return nil
	}
	return &sup.Problem{Code: sup.CodeForbidden,
		Detail: fmt.Sprintf("the name %q was used for a loopback address; use 127.0.0.1 or localhost", host)}
}

func loopback(a net.Addr) bool {
	p, err := netip.ParseAddrPort(a.String())
	return err == nil && p.Addr().Unmap().IsLoopback()
}

// refuse answers what no pattern of the mux is for: the mux knows whether it is the path or the method.
func (g *gate) refuse(w http.ResponseWriter, r *http.Request) {
	answer := &statusOnly{header: http.Header{}}
	g.mux.ServeHTTP(answer, r)
	if answer.status == http.StatusMethodNotAllowed {
		allow := answer.header.Get("Allow")
		w.Header().Set("Allow", allow)
		writeProblem(w, &sup.Problem{Code: codeMethodNotAllowed, Detail: fmt.Sprintf("%s has %s, not %s", r.URL.Path, allow, r.Method)})
		return
	}
	writeProblem(w, &sup.Problem{Code: codeNotFound, Detail: fmt.Sprintf("%s is not a path of this API; /openapi.json describes it", r.URL.Path)})
}

// statusOnly keeps an answer's status and header and drops its body.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }

// answer adds what every answer has: the leader's name when another node leads, and a limit on the client's patience.
type answer struct {
	http.ResponseWriter
	node  Node
	begun bool
	code  int // 0 = nothing was answered
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// begin lifts the deadline that the former answer on this connection left behind.
func (a *answer) begin() {
	_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Time{})
}

func (a *answer) WriteHeader(status int) {
	if !a.begun {
		a.begun, a.code = true, status
		if s := a.node.Status(); s.Leader != "" && s.Leader != s.Node {
			a.Header().Set("X-Supnode-Leader", string(s.Leader))
		}
		_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(time.Now().Add(answerTimeout))
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(b)
}
