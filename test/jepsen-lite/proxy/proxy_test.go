package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/supnode/supnode/test/await"
)

// echo is a node: it answers each line with its own name and that line.
func echo(t *testing.T, name string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for s := bufio.NewScanner(c); s.Scan(); {
					fmt.Fprintln(c, name, s.Text())
				}
			}()
		}
	}()
	return l.Addr().String()
}

func start(t *testing.T) (n *Net, addrs map[string]string) {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	addrs = map[string]string{"a": echo(t, "a"), "b": echo(t, "b"), "c": echo(t, "c")}
	n, err := New(addrs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n, addrs
}

type conn struct {
	t *testing.T
	net.Conn
	*bufio.Reader
}

func (c conn) Read(b []byte) (int, error) { return c.Reader.Read(b) }

func dial(t *testing.T, addr string) conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return conn{t, c, bufio.NewReader(c)}
}

func (c conn) say(line string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c, line); err != nil {
		c.t.Fatal(err)
	}
}

// hear waits for a line.
func (c conn) hear(want string) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	got, err := c.ReadString('\n')
	if err != nil || strings.TrimSpace(got) != want {
		c.t.Fatalf("heard %q %v, want %q", got, err, want)
	}
}

// silent holds when nothing comes for a while.
func (c conn) silent() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	b, err := c.Peek(1)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		c.t.Fatalf("heard %q %v, want silence", b, err)
	}
}

func TestLinksPassBothWays(t *testing.T) {
	n, _ := start(t)
	c := dial(t, n.Addr("a", "b"))
	c.say("hello")
	c.hear("b hello")
	if n.Made("a", "b") != 1 || n.Made("b", "a") != 0 {
		t.Error("the connection is counted on the wrong link")
	}
	c.Conn.(*net.TCPConn).CloseWrite()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.ReadByte(); err != io.EOF {
		t.Error("the end of the connection did not pass:", err)
	}
}

func TestACutHoldsBytesAndKeepsThem(t *testing.T) {
	n, _ := start(t)
	c := dial(t, n.Addr("a", "b"))
	c.say("one")
	c.hear("b one")
	n.Cut("a", "b")
	c.say("two")
	c.say("three")
	c.silent()
	if err := n.Join(); err != nil {
		t.Fatal(err)
	}
	c.hear("b two")
	c.hear("b three")
}

func TestACutIsOneWayOnTheConnectionsOfBothEnds(t *testing.T) {
	n, _ := start(t)
	ab, ba := dial(t, n.Addr("a", "b")), dial(t, n.Addr("b", "a"))
	for _, c := range []conn{ab, ba} {
		c.say("x")
	}
	ab.hear("b x")
	ba.hear("a x")
	n.Cut("b", "a") // what b sends: its answers on ab, its requests on ba
	ab.say("y")
	ab.silent()
	ba.say("y")
	ba.silent()
	if err := n.Join(); err != nil {
		t.Fatal(err)
	}
	ab.hear("b y")
	ba.hear("a y")
}

func TestIsolationSparesTheOthers(t *testing.T) {
	n, _ := start(t)
	bc := dial(t, n.Addr("b", "c"))
	n.Isolate("a")
	bc.say("x")
	bc.hear("c x")
	for _, link := range [][2]string{{"a", "b"}, {"b", "a"}, {"a", "c"}, {"c", "a"}} {
		c := dial(t, n.Addr(link[0], link[1]))
		c.say("x")
		c.silent()
		if err := n.Join(); err != nil {
			t.Fatal(err)
		}
		c.hear(link[1] + " x")
		n.Isolate("a")
	}
}

func TestMuteAndDeafAreEachOneWay(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		t.Run(fmt.Sprint("deaf ", deaf), func(t *testing.T) {
			n, _ := start(t)
			c := dial(t, n.Addr("a", "b"))
			c.say("x")
			c.hear("b x")
			if deaf {
				n.Deafen("a")
			} else {
				n.Mute("a")
			}
			c.say("y") // deaf: arrives, its answer is held; mute: is held itself
			c.silent()
			toward := n.link("a", "b")
			if toward.there.held == deaf || toward.back.held != deaf {
				t.Errorf("there held %v, back held %v", toward.there.held, toward.back.held)
			}
			if err := n.Join(); err != nil {
				t.Fatal(err)
			}
			c.hear("b y")
		})
	}
}

