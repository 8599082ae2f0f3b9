package agent

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"pgregory.net/rapid"
)

// history is a machine among things that go wrong: frames are lost, late, doubled and reordered, streams break, the
// process is paused, children end as they please. A leader that keeps its own rules answers it; whatever the order of
// events, the machine must keep the rules that are checked here.
type history struct {
	m    *Machine
	draw func(n int) int // 0 … n-1
	now  Instant
	log  []string

	up       []rpc.FromAgent // on their way to the leader
	down     []rpc.ToAgent   // on their way to the agent, or delivered: they may come again
	streams  uint64
	current  uint64 // the stream that is up; 0 = none
	wake     Instant
	bad      string
	over     bool
	by       Instant // of a goodbye
	granting uint64  // the renewal that the frame being delivered answers

	// What the runners know.
	lease Lease
	open  bool
	held  map[sup.Key]*heldChild
	exit  Instant // when something must have ended

	// What was seen to be sent.
	sentAt map[uint64]Instant
	marks  map[sup.Key]sup.Incarnation // of the session of the lease

	// The leader.
	gen     uint64
	session sup.Session
	live    bool
	expiry  Instant
	index   uint64
	slots   map[sup.Key]sup.Incarnation
	freed   map[heldID]bool
}

type heldChild struct {
	inc    sup.Incarnation
	inited bool
}

func newHistory(draw func(int) int, mutant Mutant) *history {
	c := config()
	c.Mutant = mutant
	return &history{
		m: New(c), draw: draw, now: 100 * sec, wake: never, held: map[sup.Key]*heldChild{}, sentAt: map[uint64]Instant{},
		marks: map[sup.Key]sup.Incarnation{}, gen: 1, slots: map[sup.Key]sup.Incarnation{}, freed: map[heldID]bool{},
	}
}

func (x *history) fail(format string, args ...any) {
	if x.bad == "" {
		x.bad = fmt.Sprintf(format, args...)
	}
}

// step gives the machine an event and checks what it does.
func (x *history) step(ev Event) {
	if x.over || x.bad != "" {
		return
	}
	expired := x.open && x.now >= x.lease.Deadline
	acts := x.m.Step(ev, x.now)
	x.log = append(x.log, fmt.Sprintf("%d %T%+v -> %+v", (x.now-100*sec)/ms, ev, ev, acts))
	if expired && !first[Fence](acts) {
		x.fail("A3: the deadline has passed, and the first action is not Fence")
	}
	for _, a := range acts {
		x.act(a)
	}
	if x.over {
		return
	}
	if x.open && x.wake > x.lease.Deadline {
		x.fail("A3: no wake by the deadline")
	}
	if x.exit != 0 && len(x.held) > 0 && x.now >= x.exit {
		x.fail("A3: something is left after deadline + F, and the process goes on")
	}
	if x.by != 0 && x.now >= x.by {
		x.fail("P3: the goodbye did not end by its instant")
	}
}

