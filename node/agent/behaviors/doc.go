// Package behaviors runs the Go behaviors of a program as children: it is the agent's runner over an actor.System, as
// package guardian is the one for commands.
//
//	runner := behaviors.Start(behaviors.Config{Node: "n1", Registry: registry, Clock: clock}, driver.Sink)
//	driver.Use(runner, registry.Names()...)
//
// It keeps A2 for actors: each dispatch and each reply asks whether the node's lease still lives. A handler that does not
// return cannot be killed (S14): it is logged, listed by System.Hanging, and its end is reported only once it returns; at
// the end of a lease the driver's fence ends the process for it (A3).
package behaviors
