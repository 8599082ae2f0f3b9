package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/cli/dev"
	"github.com/supnode/supnode/node"
	"github.com/supnode/supnode/supervisor"
)

// Program is what a user's program adds to the supnode command; the zero Program is the stock one.
type Program struct {
	// Name is what the program is called in its help; empty = supnode.
	Name string
	// Behaviors are what its nodes can run, beside commands; nil = none.
	Behaviors *actor.Registry
	// Selectors are its custom selectors; nil = none.
	Selectors *supervisor.Selectors
	// Beside is the program's own part of a node, for instance one that starts supervisors and gives them work: it runs beside
	// every node that the program starts. ctx ends when the node is to leave, and the node leaves once Beside has returned, or
	// its shutdown timeout is over. An error makes the node leave. Nil = nothing.
	Beside func(ctx context.Context, n *node.Node) error
}

// Run runs the command that args name and returns the process's exit status.
func (p Program) Run(ctx context.Context, args []string, std IO) int {
	c := &command{IO: std, program: p}
	root := c.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		complain(std.Err, err)
	}
	return exitStatus(err)
}

// name is how the program is called in its help.
func (p Program) name() string {
	if p.Name == "" {
		return "supnode"
	}
	return filepath.Base(p.Name)
}

// own is the program's own part of a node while it runs.
type own struct {
	cancel context.CancelFunc
	failed chan error    // the error that it returned
	done   chan struct{} // closed when it has returned
}

// begin starts the program's own part of a node.
func (p Program) begin(ctx context.Context, n *node.Node) *own {
	ctx, cancel := context.WithCancel(ctx)
	o := &own{cancel: cancel, failed: make(chan error, 1), done: make(chan struct{})}
	if p.Beside == nil {
		close(o.done)
		return o
	}
	go func() {
		defer close(o.done)
		if err := p.Beside(ctx, n); err != nil && ctx.Err() == nil {
			o.failed <- fmt.Errorf("the program's own part: %w", err)
		}
	}()
	return o
}

// end has it end, and waits for it, no longer than patience and until now.
func (o *own) end(patience time.Duration, now <-chan struct{}, log hclog.Logger) {
	o.cancel()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-o.done:
	case <-now:
	case <-late.C:
		log.Warn("the program's own part does not return", "waited", patience)
	}
}

// calledAs is what a person types to call this program again.
func calledAs(executable, arg0 string) string {
	if !dev.UnderGoRun(executable) {
		return arg0
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "go run ."
	}
	return goRun(info.Path, info.Main.Path)
}

// goRun calls a main package from the root of its module.
func goRun(pkg, module string) string {
	if below, ok := strings.CutPrefix(pkg, module+"/"); ok && module != "" {
		return "go run ./" + below
	}
	return "go run ."
}