func (x *history) act(a Action) {
	switch a := a.(type) {
	case Send:
		if len(a.Frame.Reports) > rpc.MaxBatch {
			x.fail("a frame of %d reports", len(a.Frame.Reports))
		}
		if r := a.Frame.Renew; r != nil {
			x.sentAt[r.Seq] = x.now
		}
		if a.Stream == x.current {
			x.up = append(x.up, a.Frame)
		}
	case Hangup:
		if a.Stream == x.current {
			x.current = 0
		}
	case Lease:
		if x.open && a.Session == x.lease.Session && a.Deadline <= x.lease.Deadline {
			x.fail("A1: the deadline fell")
		}
		if a.Session != x.lease.Session {
			x.marks = map[sup.Key]sup.Incarnation{}
		}
		latest := Instant(0)
		for _, at := range x.sentAt {
			latest = max(latest, at)
		}
		if a.Deadline > latest+ttl || a.Deadline <= x.now {
			x.fail("A1: a lease until %d at %d, the last renewal was sent at %d", a.Deadline, x.now, latest)
		}
		if s := x.sentAt[x.granting]; a.Deadline != s+ttl {
			x.fail("A1: a lease until %d by a renewal sent at %d", a.Deadline, s)
		}
		x.lease, x.open = a, true
	case Fence:
		x.open = false
		if len(x.held) > 0 {
			x.exit = max(x.lease.Deadline+x.lease.Fence, x.now+x.lease.Fence/2)
		}
	case Spawn:
		x.spawned(a)
	case Stop:
		x.stopped(a.Key, a.Inc)
	case Kill:
		x.stopped(a.Key, a.Inc)
	case Exit:
		if x.exit == 0 || x.now < x.exit {
			x.fail("A3: exit before deadline + F")
		}
		x.over = true
	case Left, Rejected:
		x.over = true
	case Wake:
		if a.At <= x.now {
			x.fail("wakes in the past")
		}
		x.wake = a.At
	}
}

func (x *history) spawned(a Spawn) {
	switch mark := x.marks[a.Key]; {
	case !x.open || x.now >= x.lease.Deadline:
		x.fail("A2: %v started without a lease", a.Key)
	case a.Session != x.lease.Session:
		x.fail("A5: %v started for another session", a.Key)
	case x.held[a.Key] != nil:
		x.fail("two incarnations of %v", a.Key)
	case !mark.Less(a.Inc):
		x.fail("A5: %v of %v started after %v", a.Inc, a.Key, mark)
	case x.freed[heldID{a.Key, a.Inc}]:
		x.fail("%v of %v started after its slot was freed", a.Inc, a.Key)
	}
	x.marks[a.Key] = a.Inc
	x.held[a.Key] = &heldChild{inc: a.Inc}
}

func (x *history) stopped(k sup.Key, inc sup.Incarnation) {
	if c := x.held[k]; c == nil || c.inc != inc {
		x.fail("stops %v of %v, which is not here", inc, k)
	}
}

// free is a slot that the leader may fill elsewhere from now on.
func (x *history) free(k sup.Key, mayRun bool) {
	inc, ok := x.slots[k]
	if !ok {
		return
	}
	if c := x.held[k]; c != nil && c.inc == inc && !mayRun && !x.over {
		x.fail("the slot of %v is freed, and %v runs here", k, inc)
	}
	x.freed[heldID{k, inc}] = true
	delete(x.slots, k)
}

func (x *history) freeAll(mayRun bool) {
	for _, k := range keysOf(x.slots) {
		x.free(k, mayRun)
	}
}

