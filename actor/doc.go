// Package actor is the programmer's side of supnode: behaviors that supervisors run as children, typed messages to them,
// and refs that name a child wherever it runs.
//
//	var Process = actor.DefineCall[Task, Result]("pool.process")
//	var Reset = actor.DefineCast[struct{}]("pool.reset")
//
//	worker := actor.New("pool-worker", func(c *actor.Context, args Args) (*state, error) { … })
//	actor.OnCall(worker, Process, func(c *actor.Context, s *state, t Task) (Result, error) { … })
//	actor.OnCast(worker, Reset, func(c *actor.Context, s *state, _ struct{}) error { … })
//
//	behaviors := actor.NewRegistry()
//	behaviors.Register(worker)
//
//	res, err := Process.Call(ctx, ref, Task{…})
//
// # What it keeps
//
//   - An incarnation handles one message at a time, and none before its init has returned, after it was asked to stop, or
//     while its node's lease is over (A2).
//   - Nothing is dropped silently: a call ends with an answer or an error, a cast is queued or refused, and casts that an
//     ending incarnation did not take are counted.
//   - A call is carried out at most once (S41). One that reached no handler is tried again with the next incarnation.
//   - An actor at rest has no goroutine and no buffer.
//
// # Values
//
// Between nodes messages and answers travel as JSON, 8 MiB at most; on one node the Go value itself is handed over. So nobody
// changes what a value points to once it is sent, and what depends on unexported fields or on the type in an interface works
// on one node alone. An answer to another node is written before the next message is handled: it may be the actor's own state.
//
// # Work beside a handler
//
// What takes long is left to a goroutine or a timer, which tells the actor with a cast to Context.Self, under a context of its
// own: time.AfterFunc(d, func() { Tick.Cast(context.Background(), self, x) }). Pinned to c.Incarnation() the cast reaches this
// incarnation or none.
//
// # What Go cannot do
//
// A handler that does not return cannot be ended from outside (S14): its context is done, no message reaches it, its refs
// do not find it, but the child counts as ended only once the handler has returned. Handlers that may take long watch their
// Context.
//
// # What it does not know
//
// There is no cluster here. A System runs the actors of one node; whoever makes it says when actors may run (Options.Open),
// listens to what starts and ends (Options.Watch), and carries messages to other nodes (Options.Router).
package actor
