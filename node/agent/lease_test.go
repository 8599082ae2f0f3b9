package agent

import (
	"testing"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

func TestA1_LeaseCountsFromWhenTheRenewalWasSent(t *testing.T) {
	r := leased(t, 1)
	r.now += h
	sentAt := r.now
	if got := renewals(r.step(Tick{})); len(got) != 1 || got[0].Left != ttl-h {
		t.Fatalf("renewals after H: %v", got)
	}
	r.now += 2 * sec // the answer is slow
	l := find[Lease](r.grant())
	if len(l) != 1 || l[0].Deadline != sentAt+ttl {
		t.Fatalf("lease %v, want until %d", l, sentAt+ttl)
	}
	if l[0].Fence != ttl/6 || l[0].Session != session(1) {
		t.Errorf("lease says %+v", l[0])
	}
}

func TestA1_AnswerCountsForItsOwnRenewalAndOnlyOnce(t *testing.T) {
	r := leased(t, 1)
	start := r.now
	r.pass(h) // seq 2
	r.pass(h) // seq 3
	answer := func(seq uint64) []Action {
		return r.frame(rpc.ToAgent{Grant: &rpc.Grant{Session: session(1), Seq: seq, TTL: ttl, Fence: ttl / 6, H: h}})
	}
	if l := find[Lease](answer(2)); len(l) != 1 || l[0].Deadline != start+h+ttl {
		t.Fatalf("the answer to the older renewal gave %v", l)
	}
	if l := find[Lease](answer(2)); len(l) != 0 {
		t.Errorf("its duplicate gave %v", l)
	}
	if l := find[Lease](answer(9)); len(l) != 0 {
		t.Errorf("an answer to nothing gave %v", l)
	}
	if l := find[Lease](answer(3)); len(l) != 1 || l[0].Deadline != start+2*h+ttl {
		t.Errorf("the answer to the newer one gave %v", l)
	}
}

func TestA1_OlderAnswerNeverLowersTheDeadline(t *testing.T) {
	r := leased(t, 1)
	r.pass(h)
	r.frame(rpc.ToAgent{Grant: &rpc.Grant{Session: session(1), Seq: 2, TTL: ttl / 3, Fence: ttl / 18, H: h}})
	if got := r.m.Status().Deadline; got != 100*sec+ttl {
		t.Errorf("a lowered TTL moved the deadline to %d", got)
	}
}

func TestA5_GrantOfAnotherSessionOrOfNoTimeIsNone(t *testing.T) {
	r := leased(t, 2)
	r.pass(h)
	for _, g := range []rpc.Grant{
		{Session: session(1), TTL: ttl, Fence: ttl / 6, H: h}, {Session: session(2), Fence: ttl / 6, H: h}, {Session: session(2), TTL: ttl, Fence: -1, H: h},
	} {
		g.Seq = r.m.seq
		r.frame(rpc.ToAgent{Grant: &g})
		r.wantNothing()
	}
	if r.grant(); len(find[Lease](r.got)) != 1 {
		t.Errorf("the true one after them: %v", r.got)
	}
}

// An agent uses the TTL, F and H of its newest grant, whatever its file says.
func TestA1_TheSettingsAreThoseOfTheGrant(t *testing.T) {
	r := leased(t, 1)
	r.pass(h)
	sentAt := r.now
	l := find[Lease](r.frame(rpc.ToAgent{Grant: &rpc.Grant{Session: session(1), Seq: r.m.seq, TTL: 2 * ttl, Fence: ttl / 3, H: 2 * h}}))
	if len(l) != 1 || l[0].Deadline != sentAt+2*ttl || l[0].Fence != ttl/3 {
		t.Fatalf("lease %v", l)
	}
	r.pass(h) // asked for before the answer
	if got := renewals(r.pass(2*h - 1)); len(got) != 0 {
		t.Errorf("renewed before H: %v", got)
	}
	if got := renewals(r.pass(1)); len(got) != 1 {
		t.Errorf("after H: %v", r.got)
	}
}

func TestA1_RenewsAtOnceAfterRegistrationAndOnANewStreamAndThenEachH(t *testing.T) {
	r := newRig(t)
	r.step(StreamUp{Stream: 1})
	r.welcome(sup.Session{}, false)
	if got := renewals(r.registered(session(1))); len(got) != 1 || got[0].Session != session(1) || got[0].Left != 0 {
		t.Fatalf("after the registration: %v", got)
	}
	r.grant()
	r.now += h / 2
	r.step(StreamDown{Stream: 1})
	r.step(StreamUp{Stream: 2})
	if got := renewals(r.got); len(got) != 0 {
		t.Errorf("renewed before the welcome: %v", got)
	}
	if got := renewals(r.welcome(session(1), true)); len(got) != 1 {
		t.Errorf("on the new stream: %v", got)
	}
	r.grant()
	if got := renewals(r.pass(3 * h)); len(got) != 3 {
		t.Errorf("%d renewals without an answer in 3 H", len(got))
	}
}

func TestA3_FencesAtTheDeadlineBeforeAnythingElse(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	if at := r.m.asked; at > 100*sec+ttl {
		t.Fatalf("wakes at %d, after the deadline", at)
	}
	r.now = 100*sec + ttl - 1
	if has[Fence](r.step(Tick{})) {
		t.Fatal("fenced too early")
	}
	r.now++
	if !first[Fence](r.step(Tick{})) {
		t.Fatalf("at the deadline: %v", r.got)
	}
	if s := r.m.Status(); !s.Session.IsZero() || s.Live || s.Fenced != 1 || s.Lapses != 1 {
		t.Errorf("status %+v", s)
	}
}

func TestA3_ResumedProcessFencesBeforeWhatWaitedForIt(t *testing.T) {
	waiting := map[string]func(*rig) Event{
		"a grant": func(r *rig) Event {
			return Received{1, rpc.ToAgent{Grant: &rpc.Grant{Session: session(1), Seq: 2, TTL: ttl, Fence: ttl / 6, H: h}}}
		},
		"a spawn":  func(r *rig) Event { return Received{1, rpc.ToAgent{Spawns: []rpc.Spawn{r.order("b", 20)}}} },
		"a start":  func(*rig) Event { return Started{Key: key("a"), Inc: inc(10)} },
		"a stream": func(*rig) Event { return StreamUp{Stream: 2} },
		"a goodbye": func(r *rig) Event {
			return Leave{By: r.now + sec}
		},
	}
	for name, ev := range waiting {
		t.Run(name, func(t *testing.T) {
			r := leased(t, 1)
			r.spawn("a", 10)
			r.pass(h)
			e := ev(r)
			r.now += ttl // a pause, past the deadline and not past its fence budget
			if !first[Fence](r.step(e)) {
				t.Errorf("did %v", r.got)
			}
			if has[Lease](r.got) || has[Spawn](r.got) {
				t.Errorf("went on: %v", r.got)
			}
		})
	}
}

func TestA3_WhatHasNotConfirmedByDeadlineAndFenceEndsWithTheProcess(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.run("b", 11)
	r.now = 100*sec + ttl
	r.step(Tick{})
	r.end("a", 10, sup.ExitKilled)
	if acts := r.pass(ttl/6 - 1); has[Exit](acts) {
		t.Fatal("exit before deadline + F")
	}
	if acts := r.pass(1); !has[Exit](acts) {
		t.Fatalf("at deadline + F: %v", acts)
	}
	if acts := r.step(StreamUp{Stream: 9}); len(acts) != 0 {
		t.Errorf("after Exit: %v", acts)
	}
}

func TestA3_WhatEndsInTimeDoesNotEndTheProcess(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.now = 100*sec + ttl
	r.step(Tick{})
	r.now += ttl/6 - 1
	r.end("a", 10, sup.ExitKilled)
	if acts := r.pass(10 * sec); has[Exit](acts) {
		t.Errorf("exit although all ended: %v", acts)
	}
}

func TestA3_LongPauseLeavesHalfOfTheBudgetToHearWhatTheGuardianDid(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.now += 3600 * sec
	if !first[Fence](r.step(Tick{})) || has[Exit](r.got) {
		t.Fatalf("on resume: %v", r.got)
	}
	if acts := r.pass(half - 1); has[Exit](acts) {
		t.Fatalf("exit too early: %v", acts)
	}
	if acts := r.pass(1); !has[Exit](acts) {
		t.Errorf("no exit: %v", acts)
	}
}

func TestA4_LapseIsFinal(t *testing.T) {
	r := leased(t, 1)
	r.run("a", 10)
	r.pass(h) // a renewal is under way
	seq := r.m.seq
	r.frame(rpc.ToAgent{Refused: &rpc.Refused{Session: session(1), Gen: 1}})
	if !first[Fence](r.got) {
		t.Fatalf("a refused renewal: %v", r.got)
	}
	r.frame(rpc.ToAgent{Grant: &rpc.Grant{Session: session(1), Seq: seq, TTL: ttl, Fence: ttl / 6, H: h}})
	if has[Lease](r.got) {
		t.Errorf("a later grant revived it: %v", r.got)
	}
	r.frame(rpc.ToAgent{Spawns: []rpc.Spawn{{Session: session(1), Key: key("b"), Inc: inc(11)}}})
	r.wantNothing()
	r.end("a", 10, sup.ExitKilled)
	r.wantTold() // its slot is freed by the next registration
}

func TestA4_WhatLapsesALease(t *testing.T) {
	for name, ev := range map[string]Event{
		"refused":                  Received{1, rpc.ToAgent{Refused: &rpc.Refused{Session: session(3), Gen: 1}}},
		"a newer generation":       Received{1, rpc.ToAgent{Refused: &rpc.Refused{Gen: 2}}},
		"welcomed as another":      Received{1, rpc.ToAgent{Welcome: &rpc.Welcome{Term: 1, Gen: 1, Current: session(4), Live: true, TTL: ttl, H: h}}},
		"welcomed as dead":         Received{1, rpc.ToAgent{Welcome: &rpc.Welcome{Term: 1, Gen: 1, Current: session(3), TTL: ttl, H: h}}},
		"welcomed by a newer gen":  Received{1, rpc.ToAgent{Welcome: &rpc.Welcome{Term: 1, Gen: 2, Current: session(3), Live: true, TTL: ttl, H: h}}},
		"the guardian's timer":     GuardianLapsed{},
		"its timer of the session": GuardianLapsed{Session: session(3)},
		"the guardian is lost":     GuardianLost{},
	} {
		t.Run(name, func(t *testing.T) {
			r := leased(t, 3)
			r.run("a", 10)
			if !first[Fence](r.step(ev)) {
				t.Errorf("did %v", r.got)
			}
		})
	}
	for name, ev := range map[string]Event{
		"another session refused":   Received{1, rpc.ToAgent{Refused: &rpc.Refused{Session: session(2), Gen: 1}}},
		"a refusal on an old one":   Received{9, rpc.ToAgent{Refused: &rpc.Refused{Session: session(3), Gen: 1}}},
		"welcomed by the past":      Received{1, rpc.ToAgent{Welcome: &rpc.Welcome{Term: 1, Gen: 1, Current: session(2), Live: true, TTL: ttl, H: h}}},
		"an old guardian's timer":   GuardianLapsed{Session: session(2)},
		"the stream went":           StreamDown{Stream: 1},
		"a stale registered answer": Received{1, rpc.ToAgent{Registered: &rpc.Registered{Nonce: 5, Session: session(4)}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := leased(t, 3)
			r.run("a", 10)
			if has[Fence](r.step(ev)) || r.m.session != session(3) {
				t.Errorf("did %v", r.got)
			}
		})
	}
}

func TestLeaderThatLivesInThePastIsHungUpAndCannotRefuse(t *testing.T) {
	r := leased(t, 3)
	r.step(StreamUp{Stream: 2})
	r.welcome(session(2), true)
	if len(renewals(r.got)) != 0 {
		t.Errorf("asks it for a grant: %v", r.got)
	}
	if hung := find[Hangup](r.got); len(hung) != 1 || hung[0].Stream != 2 {
		t.Errorf("hangs up %v", hung)
	}
	r.frame(rpc.ToAgent{Refused: &rpc.Refused{Session: session(3), Gen: 1}})
	if has[Fence](r.got) {
		t.Errorf("believes it: %v", r.got)
	}
}

// Its lease has lapsed behind a partition, an operator has removed it meanwhile, and the process goes on.
func TestANodeThatWasRemovedWhileItWasAwayJoinsAnew(t *testing.T) {
	r := leased(t, 3)
	r.step(StreamDown{Stream: 1})
	r.pass(2 * ttl)
	r.step(StreamUp{Stream: 2})
	r.welcome(sup.Session{}, false)
	if has[Hangup](r.got) {
		t.Fatalf("hangs up: %v", r.got)
	}
	var asked []*fsm.Register
	for _, s := range find[Send](r.got) {
		if s.Frame.Register != nil {
			asked = append(asked, s.Frame.Register)
		}
	}
	if len(asked) != 1 || !asked[0].Replaces.IsZero() {
		t.Errorf("asks for %+v", asked)
	}
	r.registered(session(9))
	r.grant()
	r.run("a", 10)
}

func TestLeaderOfAnEarlierTermStopsAndStartsNothing(t *testing.T) {
	r := leased(t, 3)
	welcome := func(term uint64) {
		r.frame(rpc.ToAgent{Welcome: &rpc.Welcome{Term: term, Gen: 1, Current: session(3), Live: true, TTL: ttl, H: h}})
	}
	welcome(19)
	r.run("a", 10) // which the leader of term 18 has not heard of
	r.step(StreamUp{Stream: 2})
	welcome(18)
	if hung := find[Hangup](r.got); len(hung) != 1 {
		t.Errorf("does not hang up: %v", r.got)
	}
	r.stop("a", 10, 0)
	r.wantNothing()
	r.spawn("b", 9)
	r.wantNothing()
	r.step(StreamUp{Stream: 3})
	welcome(20)
	if got := find[Stop](r.stop("a", 10, 0)); len(got) != 1 {
		t.Errorf("the leader of term 20 is not obeyed: %v", r.got)
	}
}

func TestSilentStreamIsHungUp(t *testing.T) {
	r := leased(t, 1)
	if acts := r.pass(h + h + ttl/3 - 1); has[Hangup](acts) {
		t.Fatal("hung up before a leader had to answer")
	}
	if hung := find[Hangup](r.pass(1)); len(hung) != 1 || hung[0].Stream != 1 {
		t.Fatalf("hung up %v", hung)
	}
	if !r.m.live() {
		t.Error("no lease is left to find another leader")
	}
}