func keysOf[V any](m map[sup.Key]V) []sup.Key {
	var keys []sup.Key
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

// lead is the leader taking a frame.
func (x *history) lead(f rpc.FromAgent) {
	say := func(a rpc.ToAgent) { x.down = append(x.down, a) }
	if f.Hello != nil {
		say(rpc.ToAgent{Welcome: &rpc.Welcome{Term: 1, Leader: "n2", Gen: x.gen, Current: x.session, Live: x.live, TTL: ttl, H: h}})
	}
	if r := f.Register; r != nil {
		a := rpc.Registered{Nonce: r.Nonce}
		if r.Replaces == x.session {
			x.freeAll(false)
			x.index++
			x.session, x.live, x.expiry = sup.Session{Gen: x.gen, Seq: x.index}, true, x.now+ttl+ttl/4
			a.Session = x.session
		}
		a.Current = x.session
		say(rpc.ToAgent{Registered: &a})
	}
	if r := f.Renew; r != nil {
		if x.live && r.Session == x.session {
			x.expiry = max(x.expiry, x.now+ttl+ttl/4)
			say(rpc.ToAgent{Grant: &rpc.Grant{Session: r.Session, Seq: r.Seq, TTL: ttl, Fence: ttl / 6, H: h}})
		} else {
			say(rpc.ToAgent{Refused: &rpc.Refused{Session: r.Session, Gen: x.gen}})
		}
	}
	for _, r := range f.Reports {
		if x.slots[r.Key] == r.Inc && r.Kind != fsm.ReportRunning {
			x.free(r.Key, false)
		}
		say(rpc.ToAgent{Acks: []rpc.Ack{{Key: r.Key, Inc: r.Inc, Kind: r.Kind}}})
	}
	if g := f.Goodbye; g != nil && g.Done && g.Session == x.session {
		x.freeAll(false)
		x.live = false
		say(rpc.ToAgent{Farewell: &rpc.Farewell{Done: true}})
	}
}

var historyKeys = []sup.Key{key("a"), key("b"), key("c")}

// order is the leader wanting something.
func (x *history) order() {
	if !x.live {
		return
	}
	k := historyKeys[x.draw(len(historyKeys))]
	inc, placed := x.slots[k]
	switch {
	case !placed:
		x.index++
		inc = sup.Incarnation{Gen: x.gen, Index: x.index}
		x.slots[k] = inc
		fallthrough
	case x.draw(2) == 0:
		x.down = append(x.down, rpc.ToAgent{Spawns: []rpc.Spawn{{Session: x.session, Key: k, Inc: inc, ShutdownTimeout: sec}}})
	default:
		x.down = append(x.down, rpc.ToAgent{Stops: []rpc.Stop{{Session: x.session, Key: k, Inc: inc, Timeout: sec}}})
	}
}

// deliver brings a frame to the agent, mostly on the stream that is up.
func (x *history) deliver(f rpc.ToAgent) {
	id := x.current
	if id == 0 || x.draw(8) == 0 {
		id = x.streams
	}
	x.granting = 0
	if f.Grant != nil {
		x.granting = f.Grant.Seq
	}
	x.step(Received{Stream: id, Frame: f})
}

// pass lets time go by; a paused process hears its timer only at the end.
func (x *history) pass(d int64, paused bool) {
	end := x.now + d
	for !paused && !x.over && x.bad == "" && x.wake <= end {
		x.now = max(x.now, x.wake)
		x.wake = never
		x.step(Tick{})
	}
	x.now = end
}

func (x *history) random() {
	switch p := x.draw(100); {
	case p < 22:
		if n := len(x.up); n > 0 {
			i := x.draw(min(n, 3))
			x.lead(x.up[i])
			if x.draw(6) > 0 {
				x.up = slices.Delete(x.up, i, i+1)
			}
		}
	case p < 46:
		if n := len(x.down); n > 0 { // mostly one of the newest
			i := max(0, n-1-x.draw(4))
			if x.draw(6) == 0 {
				i = x.draw(n)
			}
			x.deliver(x.down[i])
		}
	case p < 58:
		x.order()
	case p < 70:
		x.pass(int64(x.draw(300))*ms, false)
	case p < 74:
		x.pass(int64(x.draw(8000))*ms, true)
	case p < 80:
		x.streams++
		x.current, x.up = x.streams, nil
		x.step(StreamUp{Stream: x.streams})
	case p < 82:
		x.step(StreamDown{Stream: x.streams})
		x.current = 0
	case p < 94:
		x.child(x.draw(3) == 0)
	case p < 95:
		x.step(GuardianLapsed{Session: x.lease.Session})
	case p < 96:
		if x.live && x.now > x.expiry { // by time-out (L1)
			x.freeAll(true)
			x.live = false
		}
	case p < 97:
		if x.draw(5) == 0 {
			x.gen++
			x.live = false
		}
	case p < 98:
		if x.draw(30) == 0 && x.by == 0 {
			x.by = x.now + int64(x.draw(10))*sec
			x.step(Leave{By: x.by})
		}
	default:
		x.step(Tick{})
	}
}

// child lets something become of a child. One that was fenced ends.
func (x *history) child(ends bool) {
	for _, k := range keysOf(x.held) {
		c := x.held[k]
		switch {
		case ends || !x.open:
			delete(x.held, k)
			if len(x.held) == 0 {
				x.exit = 0
			}
			x.step(Ended{Key: k, Inc: c.inc, Reason: sup.ExitError})
			return
		case !c.inited:
			c.inited = true
			x.step(Started{Key: k, Inc: c.inc})
			return
		}
	}
}

// settle ends all trouble; the agent must come to a lease and tell everything.
func (x *history) settle() {
	x.up, x.streams = nil, x.streams+1
	x.current = x.streams
	x.step(StreamUp{Stream: x.streams})
	heard := len(x.down)
	for range 400 {
		if x.over || x.bad != "" {
			return
		}
		x.child(false)
		x.pass(20*ms, false)
		for len(x.up) > 0 {
			f := x.up[0]
			x.up = x.up[1:]
			x.lead(f)
		}
		for ; heard < len(x.down) && x.current != 0; heard++ {
			x.granting = 0
			if g := x.down[heard].Grant; g != nil {
				x.granting = g.Seq
			}
			x.step(Received{Stream: x.current, Frame: x.down[heard]})
		}
		if x.current == 0 {
			x.streams++
			x.current, x.up, heard = x.streams, nil, len(x.down)
			x.step(StreamDown{Stream: x.streams - 1})
			x.step(StreamUp{Stream: x.streams})
		}
	}
	if s := x.m.Status(); !x.over && (!s.Live || s.Session != x.session || s.Unacknowledged > 0) {
		x.fail("liveness: %+v, the leader has %v %v", s, x.session, x.live)
	}
}

func (x *history) run(steps int) {
	for range steps {
		if x.bad != "" || x.over {
			return
		}
		x.random()
	}
	x.settle()
}

func (x *history) tail() (s string) {
	for _, l := range x.log[max(0, len(x.log)-25):] {
		s += l + "\n"
	}
	return s
}

func TestRulesHoldInAnyOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := map[int]*rapid.Generator[int]{}
		x := newHistory(func(n int) int {
			if g[n] == nil {
				g[n] = rapid.IntRange(0, n-1)
			}
			return g[n].Draw(t, "")
		}, "")
		if x.run(150); x.bad != "" {
			t.Fatalf("%s\n%s", x.bad, x.tail())
		}
	})
}

