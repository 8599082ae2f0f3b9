package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

// What the desks of these tests are told.
var (
	deskAdd    = actor.DefineCall[int, int]("desk.add")
	deskEffect = actor.DefineCall[string, string]("desk.effect") // has an effect that the test counts
	deskHold   = actor.DefineCall[string, string]("desk.hold")   // has one too, and then hangs until the test lets go
	deskLong   = actor.DefineCall[int, string]("desk.long")      // answers so many bytes
	deskFail   = actor.DefineCall[string, int]("desk.fail")
	deskPanic  = actor.DefineCall[string, int]("desk.panic")
	deskAsk    = actor.DefineCall[deskRound, int]("desk.ask") // asks the next desk, and that the one after it
	deskNote   = actor.DefineCast[int]("desk.note")
	deskNotes  = actor.DefineCall[struct{}, []int]("desk.notes")
	deskAlien  = actor.DefineCall[int, int]("desk.alien")
)

type deskRound struct {
	Next []actor.Ref `json:"next"`
	N    int         `json:"n"`
}

type desk struct {
	sum   int
	notes []int
}

// office is what all desks of a test share, whatever their nodes.
type office struct {
	mu      sync.Mutex // guards effects
	effects map[string]int
	held    chan string   // a desk holds
	letGo   chan struct{} // closed: all desks let go
}

func newOffice() *office {
	return &office{effects: map[string]int{}, held: make(chan string, 100), letGo: make(chan struct{})}
}

func (o *office) effect(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.effects[id]++
}

func (o *office) count(id string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.effects[id]
}

func (o *office) registry() *actor.Registry {
	b := actor.New("desk", func(*actor.Context, struct{}) (*desk, error) { return &desk{}, nil })
	actor.OnCall(b, deskAdd, func(_ *actor.Context, d *desk, n int) (int, error) { d.sum += n; return d.sum, nil })
	actor.OnCall(b, deskEffect, func(c *actor.Context, _ *desk, id string) (string, error) { o.effect(id); return c.Node(), nil })
	actor.OnCall(b, deskHold, func(c *actor.Context, _ *desk, id string) (string, error) {
		o.effect(id)
		o.held <- id
		select {
		case <-o.letGo:
		case <-c.Done():
		}
		return c.Node(), nil
	})
	actor.OnCall(b, deskLong, func(_ *actor.Context, _ *desk, n int) (string, error) { return strings.Repeat("x", n), nil })
	actor.OnCall(b, deskFail, func(_ *actor.Context, _ *desk, why string) (int, error) { return 0, errors.New(why) })
	actor.OnCall(b, deskPanic, func(_ *actor.Context, _ *desk, why string) (int, error) { panic(why) })
	actor.OnCall(b, deskAsk, func(c *actor.Context, _ *desk, r deskRound) (int, error) {
		if len(r.Next) == 0 {
			return r.N, nil
		}
		return deskAsk.Call(c, r.Next[0], deskRound{r.Next[1:], r.N + 1})
	})
	actor.OnCast(b, deskNote, func(_ *actor.Context, d *desk, n int) error { d.notes = append(d.notes, n); return nil })
	actor.OnCall(b, deskNotes, func(_ *actor.Context, d *desk, _ struct{}) ([]int, error) { return d.notes, nil })
	r := actor.NewRegistry()
	r.Register(b)
	return r
}

func (o *office) cluster(t *testing.T, servers, agents int) *cluster {
	return newCluster(t, servers, agents, func(cfg *node.Config) { cfg.Behaviors = o.registry() })
}

// deskOn is a desk that runs on one node and never elsewhere; on none it may run anywhere.
func deskOn(id string, pin sup.NodeName) sup.ChildSpec {
	spec := sup.ChildSpec{ID: sup.ChildID(id), Behavior: "desk"}
	if pin != "" {
		spec.Selector = sup.OnNode(pin)
	}
	return spec
}

func inPool(id string) sup.Key { return sup.Key{Supervisor: "pool", Child: sup.ChildID(id)} }

