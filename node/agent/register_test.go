package agent

import (
	"testing"

	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

func TestA4_RegistersByNamingTheSessionThatItReplaces(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Behaviors, c.Voter, c.Level = []string{"exec"}, true, 3 })
	got := hellos(r.step(StreamUp{Stream: 1}))
	if len(got) != 1 || got[0].Node != "n1" || got[0].ID != "u1" || got[0].Gen != 1 || !got[0].Session.IsZero() || got[0].Settings != settings() {
		t.Fatalf("hello %+v", got)
	}
	reg := registers(r.welcome(session(7), true))
	if len(reg) != 1 || reg[0].Replaces != session(7) || reg[0].Nonce == 0 || !reg[0].Voter || reg[0].Level != 3 || reg[0].Behaviors[0] != "exec" {
		t.Fatalf("register %+v", reg)
	}
	r.registered(session(8))
	if r.m.session != session(8) || r.m.live() {
		t.Errorf("session %v, live %v", r.m.session, r.m.live())
	}
}

func TestA4_BeforeTheFirstGrantNothingRuns(t *testing.T) {
	r := newRig(t)
	r.step(StreamUp{Stream: 1})
	r.welcome(sup.Session{}, false)
	r.registered(session(1))
	r.spawn("a", 10)
	r.spawn("b", 11)
	r.spawn("c", 12)
	r.stop("b", 11, sec)
	if has[Spawn](r.got) {
		t.Fatalf("spawned without a grant: %v", r.got)
	}
	r.wantTold("b 11 ended shutdown")
	got := find[Spawn](r.grant())
	if len(got) != 2 || got[0].Key != key("a") || got[1].Key != key("c") {
		t.Fatalf("after the grant: %v", got)
	}
	if !first[Lease](r.got) {
		t.Errorf("spawned before the lease was told: %v", r.got)
	}
}

func TestA4_GrantThatComesTooLateGivesNothing(t *testing.T) {
	r := newRig(t)
	r.step(StreamUp{Stream: 1})
	r.welcome(sup.Session{}, false)
	r.registered(session(1))
	r.spawn("a", 10)
	r.now += ttl
	if r.grant(); has[Lease](r.got) || has[Spawn](r.got) {
		t.Errorf("did %v", r.got)
	}
}

func TestA4_RegistersOnlyWhenNothingOfTheFormerSessionIsLeft(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.run("b", 11)
	r.frame(rpc.ToAgent{Refused: &rpc.Refused{Session: session(1), Gen: 1}})
	r.step(StreamUp{Stream: 2})
	r.welcome(session(2), true)
	r.end("a", 10, sup.ExitKilled)
	if got := registers(r.got); len(got) != 0 {
		t.Fatalf("registers with b left: %v", got)
	}
	if got := registers(r.end("b", 11, sup.ExitKilled)); len(got) != 1 || got[0].Replaces != session(2) {
		t.Errorf("registers %v", got)
	}
}

func TestA4_RetriesWithANewNonceAndTakesOnlyTheNewestAnswer(t *testing.T) {
	r := newRig(t)
	r.step(StreamUp{Stream: 1})
	one := registers(r.welcome(session(1), true))[0].Nonce
	again := registers(r.pass(ttl / 3))
	if len(again) != 1 || again[0].Nonce == one || again[0].Replaces != session(1) {
		t.Fatalf("after T_stall: %v", again)
	}
	r.frame(rpc.ToAgent{Registered: &rpc.Registered{Nonce: one, Session: session(2), Current: session(2)}})
	if !r.m.session.IsZero() {
		t.Fatal("the answer to an older attempt was taken")
	}
	stale := registers(r.frame(rpc.ToAgent{Registered: &rpc.Registered{Nonce: again[0].Nonce, Current: session(2)}}))
	if len(stale) != 1 || stale[0].Replaces != session(2) {
		t.Fatalf("after stale: %v", stale)
	}
	r.registered(session(3))
	if r.m.session != session(3) {
		t.Errorf("session %v", r.m.session)
	}
	r.frame(rpc.ToAgent{Registered: &rpc.Registered{Nonce: stale[0].Nonce, Session: session(9)}})
	if r.m.session != session(3) {
		t.Error("a second answer was taken")
	}
}

