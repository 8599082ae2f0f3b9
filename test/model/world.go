package model

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// World plays a story to the model and to two replicas of the FSM: one that keeps its state, and one that is restored from
// a snapshot after every entry, as a leader that is taken up anew at every commit.
type World struct {
	Model   *Cluster
	keeps   *fsm.State
	anew    *fsm.State
	clock   int64
	term    uint64
	asked   []fsm.Command // requests by number
	first   bool          // the order is the first of its entry
	events  uint64        // the newest event seen
	Story   []string
	Met     map[string]int // what happened how often, for minimum counts
	lastInc map[sup.Key][]uint64
}

const (
	firstClock = int64(1_000e9)
	wallOffset = int64(1_700_000_000e9)
)

// NewWorld is a cluster without nodes.
func NewWorld() (*World, error) {
	w := &World{Model: New(), keeps: fsm.New(), anew: fsm.New(), clock: firstClock, term: 1, Met: map[string]int{}, lastInc: map[sup.Key][]uint64{}}
	return w, w.commit(fsm.Entry{Clock: w.clock, Wall: wallOffset + w.clock, Commands: []fsm.Command{
		{Bootstrap: &fsm.Bootstrap{Cluster: "c", Settings: fsm.Settings{
			HeartbeatInterval: 500e6, LeaseTTL: 3e9, FastFailover: "off", EventHistory: 1 << 20,
		}}},
		{Establish: &fsm.Establish{Term: 1, Leader: "n1"}},
	}}, nil)
}

// Play plays one line of a story.
func (w *World) Play(line string) error {
	s, err := ParseStep(line)
	if err != nil {
		return err
	}
	return w.Step(s.After, s.Orders, func([]*Child) ([]string, []string) { return s.Places, s.Unplaced })
}

// Step plays one entry. place is asked for placements when the model knows who wants a node. The error tells a difference.
func (w *World) Step(after time.Duration, orders []string, place func(wanting []*Child) (places, unplaced []string)) error {
	step := Step{After: after, Orders: orders}
	w.Story = append(w.Story, step.String())
	w.clock += int64(after)
	e := fsm.Entry{Clock: w.clock, Wall: wallOffset + w.clock}
	w.Model.Begin(w.keeps.Index()+1, w.clock)
	var answers []Answer
	for i, o := range orders {
		w.first = i == 0
		command, answer, err := w.order(o)
		if err != nil {
			return err
		}
		e.Commands = append(e.Commands, command)
		answers = append(answers, answer)
		w.Met[strings.Fields(o)[0]+" "+answer.Status]++
	}
	step.Places, step.Unplaced = place(w.Model.Wanting())
	w.Story[len(w.Story)-1] = step.String()
	for _, p := range step.Places {
		k, node, _ := strings.Cut(p, "@")
		var session uint64
		if n := w.Model.Node(sup.NodeName(node)); n != nil {
			session = n.Session
		}
		w.Model.Place(parseKey(k), sup.NodeName(node), session)
		e.Placements = append(e.Placements, fsm.Placement{
			Key: parseKey(k), Node: sup.NodeName(node), Session: sup.Session{Gen: w.Model.Gen, Seq: session},
		})
	}
	for _, u := range step.Unplaced {
		k, code, _ := strings.Cut(u, "!")
		w.Model.Unplaced(parseKey(k), sup.Code(code))
		e.Unplaced = append(e.Unplaced, fsm.Unplaceable{Key: parseKey(k), Problem: sup.Problem{Code: sup.Code(code)}})
	}
	for _, s := range w.Model.Sups {
		for _, ch := range s.Children {
			if ch.State == Placed && ch.Inc == w.Model.Index {
				w.lastInc[ch.Key()] = append(w.lastInc[ch.Key()], ch.Inc)
			}
		}
	}
	return w.commit(e, answers)
}