func jsonCall(typ, value string) actor.Incoming {
	return actor.Incoming{Type: typ, Value: json.RawMessage(value)}
}

// Every node reaches every actor: with calls, with casts in their order, and with errors that say what is wrong.
func TestMessagesReachActorsOnEveryNode(t *testing.T) {
	o := newOffice()
	c := o.cluster(t, 3, 1)
	c.start("n1", "n2", "n3", "a1")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	start := startSupervisor(deskOn("n1", "n1"), deskOn("n2", "n2"), deskOn("a1", "a1"), sleeper("exec"))
	if _, err := c.nodes["n1"].Do(ctx, start, ""); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for from, n := range c.nodes {
		for _, to := range []string{"n1", "n2", "a1"} {
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) { c.converse(ctx, t, n, to) })
		}
		sum++
		if got, err := n.CallChild(ctx, inPool("n2"), jsonCall("desk.add", "100"), 0, ""); err != nil || string(got) != fmt.Sprint(sum*100+sum) {
			t.Errorf("%s: %s %v", from, got, err)
		}
		if err := deskNote.Cast(ctx, n.Ref("pool", "exec"), 1); !errors.Is(err, actor.ErrNotActor) {
			t.Errorf("%s: a cast to a command: %v", from, err)
		}
		if _, err := n.CallChild(ctx, inPool("exec"), jsonCall("x", "1"), 0, ""); code(err) != sup.CodeNotAnActor {
			t.Errorf("%s: a call to a command: %v", from, err)
		}
		if _, err := deskAdd.Call(ctx, n.Ref("pool", "nobody"), 1); !errors.Is(err, actor.ErrGone) {
			t.Errorf("%s: a call to nobody: %v", from, err)
		}
		if _, err := n.CallChild(ctx, inPool("nobody"), jsonCall("x", "1"), 0, ""); code(err) != sup.CodeChildNotFound {
			t.Errorf("%s: a call to nobody: %v", from, err)
		}
		if err := n.CastChild(ctx, sup.Key{Supervisor: "none", Child: "x"}, jsonCall("x", "1"), ""); code(err) != sup.CodeSupervisorNotFound {
			t.Errorf("%s: a cast to no supervisor: %v", from, err)
		}
	}
}

