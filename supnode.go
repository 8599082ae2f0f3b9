package supnode

import (
	"context"
	"os"

	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/cli"
	"github.com/supnode/supnode/node/agent/guardian"
)

// Program is what a program adds to the supnode command: behaviors, and a part of its own that runs beside its nodes.
type Program = cli.Program

// Main makes a program a full supnode whose nodes can run these behaviors: its command line is supnode's (start, dev, sup,
// children, …). It ends the process with the exit status: 0 done, 1 the cluster said no, 2 wrong usage. It must be the first
// thing that main does: the same program is also started as the guardian that keeps a node's commands.
func Main(behaviors ...actor.Behavior) {
	registry := actor.NewRegistry()
	registry.Register(behaviors...)
	MainWith(Program{Behaviors: registry})
}

// MainWith is Main for a program that has more than behaviors.
func MainWith(p Program) {
	Guard()
	if p.Name == "" {
		p.Name = os.Args[0]
	}
	os.Exit(p.Run(context.Background(), os.Args[1:], cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}

// Guard is for programs that start nodes themselves, with node.Start, and let them run commands: it must be the first thing
// that main does. When the program was started as a node's guardian it is that, and does not return. Main calls it.
func Guard() { guardian.RunIfGuardian() }
