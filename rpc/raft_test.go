package rpc_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/expect"
)

// adder is a replicated sum.
type adder struct {
	mu  sync.Mutex // guards sum
	sum uint64
}

func (a *adder) Apply(l *raft.Log) any {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sum += binary.BigEndian.Uint64(l.Data)
	return a.sum
}

func (a *adder) Snapshot() (raft.FSMSnapshot, error) { return nil, fmt.Errorf("none") }
func (a *adder) Restore(r io.ReadCloser) error       { return r.Close() }

func (a *adder) get() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sum
}

type member struct {
	port  *rpc.Port
	layer *rpc.Layer[raft.ServerAddress]
	trans *raft.NetworkTransport
	raft  *raft.Raft
	fsm   *adder
}

func (m *member) stop(t *testing.T) {
	t.Helper()
	if err := m.raft.Shutdown().Error(); err != nil {
		t.Error(err)
	}
	if err := m.trans.Close(); err != nil {
		t.Error(err)
	}
	if err := m.port.Close(); err != nil {
		t.Error(err)
	}
}

// raftCluster runs real Raft over TLS ports; its servers' addresses are their names.
func raftCluster(t *testing.T, log hclog.Logger) map[sup.NodeName]*member {
	t.Helper()
	ca := newCA(t)
	members := map[sup.NodeName]*member{}
	addrs := map[sup.NodeName]string{}
	var cfg raft.Configuration
	for _, n := range []sup.NodeName{"n1", "n2", "n3"} {
		p := open(t, rpc.Config{Node: n, TLS: issue(t, ca, n)})
		members[n] = &member{port: p, fsm: &adder{}}
		addrs[n] = p.Advertise()
		cfg.Servers = append(cfg.Servers, raft.Server{ID: raft.ServerID(n), Address: raft.ServerAddress(n)})
	}
	for n, m := range members {
		l, err := rpc.RaftLayer[raft.ServerAddress](m.port, func(n sup.NodeName) (string, bool) { a, ok := addrs[n]; return a, ok })
		if err != nil {
			t.Fatal(err)
		}
		m.layer = l
		m.trans = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: l, MaxPool: 3, Timeout: 2 * time.Second, Logger: log})
		c := raft.DefaultConfig()
		c.LocalID, c.Logger = raft.ServerID(n), log
		c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = 200*time.Millisecond, 200*time.Millisecond, 200*time.Millisecond
		c.CommitTimeout = 5 * time.Millisecond
		store := raft.NewInmemStore()
		snaps := raft.NewInmemSnapshotStore()
		if err := raft.BootstrapCluster(c, store, store, snaps, m.trans, cfg); err != nil {
			t.Fatal(err)
		}
		if m.raft, err = raft.NewRaft(c, m.fsm, store, store, snaps, m.trans); err != nil {
			t.Fatal(err)
		}
	}
	return members
}

func TestRaftRunsOverTheNodePort(t *testing.T) {
	var log lines
	members := raftCluster(t, hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Error}))
	leader := func() *member {
		for _, m := range members {
			if m.raft.VerifyLeader().Error() == nil {
				return m
			}
		}
		return nil
	}
	var lead *member
	add := func(v uint64) {
		t.Helper()
		await.True(t, "a leader that applies", func() bool {
			if lead = leader(); lead == nil {
				return false
			}
			return lead.raft.Apply(binary.BigEndian.AppendUint64(nil, v), time.Second).Error() == nil
		})
	}
	add(1)
	if addr, id := lead.raft.LeaderWithID(); string(addr) != string(id) || string(id) != string(lead.port.Node()) {
		t.Errorf("the leader is %s at %s, not %s at its own name", id, addr, lead.port.Node())
	}
	for _, v := range []uint64{2, 3, 4} {
		add(v)
	}
	for n, m := range members {
		await.True(t, fmt.Sprintf("%s has the sum", n), func() bool { return m.fsm.get() == 10 })
	}
	if log.String() != "" {
		t.Errorf("errors in a healthy cluster:\n%s", &log)
	}
	// The leader dies; the others elect another and go on.
	delete(members, lead.port.Node())
	lead.stop(t)
	add(5)
	names := []sup.NodeName{}
	for n, m := range members {
		names = append(names, n)
		await.True(t, fmt.Sprintf("%s has the sum after the failover", n), func() bool { return m.fsm.get() == 15 })
	}
	slices.Sort(names)
	for _, n := range names {
		members[n].stop(t)
	}
}

