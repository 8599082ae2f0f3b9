// Package supervisor is the vocabulary of supnode (child specs, strategies, events, refusals), the OTP rules as pure
// functions, the selectors that choose nodes, and the Handle that programs hold on a supervisor. It imports the standard
// library alone, and the name of a child for messages. All but the handle knows no clock, no goroutine and no network: time
// comes in as numbers, random draws as arguments. Rules are cited as S1…S45; they are those of docs/supervision.md.
//
//	pool, err := supervisor.Start(ctx, n, supervisor.Options{ // n is a *node.Node
//		Name: "pool", Strategy: supervisor.OneForOne, Selector: supervisor.RoundRobin,
//		Children: []supervisor.ChildSpec{{ID: "w1", Behavior: "pool-worker"}},
//	})
//	ref, err := pool.StartChild(ctx, supervisor.ChildSpec{ID: "w2", Behavior: "pool-worker", Args: supervisor.Args(a)})
//	result, err := Process.Call(ctx, ref, task)               // a message of package actor
//	err = pool.Stop(ctx, supervisor.ReasonShutdown)
//
// A manifest (Spec) is read from JSON, filled in by WithDefaults and checked by Validate. Restart.OnExit says what becomes
// of a child that ended, Intensity.Count whether one more restart is allowed, Strategy.Reach which children it concerns, and
// Choose where it runs. Package fsm runs these rules on the replicated state.
//
// A refusal is a Problem, the same one on every face; errors.As finds in it the type of its code, with the code's fields.
package supervisor
