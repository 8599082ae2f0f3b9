package actor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/supnode/supnode/actor"
)

type (
	Task   struct{ ID, Payload string }
	Result struct{ ID, Text string }
	Stats  struct{ Processed, Failed int }
)

// One line per type of message: both sides are checked by the compiler.
var (
	Process  = actor.DefineCall[Task, Result]("pool.process")
	GetStats = actor.DefineCall[struct{}, Stats]("pool.stats")
	Reset    = actor.DefineCast[struct{}]("pool.reset")
)

type PoolArgs struct {
	Prefix string `json:"prefix"`
}

type poolState struct {
	prefix string
	stats  Stats
}

func poolWorker() *actor.Typed[*poolState] {
	worker := actor.New("pool-worker", func(c *actor.Context, args PoolArgs) (*poolState, error) {
		return &poolState{prefix: args.Prefix}, nil
	})
	actor.OnCall(worker, Process, func(c *actor.Context, s *poolState, t Task) (Result, error) {
		if t.Payload == "" {
			s.stats.Failed++
			return Result{}, errors.New("the task is empty")
		}
		s.stats.Processed++
		return Result{t.ID, s.prefix + strings.ToUpper(t.Payload)}, nil
	})
	actor.OnCall(worker, GetStats, func(c *actor.Context, s *poolState, _ struct{}) (Stats, error) { return s.stats, nil })
	actor.OnCast(worker, Reset, func(c *actor.Context, s *poolState, _ struct{}) error { s.stats = Stats{}; return nil })
	actor.OnTerminate(worker, func(c *actor.Context, s *poolState, reason actor.Reason) { s.stats = Stats{} })
	return worker
}

// A behavior with typed handlers. A node makes the System; here it stands alone.
func Example() {
	behaviors := actor.NewRegistry()
	behaviors.Register(poolWorker())

	system := actor.NewSystem(actor.Options{Node: "n1", Registry: behaviors})
	defer system.Close()
	w1 := actor.Key{Supervisor: "pool", Child: "w1"}
	system.Spawn(actor.Spec{Key: w1, Incarnation: 1, Behavior: "pool-worker", Args: actor.Args{json.RawMessage(`{"prefix": "> "}`)}})

	ctx, ref := context.Background(), system.Ref("pool", "w1")
	res, err := Process.Call(ctx, ref, Task{"t1", "hello"})
	fmt.Println(res.Text, err)
	_, err = Process.Call(ctx, ref, Task{"t2", ""})
	fmt.Println(err)
	stats, _ := GetStats.Call(ctx, ref, struct{}{})
	fmt.Printf("%+v\n", stats)
	fmt.Println(Reset.Cast(ctx, ref, struct{}{}))
	raw, _ := system.CallJSON(ctx, ref, actor.Incoming{Type: "pool.stats"})
	fmt.Println(string(raw))
	fmt.Println(behaviors.Has("pool-worker"), behaviors.Names())
	system.Stop(w1, 1, -1)
	fmt.Println(Reset.Cast(ctx, ref, struct{}{}))
	// Output:
	// > HELLO <nil>
	// the task is empty
	// {Processed:1 Failed:1}
	// <nil>
	// {"Processed":0,"Failed":0}
	// true [pool-worker]
	// the child is not running
}

// echo is a behavior of the plain interface: it takes every message.
type echo struct{ told int }

func (e *echo) Init(*actor.Context, actor.Args) error { return nil }

func (e *echo) HandleCall(_ *actor.Context, m actor.Message) (any, error) {
	return fmt.Sprintf("%s %s after %d casts", m.Type(), m.Value, e.told), nil
}

func (e *echo) HandleCast(*actor.Context, actor.Message) error {
	e.told++
	return nil
}

func (e *echo) Terminate(*actor.Context, actor.Reason) {}

func ExamplePlain() {
	behaviors := actor.NewRegistry()
	behaviors.Register(actor.Plain("echo", func() actor.Server { return &echo{} }))
	system := actor.NewSystem(actor.Options{Registry: behaviors})
	defer system.Close()
	system.Spawn(actor.Spec{Key: actor.Key{Supervisor: "s", Child: "e"}, Incarnation: 1, Behavior: "echo"})

	ref := system.Ref("s", "e")
	for range 2 {
		raw, err := system.CallJSON(context.Background(), ref, actor.Incoming{Type: "anything", Value: json.RawMessage(`{"a":1}`)})
		fmt.Println(string(raw), err)
		system.CastJSON(ref, actor.Incoming{Type: "more"})
	}
	// Output:
	// "anything {\"a\":1} after 0 casts" <nil>
	// "anything {\"a\":1} after 1 casts" <nil>
}
