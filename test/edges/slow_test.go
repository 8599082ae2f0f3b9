package edges

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/test/await"
)

// Clients that are slow with a header, with a body, or with reading a stream or an answer: each is dropped within its bound,
// and meanwhile nobody else waits.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	w := theTown(t)
	unharmed := w.undisturbed(t)
	t.Cleanup(unharmed)
	dial := func(t *testing.T) net.Conn {
		c, err := net.Dial("tcp", w.Node("n1").Admin)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dropped := func(t *testing.T, c net.Conn, bound time.Duration) string {
		t.Helper()
		began := time.Now()
		said := closes(t, "a slow client", c)
		if took := time.Since(began); took > bound+10*time.Second {
			t.Errorf("kept for %s, the bound is %s", took, bound)
		}
		return string(said)
	}
	t.Run("header", func(t *testing.T) {
		t.Parallel()
		for range 300 {
			c := dial(t)
			fmt.Fprintf(c, "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
			defer c.Close()
		}
		c := dial(t)
		fmt.Fprintf(c, "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n")
		dropped(t, c, 5*time.Second)
	})
	t.Run("body", func(t *testing.T) {
		t.Parallel()
		for range 100 {
			c := dial(t)
			fmt.Fprintf(c, "POST /v1/supervisors HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
			defer c.Close()
		}
		c := dial(t)
		fmt.Fprintf(c, "POST /v1/supervisors HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"name\":")
		said := dropped(t, c, 10*time.Second)
		if !strings.Contains(said, "400 Bad Request") || !strings.Contains(said, "the body did not arrive within 10s") {
			t.Errorf("it was told %q", said)
		}
	})
	// Nor is the rest waited for of a request that is refused at once.
	for what, c := range map[string]struct{ host, length, words string }{
		"body of a stranger":      {"evil.example", "100", "403 Forbidden"},
		"body that is too large":  {"127.0.0.1", "5000000", "413 Request Entity Too Large"},
		"body to nothing":         {"127.0.0.1", "100", "400 Bad Request"},
		"body that comes by drip": {"127.0.0.1", "100", "400 Bad Request"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			conn := dial(t)
			fmt.Fprintf(conn, "POST /v1/nothing HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n", c.host, c.length)
			if strings.HasSuffix(what, "drip") {
				stop := make(chan struct{})
				defer close(stop)
				go func() {
					for drip := time.NewTicker(500 * time.Millisecond); ; {
						select {
						case <-stop:
							drip.Stop()
							return
						case <-drip.C:
							conn.Write([]byte(" "))
						}
					}
				}()
			}
			if said := dropped(t, conn, 10*time.Second); !strings.Contains(said, c.words) {
				t.Errorf("it was told %q", said)
			}
		})
	}
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		c := dial(t)
		if err := c.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
		slow, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || slow.StatusCode != 200 {
			t.Fatal(slow, err)
		}
		if line, err := bufio.NewReader(slow.Body).ReadString('\n'); err != nil || !strings.HasPrefix(line, "id: 1") {
			t.Fatalf("%q, %v", line, err)
		}
		// It reads no further. Others follow, and see everything at once.
		other, err := http.NewRequestWithContext(within(t), "GET", w.url("n1", "/v1/events"), nil)
		if err != nil {
			t.Fatal(err)
		}
		other.Header.Set("Accept", "text/event-stream")
		res, err := http.DefaultClient.Do(other)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		name := "heard-amid-slow-ones"
		if a := ask(t, "POST", w.url("n2", "/v1/supervisors"), `{"name": "`+name+`"}`); a.status != 201 {
			t.Fatal(a.body)
		}
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() && !strings.Contains(lines.Text(), name) {
		}
		if err := lines.Err(); err != nil {
			t.Errorf("the other stream broke: %v", err)
		}
		ask(t, "DELETE", w.url("n2", "/v1/supervisors/"+name), "")
	})
	t.Run("others", func(t *testing.T) {
		t.Parallel()
		for range 50 {
			began := time.Now()
			if a := ask(t, "GET", w.url("n1", "/v1/nodes"), ""); a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("a request took %s", took)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
}

// Streams have a bound; whoever comes after is told so, with the bound, and is let in when one goes.
func TestAFollowerTooMany(t *testing.T) {
	t.Parallel()
	w := theTown(t)
	follow := func() (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", w.url("n3", "/v1/events"), nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", "text/event-stream")
		return http.DefaultClient.Do(req)
	}
	var open []*http.Response
	defer func() {
		for _, r := range open {
			r.Body.Close()
		}
	}()
	var full *http.Response
	for full == nil && len(open) < 1000 {
		res, err := follow()
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != 200 {
			full = res
		} else {
			open = append(open, res)
		}
	}
	if full == nil || full.StatusCode != http.StatusTooManyRequests || full.Header.Get("Retry-After") == "" {
		t.Fatalf("after %d streams: %+v", len(open), full)
	}
	body, err := io.ReadAll(full.Body)
	full.Body.Close()
	if err != nil || !strings.Contains(string(body), fmt.Sprintf(`%d clients follow this node's events already`, len(open))) {
		t.Errorf("%s, %v", body, err)
	}
	if a := ask(t, "GET", w.url("n3", "/v1/status"), ""); a.status != 200 {
		t.Errorf("other requests: %d %s", a.status, a.body)
	}
	open[0].Body.Close()
	open = open[1:]
	await.Nil(t, "a place to be free", func() error {
		res, err := follow()
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != 200 {
			return fmt.Errorf("status %d", res.StatusCode)
		}
		return nil
	})
}