// commit applies an entry through the log format to both replicas and compares everything.
func (w *World) commit(e fsm.Entry, answers []Answer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	b, err := fsm.Encode(e)
	if err != nil {
		return err
	}
	for _, s := range []*fsm.State{w.keeps, w.anew} {
		decoded, err := fsm.Decode(b)
		if err != nil {
			return err
		}
		a := s.Apply(s.Index()+1, decoded)
		if err := s.Check(); err != nil {
			return fmt.Errorf("check: %w", err)
		}
		if s != w.keeps || answers == nil {
			continue
		}
		if err := w.compare(a, answers); err != nil {
			return err
		}
	}
	var kept, again, restored bytes.Buffer
	_, err1 := w.keeps.Capture().WriteTo(&kept)
	_, err2 := w.anew.Capture().WriteTo(&again)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if !bytes.Equal(kept.Bytes(), again.Bytes()) {
		return errors.New("a replica that was restored after every entry has another state")
	}
	if w.anew, err = fsm.Restore(&again); err != nil {
		return err
	}
	if _, err := w.anew.Capture().WriteTo(&restored); err != nil {
		return err
	}
	if !bytes.Equal(kept.Bytes(), restored.Bytes()) {
		return errors.New("a restored state has another snapshot")
	}
	events, _, newest := w.keeps.Events(w.events, 10_000)
	for i, ev := range events {
		if ev.ID != w.events+uint64(i)+1 {
			return fmt.Errorf("event %d follows event %d", ev.ID, w.events+uint64(i))
		}
	}
	w.events = newest
	return nil
}

// order gives one order to the model and makes the FSM's command of it.
func (w *World) order(text string) (fsm.Command, Answer, error) {
	m, words := w.Model, strings.Fields(text)
	request := func(c fsm.Command) fsm.Command {
		w.asked = append(w.asked, c)
		w.asked[len(w.asked)-1].Request = &fsm.Request{Key: fmt.Sprintf("k%d", len(w.asked)), Hash: []byte(text)}
		return w.asked[len(w.asked)-1]
	}
	node := func() (sup.NodeName, sup.Session) {
		n := sup.NodeName(words[1])
		if known := m.Node(n); known != nil {
			return n, sup.Session{Gen: known.Gen, Seq: known.Session}
		}
		return n, sup.Session{}
	}
	report := func(kind fsm.ReportKind) *fsm.Report {
		k, inc := parseRun(words[1])
		if ch := m.Child(k); ch != nil && inc == 0 {
			inc = ch.Inc
		}
		r := &fsm.Report{Key: k, Inc: sup.Incarnation{Gen: m.Gen, Index: inc}, Kind: kind}
		if len(words) > 2 {
			r.Reason = sup.ExitReason(words[2])
		}
		return r
	}
	switch words[0] {
	case "tick":
		return fsm.Command{Tick: &fsm.Tick{}}, ok, nil
	case "leader":
		w.term++
		return fsm.Command{Establish: &fsm.Establish{Term: w.term, Leader: sup.NodeName(words[1])}}, m.Established(sup.NodeName(words[1]), w.term), nil
	case "register":
		n, session := node()
		behaviors, zone := words[2:], "a"
		if n == "n2" {
			zone = "b"
		}
		if len(behaviors) == 0 {
			behaviors = []string{"exec"}
		}
		r := &fsm.Register{Node: n, ID: "id-" + words[1], Replaces: session, Nonce: 7, Addr: words[1] + ":1",
			Tags: []fsm.Tag{{Key: "zone", Value: zone}}, Behaviors: behaviors, Level: 1}
		return fsm.Command{Register: r}, m.Register(n, zone, behaviors), nil
	case "down":
		n, session := node()
		return fsm.Command{NodeDown: &fsm.NodeDown{Node: n, Session: session, Why: "lease expired"}}, m.NodeDown(n, "lease expired"), nil
	case "leave":
		n, session := node()
		return fsm.Command{Leave: &fsm.Leave{Node: n, Session: session, Paced: len(words) > 2}}, m.Leave(n, len(words) > 2), nil
	case "left":
		n, session := node()
		return fsm.Command{Left: &fsm.Left{Node: n, Session: session}}, m.Left(n), nil
	case "running":
		r := report(fsm.ReportRunning)
		return fsm.Command{Report: r}, m.ReportRunning(r.Key, r.Inc.Index), nil
	case "ended":
		r := report(fsm.ReportEnded)
		return fsm.Command{Report: r}, m.ReportEnded(r.Key, r.Inc.Index, r.Reason), nil
	case "moved":
		r := report(fsm.ReportMoved)
		return fsm.Command{Report: r}, m.ReportMoved(r.Key, r.Inc.Index, r.Reason), nil
	case "initfailed":
		r := report(fsm.ReportInitFailed)
		r.Reason = sup.ExitError
		return fsm.Command{Report: r}, m.ReportInitFailed(r.Key, r.Inc.Index), nil
	case "move":
		r := report(0)
		return fsm.Command{Move: &fsm.Move{Key: r.Key, Inc: r.Inc}}, m.Move(r.Key, r.Inc.Index), nil
	case "drain", "undrain":
		undo := words[0] == "undrain"
		c := request(fsm.Command{Drain: &fsm.Drain{Node: sup.NodeName(words[1]), Undo: undo}})
		return c, m.Drain(c.Request.Key, sup.NodeName(words[1]), undo), nil
	case "again":
		i := 0
		if _, err := fmt.Sscanf(words[1], "k%d", &i); err != nil || i < 1 || i > len(w.asked) {
			return fsm.Command{}, stale, fmt.Errorf("no such request: %s", text)
		}
		c := w.asked[i-1]
		answer := m.ask(c.Request.Key, func() {})
		answer.Key = "" // what comes behind it in the entry tells its outcome as Completed alone
		return c, answer, nil
	case "start":
		sp, err := parseSpec(words[1:])
		c := request(fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: sp, Home: "n1"}})
		return c, m.StartSupervisor(c.Request.Key, sp), err
	case "bump":
		c := fsm.Command{Bump: &fsm.Bump{Gen: m.Gen + 1}}
		return c, m.Bump(), nil
	case "released":
		return fsm.Command{Released: &fsm.Released{Gen: m.Gen}}, m.Released(), nil
	case "apply":
		sp, err := parseSpec(words[1:])
		c := request(fsm.Command{ApplyManifest: &fsm.ApplyManifest{Spec: sp, Home: "n1"}})
		return c, m.Apply(c.Request.Key, sp), err
	case "rebalance":
		limit := fsm.MaxMoves
		if len(words) > 1 {
			limit, _ = strconv.Atoi(words[1])
		}
		moves := w.keeps.PlanRebalance(limit) // as the leader does, on the state before the entry
		if w.first {
			if err := m.sensible(moves, limit); err != nil {
				return fsm.Command{}, stale, err
			}
		}
		c := request(fsm.Command{Rebalance: &fsm.Rebalance{Moves: moves}})
		return c, m.Rebalance(c.Request.Key, moves), nil
	case "stop":
		reason := strings.Join(words[2:], " ")
		c := request(fsm.Command{StopSupervisor: &fsm.StopSupervisor{Name: sup.Name(words[1]), Reason: reason}})
		return c, m.StopSupervisor(c.Request.Key, sup.Name(words[1]), reason), nil
	case "add":
		name := sup.Name(words[1])
		if len(words) == 2 {
			c := request(fsm.Command{StartChild: &fsm.StartChild{Supervisor: name}})
			return c, m.StartSimpleChild(c.Request.Key, name), nil
		}
		spec := parseChild(words[2])
		c := request(fsm.Command{StartChild: &fsm.StartChild{Supervisor: name, Spec: &spec}})
		return c, m.StartChild(c.Request.Key, name, spec), nil
	case "terminate":
		c := request(fsm.Command{TerminateChild: &fsm.TerminateChild{Key: parseKey(words[1])}})
		return c, m.TerminateChild(c.Request.Key, parseKey(words[1])), nil
	case "restart":
		c := request(fsm.Command{RestartChild: &fsm.RestartChild{Key: parseKey(words[1])}})
		return c, m.RestartChild(c.Request.Key, parseKey(words[1])), nil
	}
	return fsm.Command{}, stale, fmt.Errorf("unknown order %q", text)
}

