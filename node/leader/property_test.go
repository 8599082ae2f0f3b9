package leader

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"pgregory.net/rapid"
)

// life drives a machine with whatever may happen to a leader, in any order: it plays well-behaved agents without their
// timers, a log that commits late, and clients.
type life struct {
	*world
	rt     *rapid.T
	nodes  []sup.NodeName
	holds  map[sup.NodeName]map[sup.Key]sup.Incarnation
	leases map[sup.NodeName]Instant // the latest deadline that the node's agent may have, by its grants; it asks 1 ms before
	asked  map[uint64]Instant       // when renewal Seq was sent
	twin   *Machine                 // the same events must give the same actions
}

func (l *life) do(evs ...Event) {
	acts := l.step(evs...)
	if again := l.twin.StepAll(evs, l.now, l.st); !reflect.DeepEqual(acts, again) {
		l.rt.Fatalf("the same events gave other actions:\n%+v\n%+v", acts, again)
	}
	l.check(acts)
}

// check holds what must hold of every action.
func (l *life) check(acts []Action) {
	for _, a := range acts {
		switch a := a.(type) {
		case Propose:
			if len(a.Entry.Commands) > MaxCommands || len(a.Entry.Placements)+len(a.Entry.Unplaced) > MaxPlacements {
				l.rt.Fatalf("an entry of %d commands and %d placements", len(a.Entry.Commands), len(a.Entry.Placements))
			}
			for _, c := range a.Entry.Commands {
				if d := c.NodeDown; d != nil && strings.HasSuffix(d.Why, WhyLeaseOver) && l.now <= l.leases[d.Node]+l.st.Lease().Fence() {
					l.rt.Fatalf("%s is declared dead %d ns before its lease and fence are over", d.Node, l.leases[d.Node]+l.st.Lease().Fence()-l.now)
				}
			}
		case Send:
			for _, n := range l.nodes {
				if l.stream[n] != a.Stream {
					continue
				}
				l.heard(n, a.Frame)
			}
		case Resign, Transfer:
			l.rt.Fatalf("%+v although the log works", a)
		}
	}
	if len(l.log) > MaxInFlight {
		l.rt.Fatalf("%d entries in flight", len(l.log))
	}
}

func (l *life) heard(n sup.NodeName, f rpc.ToAgent) {
	if g := f.Grant; g != nil && g.Session == l.session[n] {
		l.leases[n] = max(l.leases[n], l.asked[g.Seq]+g.TTL)
	}
	if r := f.Registered; r != nil && !r.Session.IsZero() {
		l.session[n] = r.Session
	}
	if r := f.Refused; r != nil && r.Session == l.session[n] {
		l.session[n], l.holds[n] = sup.Session{}, map[sup.Key]sup.Incarnation{}
	}
	for _, s := range f.Spawns {
		if s.Session == l.session[n] {
			l.holds[n][s.Key] = s.Inc
		}
	}
}

func (l *life) commitOne() {
	if len(l.log) == 0 {
		return
	}
	p := l.log[0]
	l.log = l.log[1:]
	l.do(Committed{Proposal: p.Proposal, Applied: l.apply(p.Entry)})
}

func (l *life) hello(n sup.NodeName) {
	l.serial++
	l.stream[n] = l.serial
	h := &rpc.Hello{Node: n, ID: "id-" + string(n), Gen: l.session[n].Gen, Session: l.session[n], Settings: settings}
	for _, k := range l.keys(n) {
		h.Holding = append(h.Holding, rpc.Held{Key: k, Inc: l.holds[n][k]})
	}
	l.do(StreamUp{Stream: l.serial}, l.frame(n, rpc.FromAgent{Hello: h}))
}

func (l *life) keys(n sup.NodeName) (ks []sup.Key) {
	for s := range 3 {
		for c := range 4 {
			k := key(sup.Name(fmt.Sprint("s", s)), fmt.Sprint("c", c))
			if _, ok := l.holds[n][k]; ok {
				ks = append(ks, k)
			}
		}
	}
	return ks
}