// converse talks from one node to a desk.
func (c *cluster) converse(ctx context.Context, t *testing.T, n *node.Node, to string) {
	ref := n.Ref("pool", sup.ChildID(to))
	if _, err := deskAdd.Call(ctx, ref, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := deskFail.Call(ctx, ref, "no paper"); err == nil || !strings.Contains(err.Error(), "no paper") {
		t.Errorf("the handler's error: %v", err)
	}
	_, err := n.CallChild(ctx, inPool(to), jsonCall("desk.fail", `"no ink"`), 0, "")
	if code(err) != sup.CodeCallFailed || !strings.Contains(err.Error(), "no ink") {
		t.Errorf("the handler's error as JSON: %v", err)
	}
	var wrong *actor.MessageError
	if _, err := deskAlien.Call(ctx, ref, 1); !errors.Is(err, actor.ErrUnhandled) || !errors.As(err, &wrong) || wrong.Node != to || wrong.Type != "desk.alien" {
		t.Errorf("an unknown type: %v", err)
	}
	for in, words := range map[[2]string][]string{
		{"desk.alien", "1"}:            {"type", "desk.alien", to},
		{"desk.add", `"x"`}:            {"value", "desk.add", "the value is a JSON string, and a Go int is wanted"},
		{"desk.ask", `{"n": "x"}`}:     {"value", "n is a JSON string, and a Go int is wanted"},
		{"desk.ask", `{"m": 1}`}:       {"value", `unknown field "m"`},
		{"desk.note", `1`}:             {"type", "as a call: it is a cast"},
		{"desk with a blank", `1`}:     {"the name of the type is bad"},
		{"desk.ask", `{"next": [{}]}`}: nil, // a ref that names nobody
	} {
		_, err := n.CallChild(ctx, inPool(to), jsonCall(in[0], in[1]), 0, "")
		var p *sup.Problem
		if words == nil {
			if code(err) != sup.CodeCallFailed {
				t.Errorf("%q: %v", in, err)
			}
			continue
		}
		if !errors.As(err, &p) || p.Code != sup.CodeInvalidSpec || len(p.Errors) != 1 {
			t.Errorf("%q: %v", in, err)
			continue
		}
		for _, w := range words {
			if !strings.Contains(p.Detail, w) {
				t.Errorf("%q: %s, without %q", in, p.Detail, w)
			}
		}
	}
	before, err := deskNotes.Call(ctx, ref, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	var want []int
	for i := range 500 { // S42, with calls among the casts
		if err := deskNote.Cast(ctx, ref, i); err != nil {
			t.Fatal(err)
		}
		want = append(want, i)
		if i%100 == 7 {
			if notes, err := deskNotes.Call(ctx, ref, struct{}{}); err != nil || !slices.Equal(notes[len(before):], want) {
				t.Fatalf("after %d casts: %v %v", i+1, notes[min(len(before), len(notes)):], err)
			}
		}
	}
	if notes, err := deskNotes.Call(ctx, ref, struct{}{}); err != nil || !slices.Equal(notes[len(before):], want) {
		t.Fatalf("%v %v", notes, err)
	}
	if err := n.CastChild(ctx, inPool(to), jsonCall("desk.note", "1"), ""); err != nil {
		t.Error(err)
	}
	// A round of calls over all desks, and one that comes back to a desk that waits.
	round := deskRound{Next: []actor.Ref{actor.RefTo("pool", "n1"), actor.RefTo("pool", "n2"), actor.RefTo("pool", "a1")}}
	first := round.Next[0]
	round.Next = slices.DeleteFunc(round.Next, func(r actor.Ref) bool { return r.Key().Child == to })
	if n, err := deskAsk.Call(ctx, ref, round); err != nil || n != 2 {
		t.Errorf("a round: %d %v", n, err)
	}
	began := time.Now()
	round.Next = append(round.Next, actor.RefTo("pool", to))
	if _, err := deskAsk.Call(ctx, ref, round); err == nil || !strings.Contains(err.Error(), actor.ErrDeadlock.Error()) || time.Since(began) > 3*time.Second {
		t.Errorf("a round that bites its tail (from %s): %v after %s", first, err, time.Since(began))
	}
}

// A panic is named to the caller on another node, and its stack is on record.
func TestAPanicOnAnotherNodeIsNamed(t *testing.T) {
	c := newOffice().cluster(t, 3, 0)
	c.start("n1", "n2", "n3")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	if _, err := c.nodes["n1"].Do(ctx, startSupervisor(deskOn("w", "n2")), ""); err != nil {
		t.Fatal(err)
	}
	for i, from := range []sup.NodeName{"n1", "n2"} {
		var p *actor.PanicError
		if _, err := deskPanic.Call(ctx, c.nodes[from].Ref("pool", "w"), "out of cheese"); !errors.As(err, &p) || p.Value != "out of cheese" || !strings.Contains(p.Stack, "messages_test.go") {
			t.Errorf("from %s: %v", from, err)
		}
		await.True(t, "the restart", func() bool {
			ch := c.child("w")
			return ch.RestartCount == uint64(i+1) && ch.Status == sup.StatusRunning
		})
		if exit := c.child("w").LastExit; exit.Reason != sup.ExitError || !strings.Contains(exit.Detail, "panic at desk.panic: out of cheese\n") {
			t.Errorf("last exit %+v", exit)
		}
	}
	_, err := c.nodes["n3"].CallChild(ctx, inPool("w"), jsonCall("desk.panic", `"again"`), 0, "")
	if code(err) != sup.CodeCallFailed || !strings.Contains(err.Error(), "child pool/w panicked at desk.panic: again") {
		t.Errorf("over the API: %v", err)
	}
}

// A call waits within its deadline for the child to run, wherever that will be; a cast does not.
func TestRule_S40_ACallWaitsForItsChild(t *testing.T) {
	c := newOffice().cluster(t, 3, 1)
	c.start("n1", "n2", "n3", "a1")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	if _, err := c.nodes["n1"].Do(ctx, startSupervisor(deskOn("w", "a1")), ""); err != nil {
		t.Fatal(err)
	}
	stale := c.nodes["n2"].Ref("pool", "w")
	pinned := stale.PinnedTo(actor.Incarnation(c.child("w").Incarnation))
	if _, err := deskAdd.Call(ctx, pinned, 1); err != nil {
		t.Error(err)
	}
	c.stop("a1")
	await.True(t, "the child waits for its node", func() bool { return c.child("w").Status == sup.StatusPending })
	for _, from := range []sup.NodeName{"n1", "n2"} {
		n := c.nodes[from]
		began := time.Now()
		_, err := n.CallChild(ctx, inPool("w"), jsonCall("desk.add", "1"), 300*time.Millisecond, "")
		if took := time.Since(began); code(err) != sup.CodeCallTimeout || !strings.Contains(err.Error(), "the child is pending (no_available_node") || took < 300*time.Millisecond || took > 3*time.Second {
			t.Errorf("%s: after %s: %v", from, took, err)
		}
		if err := n.CastChild(ctx, inPool("w"), jsonCall("desk.note", "1"), ""); code(err) != sup.CodeCallFailed || !strings.Contains(err.Error(), "is not running") {
			t.Errorf("%s: a cast: %v", from, err)
		}
		if err := deskNote.Cast(ctx, n.Ref("pool", "w"), 1); !errors.Is(err, actor.ErrGone) {
			t.Errorf("%s: a cast: %v", from, err)
		}
		if _, err := deskAdd.Call(ctx, n.Actors().Bind(pinned), 1); !errors.Is(err, actor.ErrStale) {
			t.Errorf("%s: a call to an incarnation that is over: %v", from, err)
		}
	}
	answers := make(chan error, 2)
	go func() { _, err := deskAdd.Call(ctx, stale, 1); answers <- err }()
	n1 := c.nodes["n1"]
	go func() {
		_, err := n1.CallChild(ctx, inPool("w"), jsonCall("desk.add", "1"), 30*time.Second, "")
		answers <- err
	}()
	c.start("a1")
	for range 2 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	// The node of the child waits for it just so: also for one that will run elsewhere.
	if _, err := c.nodes["n1"].Do(ctx, fsm.Command{TerminateChild: &fsm.TerminateChild{Key: inPool("w")}}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := deskAdd.Call(ctx, c.nodes["a1"].Ref("pool", "w"), 1); !errors.Is(err, actor.ErrGone) {
		t.Errorf("a call to a child that was removed: %v", err)
	}
}

// The node of a child is lost while it works on a call: the outcome is unknown, and the call is not repeated.
func TestRule_S41_TheOutcomeOfACallToALostNodeIsUnknown(t *testing.T) {
	o := newOffice()
	c := o.cluster(t, 3, 1)
	c.start("n1", "n2", "n3", "a1")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	w := deskOn("w", "")
	w.Selector = &sup.Selector{Kind: sup.SelectNode, Node: "a1", Fallback: sup.SelectRoundRobin}
	if _, err := c.nodes["n1"].Do(ctx, startSupervisor(w), ""); err != nil {
		t.Fatal(err)
	}
	answers := make(chan error, 3)
	for _, from := range []sup.NodeName{"n1", "n2", "n3"} {
		n := c.nodes[from]
		go func() {
			if from == "n3" {
				_, err := n.CallChild(ctx, inPool("w"), jsonCall("desk.hold", `"n3"`), 30*time.Second, "")
				if code(err) == sup.CodeOutcomeUnknown {
					err = actor.ErrOutcomeUnknown
				}
				answers <- err
				return
			}
			_, err := deskHold.Call(ctx, n.Ref("pool", "w"), string(from))
			answers <- err
		}()
	}
	first := <-o.held // the others wait in the mailbox
	c.stop("a1")
	unknown, answered := 0, 0
	close(o.letGo)
	for range 3 {
		switch err := <-answers; {
		case errors.Is(err, actor.ErrOutcomeUnknown):
			unknown++
		case err == nil:
			answered++
		default:
			t.Error(err)
		}
	}
	if unknown == 0 {
		t.Errorf("%d unknown, %d answered", unknown, answered)
	}
	for _, id := range []string{"n1", "n2", "n3"} {
		if n := o.count(id); n > 1 || (id == first && n != 1) {
			t.Errorf("the call of %s was carried out %d times", id, n)
		}
	}
	if at, err := deskEffect.Call(ctx, c.nodes["n1"].Ref("pool", "w"), "after"); err != nil || at == "a1" {
		t.Errorf("afterwards: %s %v", at, err)
	}
}

// Whatever befalls the nodes of its child, a call has its effect at most once, and exactly once when it was answered.
func TestRule_S41_NoCallIsCarriedOutTwice(t *testing.T) {
	o := newOffice()
	c := o.cluster(t, 3, 1)
	c.start("n1", "n2", "n3", "a1")
	c.ready()
	ctx := bounded(t, 90*time.Second)
	start := startSupervisor(deskOn("w", ""), deskOn("v", ""))
	start.StartSupervisor.Spec.Intensity.MaxRestarts = 1000
	for i := range start.StartSupervisor.Spec.Children { // at home on the agent as long as there is one
		start.StartSupervisor.Spec.Children[i].Selector = &sup.Selector{Kind: sup.SelectNode, Node: "a1", Fallback: sup.SelectLeastLoaded}
	}
	if _, err := c.nodes["n1"].Do(ctx, start, ""); err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		id  string
		err error
	}
	var mu sync.Mutex // guards all
	var all []outcome
	over := make(chan struct{})
	var callers sync.WaitGroup
	for i := range 6 {
		n, child := c.nodes[sup.NodeName(fmt.Sprintf("n%d", i%3+1))], sup.ChildID([]string{"v", "w"}[i%2])
		callers.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-over:
					return
				default:
				}
				id := fmt.Sprintf("%d/%d", i, k)
				call, cancel := context.WithTimeout(ctx, 5*time.Second)
				_, err := deskEffect.Call(call, n.Ref("pool", child), id)
				cancel()
				mu.Lock()
				all = append(all, outcome{id, err})
				mu.Unlock()
			}
		})
	}
	enough := func(n int) bool {
		mu.Lock()
		defer mu.Unlock()
		return len(all) >= n
	}
	for round := range 3 {
		await.True(t, "calls", func() bool { return enough(200 * (round + 1)) })
		c.stop("a1")
		await.True(t, "the children elsewhere", func() bool { return c.child("w").Node != "a1" && c.child("w").Status == sup.StatusRunning })
		c.start("a1")
		await.True(t, "its lease", func() bool { return c.nodes["a1"].Ready().Ready })
		for _, id := range []string{"v", "w"} { // back home
			if _, err := c.nodes["n1"].Do(ctx, fsm.Command{RestartChild: &fsm.RestartChild{Key: inPool(id)}}, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(over)
	callers.Wait()
	answered, unknown := 0, 0
	for _, out := range all {
		n := o.count(out.id)
		switch {
		case n > 1:
			t.Errorf("%s was carried out %d times", out.id, n)
		case out.err == nil && n != 1:
			t.Errorf("%s was answered and carried out %d times", out.id, n)
		case out.err == nil:
			answered++
		case errors.Is(out.err, actor.ErrOutcomeUnknown) || errors.Is(out.err, actor.ErrTimeout):
			unknown++
		default:
			t.Errorf("%s: %v", out.id, out.err)
		}
	}
	t.Logf("%d answered, %d with an unknown outcome", answered, unknown)
	if answered < 200 {
		t.Error("hardly a call was answered")
	}
}
