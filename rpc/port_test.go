package rpc_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/expect"
	"github.com/supnode/supnode/test/relay"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a port on loopback and closes it with the test.
func open(t *testing.T, cfg rpc.Config) *rpc.Port {
	t.Helper()
	if cfg.Listen == "" && cfg.Listener == nil {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	p, err := rpc.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// echo serves the method "echo".
func echo(p *rpc.Port) {
	p.Handle("echo", func(_ context.Context, from sup.NodeName, body []byte) (any, error) {
		var s string
		if err := rpc.Decode(body, &s); err != nil {
			return nil, err
		}
		return string(from) + ":" + s, nil
	})
}

// mustEcho asks a node to echo, and fails the test when it does not.
func mustEcho(t *testing.T, from, at *rpc.Port) {
	t.Helper()
	var got string
	if err := from.Call(t.Context(), at.Advertise(), at.Node(), "echo", "hi", &got); err != nil {
		t.Fatal(err)
	}
	if want := string(from.Node()) + ":hi"; got != want {
		t.Fatalf("echo answers %q, not %q", got, want)
	}
}

func TestPlainTextServesLoopbackOnly(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		_, err := rpc.Open(rpc.Config{Node: "n1", Listen: addr})
		expect.Error(t, err, "rpc.listen", "not a loopback address", "rpc.tls", "rpc.insecure")
	}
	_, err := rpc.Open(rpc.Config{Node: "n1", Listen: "127.0.0.1:0", Advertise: "192.0.2.1:7101"})
	expect.Error(t, err, "rpc.advertise 192.0.2.1:7101", "not a loopback address")

	p := open(t, rpc.Config{Node: "n1", Listen: "0.0.0.0:0", Insecure: true})
	_, port, _ := net.SplitHostPort(p.Addr().String())
	q := open(t, rpc.Config{Node: "n2"})
	echo(p)
	if err := q.Call(t.Context(), "127.0.0.1:"+port, "n1", "echo", "x", nil); err != nil {
		t.Errorf("an insecure port is not served: %v", err)
	}
	err = q.Call(t.Context(), "192.0.2.1:7101", "n1", "echo", "x", nil)
	expect.Error(t, err, "192.0.2.1:7101", "not a loopback address")
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	used := open(t, rpc.Config{Node: "n1"})
	for _, c := range []struct {
		cfg   rpc.Config
		words []string
	}{
		{rpc.Config{Node: "N 1", Listen: "127.0.0.1:0"}, []string{"node.name", `"N 1"`, "[a-z0-9-]{1,63}"}},
		{rpc.Config{Node: "n1", Listen: "127.0.0.1"}, []string{"rpc.listen", "host:port"}},
		{rpc.Config{Node: "n1", Listen: "127.0.0.1:0", Advertise: "127.0.0.1:0"}, []string{"rpc.advertise", "cannot dial"}},
		{rpc.Config{Node: "n1", Listen: "127.0.0.1:0", Advertise: "here"}, []string{"rpc.advertise", "host:port"}},
		{rpc.Config{Node: "n1", Listen: used.Addr().String(), BindWait: -1}, []string{used.Addr().String(), "in use", "another port"}},
	} {
		_, err := rpc.Open(c.cfg)
		expect.Error(t, err, c.words...)
	}
}

func TestPortInUseIsTriedAgain(t *testing.T) {
	former := open(t, rpc.Config{Node: "n1"})
	addr := former.Addr().String()
	time.AfterFunc(100*time.Millisecond, func() { former.Close() })
	p := open(t, rpc.Config{Node: "n1", Listen: addr, BindWait: 5 * time.Second})
	if p.Addr().String() != addr {
		t.Errorf("listens on %s, not on %s", p.Addr(), addr)
	}
}

func TestNodeMustBeTheOneMeant(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	q := open(t, rpc.Config{Node: "n2"})
	err := q.Call(t.Context(), p.Advertise(), "n3", "echo", "x", nil)
	expect.Error(t, err, "n3", p.Advertise(), "this is node n1, not n3")
	var refused *rpc.RefusedError
	if !errors.As(err, &refused) || errors.Is(err, rpc.ErrOutcomeUnknown) {
		t.Errorf("a refused handshake is %T, want a RefusedError and a known outcome", err)
	}
}

func TestNodesOfAnotherClusterAreRefused(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	q := open(t, rpc.Config{Node: "n2"})
	echo(p)
	p.SetCluster("A")
	mustEcho(t, q, p) // one side does not know yet
	q.SetCluster("B")
	r := open(t, rpc.Config{Node: "n3"})
	r.SetCluster("B")
	expect.Error(t, r.Call(t.Context(), p.Advertise(), "n1", "echo", "x", nil), "belongs to cluster A, yours is B")
}

func TestANodeReachedThroughAProxyIsItself(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	echo(p)
	q := open(t, rpc.Config{Node: "n2"})
	var got string
	if err := q.Call(t.Context(), relay.New(t, p.Addr().String()).Addr, "n1", "echo", "hi", &got); err != nil || got != "n2:hi" {
		t.Errorf("through a proxy: %q, %v", got, err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	p.SetLeader(func() (sup.NodeName, string, bool) { return "n1", "", true })
	entered := make(chan struct{}, 2)
	p.OnSync(func(c *rpc.SyncConn) {
		entered <- struct{}{}
		for {
			if _, err := c.RecvFromAgent(); err != nil {
				return
			}
		}
	})
	p.Handle("hang", func(ctx context.Context, _ sup.NodeName, _ []byte) (any, error) {
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	q := open(t, rpc.Config{Node: "n2"})
	s, err := q.DialSync(t.Context(), p.Advertise(), "n1")
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Dial("tcp", p.Advertise())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	failed := make(chan error, 1)
	go func() { failed <- q.Call(context.Background(), p.Advertise(), "n1", "hang", nil, nil) }()
	<-entered
	<-entered
	p.Close()
	if err := <-failed; !errors.Is(err, rpc.ErrOutcomeUnknown) {
		t.Errorf("a call cut by Close fails with %v, want an unknown outcome", err)
	}
	if _, err := s.RecvToAgent(); err == nil {
		t.Error("the sync stream outlived the port")
	}
	await.True(t, "a call to a closed port fails with its outcome known", func() bool { // once the end of the old connection is seen
		err := q.Call(t.Context(), p.Advertise(), "n1", "hang", nil, nil)
		if err == nil {
			t.Fatal("a closed port answers")
		}
		return !errors.Is(err, rpc.ErrOutcomeUnknown)
	})
	if _, err := p.DialSync(t.Context(), q.Advertise(), "n2"); !errors.Is(err, rpc.ErrClosed) {
		t.Errorf("a dial from a closed port: %v, want ErrClosed", err)
	}
}