func (l *life) act() {
	n := rapid.SampledFrom(l.nodes).Draw(l.rt, "node")
	sup2 := sup.Name(fmt.Sprint("s", rapid.IntRange(0, 2).Draw(l.rt, "supervisor")))
	kid := fmt.Sprint("c", rapid.IntRange(0, 3).Draw(l.rt, "child"))
	switch rapid.IntRange(0, 12).Draw(l.rt, "what") {
	case 0, 1, 2:
		l.commitOne()
	case 3:
		l.hello(n)
	case 4:
		l.do(StreamDown{Stream: l.stream[n]})
	case 5:
		if l.session[n].IsZero() {
			l.do(l.frame(n, rpc.FromAgent{Register: l.registration(n)}))
		} else {
			l.serial++
			l.asked[l.serial] = l.now
			l.do(l.frame(n, rpc.FromAgent{Renew: &rpc.Renew{Session: l.session[n], Seq: l.serial, Left: max(0, l.leases[n]-l.now)}}))
		}
	case 6, 7:
		var rs []fsm.Report
		for _, k := range l.keys(n) {
			kind := fsm.ReportKind(rapid.IntRange(1, 3).Draw(l.rt, "kind"))
			rs = append(rs, fsm.Report{Key: k, Inc: l.holds[n][k], Kind: kind, Reason: sup.ExitError})
			if kind != fsm.ReportRunning {
				delete(l.holds[n], k)
			}
		}
		l.do(l.frame(n, rpc.FromAgent{Reports: rs}))
	case 8:
		l.serial++
		l.do(l.asking(start(sup2, rapid.SampledFrom([]*sup.Selector{sup.RoundRobin, sup.LeastLoaded, sup.LocalFirst, sup.OnNode("n2")}).Draw(l.rt, "selector"), "c0", "c1"), l.serial))
	case 9:
		l.serial++
		c := fsm.Command{StartChild: &fsm.StartChild{Supervisor: sup2, Spec: child(kid)}}
		switch rapid.IntRange(0, 3).Draw(l.rt, "request") {
		case 0:
			c = fsm.Command{TerminateChild: &fsm.TerminateChild{Key: key(sup2, kid)}}
		case 1:
			c = fsm.Command{RestartChild: &fsm.RestartChild{Key: key(sup2, kid)}}
		case 2:
			c = fsm.Command{StopSupervisor: &fsm.StopSupervisor{Name: sup2}}
		}
		l.do(l.asking(c, l.serial), ReadAsked{ID: l.serial})
	case 10:
		d := rapid.Int64Range(0, 400*ms).Draw(l.rt, "pause")
		for end := l.now + d; l.now < end; {
			l.now = min(end, max(l.now+ms, l.wake))
			l.wake = never
			l.do(Tick{})
			for range rapid.IntRange(0, 2).Draw(l.rt, "commits") {
				l.commitOne()
			}
		}
		for len(l.log) > 0 { // so that the log does not stall
			l.commitOne()
		}
	case 11:
		l.do(l.frame(n, rpc.FromAgent{Goodbye: &rpc.Goodbye{Session: l.session[n], Done: rapid.Bool().Draw(l.rt, "done")}}))
	case 12:
		// A refusal is the truth: the process is gone, and with it what it held and its lease.
		l.do(StreamDown{Stream: l.stream[n]})
		gone := l.session[n]
		l.session[n], l.holds[n], l.leases[n] = sup.Session{}, map[sup.Key]sup.Incarnation{}, 0
		l.do(Probed{Node: n, Session: gone, Refused: true})
	}
}

// TestAnyHistory plays random histories: same events, same actions (with a twin); no death by time-out before the lease and
// the fence are over; bounded entries; and at the end, with everybody well, everything that is to run is placed on live
// sessions, everything asked is answered, and nothing more is proposed than renewals need.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		l := &life{world: w, rt: rt, nodes: []sup.NodeName{"n1", "n2", "n3"},
			holds: map[sup.NodeName]map[sup.Key]sup.Incarnation{}, leases: map[sup.NodeName]Instant{}, asked: map[uint64]Instant{}}
		for _, n := range l.nodes {
			l.holds[n] = map[sup.Key]sup.Incarnation{}
			if rapid.Bool().Draw(rt, "registered") {
				w.member(n)
				l.leases[n] = w.now + 3*second // by the former leader
			}
		}
		w.term++
		w.apply(fsm.Entry{Commands: []fsm.Command{{Establish: &fsm.Establish{Term: 1, Leader: "n1"}}}})
		w.wake = never
		w.m, l.twin = New(Config{Name: "n1", Term: 1}, w.now, w.st), New(Config{Name: "n1", Term: 1}, w.now, w.st)
		l.do(Tick{})
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			l.act()
		}
		l.heal()
	})
}

// heal lets everybody do well for a while and looks at what is left.
func (l *life) heal() {
	for _, n := range l.nodes {
		l.hello(n)
	}
	for round := range 200 {
		for _, n := range l.nodes {
			if l.session[n].IsZero() {
				l.do(l.frame(n, rpc.FromAgent{Register: l.registration(n)}))
			} else {
				l.serial++
				l.asked[l.serial] = l.now
				l.do(l.frame(n, rpc.FromAgent{Renew: &rpc.Renew{Session: l.session[n], Seq: l.serial}}))
			}
			var rs []fsm.Report
			for c := range l.st.On(n) {
				switch {
				case c.Session != l.session[n]:
				case c.Phase == fsm.Placed, l.m.orders.of[c.Key] != nil && !l.m.orders.of[c.Key].stop: // a spawn of what runs is answered (A5)
					rs = append(rs, fsm.Report{Key: c.Key, Inc: c.Inc, Kind: fsm.ReportRunning})
				case c.Phase == fsm.Stopping:
					rs = append(rs, fsm.Report{Key: c.Key, Inc: c.Inc, Kind: fsm.ReportEnded, Reason: sup.ExitShutdown})
				}
			}
			l.do(l.frame(n, rpc.FromAgent{Reports: rs}))
		}
		for range 100 {
			l.commitOne()
		}
		if len(l.log) > 0 {
			l.rt.Fatalf("round %d: %d proposals although nothing happens", round, len(l.log))
		}
		l.now += 100 * ms
		l.wake = never
		l.do(Tick{})
	}
	for c := range l.st.Wanting() {
		l.rt.Fatalf("%s is not placed: %q, avoid %v", c.Key, c.PendingReason, c.Avoid)
	}
	if len(l.m.orders.of)+len(l.m.placer.placing)+len(l.m.placer.planned)+len(l.m.queues.reported)+len(l.m.placer.told) != 0 {
		l.rt.Fatalf("left over: orders %v, placing %v, planned %v, reported %d, told %v", l.m.orders.of, l.m.placer.placing, l.m.placer.planned, len(l.m.queues.reported), l.m.placer.told)
	}
	answered := len(of[Answer](l.acts))
	asked := 0
	for _, p := range l.acts {
		if p, ok := p.(Propose); ok {
			for _, c := range p.Entry.Commands {
				if c.Request != nil {
					asked++
				}
			}
		}
	}
	if answered != asked {
		l.rt.Fatalf("%d requests, %d answers", asked, answered)
	}
}