// compare says how the FSM differs from the model after an entry.
func (w *World) compare(a fsm.Applied, answers []Answer) error {
	for _, e := range w.Model.Events {
		w.Met[string(e.Type)]++
		if ch := w.Model.Child(sup.Key{Supervisor: e.Supervisor, Child: e.Child}); ch != nil && ch.isSup() {
			w.Met[strings.TrimSpace("tree "+string(e.Type)+" "+e.Reason)]++
		}
		if e.Type == sup.EventSupervisorStopped && e.Supervisor.Depth() > 1 {
			w.Met[fmt.Sprintf("level %d stopped by %s", e.Supervisor.Depth(), e.Reason)]++
		}
	}
	for i, x := range answers {
		if x.Key != "" {
			answers[i] = w.Model.answer(x.Key) // it may have ended by what came behind it in the entry
		}
	}
	var diffs []string
	differ := func(what string, model, real any) {
		if d := cmp.Diff(model, real); d != "" {
			diffs = append(diffs, fmt.Sprintf("%s (-model +fsm):\n%s", what, d))
		}
	}
	differ("answers", texts(answers, func(x Answer) string { return x.Status + " " + string(x.Code) }),
		texts(a.Results, func(r fsm.Result) string {
			text := []string{"", "ok", "stale", "pending", "refused"}[r.Status] + " "
			if r.Problem != nil {
				text += string(r.Problem.Code)
			}
			return text
		}))
	done := texts(a.Completed, func(c fsm.Completion) string { return c.Key + " " + string(code(c.Outcome)) })
	want := texts(w.Model.Done, func(d Done) string { return d.Key + " " + string(d.Code) })
	slices.Sort(done)
	slices.Sort(want)
	differ("requests that ended", want, done)
	events, _, _ := w.keeps.Events(w.events, 10_000)
	inOrder := texts[sup.Event]
	if slices.ContainsFunc(w.Model.Sups, func(s *Sup) bool { return s.up != nil }) {
		inOrder = w.Model.strands
	}
	differ("events", inOrder(unfixed(w.Model.Events), printEvent), inOrder(unfixed(events), printEvent))
	differ("events after supervisor_stopped (S44)", []string{}, afterTheLast(events, func(n sup.Name) bool {
		h := w.keeps.Supervisor(n) // nil: the name was used anew and that start has failed
		return h == nil || h.Status != sup.StatusStopped
	}))
	differ("supervisors and children", w.Model.Picture(), picture(w.keeps))
	differ("who wants a node", sorted(texts(w.Model.Wanting(), func(c *Child) string { return c.Key().String() })),
		sorted(wanting(w.keeps)))
	if len(diffs) > 0 {
		return errors.New(strings.Join(diffs, "\n"))
	}
	return nil
}

