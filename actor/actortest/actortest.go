// Package actortest runs one incarnation of a behavior for a test, without a cluster: each message is handled before the
// function that sends it returns, and what the handlers send to others is captured.
//
//	a := actortest.Start(t, worker, Args{Size: 3})
//	res, err := actortest.Call(a, Process, Task{ID: "t1"})
//	for _, m := range a.Sent() { … }
//
// For a behavior that looks at the clock, run the test in a bubble of package testing/synctest.
package actortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/supnode/supnode/actor"
)

// The name of the child under test, and its node.
const (
	Supervisor = "test"
	Child      = "actor"
	Node       = "test-node"
)

// Sent is a message that a handler sent to another child.
type Sent struct {
	To    actor.Ref
	Type  string
	Value any
	Call  bool
}

// Actor is the incarnation under test. Its functions are for one goroutine.
type Actor struct {
	t       testing.TB
	system  *actor.System
	ref     actor.Ref
	started chan struct{}
	over    chan struct{} // closed when exit is set
	exit    actor.Exit

	mu     sync.Mutex // guards what follows
	sent   []Sent
	answer func(Sent) (any, error)
}

// Start runs the init of a behavior with args, of which each becomes JSON as in a child spec. The test ends when the init
// fails. The incarnation ends with the test.
func Start(t testing.TB, b actor.Behavior, args ...any) *Actor {
	t.Helper()
	a, err := Init(t, b, args...)
	if err != nil {
		t.Fatalf("the init of behavior %q failed: %s", b.Name(), err)
	}
	return a
}

// Init is Start for inits that may fail.
func Init(t testing.TB, b actor.Behavior, args ...any) (*Actor, error) {
	t.Helper()
	a := &Actor{t: t, started: make(chan struct{}), over: make(chan struct{})}
	registry := actor.NewRegistry()
	registry.Register(watched{b})
	a.system = actor.NewSystem(actor.Options{Node: Node, Registry: registry, Watch: watch{a}, Router: router{a}, CallTimeout: -1})
	t.Cleanup(a.system.Close)
	a.ref = a.system.Ref(Supervisor, Child)
	spec := actor.Spec{Key: a.ref.Key(), Incarnation: 1, Behavior: b.Name()}
	for i, v := range args {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("args[%d] has no JSON form: %w", i, err)
		}
		spec.Args = append(spec.Args, raw)
	}
	if err := a.system.Spawn(spec); err != nil {
		return nil, err
	}
	select {
	case <-a.started:
		return a, nil
	case <-a.over:
		return nil, errors.New(a.exit.Detail)
	}
}

// Ref is the ref of the child under test.
func (a *Actor) Ref() actor.Ref { return a.ref }

// Call has the actor handle a call and returns its answer. When it returns, an incarnation that ends because of it has
// ended.
func Call[Q, R any](a *Actor, m actor.CallMessage[Q, R], q Q) (R, error) {
	a.t.Helper()
	ctx, done := a.while()
	defer done()
	r, err := m.Call(ctx, a.ref, q)
	a.settle(1)
	return r, err
}

// Cast has the actor handle a cast. When it returns, an incarnation that ends because of it has ended.
func Cast[Q any](a *Actor, m actor.CastMessage[Q], q Q) error {
	a.t.Helper()
	if err := m.Cast(context.Background(), a.ref, q); err != nil {
		return err
	}
	a.settle(2)
	return nil
}

// settled is a call that comes after all messages that were sent before it.
var settled = actor.DefineCall[struct{}, struct{}]("actortest.settled")

// settle waits until what is in the mailbox is handled, so many times: what handlers send to their own actor comes later.
func (a *Actor) settle(times int) {
	ctx, done := a.while()
	defer done()
	for range times {
		settled.Call(ctx, a.ref, struct{}{})
	}
}

// while is a context that is done once the incarnation has ended: no other one comes after it.
func (a *Actor) while() (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-a.over:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel()
		watching.Wait()
	}
}

// Sent returns what the handlers have sent to other children since the last time, in order. What an actor sends to itself
// it handles, before the next message of the test.
func (a *Actor) Sent() []Sent {
	a.mu.Lock()
	defer a.mu.Unlock()
	sent := slices.Clone(a.sent)
	a.sent = nil
	return sent
}

// Answer says what calls of the handlers to other children are answered with; without it they fail with actor.ErrNoNode.
// The answer is of the type that the caller expects.
func (a *Actor) Answer(f func(Sent) (any, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = f
}

// Stop asks the actor to stop, as its supervisor would, and returns its end.
func (a *Actor) Stop() actor.Exit {
	a.system.Stop(a.ref.Key(), 1, -1)
	<-a.over
	return a.exit
}

// Exit returns the end of the incarnation; false while it runs.
func (a *Actor) Exit() (actor.Exit, bool) {
	select {
	case <-a.over:
		return a.exit, true
	default:
		return actor.Exit{}, false
	}
}

// watched is the behavior under test, which also says when it has settled.
type watched struct{ actor.Behavior }

func (w watched) New() actor.Server { return &server{w.Behavior.New()} }

type server struct{ actor.Server }

func (s *server) HandleCall(c *actor.Context, m actor.Message) (any, error) {
	if m.Type() == settled.Name() {
		return struct{}{}, nil
	}
	return s.Server.HandleCall(c, m)
}

type watch struct{ a *Actor }

func (w watch) Started(actor.Key, actor.Incarnation) { close(w.a.started) }

func (w watch) Ended(e actor.Exit) {
	w.a.exit = e
	close(w.a.over)
}

func (w watch) Unhandled(actor.Key, string) {}

func (w watch) Hanging(k actor.Key, _ actor.Incarnation) {
	w.a.t.Logf("%s hangs: its code does not return", k)
}

// router captures what goes to other children.
type router struct{ a *Actor }

func (r router) Cast(_ context.Context, to actor.Ref, m actor.Message) error {
	if to.Key() == r.a.ref.Key() {
		return actor.ErrHere
	}
	r.a.mu.Lock()
	defer r.a.mu.Unlock()
	r.a.sent = append(r.a.sent, Sent{To: to, Type: m.Type(), Value: m.Value})
	return nil
}

func (r router) Call(ctx context.Context, to actor.Ref, m actor.Message, _ []actor.Hop, reply any) error {
	if to.Key() == r.a.ref.Key() { // it has ended, and nothing starts it again
		<-ctx.Done()
		return ctx.Err()
	}
	s := Sent{To: to, Type: m.Type(), Value: m.Value, Call: true}
	r.a.mu.Lock()
	r.a.sent = append(r.a.sent, s)
	answer := r.a.answer
	r.a.mu.Unlock()
	if answer == nil {
		return actor.ErrNoNode
	}
	v, err := answer(s)
	if err != nil {
		return err
	}
	into := reflect.ValueOf(reply).Elem()
	if v == nil {
		into.SetZero()
		return nil
	}
	if t := reflect.TypeOf(v); !t.AssignableTo(into.Type()) {
		return fmt.Errorf("the test answers %s with a %s, and a %s is expected", m.Type(), t, into.Type())
	}
	into.Set(reflect.ValueOf(v))
	return nil
}
