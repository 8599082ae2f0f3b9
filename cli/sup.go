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
	"github.com/supnode/supnode/supervisor"
)

func (c *command) sup() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the supervisors", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.show(cmd.Context(), client.Request{Method: http.MethodGet, Path: []string{"v1", "supervisors"}}, c.printSupervisors)
		},
	}
	show := &cobra.Command{
		Use: "show SUP", Short: "Show one supervisor, with statistics", Args: takes("SUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.show(cmd.Context(), client.Request{Method: http.MethodGet, Path: []string{"v1", "supervisors", args[0]}}, c.printSupervisor)
		},
	}
	start := &cobra.Command{
		Use: "start FILE", Short: "Start a supervisor from a manifest (YAML or JSON, - for stdin)", Args: takes("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := c.readManifest(args[0])
			if err != nil {
				return err
			}
			return m.place(c.show(cmd.Context(), client.Request{
				Method: http.MethodPost, Path: []string{"v1", "supervisors"}, Body: m.body(),
			}, c.printStarted))
		},
	}
	var reason string
	stop := &cobra.Command{
		Use: "stop SUP", Short: "Stop a supervisor and its children, in reverse start order", Args: takes("SUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if reason != "" {
				query.Set("reason", reason)
			}
			return c.show(cmd.Context(), client.Request{
				Method: http.MethodDelete, Path: []string{"v1", "supervisors", args[0]}, Query: query,
			}, c.printSupervisor)
		},
	}
	stop.Flags().StringVar(&reason, "reason", "", "why, in the event and in the supervisor's record (default shutdown)")
	c.asks(list, show, start, stop)
	return group("sup", "Start, stop and look at supervisors", list, show, start, stop)
}

func (c *command) printSupervisors(ans client.Answer) error {
	var l struct{ Supervisors []supervisor.Info }
	if err := ans.Into(&l); err != nil {
		return err
	}
	rows := [][]string{{"NAME", "STATUS", "STRATEGY", "CHILDREN", "RESTARTS", "UPTIME"}}
	for _, s := range l.Supervisors {
		rows = append(rows, []string{string(s.Name), state(s), string(s.Strategy), fmt.Sprint(s.ChildCount),
			fmt.Sprint(s.TotalRestarts), uptime(s)})
	}
	return table(c.Out, rows)
}

// printStarted prints a supervisor that was started; what has no effect in its manifest goes to stderr.
func (c *command) printStarted(ans client.Answer) error {
	var s supervisor.Info
	if err := ans.Into(&s); err != nil {
		return err
	}
	for _, w := range s.Warnings {
		fmt.Fprintln(c.Err, "warning:", w)
	}
	return c.printSupervisor(ans)
}

func (c *command) printSupervisor(ans client.Answer) error {
	var s supervisor.Info
	if err := ans.Into(&s); err != nil {
		return err
	}
	var nodes []string
	for _, n := range slices.Sorted(maps.Keys(s.ChildrenByNode)) {
		nodes = append(nodes, fmt.Sprintf("%d on %s", s.ChildrenByNode[n], n))
	}
	children := fmt.Sprint(s.ChildCount)
	if len(nodes) > 0 {
		children += " (" + strings.Join(nodes, ", ") + ")"
	}
	template, limit := "", ""
	if s.ChildTemplate != nil {
		template = strings.TrimSpace(s.ChildTemplate.Behavior + " " + args(s.ChildTemplate.Args))
	}
	if s.MaxChildren > 0 {
		limit = fmt.Sprint(s.MaxChildren)
	}
	return pairs(c.Out, [][2]string{
		{"name", string(s.Name)},
		{"status", state(s)},
		{"strategy", string(s.Strategy)},
		{"selector", selector(s.Selector)},
		{"spread over", s.Spread},
		{"children", children},
		{"at most", limit},
		{"made from", template},
		{"restarts", fmt.Sprintf("%d, of which %d for lost nodes; %d in the window (at most %d in %s)", s.TotalRestarts,
			s.NodeFailureRestarts, s.RestartsInWindow, s.Intensity.MaxRestarts, s.Intensity.Within)},
		{"auto shutdown", string(s.AutoShutdown)},
		{"started", clock(s.StartedAt)},
		{"uptime", uptime(s)},
	})
}

// state is a supervisor's status, with the reason of one that is stopped.
func state(s supervisor.Info) string {
	if s.Reason == "" {
		return string(s.Status)
	}
	return fmt.Sprintf("%s (%s)", s.Status, s.Reason)
}

func uptime(s supervisor.Info) string {
	if s.Status == supervisor.StatusStopped {
		return ""
	}
	return (time.Duration(s.UptimeMS) * time.Millisecond).Round(time.Second).String()
}

func selector(s *supervisor.Selector) string {
	if s == nil {
		return ""
	}
	return s.String()
}

func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05.000Z")
}
