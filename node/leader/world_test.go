package leader

import (
	"fmt"
	"testing"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

const (
	ms     = int64(1e6)
	second = int64(1e9)
)

var settings = fsm.Settings{HeartbeatInterval: 500 * ms, LeaseTTL: 3 * second, FastFailover: "loopback", EventHistory: 1 << 20}

// world is a leader machine n1 with a replicated state and a log that commits when the test says so.
type world struct {
	t       testing.TB
	st      *fsm.State
	m       *Machine
	now     Instant
	index   uint64
	term    uint64
	log     []Propose // proposed, not committed; oldest first
	acts    []Action  // all since the last call of seen
	wake    Instant
	entries []fsm.Entry // committed
	session map[sup.NodeName]sup.Session
	stream  map[sup.NodeName]uint64
	serial  uint64
	quick   bool // the state is not checked after every entry
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, st: fsm.New(), now: 1000 * second, session: map[sup.NodeName]sup.Session{}, stream: map[sup.NodeName]uint64{}}
	w.apply(fsm.Entry{Commands: []fsm.Command{{Bootstrap: &fsm.Bootstrap{Cluster: "c", Settings: settings}}}})
	return w
}

// apply puts an entry into the state at once, as if a former leader had committed it.
func (w *world) apply(e fsm.Entry) fsm.Applied {
	w.index++
	a := w.st.Apply(w.index, e)
	if !w.quick {
		if err := w.st.Check(); err != nil {
			w.t.Fatal(err)
		}
	}
	return a
}

// member puts a registered node into the state.
func (w *world) member(n sup.NodeName, behaviors ...string) sup.Session {
	w.t.Helper()
	a := w.apply(fsm.Entry{Commands: []fsm.Command{{Register: w.registration(n, behaviors...)}}})
	w.session[n] = a.Results[0].Session
	return w.session[n]
}

func (w *world) registration(n sup.NodeName, behaviors ...string) *fsm.Register {
	if len(behaviors) == 0 {
		behaviors = []string{"job"}
	}
	r := &fsm.Register{Node: n, ID: "id-" + string(n), Nonce: 7, Addr: "127.0.0.1:71" + string(n[1:]), Behaviors: behaviors}
	if rec := w.st.Node(n); rec != nil {
		r.Replaces = rec.Session
	}
	return r
}

// lead establishes a leader of the next term.
func (w *world) lead(opts ...func(*Config)) {
	w.term++
	cfg := Config{Name: "n1", Term: w.term}
	for _, o := range opts {
		o(&cfg)
	}
	w.apply(fsm.Entry{Clock: w.st.Clock(), Commands: []fsm.Command{{Establish: &fsm.Establish{Term: w.term, Leader: cfg.Name}}}})
	w.log, w.acts, w.wake = nil, nil, never
	w.m = New(cfg, w.now, w.st)
	w.step(Tick{})
}

func mutant(name string) func(*Config) { return func(c *Config) { c.Mutant = name } }

func (w *world) step(evs ...Event) []Action {
	w.t.Helper()
	acts := w.m.StepAll(evs, w.now, w.st)
	for _, a := range acts {
		switch a := a.(type) {
		case Propose:
			b, err := fsm.Encode(a.Entry)
			if err != nil {
				w.t.Fatal(err)
			}
			if a.Entry, err = fsm.Decode(b); err != nil {
				w.t.Fatal(err)
			}
			w.log = append(w.log, a)
		case Wake:
			w.wake = a.At
		}
	}
	w.acts = append(w.acts, acts...)
	return acts
}

// commit applies the oldest proposal and tells the machine.
func (w *world) commit() []Action {
	w.t.Helper()
	if len(w.log) == 0 {
		w.t.Fatal("nothing is proposed")
	}
	p := w.log[0]
	w.log = w.log[1:]
	w.entries = append(w.entries, p.Entry)
	return w.step(Committed{Proposal: p.Proposal, Applied: w.apply(p.Entry)})
}

// settle commits until nothing is proposed.
func (w *world) settle() {
	w.t.Helper()
	for i := 0; len(w.log) > 0; i++ {
		if i == 1000 {
			w.t.Fatal("the machine proposes without end")
		}
		w.commit()
	}
}

// advance moves the clock, stepping at every instant that the machine asked for; commits nothing.
func (w *world) advance(d int64) { w.walk(d, func() {}) }

// run moves the clock and commits whatever is proposed.
func (w *world) run(d int64) {
	w.settle()
	w.walk(d, w.settle)
}

func (w *world) walk(d int64, after func()) {
	w.t.Helper()
	end := w.now + d
	for i := 0; w.wake <= end; i++ {
		if i == 100000 {
			w.t.Fatalf("the machine wakes without end at %d", w.now)
		}
		w.now, w.wake = max(w.now, w.wake), never
		w.step(Tick{})
		after()
	}
	w.now = end
}

// seen returns the actions since its last call.
func (w *world) seen() []Action {
	acts := w.acts
	w.acts = nil
	return acts
}

// up opens a stream for a node and says hello with the session that the node holds.
func (w *world) up(n sup.NodeName, holding ...rpc.Held) []Action {
	w.t.Helper()
	w.serial++
	w.stream[n] = w.serial
	return w.step(StreamUp{Stream: w.serial}, w.frame(n, rpc.FromAgent{Hello: &rpc.Hello{
		Node: n, ID: "id-" + string(n), Gen: w.session[n].Gen, Session: w.session[n], Settings: w.st.Settings(), Holding: holding,
	}}))
}

