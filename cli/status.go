package cli

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/cli/client"
	"github.com/supnode/supnode/node"
)

func (c *command) status() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Show a node's view of the cluster", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.show(cmd.Context(), client.Request{Method: http.MethodGet, Path: []string{"v1", "status"}}, c.printStatus)
		},
	}
	c.asks(cmd)
	return cmd
}

func (c *command) printStatus(ans client.Answer) error {
	var s node.Status
	if err := ans.Into(&s); err != nil {
		return err
	}
	leader, log := "none is known", fmt.Sprintf("committed %d, applied %d", s.CommitIndex, s.AppliedIndex)
	switch {
	case s.Leader == "":
	case s.Role == "agent": // it has no log
		leader, log = string(s.Leader), ""
	default:
		leader = fmt.Sprintf("%s, term %d", s.Leader, s.Term)
	}
	var servers []string
	for _, v := range s.Servers {
		servers = append(servers, fmt.Sprintf("%s at %s", v.Name, v.Addr))
	}
	return pairs(c.Out, [][2]string{
		{"node", fmt.Sprintf("%s (%s)", s.Node, s.Role)},
		{"leader", leader},
		{"log", log},
		{"servers", strings.Join(servers, ", ")},
		{"version", s.Version},
	})
}
