package register

import (
	"context"
	"testing"

	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/jepsen-lite/history"
	"go.uber.org/goleak"
)

var key = history.Key{Supervisor: "pool", Child: "w1"}

func start(t *testing.T) (*Server, func(node string, incarnation uint64) bool) {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	s, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{Addr: s.Addr()}
	t.Cleanup(func() { c.Close(); s.Close() })
	return s, func(node string, incarnation uint64) bool {
		t.Helper()
		ok, err := c.Write(context.Background(), key, node, incarnation)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
}

func TestOnlyRisingIncarnationsAreAccepted(t *testing.T) {
	s, write := start(t)
	for _, w := range []struct {
		incarnation uint64
		accepted    bool
	}{{5, true}, {5, true}, {4, false}, {7, true}, {5, false}, {7, true}} {
		if got := write("n1", w.incarnation); got != w.accepted {
			t.Errorf("a write of incarnation %d: accepted %v, want %v", w.incarnation, got, w.accepted)
		}
	}
	if got := s.Refusals(); got != 2 {
		t.Errorf("%d refusals, want 2", got)
	}
	if got := len(s.Writes()); got != 6 {
		t.Errorf("the log has %d writes, want 6", got)
	}
}

func TestAHeldWriteArrivesAfterItsWriterIsGone(t *testing.T) {
	s, write := start(t)
	write("n1", 5)
	s.Hold("n1")
	old := &Client{Addr: s.Addr()}
	ctx := context.Background()
	go old.Write(ctx, key, "n1", 5) // its connection closes below, with the write on its way
	await.True(t, "the write is held", func() bool { return s.Waiting() > 0 })
	if !write("n2", 6) {
		t.Fatal("another node's write is held or refused")
	}
	s.Release()
	await.True(t, "the late write is refused", func() bool { return s.Refusals() > 0 })
	last := s.Writes()[len(s.Writes())-1]
	if !last.Late || last.Accepted || last.Incarnation != 5 {
		t.Errorf("the late write is logged as %+v", last)
	}
}
