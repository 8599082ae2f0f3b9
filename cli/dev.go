package cli

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/cli/dev"
)

// maxBasePort leaves room for the admin ports above the node ports.
const maxBasePort = 65535 - 1000 - 5

func (c *command) dev() *cobra.Command {
	o := dev.Options{Out: c.Out}
	cmd := &cobra.Command{
		Use: "dev", Short: "Run a cluster of real processes on this host, to play with", Args: takes(),
		Long: "Start a cluster of separate processes on loopback and a demo supervisor, follow the lifecycle events, and stop\n" +
			"everything on Ctrl-C.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]int{1, 3, 5}, o.Nodes) {
				return usagef("--nodes %d: a cluster has 1, 3 or 5 servers", o.Nodes)
			}
			if o.BasePort < 1 || o.BasePort > maxBasePort {
				return usagef("--base-port %d: choose one from 1 to %d", o.BasePort, maxBasePort)
			}
			var err error
			if o.Executable, err = os.Executable(); err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			o.Command = calledAs(o.Executable, os.Args[0])
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return dev.Run(ctx, o)
		},
	}
	cmd.Flags().IntVar(&o.Nodes, "nodes", 3, "number of nodes: 1, 3 or 5")
	cmd.Flags().StringVar(&o.Dir, "dir", "", "where config files, data and logs go (default a temporary directory, removed at exit)")
	cmd.Flags().IntVar(&o.BasePort, "base-port", 7100, "node ports from here +1, admin ports from here +1001")
	return cmd
}
