package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/expect"
)

func leads(p *rpc.Port) {
	p.SetLeader(func() (sup.NodeName, string, bool) { return p.Node(), p.Advertise(), true })
}

// stream opens a sync stream from n2 to n1 and gives both ends, the leader's to serve until the test ends.
func stream(t *testing.T, tls bool) (agent, leader *rpc.SyncConn) {
	t.Helper()
	c1, c2 := rpc.Config{Node: "n1"}, rpc.Config{Node: "n2"}
	if tls {
		ca := newCA(t)
		c1.TLS, c2.TLS = issue(t, ca, "n1"), issue(t, ca, "n2")
	}
	p, q := open(t, c1), open(t, c2)
	leads(p)
	ends := make(chan *rpc.SyncConn)
	release := make(chan struct{})
	p.OnSync(func(c *rpc.SyncConn) { ends <- c; <-release })
	t.Cleanup(func() { close(release) }) // before p's Close
	agent, err := q.DialSync(t.Context(), p.Advertise(), "n1")
	if err != nil {
		t.Fatal(err)
	}
	return agent, <-ends
}

func TestSyncFramesArriveInOrderAndWhole(t *testing.T) {
	for _, tls := range []bool{false, true} {
		agent, leader := stream(t, tls)
		if leader.Peer() != "n2" || agent.Peer() != "n1" {
			t.Errorf("peers %s and %s", leader.Peer(), agent.Peer())
		}
		up := rpc.FromAgent{
			Hello:    &rpc.Hello{Node: "n2", ID: "u", Gen: 3, Session: sup.Session{Gen: 3, Seq: 4}, Holding: []rpc.Held{{Key: sup.Key{Supervisor: "s", Child: "c"}, Running: true}}},
			Register: &fsm.Register{Node: "n2", Nonce: 9, Tags: []fsm.Tag{{Key: "zone", Value: "a"}}},
			Renew:    &rpc.Renew{Session: sup.Session{Gen: 3, Seq: 4}, Seq: 5, Left: 6},
			Reports:  []fsm.Report{{Kind: fsm.ReportEnded, Reason: sup.ExitError, Detail: "exit status 1"}},
			Goodbye:  &rpc.Goodbye{Done: true},
		}
		if err := agent.SendFromAgent(up); err != nil {
			t.Fatal(err)
		}
		got, err := leader.RecvFromAgent()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(up, got); d != "" {
			t.Error(d)
		}
		for i := range uint64(200) {
			if err := leader.SendToAgent(rpc.ToAgent{Grant: &rpc.Grant{Seq: i}, Spawns: []rpc.Spawn{{Behavior: "exec", Args: []json.RawMessage{json.RawMessage(`{"a":1}`)}}}}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range uint64(200) {
			m, err := agent.RecvToAgent()
			if err != nil || m.Grant.Seq != i || string(m.Spawns[0].Args[0]) != `{"a":1}` {
				t.Fatalf("frame %d: %+v, %v", i, m, err)
			}
		}
	}
}

func TestAgentsAreSentOnToTheLeader(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	p.OnSync(func(*rpc.SyncConn) { t.Error("a node that does not lead serves a stream") })
	q := open(t, rpc.Config{Node: "n2"})
	for _, want := range []rpc.NotLeader{{}, {Leader: "n3", Addr: "127.0.0.1:7103"}} {
		p.SetLeader(func() (sup.NodeName, string, bool) { return want.Leader, want.Addr, false })
		_, err := q.DialSync(t.Context(), p.Advertise(), "n1")
		var nl *rpc.NotLeader
		if !errors.As(err, &nl) || *nl != want {
			t.Errorf("%v, want %v", err, &want)
		}
	}
}

func TestTheLeaderMayServeItself(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	leads(p)
	p.OnSync(func(c *rpc.SyncConn) { _ = c.SendToAgent(rpc.ToAgent{Welcome: &rpc.Welcome{Leader: c.Peer()}}) })
	c, err := p.DialSync(t.Context(), p.Advertise(), "n1")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := c.RecvToAgent(); err != nil || m.Welcome.Leader != "n1" {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := c.RecvToAgent(); err != io.EOF {
		t.Errorf("after the leader's function returned: %v, want EOF", err)
	}
	c.Close()
}

// TestLastWordsAreRead: closing while the agent still sends must not destroy what the leader said last.
func TestLastWordsAreRead(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	leads(p)
	p.OnSync(func(c *rpc.SyncConn) {
		if _, err := c.RecvFromAgent(); err != nil {
			t.Error(err)
		}
		if err := c.SendToAgent(rpc.ToAgent{Welcome: &rpc.Welcome{Refused: "another cluster"}}); err != nil {
			t.Error(err)
		}
		c.Close()
		if _, err := c.RecvFromAgent(); !errors.Is(err, rpc.ErrClosed) {
			t.Errorf("a receive after Close: %v", err)
		}
		if err := c.SendToAgent(rpc.ToAgent{}); !errors.Is(err, rpc.ErrClosed) {
			t.Errorf("a send after Close: %v", err)
		}
	})
	q := open(t, rpc.Config{Node: "n2"})
	for range 20 {
		c, err := q.DialSync(t.Context(), p.Advertise(), "n1")
		if err != nil {
			t.Fatal(err)
		}
		for range 50 { // more than the leader will read
			if err := c.SendFromAgent(rpc.FromAgent{Renew: &rpc.Renew{Seq: 1}}); err != nil {
				break
			}
		}
		if m, err := c.RecvToAgent(); err != nil || m.Welcome.Refused != "another cluster" {
			t.Fatalf("the refusal was lost: %+v, %v", m, err)
		}
		c.Close()
	}
}

func TestAPeerThatTakesNothingIsGivenUp(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1", WriteTimeout: 200 * time.Millisecond})
	leads(p)
	served := make(chan error, 1)
	p.OnSync(func(c *rpc.SyncConn) {
		frame := rpc.ToAgent{Welcome: &rpc.Welcome{Refused: strings.Repeat("x", 1<<20)}}
		for {
			if err := c.SendToAgent(frame); err != nil {
				served <- err
				return
			}
		}
	})
	q := open(t, rpc.Config{Node: "n2"})
	c, err := q.DialSync(t.Context(), p.Advertise(), "n1")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	select {
	case err := <-served:
		t.Log(err)
	case <-time.After(10 * time.Second):
		t.Fatal("the leader waits for ever for an agent that reads nothing")
	}
}

func TestDetailsThatAreNoTextArriveRepaired(t *testing.T) {
	agent, leader := stream(t, false)
	in := []fsm.Report{{Detail: "fine"}, {Detail: "cut in the middle of ä: \xc3"}, {Detail: "ÿ \xff\xfe"}}
	if err := agent.SendFromAgent(rpc.FromAgent{Reports: in}); err != nil {
		t.Fatal(err)
	}
	m, err := leader.RecvFromAgent()
	if err != nil || len(m.Reports) != 3 {
		t.Fatalf("%+v, %v", m, err)
	}
	for i, r := range m.Reports {
		if !utf8.ValidString(r.Detail) || len(r.Detail) > len(in[i].Detail) {
			t.Errorf("%q became %q", in[i].Detail, r.Detail)
		}
	}
	if in[1].Detail != "cut in the middle of ä: \xc3" {
		t.Error("the sender's report was changed")
	}
}

func TestSpawnsThatExceedAFrameGoAsSeveral(t *testing.T) {
	agent, leader := stream(t, false)
	rpc.LimitStream(leader, 1<<20)
	arg := json.RawMessage(`"` + strings.Repeat("x", 50_000) + `"`)
	const n = 70
	m := rpc.ToAgent{Grant: &rpc.Grant{Seq: 1}, Acks: []rpc.Ack{{Kind: fsm.ReportEnded}}}
	for i := range n {
		m.Spawns = append(m.Spawns, rpc.Spawn{Inc: sup.Incarnation{Index: uint64(i)}, Args: []json.RawMessage{arg}})
	}
	sent := make(chan error, 1)
	go func() { sent <- leader.SendToAgent(m) }()
	var got, frames int
	for got < n {
		f, err := agent.RecvToAgent()
		if err != nil {
			t.Fatal(err)
		}
		if (f.Grant != nil) != (frames == 0) || len(f.Acks) > 0 != (frames == 0) {
			t.Errorf("frame %d: grant %v, acks %v", frames, f.Grant, f.Acks)
		}
		for _, s := range f.Spawns {
			if s.Inc.Index != uint64(got) {
				t.Fatalf("spawn %d came in place of %d", s.Inc.Index, got)
			}
			got++
		}
		frames++
	}
	if err := <-sent; err != nil || frames < 2 {
		t.Errorf("%d frames, %v", frames, err)
	}
}

func TestClosingAStreamWakesItsReader(t *testing.T) {
	agent, leader := stream(t, true)
	woken := make(chan error, 2)
	go func() { _, err := leader.RecvFromAgent(); woken <- err }()
	go func() { _, err := agent.RecvToAgent(); woken <- err }()
	leader.Close()
	agent.Close()
	for range 2 {
		select {
		case err := <-woken:
			if !errors.Is(err, rpc.ErrClosed) && err != io.EOF {
				t.Errorf("%v", err)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("a reader sleeps on")
		}
	}
}

func TestDialSyncFailsFastWhenNobodyListens(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	addr := p.Addr().String()
	p.Close()
	q := open(t, rpc.Config{Node: "n2"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := q.DialSync(ctx, addr, "n1")
	expect.Error(t, err, "cannot reach node n1", "refused")
}