func seeded(seed uint64, mutant Mutant) *history {
	x := newHistory(rand.New(rand.NewPCG(seed, 1)).IntN, mutant)
	x.run(400)
	return x
}

func TestRulesHoldInManyLongHistories(t *testing.T) {
	spawned, lapses := 0, uint64(0)
	for seed := range uint64(200) {
		x := seeded(seed, "")
		if x.bad != "" {
			t.Fatalf("seed %d: %s\n%s", seed, x.bad, x.tail())
		}
		spawned += len(x.freed)
		lapses += x.m.Status().Lapses
	}
	if spawned < 400 || lapses < 200 {
		t.Errorf("only %d incarnations and %d lapses: nothing was tried", spawned, lapses)
	}
}

// A rule whose mutant survives is not checked.
func TestEveryMutantIsNoticed(t *testing.T) {
	for _, mutant := range []Mutant{
		NoSelfFence, LeaseFromAnswer, SpawnWithoutSession, SpawnWithoutIncarnation, StopWithoutMark, RegisterBeforeStopped,
		FenceNotFirst, RegisterAnyNonce, RegisterWithSession,
	} {
		t.Run(string(mutant), func(t *testing.T) {
			for seed := range uint64(5000) {
				if x := seeded(seed, mutant); x.bad != "" && !strings.HasPrefix(x.bad, "liveness") {
					t.Logf("seed %d: %s", seed, x.bad)
					return
				}
			}
			t.Error("survives")
		})
	}
}
