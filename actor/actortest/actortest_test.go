package actortest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/actor/actortest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	add    = actor.DefineCall[int, int]("counter.add")
	double = actor.DefineCast[struct{}]("counter.double")
	report = actor.DefineCast[actor.Ref]("counter.report")
	total  = actor.DefineCast[int]("board.total")
	limit  = actor.DefineCall[string, int]("board.limit")
	bust   = actor.DefineCast[string]("counter.bust")
)

// counter counts up to a limit that another child knows.
func counter() actor.Behavior {
	b := actor.New("counter", func(_ *actor.Context, start int) (*int, error) {
		if start < 0 {
			return nil, errors.New("negative")
		}
		return &start, nil
	})
	actor.OnCall(b, add, func(c *actor.Context, n *int, by int) (int, error) {
		most, err := limit.Call(c, c.Ref("boards", "main"), "most")
		if err != nil {
			return 0, err
		}
		*n = min(*n+by, most)
		if *n == most {
			c.Stop(nil)
		}
		return *n, nil
	})
	actor.OnCast(b, double, func(_ *actor.Context, n *int, _ struct{}) error { *n *= 2; return nil })
	actor.OnCast(b, report, func(c *actor.Context, n *int, to actor.Ref) error {
		if err := double.Cast(c, c.Self(), struct{}{}); err != nil {
			return err
		}
		return total.Cast(c, to, *n)
	})
	actor.OnCast(b, bust, func(_ *actor.Context, _ *int, why string) error { panic(why) })
	return b
}

func TestHandlersRunBeforeTheTestGoesOn(t *testing.T) {
	a := actortest.Start(t, counter(), 5)
	a.Answer(func(s actortest.Sent) (any, error) {
		if s.To.Key() != (actor.Key{Supervisor: "boards", Child: "main"}) || s.Value != "most" || !s.Call {
			return nil, fmt.Errorf("unexpected: %+v", s)
		}
		return 100, nil
	})
	if n, err := actortest.Call(a, add, 2); err != nil || n != 7 {
		t.Fatal(n, err)
	}
	if err := actortest.Cast(a, report, actor.RefTo("boards", "main")); err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, m := range a.Sent() {
		types = append(types, fmt.Sprintf("%s %v", m.Type, m.Value))
	}
	if got := strings.Join(types, ", "); got != "board.limit most, board.total 7" {
		t.Errorf("sent: %s", got)
	}
	if n, err := actortest.Call(a, add, 0); err != nil || n != 14 { // it doubled itself
		t.Fatal(n, err)
	}
	if _, over := a.Exit(); over {
		t.Error("it has ended")
	}
	if n, err := actortest.Call(a, add, 1000); err != nil || n != 100 {
		t.Fatal(n, err)
	}
	if e, over := a.Exit(); !over || e.Reason != actor.Normal {
		t.Errorf("%+v %v", e, over)
	}
}

func TestEndsAreSeen(t *testing.T) {
	if _, err := actortest.Init(t, counter(), -1); err == nil || err.Error() != "negative" {
		t.Errorf("init: %v", err)
	}
	a := actortest.Start(t, counter())
	if _, err := actortest.Call(a, add, 1); !errors.Is(err, actor.ErrNoNode) {
		t.Errorf("nobody answers, and the error is %v", err)
	}
	if e := a.Stop(); e.Reason != actor.Shutdown {
		t.Errorf("%+v", e)
	}
	a = actortest.Start(t, counter())
	if err := actortest.Cast(a, bust, "boom"); err != nil {
		t.Fatal(err)
	}
	if e, over := a.Exit(); !over || e.Reason != actor.Error || !strings.Contains(e.Detail, "boom") {
		t.Errorf("%+v %v", e, over)
	}
	if err := actortest.Cast(a, bust, "again"); !errors.Is(err, actor.ErrGone) {
		t.Errorf("a cast to one that has ended: %v", err)
	}
}
