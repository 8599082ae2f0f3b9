package edges

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/supnode/supnode/rpc"
	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/relay"
)

// closes waits for the other end to close a connection, and returns what it said before.
func closes(t *testing.T, what string, c net.Conn) []byte {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(await.Patience)); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(io.LimitReader(c, 1<<20))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: the connection is kept", what)
	}
	return said
}

// greeting is what a node says first on a connection for a class (1 Raft, 2 sync, 3 call).
func greeting(t *testing.T, class int, from, to string) []byte {
	t.Helper()
	b, err := rpc.Encode(map[int]any{1: class, 4: from, 5: to})
	if err != nil {
		t.Fatal(err)
	}
	return append(append([]byte("SUPN\x01"), length(len(b))...), b...)
}

func length(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// Whatever arrives at the node port that no node would send: the connection is closed within its bound, it is logged without
// flooding, and nothing else happens. A frame that is random bytes ends the tutorial's system.
func TestJunkOnTheNodePort(t *testing.T) {
	t.Parallel()
	w := theTown(t)
	unharmed := w.undisturbed(t)
	noise := make([]byte, 64<<10)
	rand.Read(noise)
	hello := []byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 1, 2, 3} // the beginning of a TLS ClientHello
	call := greeting(t, 3, "n9", "n1")
	frame := func(b []byte) []byte { return append(length(len(b)), b...) }
	for what, junk := range map[string][]byte{
		"random bytes":                      noise,
		"an HTTP request":                   []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"half a TLS hello":                  hello,
		"zeros":                             make([]byte, 4096),
		"the magic alone":                   []byte("SUPN"),
		"another version":                   []byte("SUPN\x07aaaaaaaa"),
		"a greeting of four gigabytes":      append([]byte("SUPN\x01"), 0xff, 0xff, 0xff, 0xff, 1, 2, 3),
		"a greeting of noise":               append([]byte("SUPN\x01"), frame(noise[:1000])...),
		"half a greeting":                   call[:len(call)-3],
		"a greeting with an unknown class":  greeting(t, 9, "n9", "n1"),
		"a greeting to another node":        greeting(t, 3, "n9", "n2"),
		"Raft of a node that is no server":  append(greeting(t, 1, "n9", "n1"), noise...),
		"Raft of a server, then noise":      append(greeting(t, 1, "n2", "n1"), noise...),
		"sync, then noise":                  append(greeting(t, 2, "n9", "n1"), noise...),
		"a call, then noise":                append(call[:len(call):len(call)], noise...),
		"a call, then four gigabytes":       append(call[:len(call):len(call)], 0xff, 0xff, 0xff, 0xff, 0),
		"a call, then an empty frame":       append(call[:len(call):len(call)], frame(nil)...),
		"a call, then a frame of noise":     append(call[:len(call):len(call)], frame(noise[:5000])...),
		"a call, then nesting without end":  append(call[:len(call):len(call)], frame(bytes.Repeat([]byte{0x81}, 100_000))...),
		"a call, then a list of 2^60":       append(call[:len(call):len(call)], frame([]byte{0x9b, 0x10, 0, 0, 0, 0, 0, 0, 0})...),
		"a call, then a frame of its greet": append(call[:len(call):len(call)], call...),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", w.Node("n1").RPC)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write(junk); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Error(err)
			}
			if strings.HasPrefix(what, "half") || strings.HasPrefix(what, "the magic") {
				began := time.Now()
				closes(t, what, c) // the bound of a handshake, 2 s
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("kept for %s", took)
				}
				return
			}
			c.(*net.TCPConn).CloseWrite()
			closes(t, what, c)
		})
	}
	t.Cleanup(unharmed)
}

// What a node has once said to another is worth nothing when it is said again: not its greeting, and not its frames. Here a
// whole connection of Raft's and one of an agent's are recorded and played again.
func TestAReplayedConnection(t *testing.T) {
	t.Parallel()
	w := theTown(t)
	data := t.TempDir() + "/spy"
	file, admin := agentOf(t, w, "spy", data)
	text := mustRead(t, file)
	relays := map[string]*relay.Relay{}
	for _, n := range w.Names() { // the agent reaches the servers through relays that keep what it says
		to := w.Node(n).RPC
		relays[to] = relay.New(t, to)
		text = strings.Replace(text, to, relays[to].Addr, 1)
	}
	put(t, file, text)
	p := start(t, file)
	p.Ready(admin)
	await.True(t, "renewals are on the tape", func() bool {
		heard := int64(0)
		for _, r := range relays {
			heard += r.Heard.Load()
		}
		return heard >= 10
	})
	p.Leaves(syscall.SIGTERM)
	unharmed := w.undisturbed(t)
	before := w.members(t)
	for _, r := range relays {
		for _, tape := range r.Said() {
			for to := range relays {
				c, err := net.Dial("tcp", to)
				if err != nil {
					t.Fatal(err)
				}
				c.Write(tape)
				c.(*net.TCPConn).CloseWrite()
				closes(t, "a replayed connection", c)
				c.Close()
			}
		}
	}
	unharmed()
	for name, m := range w.members(t) {
		if before[name] != m {
			t.Errorf("%s was %s and is %s", name, before[name], m)
		}
	}
}

// members are the nodes with what must not change unless they do.
func (w *town) members(t *testing.T) map[string]string {
	t.Helper()
	nodes, err := w.client.Members(within(t))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, n := range nodes {
		out[n.Name] = fmt.Sprintf("%s, session %d", n.Status, n.Incarnation)
	}
	return out
}

// Thousands of connections that say nothing: so many are let in, the others closed on arrival; those let in are closed when
// their handshake is overdue. Nobody's lease or leadership is lost over it, and it takes some lines of the log, not thousands.
func TestThousandsOfHalfOpenConnections(t *testing.T) {
	w := theTown(t)
	ctx := within(t)
	leader, err := w.Leader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	unharmed := w.undisturbed(t)
	before := w.members(t)
	lines := strings.Count(mustRead(t, w.Node(leader).LogFile), "\n")
	const crowd = 4000
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	began := time.Now()
	for range crowd {
		c, err := net.DialTimeout("tcp", w.Node(leader).RPC, 5*time.Second)
		if err != nil {
			t.Fatalf("after %d connections: %v", len(conns), err)
		}
		conns = append(conns, c)
	}
	for _, name := range w.Names() { // while they stand there, work goes on
		child := fmt.Sprintf(`{"id": "%s-amid", "behavior": "exec", "args": [{"command": "/bin/sleep", "args": ["1000"]}]}`, name)
		if a := ask(t, "POST", w.url(name, "/v1/supervisors/steady/children"), child); a.status != 201 {
			t.Errorf("a start through %s: %d %s", name, a.status, a.body)
		}
		if a := ask(t, "DELETE", w.url(name, "/v1/supervisors/steady/children/"+name+"-amid"), ""); a.status != 204 {
			t.Errorf("an end through %s: %d %s", name, a.status, a.body)
		}
	}
	for _, c := range conns {
		closes(t, "a silent connection", c)
	}
	t.Logf("%d connections came and went in %s", crowd, time.Since(began))
	unharmed()
	for name, m := range w.members(t) {
		if before[name] != m {
			t.Errorf("%s was %s and is %s", name, before[name], m)
		}
	}
	if more := strings.Count(mustRead(t, w.Node(leader).LogFile), "\n") - lines; more > 60 {
		t.Errorf("%d lines of log for %d connections", more, crowd)
	}
}
