package leader

import (
	"testing"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

func TestP2ANewLeaderProbesEverySilentNodeAtOnce(t *testing.T) {
	w := three(t)
	ps := of[Probe](w.seen())
	w.want(len(ps) == 2 && ps[0].Node == "n2" && ps[1].Node == "n3", "probes %+v", ps)
	w.want(ps[0].Session == w.session["n2"] && ps[0].Addr == "127.0.0.1:712", "probe %+v", ps[0])
	stop := of[ProbeStop](w.up("n2"))
	w.want(len(stop) == 1 && stop[0].Node == "n2", "n2 is heard of: its probe ends, %+v", stop)
}

func TestP2ARefusedConnectionAfterABrokenSessionIsAProof(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.seen()
	ps := of[Probe](w.down("n2"))
	w.want(len(ps) == 1 && ps[0].Session == w.session["n2"], "a broken stream is probed, %+v", ps)
	w.want(len(w.log) == 0, "and proves nothing")
	w.step(Probed{Node: "n2", Session: w.session["n2"]})
	w.want(len(w.log) == 0, "a reset or a time-out proves nothing")
	w.seen()
	w.advance(500 * ms)
	w.want(len(of[Probe](w.seen())) == 1, "it is probed again")
	acts := w.step(Probed{Node: "n2", Session: w.session["n2"], Refused: true})
	ds := downs(acts)
	w.want(len(ds) == 1 && ds[0].Session == w.session["n2"] && ds[0].Why == "node n2 was lost: "+WhyRefused, "%+v", ds)
	w.settle()
	w.want(w.st.Node("n2").Status == fsm.MemberDown, "n2 is down")
}

func TestP2AProofSpeaksForTheSessionReadBeforeTheDial(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	old := w.session["n2"]
	w.down("n2")
	w.join("n2")
	w.step(Probed{Node: "n2", Session: old, Refused: true})
	w.want(len(w.log) == 0 && w.st.Node("n2").Live(), "the new session stays")
}

func TestP2CommandsHave100MillisecondsMore(t *testing.T) {
	refused := func() *world {
		w := newWorld(t)
		w.member("n1")
		w.member("n2", "exec", "job")
		w.lead()
		w.ready("n1", "n2")
		w.down("n2")
		w.step(Probed{Node: "n2", Session: w.session["n2"], Refused: true})
		return w
	}
	w := refused()
	w.advance(99 * ms)
	w.want(len(w.log) == 0, "declared dead before")
	w.advance(ms)
	w.want(len(w.log) == 1 && w.log[0].Entry.Commands[0].NodeDown != nil, "declared dead after 100 ms")
	// A fresh stream of the same session within that time cancels.
	w = refused()
	w.advance(50 * ms)
	w.up("n2")
	w.advance(60 * ms)
	w.want(len(w.log) == 0, "it is alive after all")
}

func TestP2FastFailoverAppliesWhereARefusalCanBeTrusted(t *testing.T) {
	cases := []struct {
		mode, addr string
		probes     bool
	}{
		{"loopback", "127.0.0.1:7102", true}, {"loopback", "[::1]:7102", true}, {"loopback", "localhost:7102", true},
		{"loopback", "10.0.0.2:7102", false}, {"loopback", "127.example.com:7102", false}, {"loopback", "7102", false},
		{"refused", "10.0.0.2:7102", true}, {"off", "127.0.0.1:7102", false},
	}
	for _, c := range cases {
		w := &world{t: t, st: fsm.New(), now: second, session: map[sup.NodeName]sup.Session{}, stream: map[sup.NodeName]uint64{}}
		s := settings
		s.FastFailover = c.mode
		w.apply(fsm.Entry{Commands: []fsm.Command{
			{Bootstrap: &fsm.Bootstrap{Cluster: "c", Settings: s}}, {Register: &fsm.Register{Node: "n2", ID: "2", Addr: c.addr}},
		}})
		w.lead()
		w.want(len(of[Probe](w.seen())) == 1 == c.probes, "%s %s", c.mode, c.addr)
	}
}

func TestMutantNoWaitBelievesABrokenStream(t *testing.T) {
	w := three(t, mutant("no_wait"))
	w.ready("n1", "n2", "n3")
	w.want(len(downs(w.down("n2"))) == 1, "the mutant declares it dead")
}

func TestL3ASessionRegisteredInThisTermLivesForW(t *testing.T) {
	w := newWorld(t)
	w.member("n1")
	w.lead()
	w.ready("n1")
	for range 100 {
		w.renew("n1", second)
		w.run(50 * ms)
	}
	at := w.now
	w.up("n2")
	w.from("n2", rpc.FromAgent{Register: w.registration("n2")})
	acts := w.commit()
	fs := w.frames(acts, "n2")
	w.want(len(fs) > 0 && fs[0].Registered != nil && fs[0].Registered.Nonce == 7 && fs[0].Registered.Session == w.st.Node("n2").Session, "%+v", fs)
	for w.st.Node("n2").Live() && w.now < at+10*second {
		w.renew("n1", second)
		w.run(10 * ms)
	}
	w.want(w.now > at+w3 && w.now < at+w3+50*ms, "declared dead %d ms after it registered", (w.now-at)/ms)
}

func TestA4RegisterAnswersStaleAndRefused(t *testing.T) {
	w := three(t)
	w.session["n2"] = sup.Session{}
	w.up("n2")
	r := w.registration("n2")
	r.Replaces = sup.Session{Gen: 1, Seq: 99}
	w.from("n2", rpc.FromAgent{Register: r})
	fs := w.frames(w.commit(), "n2")
	w.want(len(fs) == 1 && fs[0].Registered.Session.IsZero() && fs[0].Registered.Current == w.st.Node("n2").Session, "stale: %+v", fs[0].Registered)
	r = w.registration("n2")
	r.ID = "another"
	w.from("n2", rpc.FromAgent{Register: r})
	fs = w.frames(w.commit(), "n2")
	w.want(len(fs) == 1 && fs[0].Registered.Refused != "" && fs[0].Registered.Session.IsZero(), "refused: %+v", fs[0].Registered)
	w.from("n2", rpc.FromAgent{Register: &fsm.Register{Node: "n3"}})
	w.want(len(w.log) == 0, "an agent registers itself alone")
}

func TestHelloWithOtherSettingsIsRefusedNamingBothValues(t *testing.T) {
	w := three(t)
	s := settings
	s.LeaseTTL = 5 * second
	w.serial++
	w.stream["n2"] = w.serial
	acts := w.step(StreamUp{Stream: w.serial}, w.frame("n2", rpc.FromAgent{Hello: &rpc.Hello{Node: "n2", Settings: s}}))
	fs := w.frames(acts, "n2")
	w.want(len(fs) == 1 && fs[0].Welcome.Refused == "cluster.lease_ttl is 5s in this node's file and 3s in the cluster: make the file as the cluster has it, or change the cluster's setting first", "%+v", fs[0].Welcome)
	w.want(len(of[CloseStream](acts)) == 1, "and hung up on")
}

func TestANewStreamOfANodeReplacesItsFormerOne(t *testing.T) {
	w := three(t)
	w.ready("n2")
	old := w.stream["n2"]
	acts := w.up("n2")
	cs := of[CloseStream](acts)
	w.want(len(cs) == 1 && cs[0].Stream == old, "%+v", cs)
	w.seen()
	w.step(StreamDown{Stream: old})
	w.want(len(of[Probe](w.seen())) == 0, "the end of the former one is no news")
}

func TestRestoreNothingIsPlacedBeforeW(t *testing.T) {
	for _, mut := range []string{"", "proof_after_restore"} {
		w := three(t)
		w.ready("n1", "n2", "n3")
		w.ask(start("a", nil, "x"))
		w.settle()
		w.running()
		w.apply(fsm.Entry{Commands: []fsm.Command{{Bump: &fsm.Bump{Gen: 2}}}}) // a restored backup
		w.lead(mutant(mut), func(c *Config) { c.MaxTTL = 4 * second })
		began := w.now
		for _, n := range []sup.NodeName{"n1", "n2", "n3"} {
			w.join(n)
		}
		for w.st.Held() || w.st.Child(key("a", "x")).Phase == fsm.Unplaced {
			for _, n := range []sup.NodeName{"n1", "n2", "n3"} {
				w.renew(n, second)
			}
			w.run(10 * ms)
			w.want(w.now < began+20*second, "never placed")
		}
		wait := fsm.Lease{TTL: 4 * second}.Wait()
		d := w.now - began
		w.want((d >= wait) == (mut == ""), "mutant %q: placed %d ms after the establishment", mut, d/ms)
		w.want(d < wait+50*ms, "placed late: %d ms", d/ms)
	}
}

func TestRestoreAnAgentOfAnotherLifeForcesANewGeneration(t *testing.T) {
	hello := func(w *world, n sup.NodeName, gen uint64, s sup.Session) []Action {
		w.serial++
		w.stream[n] = w.serial
		return w.step(StreamUp{Stream: w.serial}, w.frame(n, rpc.FromAgent{Hello: &rpc.Hello{Node: n, Gen: gen, Session: s, Settings: settings}}))
	}
	cases := []struct {
		what    string
		gen     uint64
		session sup.Session
		want    uint64 // the generation afterwards
	}{
		{"a fresh node", 0, sup.Session{}, 1},
		{"everyday life", 1, sup.Session{Gen: 1, Seq: 2}, 1},
		{"a session that is over", 1, sup.Session{Gen: 1, Seq: 1}, 1},
		{"a node that only remembers the generation", 1, sup.Session{}, 1},
		{"a larger generation", 4, sup.Session{}, 5},
		{"a session that was never given", 1, sup.Session{Gen: 1, Seq: 99}, 2},
	}
	for _, c := range cases {
		w := three(t)
		w.ready("n1")
		acts := hello(w, "n2", c.gen, c.session)
		welcomed := len(w.frames(acts, "n2")) == 1
		w.want(welcomed == (c.want == 1), "%s: welcomed %v before the bump", c.what, welcomed)
		w.renew("n1", 0)
		w.seen()
		w.settle()
		w.want(w.st.Gen() == c.want, "%s: generation %d, want %d", c.what, w.st.Gen(), c.want)
		if c.want == 1 {
			w.want(len(w.grants(w.seen(), "n1")) == 1, "%s: n1 is granted", c.what)
			continue
		}
		acts = w.seen()
		w.want(len(w.grants(acts, "n1")) == 0, "%s: granted before the bump", c.what)
		rs := w.refusals(acts, "n1")
		w.want(len(rs) > 0 && rs[0].Gen == c.want, "%s: n1 learns that its session is over: %+v", c.what, rs)
		fs := w.frames(acts, "n2")
		w.want(len(fs) == 1 && fs[0].Welcome != nil && fs[0].Welcome.Gen == c.want, "%s: n2 is welcomed after the bump: %+v", c.what, fs)
	}
}

func TestRestoreAnEqualGenerationIsForeignWhileTheStateIsHeld(t *testing.T) {
	w := three(t)
	w.apply(fsm.Entry{Commands: []fsm.Command{{Bump: &fsm.Bump{Gen: 2}}}})
	w.lead()
	w.session["n3"] = sup.Session{}
	w.up("n3") // its session says nothing of generation 2
	w.settle()
	w.want(w.st.Gen() == 2, "generation %d", w.st.Gen())
	w.session["n2"] = sup.Session{Gen: 2}
	w.serial++
	w.stream["n2"] = w.serial
	w.step(StreamUp{Stream: w.serial}, w.frame("n2", rpc.FromAgent{Hello: &rpc.Hello{Node: "n2", Gen: 2, Settings: settings}}))
	w.settle()
	w.want(w.st.Gen() == 3, "an agent that was told of generation 2 by nobody here: generation %d", w.st.Gen())
	// Told by this leader, it may come back with it.
	w.serial++
	w.stream["n2"] = w.serial
	w.step(StreamUp{Stream: w.serial}, w.frame("n2", rpc.FromAgent{Hello: &rpc.Hello{Node: "n2", Gen: 3, Settings: settings}}))
	w.settle()
	w.want(w.st.Gen() == 3, "generation %d", w.st.Gen())
}

func TestP3GoodbyeMovesTheChildrenAndThenEndsTheSession(t *testing.T) {
	w := three(t)
	w.ready("n1", "n2", "n3")
	w.ask(start("a", sup.OnNode("n2"), "p"))
	w.ask(start("b", sup.RoundRobin, "x", "y", "z"))
	w.settle()
	w.running()
	w.want(w.node(key("b", "y")) == "n2", "y is on n2")
	w.seen()
	bye := rpc.FromAgent{Goodbye: &rpc.Goodbye{Session: w.session["n2"]}}
	w.from("n2", bye)
	w.from("n2", bye)
	w.want(len(w.log) == 1 && len(moved(w.log[0].Entry)) == 1 && w.log[0].Entry.Commands[1].Leave != nil, "Leave is proposed once, with the first moves: %+v", w.log)
	acts := w.commit()
	w.want(len(w.stops(acts, "n2")) == 1 && w.stops(acts, "n2")[0].Key == key("b", "y"), "what others can take is stopped: %+v", w.stops(acts, "n2"))
	w.report(key("b", "y"), fsm.ReportEnded, sup.ExitShutdown)
	w.settle()
	y := w.st.Child(key("b", "y"))
	w.want(y.Phase == fsm.Placed && y.Node != "n2" && y.RestartCount <= 1, "y moves: %+v", y)
	w.want(len(farewells(w.frames(w.seen(), "n2"))) == 0, "the pinned child runs as long as others move")
	w.running()
	w.want(len(farewells(w.frames(w.seen(), "n2"))) == 1, "then the node is told to stop what nobody takes")
	w.from("n2", bye)
	w.want(len(farewells(w.frames(w.seen(), "n2"))) == 1, "and again when it asks again")
	w.from("n2", rpc.FromAgent{Goodbye: &rpc.Goodbye{Session: w.session["n2"], Done: true}})
	w.want(len(w.frames(w.seen(), "n2")) == 0, "no farewell before the commit")
	acts = w.commit()
	fs := w.frames(acts, "n2")
	w.want(len(fs) == 1 && fs[0].Farewell != nil && fs[0].Farewell.Done, "farewell: %+v", fs)
	w.want(w.st.Node("n2").Status == fsm.MemberLeft, "n2 has left")
	w.settle()
	w.want(w.st.Child(key("a", "p")).PendingReason != "", "the pinned child waits for n2")
	// Asked again, it is told again.
	acts = w.from("n2", rpc.FromAgent{Goodbye: &rpc.Goodbye{Session: w.session["n2"], Done: true}})
	w.want(len(w.frames(acts, "n2")) == 1 && w.frames(acts, "n2")[0].Farewell.Done, "told again")
}

func TestP3WithNobodyToTakeTheChildrenTheyStopInPlace(t *testing.T) {
	w := three(t)
	w.ready("n2")
	bye := rpc.FromAgent{Goodbye: &rpc.Goodbye{Session: w.session["n2"]}}
	w.want(len(w.frames(w.from("n2", bye), "n2")) == 0 && len(w.log) == 0, "n1 and n3 may turn up: nothing is decided")
	for end := w.now + w3 + second; w.now < end; {
		w.renew("n2", second)
		w.run(100 * ms)
	}
	w.seen()
	fs := w.frames(w.from("n2", bye), "n2")
	w.want(len(fs) == 1 && fs[0].Farewell.StopInPlace != "" && len(w.log) == 0, "they are dead: %+v", fs)
}