func TestAPortHasOneRaftLayerAtATime(t *testing.T) {
	p := open(t, rpc.Config{Node: "n1"})
	none := func(sup.NodeName) (string, bool) { return "", false }
	l, err := rpc.RaftLayer[string](p, none)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rpc.RaftLayer[string](p, none); err == nil {
		t.Error("two layers")
	}
	_, err = l.Dial("n9", time.Second)
	expect.Error(t, err, "no address is known for node n9", "cluster.servers")
	if l.Addr().String() != "n1" {
		t.Errorf("address %s", l.Addr())
	}
	l.Close()
	if _, err := l.Accept(); err == nil {
		t.Error("a closed layer accepts")
	}
	if _, err := rpc.RaftLayer[string](p, none); err != nil {
		t.Error(err)
	}
}

func TestANodeThatIsNoServerDoesNotSpeakRaft(t *testing.T) {
	p, q := open(t, rpc.Config{Node: "n1"}), open(t, rpc.Config{Node: "a1"})
	servers := func(n sup.NodeName) (string, bool) { return p.Advertise(), n == "n1" }
	if _, err := rpc.RaftLayer[string](p, servers); err != nil {
		t.Fatal(err)
	}
	l, err := rpc.RaftLayer[string](q, servers)
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Dial("n1", time.Second)
	if err != nil {
		return // refused at once
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("its connection was kept: %v", err)
	}
}

func TestClosingTheRaftLayerLeavesTheRestAlone(t *testing.T) {
	p, q := open(t, rpc.Config{Node: "n1"}), open(t, rpc.Config{Node: "n2"})
	echo(p)
	addrs := func(n sup.NodeName) (string, bool) { return p.Advertise(), n == "n1" || n == "n2" }
	lp, err := rpc.RaftLayer[string](p, addrs)
	if err != nil {
		t.Fatal(err)
	}
	lq, err := rpc.RaftLayer[string](q, addrs)
	if err != nil {
		t.Fatal(err)
	}
	out, err := lq.Dial("n1", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	in, err := lp.Accept()
	if err != nil {
		t.Fatal(err)
	}
	lp.Close()
	if _, err := in.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("an accepted connection ends with %v, want EOF", err)
	}
	if _, err := out.Read(make([]byte, 1)); err == nil {
		t.Error("the dialled end lives on")
	}
	mustEcho(t, q, p)
	out.Close()
}

// Raft's store is closed after the last handler of a message has ended, which Raft's transport does not wait for.
func TestAClosedRaftLayerWaitsForItsHandlers(t *testing.T) {
	p, q := open(t, rpc.Config{Node: "n1"}), open(t, rpc.Config{Node: "n2"})
	addrOf := func(n sup.NodeName) (string, bool) {
		return map[sup.NodeName]string{"n1": p.Advertise(), "n2": q.Advertise()}[n], true
	}
	at, err := rpc.RaftLayer[raft.ServerAddress](p, addrOf)
	if err != nil {
		t.Fatal(err)
	}
	from, err := rpc.RaftLayer[raft.ServerAddress](q, addrOf)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if _, err := from.Dial("n1", 5*time.Second); err != nil {
		t.Fatal(err)
	}
	c, err := at.Accept()
	if err != nil {
		t.Fatal(err)
	}
	at.Close()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a closed layer's connection: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := at.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a handler under way: %v", err)
	}
	c.Close()
	c.Close()
	if err := at.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}
