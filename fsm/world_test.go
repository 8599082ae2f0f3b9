package fsm

import (
	"bytes"
	"fmt"

	sup "github.com/supnode/supnode/supervisor"
)

// world plays leader, nodes and clients around a State: it makes entries, and with placing set it proposes nodes in the
// same entry, as a leader does.
type world struct {
	t       tb
	s       *State
	placing bool
	custom  map[string]string // what the leader's custom selectors answer: a node, or ! and why there is none
	draw    uint64
	keys    int
	keeps   bool     // it sees that an entry leaves alone what readers hold
	log     [][]byte // encoded entries, in order
	last    Applied
}

// tb is what testing.T and rapid.T have in common.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

const (
	testWall  = int64(1_700_000_000e9)
	testClock = int64(1_000e9)
)

func newWorld(t tb) *world {
	w := &world{t: t, s: New(), placing: true}
	w.apply(Command{Bootstrap: &Bootstrap{Cluster: "c", Settings: Settings{
		HeartbeatInterval: 500e6, LeaseTTL: 3e9, FastFailover: "off", EventHistory: 1 << 20,
	}}}, Command{Establish: &Establish{Term: 1, Leader: "n1"}})
	return w
}

// entry makes an entry of commands with the placements that a leader would propose.
func (w *world) entry(commands ...Command) Entry { return w.entryAfter(0, commands...) }

// entryAfter is entry, proposed when cluster time has gone on by so much.
func (w *world) entryAfter(ns int64, commands ...Command) Entry {
	clock := max(w.s.clock, testClock) + ns
	e := Entry{Clock: clock, Wall: testWall + clock, Commands: commands}
	if w.placing {
		w.propose(&e)
	}
	return e
}

// commit puts an entry through the log format, applies it, and checks the state.
func (w *world) commit(e Entry) Applied {
	w.t.Helper()
	b, err := Encode(e)
	if err != nil {
		w.t.Fatal(err)
	}
	decoded, err := Decode(b)
	if err != nil {
		w.t.Fatal(err)
	}
	w.log = append(w.log, b)
	var held *Image
	var was []byte
	if w.keeps {
		held = w.s.Capture()
		was = encoded(w.t, held)
	}
	w.last = w.s.Apply(w.s.index+1, decoded)
	if w.keeps && !bytes.Equal(was, encoded(w.t, held)) {
		w.t.Fatalf("entry %d changes records that a reader, or a snapshot in the making, holds", w.s.index)
	}
	if err := w.s.Check(); err != nil {
		w.t.Fatalf("entry %d: %v", w.s.index, err)
	}
	return w.last
}

func (w *world) apply(commands ...Command) Applied {
	w.t.Helper()
	return w.commit(w.entry(commands...))
}

// ask commits one client's request under a fresh key and answers the key.
func (w *world) ask(c Command) string {
	w.t.Helper()
	w.keys++
	key := fmt.Sprintf("k%d", w.keys)
	c.Request = &Request{Key: key, Hash: []byte("h")}
	w.apply(c)
	return key
}

func (w *world) register(n sup.NodeName, behaviors ...string) Applied {
	w.t.Helper()
	return w.apply(Command{Register: w.registration(n, behaviors...)})
}

func (w *world) registration(n sup.NodeName, behaviors ...string) *Register {
	if len(behaviors) == 0 {
		behaviors = []string{"exec"}
	}
	r := &Register{Node: n, ID: "id-" + string(n), Nonce: 7, Addr: string(n) + ":1", Behaviors: behaviors, Level: 1}
	if known := w.s.Node(n); known != nil {
		r.Replaces = known.Session
	}
	return r
}

// report reports on the incarnation that the slot holds.
func (w *world) report(k sup.Key, kind ReportKind, reason sup.ExitReason, detail string) Applied {
	w.t.Helper()
	c := w.s.Child(k)
	if c == nil {
		w.t.Fatalf("there is no child %s", k)
	}
	return w.apply(Command{Report: &Report{Key: k, Inc: c.Inc, Kind: kind, Reason: reason, Detail: detail}})
}

// next is a report that well-behaved nodes would make now: an init returns, or what is to stop has stopped; oldest first.
func (w *world) next() *Report {
	var best *Child
	for _, m := range w.s.members {
		for c := range m.slots.all() {
			if c.Phase != Running && (best == nil || c.Seat < best.Seat) {
				best = c
			}
		}
	}
	switch {
	case best == nil:
		return nil
	case best.Phase == Placed:
		return &Report{Key: best.Key, Inc: best.Inc, Kind: ReportRunning}
	}
	return &Report{Key: best.Key, Inc: best.Inc, Kind: ReportEnded, Reason: sup.ExitShutdown}
}

// overlooked reports whether a slot wants a node that the leader has not looked at: what made it want one was not foreseen.
func (w *world) overlooked() bool {
	for c := range w.s.Wanting() {
		if w.placing && !w.s.held && c.PendingReason == "" && c.NotBefore <= w.s.clock {
			return true
		}
	}
	return false
}

// settle lets nodes do what they are to do until nothing is outstanding.
func (w *world) settle() {
	w.t.Helper()
	for i := 0; ; i++ {
		if i == 10_000 {
			w.t.Fatal("the state does not settle")
		}
		r := w.next()
		if r == nil {
			return
		}
		w.apply(Command{Report: r})
	}
}

// reboot replaces the state by what its snapshot holds.
func (w *world) reboot() {
	w.t.Helper()
	b := snapshot(w.t, w.s)
	s, err := Restore(bytes.NewReader(b))
	if err != nil {
		w.t.Fatal(err)
	}
	w.s = s
	if again := snapshot(w.t, s); !bytes.Equal(b, again) {
		w.t.Fatalf("entry %d: a restored state has another snapshot", s.index)
	}
}

func snapshot(t tb, s *State) []byte {
	t.Helper()
	return encoded(t, s.Capture())
}

func encoded(t tb, i *Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := i.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func spec(name sup.Name, children ...sup.ChildSpec) sup.Spec {
	return sup.Spec{Name: name, Children: children}.WithDefaults()
}

func child(id sup.ChildID, restart sup.Restart) sup.ChildSpec {
	return sup.ChildSpec{ID: id, Behavior: "exec", Restart: restart}.WithDefaults()
}

func key(n sup.Name, id sup.ChildID) sup.Key { return sup.Key{Supervisor: n, Child: id} }
