// Package supnode is the front door: Main makes a program a full supnode, with its command line, its nodes and its guardian.
//
//	func main() { supnode.Main() }
package supnode

import (
	"context"
	"os"

	"github.com/supnode/supnode/cli"
	"github.com/supnode/supnode/node/agent/guardian"
)

// Main runs the supnode command with the program's arguments and ends the process with its exit status: 0 done, 1 the
// cluster said no, 2 wrong usage. It must be the first thing that main does: the same program is also started as the
// guardian that keeps a node's commands.
func Main() {
	guardian.RunIfGuardian()
	os.Exit(cli.Run(context.Background(), os.Args[1:], cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
