package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/admin"
	"github.com/supnode/supnode/cli/client"
)

// DefaultAddr is asked when neither --addr nor SUPNODE_ADDR says otherwise.
const DefaultAddr = client.DefaultAddr

// IO is where a command reads and writes.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
}

// Run runs the command that args name and returns the process's exit status.
func Run(ctx context.Context, args []string, std IO) int { return Program{}.Run(ctx, args, std) }

// command holds what all commands share.
type command struct {
	IO
	program Program
	addrs   []string
	token   string
	output  string
	timeout time.Duration
}

func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:   c.program.name(),
		Short: "OTP-style supervision for a cluster: keeps commands running on exactly one node each",
		Long: "supnode keeps commands running across a cluster of nodes, restarts those that fail, and moves those of a\n" +
			"node that is lost, never two copies at a time.\n\nBegin with: " + c.program.name() + " dev",
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
		Args: unknownCommand,
	}
	root.SetIn(c.In)
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if words := cmd.Flags().Args(); cmd.HasSubCommands() && len(words) > 0 {
			return unknownCommand(cmd, words) // it has no such flag because there is no such command
		}
		return wrongFlag(cmd, err)
	})
	// A command that only has others below it is used with one of them.
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "{{if .Runnable}}\n  {{.UseLine}}", "{{if not .HasAvailableSubCommands}}\n  {{.UseLine}}", 1))
	root.AddCommand(c.start(), c.dev(), c.configGroup(), c.status(), c.nodes(), c.sup(), c.apply(), c.children(), c.events(), c.tls(), c.tokens(), c.node(), c.raft(), c.version())
	root.SuggestionsMinimumDistance = 2
	root.SetHelpCommand(c.help(root))
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			asGroup(cmd)
			for _, shell := range cmd.Commands() {
				shell.Args = takes()
			}
		}
	}
	c.completes(root)
	return root
}

// asks adds the flags of a command that asks a cluster.
func (c *command) asks(cmds ...*cobra.Command) {
	for _, cmd := range cmds {
		cmd.Flags().StringArrayVar(&c.addrs, "addr", nil, "nodes to ask, a `list` that is tried in turn (env SUPNODE_ADDR, default "+DefaultAddr+")")
		cmd.Flags().StringVar(&c.token, "token", "", "bearer token (env SUPNODE_TOKEN)")
		c.prints(cmd)
		if cmd.Flags().Lookup("timeout") == nil { // a call has its own
			cmd.Flags().DurationVar(&c.timeout, "timeout", 0, "how long to wait for a leader (default 10s)")
		}
	}
}

// prints adds the flag of a command that prints for people or for programs.
func (c *command) prints(cmd *cobra.Command) {
	c.output = "table"
	choose(cmd, &c.output, "output", "o", "table or json", "table", "json")
}

// cluster is the client for the nodes that the flags or the environment name.
func (c *command) cluster() (*client.Client, error) {
	if c.timeout < 0 || c.timeout > admin.MaxTimeout {
		return nil, usagef("--timeout %s: write a duration above 0, up to %s", c.timeout, admin.MaxTimeout)
	}
	addrs := []string{DefaultAddr}
	switch env := os.Getenv("SUPNODE_ADDR"); {
	case len(c.addrs) > 0:
		addrs = c.addrs
	case env != "":
		addrs = []string{env}
	}
	token := c.token
	if token == "" {
		token = os.Getenv("SUPNODE_TOKEN")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, usagef("the token has a space, an end of line or a letter beyond ASCII in it; no token has")
	}
	cl, err := client.New(addrs, token)
	if err != nil {
		return nil, usageError{err}
	}
	cl.Timeout = c.timeout
	return cl, nil
}

// show asks and prints: the answer as it came with -o json, else what print makes of it.
func (c *command) show(ctx context.Context, r client.Request, print func(client.Answer) error) error {
	cl, err := c.cluster()
	if err != nil {
		return err
	}
	defer cl.Close()
	ans, err := cl.Do(ctx, r)
	if err != nil {
		return err
	}
	if c.output == "json" && len(ans.Body) > 0 {
		return writeIndented(c.Out, ans.Body)
	}
	return print(ans)
}

// group is a command that only has others below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short}
	g.AddCommand(below...)
	asGroup(g)
	return g
}

func asGroup(g *cobra.Command) {
	g.Args, g.SuggestionsMinimumDistance = unknownCommand, 2
	g.RunE = func(cmd *cobra.Command, _ []string) error {
		return usagef("%s needs one of: %s", cmd.CommandPath(), strings.Join(names(cmd), ", "))
	}
}

// help is the command that shows the help of another.
func (c *command) help(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Help about any command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err == nil && cmd.HasSubCommands() {
				err = unknownCommand(cmd, rest)
			}
			if err != nil {
				return err
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

func names(cmd *cobra.Command) []string {
	var out []string
	for _, b := range cmd.Commands() {
		if b.IsAvailableCommand() {
			out = append(out, b.Name())
		}
	}
	return out
}

// unknownCommand refuses arguments where a command was expected.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	msg := fmt.Sprintf("%s has no command %q", cmd.CommandPath(), args[0])
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		return usagef("%s; did you mean %s?", msg, strings.Join(s, " or "))
	}
	return usagef("%s; it has: %s", msg, strings.Join(names(cmd), ", "))
}

// takes checks that a command gets exactly the arguments that are named, each with something in it: an empty one, like that
// of a variable that is not set, would ask for something else.
func takes(arguments ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(arguments):
			return usagef("%s is missing; usage: %s", arguments[len(args)], cmd.UseLine())
		case len(args) > len(arguments):
			return usagef("%q is one argument too many; usage: %s", args[len(arguments)], cmd.UseLine())
		}
		if i := slices.Index(args, ""); i >= 0 {
			return usagef("%s is empty; usage: %s", arguments[i], cmd.UseLine())
		}
		return nil
	}
}