func TestA4_OnANewStreamItGoesOnWithItsLiveSession(t *testing.T) {
	r := leased(t, 2)
	r.run("a", 10)
	r.spawn("b", 11)
	r.step(StreamDown{Stream: 1})
	hello := hellos(r.step(StreamUp{Stream: 2}))
	want := []rpc.Held{{Key: key("a"), Inc: inc(10), Running: true}, {Key: key("b"), Inc: inc(11)}}
	if len(hello) != 1 || hello[0].Session != session(2) || len(hello[0].Holding) != 2 || hello[0].Holding[0] != want[0] || hello[0].Holding[1] != want[1] {
		t.Fatalf("hello %+v", hello)
	}
	r.welcome(session(2), true)
	if len(registers(r.got)) != 0 || has[Fence](r.got) || len(renewals(r.got)) != 1 {
		t.Errorf("did %v", r.got)
	}
}

func TestGenerations(t *testing.T) {
	t.Run("a newer one is remembered", func(t *testing.T) {
		r := newRig(t)
		r.step(StreamUp{Stream: 1})
		got := find[Remember](r.frame(rpc.ToAgent{Welcome: &rpc.Welcome{Gen: 4, TTL: ttl, H: h}}))
		if len(got) != 1 || got[0].Gen != 4 || len(registers(r.got)) != 1 {
			t.Errorf("did %v", r.got)
		}
	})
	t.Run("an older leader has to bump first", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Gen = 5 })
		r.step(StreamUp{Stream: 1})
		r.frame(rpc.ToAgent{Welcome: &rpc.Welcome{Gen: 3, Current: session(1), Live: true, TTL: ttl, H: h}})
		if len(registers(r.got)) != 0 {
			t.Fatalf("registers in the past: %v", r.got)
		}
		if hung := find[Hangup](r.pass(h)); len(hung) != 1 {
			t.Errorf("keeps the stream: %v", hung)
		}
		r.step(StreamDown{Stream: 1})
		r.step(StreamUp{Stream: 2})
		r.frame(rpc.ToAgent{Welcome: &rpc.Welcome{Gen: 6, Current: session(1), TTL: ttl, H: h}})
		if len(registers(r.got)) != 1 {
			t.Errorf("does not register: %v", r.got)
		}
	})
	t.Run("a session of an older one is over before it begins", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Gen = 5 })
		r.step(StreamUp{Stream: 1})
		r.frame(rpc.ToAgent{Welcome: &rpc.Welcome{Gen: 5, TTL: ttl, H: h}})
		r.registered(session(9))
		if !r.m.session.IsZero() {
			t.Error("taken")
		}
	})
}

func TestRejectedNodeStopsEverything(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.step(StreamUp{Stream: 2})
	r.frame(rpc.ToAgent{Welcome: &rpc.Welcome{Gen: 1, Refused: "lease_ttl differs"}})
	if got := find[Rejected](r.got); !first[Fence](r.got) || len(got) != 1 || got[0].Why != "lease_ttl differs" {
		t.Errorf("did %v", r.got)
	}
	r2 := newRig(t)
	r2.step(StreamUp{Stream: 1})
	r2.welcome(sup.Session{}, false)
	r2.frame(rpc.ToAgent{Registered: &rpc.Registered{Nonce: r2.m.attempt.nonce, Refused: "node_in_use"}})
	if got := find[Rejected](r2.got); len(got) != 1 {
		t.Errorf("did %v", r2.got)
	}
}

func TestNoncesOfOtherSeedsDiffer(t *testing.T) {
	seen := map[uint64]bool{}
	for seed := range uint64(50) {
		m := New(Config{Seed: seed << 32})
		for range 50 {
			n := m.nonce()
			if n == 0 || seen[n] {
				t.Fatalf("nonce %d again", n)
			}
			seen[n] = true
		}
	}
}
