package fsm

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

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

func (w *world) propose(e *Entry) {
	if w.s.held {
		return
	}
	load := map[sup.NodeName]int{}
	cursors := map[sup.Name]sup.NodeName{}
	siblings := map[string]int{} // by supervisor and node
	var gone sup.NodeName
	var joins *Register
	for _, c := range e.Commands {
		switch {
		case c.NodeDown != nil:
			gone = c.NodeDown.Node
		case c.Left != nil:
			gone = c.Left.Node
		case c.Leave != nil:
			gone = c.Leave.Node
		case c.Register != nil:
			joins = c.Register
		}
	}
	for n := range w.s.Nodes() {
		load[n.Name] = w.s.CountOn(n.Name)
	}
	place := func(c *Child, sel sup.Selector, home, cursor sup.NodeName, spread string) {
		of := c.Key.Supervisor
		sharing := func(n *Node) (tagged bool, count int) {
			value, tagged := n.Tag(spread)
			for m := range w.s.Nodes() {
				if v, _ := m.Tag(spread); v == value {
					count += w.s.CountOf(of, m.Name) + siblings[string(of)+"@"+string(m.Name)]
				}
			}
			return tagged, count
		}
		candidate := func(n *Node) sup.Candidate {
			x := sup.Candidate{Name: n.Name, Children: load[n.Name]}
			if spread != "" {
				x.Tagged, x.Sharing = sharing(n)
			}
			return x
		}
		if cur, ok := cursors[c.Key.Supervisor]; ok {
			cursor = cur
		}
		var fit, avoided []sup.Candidate
		var why []sup.NodeReason
		sessions := map[sup.NodeName]sup.Session{}
		consider := func(n *Node) {
			reason := w.s.Ineligible(c, n)
			if sel.Pinned() && sel.Node != n.Name && reason == "" {
				reason = "the child is pinned to " + string(sel.Node)
			}
			if reason == "" {
				reason = Crowded(c, w.s.CountOf(of, n.Name)+siblings[string(of)+"@"+string(n.Name)])
			}
			switch {
			case n.Name == gone && reason == "":
				why = append(why, sup.NodeReason{Node: n.Name, Reason: "down"})
			case reason != "":
				why = append(why, sup.NodeReason{Node: n.Name, Reason: reason})
			case slices.Contains(c.Avoid, n.Name):
				avoided = append(avoided, candidate(n))
				sessions[n.Name] = n.Session
			default:
				fit = append(fit, candidate(n))
				sessions[n.Name] = n.Session
			}
		}
		for n := range w.s.Nodes() {
			if joins == nil || n.Name != joins.Node {
				consider(n)
			}
		}
		if joins != nil {
			consider(&Node{
				Name: joins.Node, Status: MemberUp, Behaviors: joins.Behaviors, Tags: joins.Tags,
				Session: sup.Session{Gen: w.s.gen, Seq: w.s.session + 1},
			})
			slices.SortFunc(fit, func(a, b sup.Candidate) int { return cmp.Compare(a.Name, b.Name) })
		}
		w.draw++
		if spread != "" && sel.Kind != sup.SelectNode {
			fit, avoided = sup.Spread(fit), sup.Spread(avoided)
		}
		if sel.Kind == sup.SelectCustom && len(fit) > 0 {
			answer, known := w.custom[sel.Custom]
			if words, no := strings.CutPrefix(answer, "!"); !known || no {
				problem := sup.Problem{Code: sup.CodeNoAvailableNode, Detail: "selector \"" + sel.Custom + "\" chose no node: " + words}
				if !known {
					problem = sup.Problem{Code: sup.CodeSelectorNotRegistered, Selector: sel.Custom, Detail: "the leader has no selector \"" + sel.Custom + "\""}
				}
				e.Unplaced = append(e.Unplaced, Unplaceable{Key: c.Key, Problem: problem, Seat: c.Seat})
				return
			}
			sel = *sup.OnNode(sup.NodeName(answer))
		}
		n, ok := c.Toward, slices.ContainsFunc(fit, func(x sup.Candidate) bool { return x.Name == c.Toward })
		if !ok {
			n, ok = sup.Choose(sel, fit, home, cursor, w.draw*0x9E3779B97F4A7C15>>7)
		}
		if !ok {
			n, ok = sup.Choose(sel, avoided, home, cursor, w.draw)
		}
		if !ok {
			slices.SortFunc(why, func(a, b sup.NodeReason) int { return cmp.Compare(a.Node, b.Node) })
			e.Unplaced = append(e.Unplaced, Unplaceable{Key: c.Key, Problem: sup.Problem{Code: sup.CodeNoAvailableNode, Reasons: why}, Seat: c.Seat})
			return
		}
		load[n]++
		siblings[string(of)+"@"+string(n)]++
		if sel.MovesCursor(n) {
			cursors[c.Key.Supervisor] = n
		}
		e.Placements = append(e.Placements, Placement{Key: c.Key, Node: n, Session: sessions[n]})
	}
	for c := range w.s.Wanting() {
		if c.NotBefore > e.Clock {
			continue
		}
		place(c, w.s.Selector(c), w.s.Home(c.Key.Supervisor), w.s.Cursor(c.Key.Supervisor), w.s.Spread(c.Key.Supervisor))
	}
	for _, c := range e.Commands {
		for _, p := range w.s.Prospects(c) {
			if p.Selector.Kind == sup.SelectCustom {
				continue // it is asked once the child is there
			}
			for n := p.Nth; n > 0 && placed(e, p.Child.Key); n++ {
				p.Child.Key.Child = sup.NthChild(n + 1)
			}
			if now := w.s.Child(p.Child.Key); now == nil || !now.Wants || now.NotBefore > e.Clock {
				place(p.Child, p.Selector, p.Home, p.Cursor, p.Spread)
			}
		}
	}
}

func placed(e *Entry, k sup.Key) bool {
	return slices.ContainsFunc(e.Placements, func(p Placement) bool { return p.Key == k })
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
	w.last = w.s.Apply(w.s.index+1, decoded)
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
	var b bytes.Buffer
	if _, err := s.Capture().WriteTo(&b); err != nil {
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
