package leader

import (
	"testing"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

var w3 = settings.Lease().Wait()

// three is a leader with n1, n2, n3 registered before its term.
func three(t testing.TB, opts ...func(*Config)) *world {
	w := newWorld(t)
	for _, n := range []sup.NodeName{"n1", "n2", "n3"} {
		w.member(n)
	}
	w.lead(opts...)
	return w
}

func TestL1GrantWaitsForACommitProposedAfterTheRenewal(t *testing.T) {
	w := three(t)
	w.up("n2")
	w.step(ReadAsked{ID: 1}) // an entry is under way
	w.want(len(w.log) == 1, "the read proposed %d entries", len(w.log))
	acts := w.renew("n2", 2*second)
	w.want(len(w.grants(acts, "n2")) == 0, "granted before a commit")
	w.want(len(w.log) == 2, "the first renewal of a term goes at once, %d proposals", len(w.log))
	acts = w.commit() // proposed before the renewal came
	w.want(len(w.grants(acts, "n2")) == 0, "granted by an entry that was proposed before the renewal came")
	acts = w.commit()
	gs := w.grants(acts, "n2")
	w.want(len(gs) == 1, "%d grants after the commit", len(gs))
	w.want(gs[0].TTL == 3*second && gs[0].Fence == second/2 && gs[0].Session == w.session["n2"], "grant %+v", gs[0])
}

func TestL1AnyEntryServesAsATick(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.renew("n2", 2*second)
	w.want(len(w.log) == 0, "a renewal with time left is gathered")
	w.ask(start("a", nil, "x"))
	w.want(len(w.log) == 1 && w.log[0].Entry.Commands[0].StartSupervisor != nil, "the request is proposed at once")
	acts := w.commit()
	w.want(len(w.grants(acts, "n2")) == 1, "the request's entry answers the renewal")
	w.settle()
	for _, e := range w.entries[len(w.entries)-1:] {
		w.want(e.Commands[0].Tick == nil, "no Tick was needed")
	}
}

func TestL1RenewalsAreGatheredForHAtMost(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.renew("n2", 2*second)
	w.advance(300 * ms)
	w.renew("n3", 2*second)
	w.advance(199 * ms)
	w.want(len(w.log) == 0, "proposed before H was over")
	w.advance(ms)
	w.want(len(w.log) == 1, "one Tick for both after H, got %d", len(w.log))
	acts := w.commit()
	w.want(len(w.grants(acts, "n2")) == 1 && len(w.grants(acts, "n3")) == 1, "one commit answers both")
}

func TestL1UrgentRenewalsGoAtOnce(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.renew("n2", 1499*ms)
	w.want(len(w.log) == 1, "less than TTL/2 left: at once")
	w.want(len(w.grants(w.commit(), "n2")) == 1, "and is granted")
}

func TestL1RenewalOfASessionThatIsOverIsRefused(t *testing.T) {
	for _, mut := range []string{"", "grant_any_session"} {
		w := three(t, mutant(mut))
		w.ready("n2")
		old := w.session["n2"]
		w.apply(fsm.Entry{Commands: []fsm.Command{{NodeDown: &fsm.NodeDown{Node: "n2", Session: old}}}})
		w.seen()
		w.renew("n2", 2*second)
		w.commit()
		acts := w.seen()
		refused := len(w.refusals(acts, "n2")) > 0 && len(w.grants(acts, "n2")) == 0
		w.want(refused == (mut == ""), "mutant %q: refused %v", mut, refused)
	}
}

func TestL1MutantGrantBeforeCommit(t *testing.T) {
	w := three(t, mutant("grant_before_commit"))
	w.up("n2")
	w.want(len(w.grants(w.renew("n2", 0), "n2")) == 1, "the mutant grants at once")
}

func TestL1GrantExtendsTheExpiry(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.now += second
	w.renew("n2", second)
	w.now += second
	w.commit()
	w.want(w.m.members["n2"].expiry == w.now+w3, "expiry is the commit's instant + W")
	until, ok := w.m.Lease("n2")
	w.want(ok && until == w.now-second+3*second, "the lease counts from the renewal's arrival at the latest")
}

func TestL2L3NobodyIsDeclaredDeadBeforeW(t *testing.T) {
	cases := []struct {
		mutant string
		wait   int64
	}{{"", w3}, {"wait_one_short", 3 * second}, {"no_wait", second}, {"no_l3", 0}}
	for _, c := range cases {
		w := newWorld(t)
		w.member("n1")
		w.apply(fsm.Entry{Commands: []fsm.Command{{Register: &fsm.Register{Node: "n2", ID: "2", Addr: "10.0.0.2:7100"}}}})
		w.lead(mutant(c.mutant))
		began := w.now
		w.ready("n1")
		for w.now <= began+c.wait+ms && w.st.Node("n2").Live() {
			w.renew("n1", second)
			w.run(10 * ms)
		}
		w.want(!w.st.Node("n2").Live(), "%q: not declared dead %d ms after", c.mutant, (w.now-began)/ms)
		if d := w.now - began; c.wait > 0 {
			w.want(d > c.wait-ms, "%q: declared dead %d ms after the establishment, W is %d ms", c.mutant, d/ms, c.wait/ms)
		}
	}
}

func TestL3WaitsForTheLargerTTLUntilItIsRetired(t *testing.T) {
	for _, mut := range []string{"", "smaller_wait"} {
		w := newWorld(t)
		w.member("n1")
		w.member("n2")
		w.apply(fsm.Entry{Commands: []fsm.Command{{SetTTL: &fsm.SetTTL{HeartbeatInterval: 100 * ms, LeaseTTL: second}}}})
		small := w.st.Lease().Wait()
		w.lead(mutant(mut))
		w.want((w.m.members["n2"].expiry == w.now+w3) == (mut == ""), "mutant %q: expiry %d after the establishment", mut, w.m.members["n2"].expiry-w.now)
		w.ready("n1")
		w.want((w.m.members["n1"].expiry == w.now+w3) == (mut == ""), "mutant %q: a grant's expiry", mut)
		if mut != "" {
			continue
		}
		// It is retired by a leader that waited the old W, and from then on the small one counts.
		for w.st.Retiring() != 0 && w.now < 1010*second {
			w.renew("n1", 400*ms)
			w.run(50 * ms)
		}
		w.want(w.now >= 1000*second+w3 && w.now <= 1000*second+w3+100*ms, "retired %d ms after the establishment", (w.now-1000*second)/ms)
		w.renew("n1", 0)
		w.settle()
		for end := w.now + w3; w.now < end; {
			w.renew("n1", 400*ms)
			w.run(50 * ms)
		}
		w.renew("n1", 0)
		w.settle()
		w.want(w.m.members["n1"].expiry == w.now+small, "the small W counts now")
	}
}

func TestL4NoGrantOnceTheEndIsProposed(t *testing.T) {
	for _, mut := range []string{"", "no_l4"} {
		w := three(t, mutant(mut))
		w.ready("n1", "n2", "n3")
		for w.now < w.m.members["n2"].expiry-100*ms { // n2 is silent, though connected
			w.renew("n1", second)
			w.renew("n3", second)
			w.run(50 * ms)
		}
		w.renew("n2", 0)    // its Tick is proposed …
		w.advance(110 * ms) // … before its end is
		w.want(len(downs(w.seen())) == 1, "the end of n2 is proposed")
		w.commit()
		granted := len(w.grants(w.seen(), "n2")) > 0
		w.want(granted == (mut != ""), "mutant %q: granted %v", mut, granted)
		w.settle()
		w.want(!w.st.Node("n2").Live(), "n2 is down")
		w.want(len(w.refusals(w.seen(), "n2")) > 0, "its agent is told that the session is over")
	}
}

func TestL4UnknownOutcomeDropsEverything(t *testing.T) {
	w := three(t)
	w.step(ReadAsked{ID: 1})
	acts := w.step(Failed{Proposal: 1, Why: "leadership lost"})
	w.want(len(of[Resign](acts)) == 1, "it resigns")
	w.want(w.step(Committed{Proposal: 1}) == nil && w.step(Tick{}) == nil, "and does nothing more")
}

func TestL6ALeaderThatCommitsNothingGivesUp(t *testing.T) {
	w := three(t)
	w.up("n2")
	w.renew("n2", 0)
	w.advance(999 * ms)
	w.want(len(of[Transfer](w.seen())) == 0, "too early")
	w.advance(ms)
	w.want(len(of[Transfer](w.seen())) == 1, "transfers after T_stall")
	w.advance(999 * ms)
	w.want(len(of[Resign](w.acts)) == 0, "too early")
	w.advance(ms)
	w.want(len(of[Resign](w.seen())) == 1, "resigns after another T_stall")
}

func TestL6APauseOfTheProcessIsNoStall(t *testing.T) {
	w := three(t)
	w.up("n2")
	w.renew("n2", 0)
	w.now += 30 * second // SIGSTOP, SIGCONT
	w.step(Tick{})
	w.want(len(of[Transfer](w.seen())) == 0, "the log did not stall")
	w.settle()
	w.advance(5 * second)
	w.want(len(of[Transfer](w.seen())) == 0, "nothing is outstanding")
}

func TestR1ReadsShareACommitProposedAfterThem(t *testing.T) {
	w := three(t)
	w.step(ReadAsked{ID: 1})
	w.want(len(w.log) == 1, "a read does not wait for H")
	w.step(ReadAsked{ID: 2}, ReadAsked{ID: 3})
	w.want(len(w.log) == 2, "two reads share an entry, %d proposals", len(w.log))
	acts := w.commit()
	ready := of[ReadReady](acts)
	w.want(len(ready) == 1 && ready[0].ID == 1 && ready[0].Index == w.index, "%+v", ready)
	ready = of[ReadReady](w.commit())
	w.want(len(ready) == 2 && ready[0].ID == 2 && ready[1].ID == 3 && ready[0].Index == w.index, "%+v", ready)
	for i := range uint64(1000) {
		w.step(ReadAsked{ID: 10 + i})
	}
	w.want(len(w.log) == MaxInFlight, "at most %d entries in flight, %d are", MaxInFlight, len(w.log))
	w.settle()
	w.want(len(of[ReadReady](w.seen())) == 1003, "every read is answered once")
}

func TestClockRunsWithTheLeaderAndStandsStillWithoutOne(t *testing.T) {
	w := three(t)
	w.now += 5 * second
	w.step(ReadAsked{ID: 1})
	w.commit()
	w.want(w.st.Clock() == 5*second, "cluster time %d", w.st.Clock())
	w.now += 100 * second // no leader
	w.lead()
	w.now += second
	w.step(ReadAsked{ID: 1})
	w.commit()
	w.want(w.st.Clock() == 6*second, "cluster time %d", w.st.Clock())
}
