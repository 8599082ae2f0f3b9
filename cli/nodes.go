package cli

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/cli/client"
	"github.com/supnode/supnode/supervisor"
)

func (c *command) nodes() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the members", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.show(cmd.Context(), client.Request{Method: http.MethodGet, Path: []string{"v1", "nodes"}}, func(ans client.Answer) error {
				var l struct{ Nodes []supervisor.NodeInfo }
				if err := ans.Into(&l); err != nil {
					return err
				}
				rows := [][]string{{"NAME", "STATUS", "ROLE", "CHILDREN", "LEASE", "ADDR", "TAGS"}}
				for _, n := range l.Nodes {
					rows = append(rows, []string{string(n.Name), n.Status, n.Role, fmt.Sprint(n.ChildCount), lease(n), n.Addr, tags(n.Tags)})
				}
				return table(c.Out, rows)
			})
		},
	}
	show := &cobra.Command{
		Use: "show NODE", Short: "Show one member", Args: takes("NODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.show(cmd.Context(), client.Request{Method: http.MethodGet, Path: []string{"v1", "nodes", args[0]}}, func(ans client.Answer) error {
				var n supervisor.NodeInfo
				if err := ans.Into(&n); err != nil {
					return err
				}
				return pairs(c.Out, [][2]string{
					{"name", string(n.Name)},
					{"status", n.Status},
					{"role", n.Role},
					{"addr", n.Addr},
					{"children", fmt.Sprint(n.ChildCount)},
					{"lease", lease(n)},
					{"incarnation", fmt.Sprint(n.Incarnation)},
					{"tags", tags(n.Tags)},
					{"behaviors", strings.Join(n.Behaviors, ", ")},
				})
			})
		},
	}
	c.asks(list, show)
	return group("nodes", "Look at the members", list, show)
}

func lease(n supervisor.NodeInfo) string {
	if n.LeaseExpiresIn == nil {
		return ""
	}
	return n.LeaseExpiresIn.Std().Round(10 * time.Millisecond).String()
}

func tags(t map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(t)) {
		out = append(out, k+"="+t[k])
	}
	return strings.Join(out, ",")
}
