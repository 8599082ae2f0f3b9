package actor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/supnode/supnode/actor"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watch keeps what a System tells.
type watch struct {
	mu     sync.Mutex // guards what follows
	cond   *sync.Cond
	events []string
	exits  map[string]actor.Exit
}

func newWatch() *watch {
	w := &watch{exits: map[string]actor.Exit{}}
	w.cond = sync.NewCond(&w.mu)
	return w
}

func (w *watch) add(e string) {
	w.events = append(w.events, e)
	w.cond.Broadcast()
}

func (w *watch) Started(k actor.Key, inc actor.Incarnation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(fmt.Sprintf("started %s %d", k.Child, inc))
}

func (w *watch) Ended(e actor.Exit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what := fmt.Sprintf("ended %s %d %s", e.Key.Child, e.Incarnation, e.Reason)
	if e.InitFailed {
		what += " in init"
	}
	w.exits[fmt.Sprintf("%s %d", e.Key.Child, e.Incarnation)] = e
	w.add(what)
}

func (w *watch) Unhandled(k actor.Key, typ string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(fmt.Sprintf("unhandled %s %s", k.Child, typ))
}

func (w *watch) Hanging(k actor.Key, inc actor.Incarnation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(fmt.Sprintf("hanging %s %d", k.Child, inc))
}

// wait waits until something was told; a test that waits in vain is ended by its own timeout.
func (w *watch) wait(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.has(what) {
		w.cond.Wait()
	}
}

func (w *watch) has(what string) bool {
	for _, e := range w.events {
		if e == what {
			return true
		}
	}
	return false
}

func (w *watch) exit(id string, inc int) actor.Exit {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if e, ok := w.exits[fmt.Sprintf("%s %d", id, inc)]; ok {
			return e
		}
		w.cond.Wait()
	}
}

func (w *watch) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.events...)
}

// The behavior of the tests does what messages tell it.
type doing struct {
	fn func(c *actor.Context, s *state) (int, error)
}

type state struct {
	n    int
	seen map[int]int // nil
}

type settings struct {
	Start int    `json:"start"`
	Fail  string `json:"fail"`
}

// mishap is an error whose Error needs it to be there.
type mishap struct{ what string }

func (m *mishap) Error() string { return m.what }

// fussy can be neither read nor written.
type fussy struct{}

func (fussy) MarshalJSON() ([]byte, error) { panic("write me not") }
func (*fussy) UnmarshalJSON([]byte) error  { panic("read me not") }

var (
	fuss  = actor.DefineCall[fussy, int]("test.fuss")
	show  = actor.DefineCall[bool, any]("test.show") // the state's own map
	do    = actor.DefineCall[doing, int]("test.do")
	add   = actor.DefineCall[int, int]("test.add")
	tell  = actor.DefineCast[doing]("test.tell")
	note  = actor.DefineCast[int]("test.note")
	alien = actor.DefineCall[int, int]("test.alien")
	lost  = actor.DefineCast[int]("test.lost")
)

type rig struct {
	t *testing.T
	*watch
	s    *actor.System
	ends chan actor.Reason // of Terminate
}

func newRig(t *testing.T, change ...func(*actor.Options)) *rig {
	r := &rig{t: t, watch: newWatch(), ends: make(chan actor.Reason, 1000)}
	b := actor.New("worker", func(c *actor.Context, a settings) (*state, error) {
		switch a.Fail {
		case "error":
			return nil, errors.New("no such table")
		case "nil pointer":
			var m *mishap
			return nil, m
		case "stop":
			c.Stop(nil)
		case "panic":
			panic("init went wrong")
		case "hang":
			<-c.Done()
			return nil, c.Err()
		case "late":
			<-c.Done()
		}
		return &state{n: a.Start}, nil
	})
	actor.OnCall(b, do, func(c *actor.Context, s *state, d doing) (int, error) { return d.fn(c, s) })
	actor.OnCall(b, fuss, func(*actor.Context, *state, fussy) (int, error) { return 0, nil })
	actor.OnCall(b, show, func(_ *actor.Context, s *state, good bool) (any, error) {
		if !good {
			return fussy{}, nil
		}
		return s.seen, nil
	})
	actor.OnCall(b, add, func(c *actor.Context, s *state, n int) (int, error) { s.n += n; return s.n, nil })
	actor.OnCast(b, tell, func(c *actor.Context, s *state, d doing) error { _, err := d.fn(c, s); return err })
	actor.OnCast(b, note, func(c *actor.Context, s *state, n int) error { s.n = s.n*10 + n; return nil })
	actor.OnTerminate(b, func(c *actor.Context, s *state, why actor.Reason) { r.ends <- why })
	reg := actor.NewRegistry()
	reg.Register(b)
	o := actor.Options{Node: "n1", Registry: reg, Watch: r.watch}
	for _, f := range change {
		f(&o)
	}
	r.s = actor.NewSystem(o)
	t.Cleanup(r.s.Close)
	return r
}

func key(id string) actor.Key { return actor.Key{Supervisor: "s", Child: id} }

func (r *rig) spec(id string, inc int, args ...any) actor.Spec {
	r.t.Helper()
	sp := actor.Spec{Key: key(id), Incarnation: actor.Incarnation(inc), Behavior: "worker"}
	for _, a := range args {
		raw, err := json.Marshal(a)
		if err != nil {
			r.t.Fatal(err)
		}
		sp.Args = append(sp.Args, raw)
	}
	return sp
}

func (r *rig) spawn(id string, inc int, args ...any) actor.Ref {
	r.t.Helper()
	if err := r.s.Spawn(r.spec(id, inc, args...)); err != nil {
		r.t.Fatal(err)
	}
	r.wait(fmt.Sprintf("started %s %d", id, inc))
	return r.s.Ref("s", id)
}

// run has an actor do something while the test waits.
func (r *rig) run(ref actor.Ref, fn func(c *actor.Context, s *state) (int, error)) (int, error) {
	return do.Call(r.bounded(), ref, doing{fn})
}

func (r *rig) bounded() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	r.t.Cleanup(cancel)
	return ctx
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error %v, want %v", got, want)
	}
}

func goexit() { runtime.Goexit() }
