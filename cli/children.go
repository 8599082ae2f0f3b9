package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/cli/client"
	"github.com/supnode/supnode/supervisor"
)

func (c *command) children() *cobra.Command {
	show := &cobra.Command{
		Use: "show SUP CHILD", Short: "Show one child", Args: takes("SUP", "CHILD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.show(cmd.Context(), client.Request{Method: http.MethodGet, Path: childPath(args[0], args[1])}, c.printChild)
		},
	}
	terminate := &cobra.Command{
		Use: "terminate SUP CHILD", Short: "Stop a child and remove it", Args: takes("SUP", "CHILD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.show(cmd.Context(), client.Request{Method: http.MethodDelete, Path: childPath(args[0], args[1])}, func(client.Answer) error {
				if c.output == "table" {
					fmt.Fprintf(c.Out, "%s/%s is terminated\n", args[0], args[1])
				}
				return nil
			})
		},
	}
	restart := &cobra.Command{
		Use: "restart SUP CHILD", Short: "Restart a child by hand, uncounted", Args: takes("SUP", "CHILD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.show(cmd.Context(), client.Request{Method: http.MethodPost, Path: append(childPath(args[0], args[1]), "restart")}, c.printChild)
		},
	}
	list, start, logs := c.listChildren(), c.startChild(), c.logs()
	call, cast := c.callChild(), c.castToChild()
	c.asks(list, show, start, terminate, restart, call, cast, logs)
	return group("children", "Start, stop, ask and look at children", list, show, start, terminate, restart, call, cast, logs)
}

func childPath(sup, child string) []string {
	return []string{"v1", "supervisors", sup, "children", child}
}

type childPage struct {
	Children []json.RawMessage `json:"children"`
	Next     string            `json:"next"`
}

func (c *command) listChildren() *cobra.Command {
	var node, status string
	cmd := &cobra.Command{
		Use: "list SUP", Short: "List a supervisor's children, in start order", Args: takes("SUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			for k, v := range map[string]string{"node": node, "status": status} {
				if v != "" {
					query.Set(k, v)
				}
			}
			return c.printChildren(cmd, args[0], query)
		},
	}
	cmd.Flags().StringVar(&node, "node", "", "only children on this node")
	states := []string{"pending", "starting", "running", "stopping", "restarting", "backoff", "exited"}
	choose(cmd, &status, "status", "", "only children that are "+oneOf(states), states...)
	return cmd
}

// printChildren follows the pages to the end.
func (c *command) printChildren(cmd *cobra.Command, sup string, query url.Values) error {
	cl, err := c.cluster()
	if err != nil {
		return err
	}
	defer cl.Close()
	all := childPage{Children: []json.RawMessage{}}
	for {
		var page childPage
		if err := cl.Get(cmd.Context(), &page, query, "v1", "supervisors", sup, "children"); err != nil {
			return err
		}
		all.Children = append(all.Children, page.Children...)
		if page.Next == "" {
			break
		}
		query.Set("after", page.Next)
	}
	if c.output == "json" {
		body, err := json.Marshal(all)
		if err != nil {
			return err
		}
		return writeIndented(c.Out, body)
	}
	rows := [][]string{{"ID", "STATUS", "NODE", "INCARNATION", "RESTARTS", "RESTART", "LAST EXIT, OR WHY PENDING"}}
	for _, raw := range all.Children {
		var ch supervisor.ChildInfo
		if err := json.Unmarshal(raw, &ch); err != nil {
			return fmt.Errorf("understand the answer: %w", err)
		}
		rows = append(rows, []string{string(ch.ID), string(ch.Status), string(ch.Node), token(ch), fmt.Sprint(ch.RestartCount),
			string(ch.Restart), orElse(orElse(ch.PendingReason, hanging(ch)), lastExit(ch))})
	}
	return table(c.Out, rows)
}

func (c *command) printChild(ans client.Answer) error {
	var ch supervisor.ChildInfo
	if err := ans.Into(&ch); err != nil {
		return err
	}
	started := ""
	if ch.StartedAt != nil {
		started = clock(*ch.StartedAt)
	}
	retry := ""
	if ch.RetryAt != nil {
		retry = clock(*ch.RetryAt)
	}
	exit := lastExit(ch)
	if ch.LastExit != nil {
		exit += " at " + clock(ch.LastExit.At)
	}
	return pairs(c.Out, [][2]string{
		{"child", string(ch.Supervisor) + "/" + string(ch.ID)},
		{"type", string(ch.Type)},
		{"status", string(ch.Status)},
		{"why", orElse(ch.PendingReason, hanging(ch))},
		{"starts again", retry},
		{"node", string(ch.Node)},
		{"incarnation", token(ch)},
		{"behavior", ch.Behavior},
		{"args", args(ch.Args)},
		{"restart", string(ch.Restart)},
		{"selector", selector(ch.Selector)},
		{"requires", tags(ch.Require)},
		{"at most per node", atMost(ch.MaxPerNode)},
		{"shutdown timeout", ch.ShutdownTimeout.String()},
		{"backoff", backoff(ch.Backoff)},
		{"restarts", fmt.Sprint(ch.RestartCount)},
		{"started", started},
		{"last exit", exit},
	})
}

func backoff(b *supervisor.Backoff) string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf("%s, times %g up to %s, %g%% jitter; anew after a run of %s", b.Initial, b.Factor, b.Max, 100*b.Jitter, b.ResetAfter)
}

func atMost(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// args are in one line what they were given as.
func args(values []json.RawMessage) string {
	text := make([]string, len(values))
	for i, v := range values {
		text[i] = string(v)
	}
	return strings.Join(text, " ")
}

func hanging(ch supervisor.ChildInfo) string {
	if !ch.Hanging {
		return ""
	}
	return "it hangs: it was to be gone, and its code does not return"
}

func token(ch supervisor.ChildInfo) string {
	if ch.Incarnation == 0 {
		return ""
	}
	return fmt.Sprint(ch.Incarnation)
}

func lastExit(ch supervisor.ChildInfo) string {
	switch e := ch.LastExit; {
	case e == nil:
		return ""
	case e.Detail == "":
		return string(e.Reason)
	default:
		return fmt.Sprintf("%s (%s)", e.Reason, e.Detail)
	}
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