// down breaks a node's stream.
func (w *world) down(n sup.NodeName) []Action { return w.step(StreamDown{Stream: w.stream[n]}) }

func (w *world) frame(n sup.NodeName, f rpc.FromAgent) Event {
	return Received{Stream: w.stream[n], Frame: f}
}

func (w *world) from(n sup.NodeName, f rpc.FromAgent) []Action {
	w.t.Helper()
	return w.step(w.frame(n, f))
}

func (w *world) renewal(n sup.NodeName, left int64) Event {
	w.serial++
	return w.frame(n, rpc.FromAgent{Renew: &rpc.Renew{Session: w.session[n], Seq: w.serial, Left: left}})
}

func (w *world) renew(n sup.NodeName, left int64) []Action { return w.step(w.renewal(n, left)) }

// join registers a node through the machine, with its first grant.
func (w *world) join(n sup.NodeName, behaviors ...string) {
	w.t.Helper()
	w.session[n] = sup.Session{}
	w.up(n)
	w.from(n, rpc.FromAgent{Register: w.registration(n, behaviors...)})
	w.settle()
	w.session[n] = w.st.Node(n).Session
	w.renew(n, 0)
	w.settle()
}

// ready connects and grants nodes that the state has already.
func (w *world) ready(nodes ...sup.NodeName) {
	w.t.Helper()
	for _, n := range nodes {
		w.up(n)
		w.renew(n, 2*second)
	}
	w.settle()
}

func (w *world) ask(c fsm.Command) uint64 {
	w.serial++
	w.step(w.asking(c, w.serial))
	return w.serial
}

func (w *world) asking(c fsm.Command, id uint64) Event {
	c.Request = &fsm.Request{Key: fmt.Sprint("key-", id), Hash: []byte{byte(id)}}
	return Asked{ID: id, Command: c}
}

func start(name sup.Name, sel *sup.Selector, children ...string) fsm.Command {
	s := sup.Spec{Name: name, Selector: sel}
	for _, c := range children {
		s.Children = append(s.Children, sup.ChildSpec{ID: sup.ChildID(c), Behavior: "job"})
	}
	return fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: s.WithDefaults(), Home: "n1"}}
}

func key(s sup.Name, c string) sup.Key { return sup.Key{Supervisor: s, Child: sup.ChildID(c)} }

// report has the node that holds a child report on it.
func (w *world) report(k sup.Key, kind fsm.ReportKind, reason sup.ExitReason) fsm.Report {
	w.t.Helper()
	c := w.st.Child(k)
	if c == nil || c.Inc.IsZero() {
		w.t.Fatalf("nobody holds %s", k)
	}
	r := fsm.Report{Key: k, Inc: c.Inc, Kind: kind, Reason: reason}
	w.from(c.Node, rpc.FromAgent{Reports: []fsm.Report{r}})
	return r
}

// running reports every Placed child as running.
func (w *world) running() {
	w.t.Helper()
	for n := range w.st.Nodes() {
		var rs []fsm.Report
		for c := range w.st.On(n.Name) {
			if c.Phase == fsm.Placed {
				rs = append(rs, fsm.Report{Key: c.Key, Inc: c.Inc, Kind: fsm.ReportRunning})
			}
		}
		for len(rs) > 0 {
			k := min(len(rs), rpc.MaxBatch)
			w.from(n.Name, rpc.FromAgent{Reports: rs[:k]})
			rs = rs[k:]
		}
		w.settle()
	}
}

// of picks the actions of one type.
func of[A Action](acts []Action) (picked []A) {
	for _, a := range acts {
		if a, ok := a.(A); ok {
			picked = append(picked, a)
		}
	}
	return picked
}

// frames are those sent to a node.
func (w *world) frames(acts []Action, n sup.NodeName) (fs []rpc.ToAgent) {
	for _, s := range of[Send](acts) {
		if s.Stream == w.stream[n] {
			fs = append(fs, s.Frame)
		}
	}
	return fs
}

func (w *world) grants(acts []Action, n sup.NodeName) (gs []*rpc.Grant) {
	for _, f := range w.frames(acts, n) {
		if f.Grant != nil {
			gs = append(gs, f.Grant)
		}
	}
	return gs
}

func (w *world) refusals(acts []Action, n sup.NodeName) (rs []*rpc.Refused) {
	for _, f := range w.frames(acts, n) {
		if f.Refused != nil {
			rs = append(rs, f.Refused)
		}
	}
	return rs
}

func (w *world) spawns(acts []Action, n sup.NodeName) (ss []rpc.Spawn) {
	for _, f := range w.frames(acts, n) {
		ss = append(ss, f.Spawns...)
	}
	return ss
}

func (w *world) stops(acts []Action, n sup.NodeName) (ss []rpc.Stop) {
	for _, f := range w.frames(acts, n) {
		ss = append(ss, f.Stops...)
	}
	return ss
}

func downs(acts []Action) (ds []*fsm.NodeDown) {
	for _, p := range of[Propose](acts) {
		for _, c := range p.Entry.Commands {
			if c.NodeDown != nil {
				ds = append(ds, c.NodeDown)
			}
		}
	}
	return ds
}

func (w *world) want(ok bool, format string, args ...any) {
	w.t.Helper()
	if !ok {
		w.t.Fatalf(format, args...)
	}
}

func (w *world) node(k sup.Key) sup.NodeName {
	w.t.Helper()
	c := w.st.Child(k)
	if c == nil {
		w.t.Fatalf("there is no child %s", k)
	}
	return c.Node
}