// unfixed brings events into one order where no rule fixes theirs: of the loss of a node, the ends of its children come first.
func unfixed(events []sup.Event) []sup.Event {
	out := slices.Clone(events)
	for i, e := range out {
		if e.Type == sup.EventNodeFailureDetected || e.Type == sup.EventNodeLeft {
			slices.SortStableFunc(out[i+1:], func(a, b sup.Event) int { return rank(a) - rank(b) })
			break
		}
	}
	return out
}

// strands are, for each supervisor, its events and those of the child that it is, in their order, and the losses of nodes
// before or behind them; and the events of nodes. Trees beside each other are up when they are, unless they start in order (S10). Where trees
// are busy in one entry no rule says which of them is first.
func (c *Cluster) strands(events []sup.Event, text func(sup.Event) string) []string {
	out := []string{}
	names := []sup.Name{""}
	for _, e := range events {
		names = append(names, e.Supervisor)
		if e.Child != "" {
			names = append(names, e.Supervisor.Sub(e.Child))
		}
	}
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		up, _ := n.Parent()
		for _, e := range events {
			loss := e.Type == sup.EventNodeFailureDetected || e.Type == sup.EventNodeLeft
			s, tree := c.Sup(n), e.Child != "" && e.Node == "" && e.ToNode == "" && e.Type != sup.EventChildStopped
			own := e.Supervisor == n && (!tree || s != nil && s.inOrder())
			if own || n != "" && loss || e.Supervisor == up.Supervisor && e.Child == "" && n != "" && up.Child != "" || e.Supervisor == up.Supervisor && e.Child == up.Child {
				out = append(out, string(n)+": "+text(e))
			}
		}
	}
	return out
}

func rank(e sup.Event) int {
	if e.Type == sup.EventChildStopped {
		return 0
	}
	return 1
}

// afterTheLast are events of supervisors behind their last supervisor_stopped; used says whether a name was used again.
func afterTheLast(events []sup.Event, used func(sup.Name) bool) []string {
	after := map[sup.Name][]string{}
	stopped := map[sup.Name]bool{}
	var names []sup.Name
	for _, e := range events {
		if e.Type == sup.EventChildStopped { // one that is a supervisor may start again
			stopped[e.Supervisor.Sub(e.Child)] = false
		}
		switch {
		case e.Type == sup.EventSupervisorStopped || e.Type == sup.EventSupervisorStarted:
			stopped[e.Supervisor] = e.Type == sup.EventSupervisorStopped
			after[e.Supervisor] = nil
			names = append(names, e.Supervisor)
		case stopped[e.Supervisor]:
			after[e.Supervisor] = append(after[e.Supervisor], printEvent(e))
		}
	}
	wrong := []string{}
	for _, n := range names {
		if !used(n) {
			wrong = append(wrong, after[n]...)
			after[n] = nil
		}
	}
	return wrong
}

func code(o *fsm.Outcome) sup.Code {
	if o.Problem == nil {
		return ""
	}
	return o.Problem.Code
}

func texts[T any](list []T, text func(T) string) []string {
	out := make([]string, 0, len(list))
	for _, x := range list {
		out = append(out, text(x))
	}
	return out
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

func wanting(s *fsm.State) []string {
	out := []string{}
	for c := range s.Wanting() {
		out = append(out, c.Key.String())
	}
	return out
}
