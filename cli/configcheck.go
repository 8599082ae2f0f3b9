package cli

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/cli/config"
)

func (c *command) configGroup() *cobra.Command {
	check := &cobra.Command{
		Use: "check FILE", Short: "Check a config file and start nothing", Args: takes("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := loadConfig(args[0])
			if err != nil {
				return err
			}
			for _, w := range cfg.Warnings {
				fmt.Fprintf(c.Err, "%s: warning: %s\n", args[0], w)
			}
			_, err = fmt.Fprintf(c.Out, "%s is right: %s\n", args[0], describe(cfg))
			return err
		},
	}
	return group("config", "Check config files", check)
}

// loadConfig reads a config file; one that can't be read is a usage error too.
func loadConfig(name string) (*config.Config, error) {
	cfg, err := config.Load(name)
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return nil, usageError{err}
	}
	return cfg, err
}

// describe says in a line what a config starts.
func describe(cfg *config.Config) string {
	n := cfg.Node
	role := fmt.Sprintf("an agent of %d servers", len(n.Servers))
	for i, s := range n.Servers {
		if s.Name == n.Name {
			role = fmt.Sprintf("server %d of %d", i+1, len(n.Servers))
		}
	}
	return fmt.Sprintf("node %s, %s; data in %s, node port %s, admin %s", n.Name, role, n.DataDir,
		n.RPC.Listen, cfg.Admin.URL())
}
