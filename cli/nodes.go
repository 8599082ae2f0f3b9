package cli

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/cli/client"
	"github.com/supnode/supnode/fsm"
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
				return pairs(c.Out, append([][2]string{
					{"name", string(n.Name)},
					{"status", n.Status},
					{"drained", drained(n)},
					{"role", n.Role},
					{"addr", n.Addr},
					{"children", fmt.Sprint(n.ChildCount)},
					{"lease", lease(n)},
					{"incarnation", fmt.Sprint(n.Incarnation)},
					{"tags", tags(n.Tags)},
					{"behaviors", strings.Join(n.Behaviors, ", ")},
				}, staying(n)...))
			})
		},
	}
	drain := c.changeNode(http.MethodPost, "drain", "Move a node's children off and place none there", func(ans client.Answer) error {
		var n supervisor.NodeInfo
		if err := ans.Into(&n); err != nil {
			return err
		}
		fmt.Fprintf(c.Out, "%s is drained; its children move off: supnode nodes show %s\n", n.Name, n.Name)
		return nil
	})
	undrain := c.changeNode(http.MethodPost, "undrain", "Let a drained node take children again", func(ans client.Answer) error {
		var n supervisor.NodeInfo
		if err := ans.Into(&n); err != nil {
			return err
		}
		fmt.Fprintf(c.Out, "%s is %s and may take children again; what has moved stays: supnode nodes rebalance\n", n.Name, n.Status)
		return nil
	})
	remove := &cobra.Command{
		Use: "remove NODE", Short: "Forget an agent that is down or has left", Args: takes("NODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.show(cmd.Context(), client.Request{Method: http.MethodDelete, Path: []string{"v1", "nodes", args[0]}}, func(client.Answer) error {
				if c.output == "table" {
					fmt.Fprintf(c.Out, "%s is forgotten\n", args[0])
				}
				return nil
			})
		},
	}
	rebalance := c.rebalance()
	c.asks(list, show, drain, undrain, remove, rebalance)
	return group("nodes", "Look at the members, drain them, even out their children", list, show, drain, undrain, remove, rebalance)
}

// changeNode is a command that asks something of one node.
func (c *command) changeNode(method, verb, short string, print func(client.Answer) error) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NODE", Short: short, Args: takes("NODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.show(cmd.Context(), client.Request{Method: method, Path: []string{"v1", "nodes", args[0], verb}}, print)
		},
	}
}

func (c *command) rebalance() *cobra.Command {
	var dry bool
	var limit int
	cmd := &cobra.Command{
		Use: "rebalance", Short: "Even out the children's number over the nodes", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{}
			if dry {
				query.Set("dry_run", "true")
			}
			if err := within("max", limit, 1, fsm.MaxMoves); err != nil {
				return err
			}
			if cmd.Flags().Changed("max") {
				query.Set("max", fmt.Sprint(limit))
			}
			return c.show(cmd.Context(), client.Request{Method: http.MethodPost, Path: []string{"v1", "rebalance"}, Query: query}, func(ans client.Answer) error {
				var l struct{ Moves []supervisor.Move }
				if err := ans.Into(&l); err != nil {
					return err
				}
				if len(l.Moves) == 0 {
					fmt.Fprintln(c.Out, "the children are where their selectors want them, and even: nothing moves")
					return nil
				}
				rows := [][]string{{"CHILD", "FROM", "TO"}}
				for _, m := range l.Moves {
					rows = append(rows, []string{string(m.Supervisor) + "/" + string(m.Child), string(m.From), string(m.To)})
				}
				return table(c.Out, rows)
			})
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would move")
	cmd.Flags().IntVar(&limit, "max", fsm.MaxMoves, "move at most so many")
	return cmd
}

func drained(n supervisor.NodeInfo) string {
	if n.Drained {
		return "yes: it takes no children until it is undrained"
	}
	return ""
}

func staying(n supervisor.NodeInfo) (lines [][2]string) {
	for _, s := range n.Staying {
		lines = append(lines, [2]string{"staying", fmt.Sprintf("%s/%s: %s", s.Supervisor, s.Child, s.Reason)})
	}
	return lines
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