func TestDelayIsAddedAndKeepsOrder(t *testing.T) {
	n, _ := start(t)
	c := dial(t, n.Addr("a", "b"))
	c.say("warm")
	c.hear("b warm")
	const d = 60 * time.Millisecond
	n.Delay("a", "b", d)
	began := time.Now()
	for i := range 20 {
		c.say(fmt.Sprint(i))
	}
	for i := range 20 {
		c.hear(fmt.Sprint("b ", i))
	}
	if took := time.Since(began); took < d || took > 20*d {
		t.Errorf("twenty lines took %v, want the delay of %v once", took, d)
	}
}

func TestResetAndRefuse(t *testing.T) {
	n, _ := start(t)
	c := dial(t, n.Addr("a", "b"))
	c.say("x")
	c.hear("b x")
	if err := n.Set("a", "b", Reset); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Error("the connection was not reset:", err)
	}
	fresh, err := net.Dial("tcp", n.Addr("a", "b")) // the reset may come before connect has returned
	if err == nil {
		defer fresh.Close()
		fresh.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err = fresh.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Error("a fresh connection was not reset:", err)
	}
	if err := n.Set("a", "b", Refuse); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", n.Addr("a", "b")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error("a fresh connection was not refused:", err)
	}
	if err := n.Join(); err != nil {
		t.Fatal(err)
	}
	again := dial(t, n.Addr("a", "b"))
	again.say("back")
	again.hear("b back")
}

func TestTheNewsOfADeadPeerIsHeldToo(t *testing.T) {
	n, _ := start(t)
	c := dial(t, n.Addr("a", "b"))
	c.say("x")
	c.hear("b x")
	n.Deafen("a")
	far := n.link("a", "b")
	far.mu.Lock()
	for p := range far.conns {
		p.far.(*net.TCPConn).SetLinger(0)
		p.far.Close() // as when b is killed
	}
	far.mu.Unlock()
	c.silent()
	if err := n.Join(); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.ReadByte(); err == nil {
		t.Error("the connection is still open after the news could pass")
	} else if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		t.Error("the news never came")
	}
}

func nobody(string) int { return 0 }

// only tells the process of one node.
func only(node string, pid int) func(string) int {
	return func(n string) int {
		if n == node {
			return pid
		}
		return 0
	}
}

// A node whose process is another one when the second look is taken has just been restarted.
func TestARestartedNodesConnectionToItselfIsNoWayAround(t *testing.T) {
	n, addrs := start(t)
	pid, end := foreign(t, addrs["b"])
	defer end()
	await.True(t, "the connection is seen", func() bool {
		looks := 0
		around, err := n.Around(func(node string) int {
			if node != "b" {
				return 0
			}
			if looks++; looks == 1 {
				return 0
			}
			return pid
		})
		if err != nil || len(around) > 0 {
			t.Fatalf("a restarted node's connection to itself was taken for a way around: %v %v", around, err)
		}
		return looks == 2 // the first one saw it
	})
}

func TestAWayAroundIsSeen(t *testing.T) {
	n, addrs := start(t)
	through := dial(t, n.Addr("a", "b"))
	through.say("x")
	through.hear("b x")
	if around, err := n.Around(nobody); err != nil || len(around) != 0 {
		t.Fatalf("the proxy's own connections were taken for a way around: %v %v", around, err)
	}
	// This test process is the proxy's, so a connection of its own cannot show as foreign; a child's can.
	pid, end := foreign(t, addrs["b"])
	defer end()
	await.True(t, "the way around is seen", func() bool {
		around, err := n.Around(only("a", pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(around) == 1 && strings.Contains(around[0], "to b's own port")
	})
	if around, err := n.Around(only("b", pid)); err != nil || len(around) > 0 {
		t.Errorf("a node's connection to itself was taken for a way around: %v %v", around, err)
	}
}

func TestAnyCutHoldsWhatAnyoneSends(t *testing.T) {
	n, _ := start(t)
	c := dial(t, n.Addr(Anyone, "b"))
	c.say("x")
	c.hear("b x")
	n.Cut("a", "c")
	c.say("y")
	c.silent()
	if err := n.Join(); err != nil {
		t.Fatal(err)
	}
	c.hear("b y")
}
