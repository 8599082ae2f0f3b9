package admin

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/node/agent/guardian"
	"github.com/supnode/supnode/rpc"
	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/machine"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	guardian.RunIfGuardian()
	machine.Alone()
	goleak.VerifyTestMain(m)
}

// serve runs h on a loopback port until the test ends.
func serve(t *testing.T, h http.Handler) *Server {
	t.Helper()
	s, err := Listen("127.0.0.1:0", "", "", hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	s.Handle(h)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Close(time.Second); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestALongRequestOutlivesTheDeadlinesOfItsConnection(t *testing.T) {
	f := newFace(t)
	f.hanging = true
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "pool"}`)
	s := serve(t, f.handler)
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"id": "w1", "behavior": "exec", "args": [{"command": "/bin/sh"}]}`
	fmt.Fprintf(conn, "POST /v1/supervisors/pool/children HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	await.True(t, "the request reaches the node", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.state.CountOn("n1") == 1
	})
	// Nothing but the end of the server ends it.
	conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Fatal("the request was answered")
	}
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	go s.Close(10 * time.Millisecond)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusBadGateway || !strings.Contains(string(b), "outcome_unknown") {
		t.Errorf("%d %s", res.StatusCode, b)
	}
}

func TestConnectionsAreKeptForTheNextRequest(t *testing.T) {
	f := newFace(t)
	s := serve(t, f.handler)
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for i := range 3 {
		body := fmt.Sprintf(`{"name": "s%d"}`, i)
		fmt.Fprintf(conn, "POST /v1/supervisors HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusCreated {
			t.Fatalf("request %d: %d %v", i, res.StatusCode, err)
		}
	}
}

func TestATakenAddressIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Listen(l.Addr().String(), "", "", hclog.NewNullLogger()); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("got %v", err)
	}
}

func TestANodeThatStartsSaysSo(t *testing.T) {
	s := serve(t, Starting())
	ask := func(path string) (int, string) {
		res, err := http.Get("http://" + s.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		defer http.DefaultClient.CloseIdleConnections()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/v1/supervisors": 503} {
		if status, body := ask(path); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	s.Handle(newFace(t).handler)
	if status, body := ask("/readyz"); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
}

func TestItSpeaksTLS(t *testing.T) {
	dir := t.TempDir()
	ca, err := rpc.NewCA(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	files, err := ca.IssueNode(dir, "n1", []string{"127.0.0.1"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Listen("127.0.0.1:0", files.Cert, files.Key, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := os.ReadFile(files.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(signer)
	s.Handle(Starting())
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	res, err := c.Get("https://" + s.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Error(res.Status)
	}
	c.CloseIdleConnections()
	if err := s.Close(time.Second); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
