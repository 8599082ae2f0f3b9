package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/cli/client"
)

// The lines of a log that are shown: when nothing is said as tail does it, with a little more, and at most what a node gives.
const (
	defaultLines = 100
	maxLines     = 1_000_000
)

func (c *command) logs() *cobra.Command {
	q := client.LogQuery{}
	cmd := &cobra.Command{
		Use: "logs SUP CHILD", Short: "Print what a command has written to stdout and stderr", Args: takes("SUP", "CHILD"),
		Long: "Print the last lines of what a command has written to stdout and stderr, from whichever node they lie on. With -f go on with what is\n" +
			"written until the child is terminated or you interrupt, wherever the child runs: a restart, a move and what is missing are told on\n" +
			"stderr. It needs the role operator, as there may be secrets in it. With -o json every record is a line.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := within("lines", q.Lines, 0, maxLines); err != nil {
				return err
			}
			q.Supervisor, q.Child = args[0], args[1]
			cl, err := c.cluster()
			if err != nil {
				return err
			}
			defer cl.Close()
			return c.printLog(cmd.Context(), cl, q)
		},
	}
	cmd.Flags().BoolVarP(&q.Follow, "follow", "f", false, "go on with what is written, wherever the child runs")
	cmd.Flags().IntVarP(&q.Lines, "lines", "n", defaultLines, "how many lines before its end the log begins")
	cmd.Flags().StringVar(&q.Node, "node", "", "read the log on this node, and stay there")
	return cmd
}

// printLog prints a log; one that is followed goes on at another node, or later, when it breaks off.
func (c *command) printLog(ctx context.Context, cl *client.Client, q client.LogQuery) error {
	troubled, begun := false, false
	for {
		err := cl.Logs(ctx, &q, func(rec client.LogRecord) error {
			troubled, begun = false, true
			return c.printRecord(rec)
		})
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil && q.Follow:
			return nil // interrupted: that is how following ends
		case !q.Follow || !begun && q.After == "" || !client.Passing(err):
			return err
		case !troubled:
			fmt.Fprintf(c.Err, "supnode: %s; trying again\n", err)
		}
		troubled = true
		wait(ctx, retryEvery)
	}
}

func (c *command) printRecord(rec client.LogRecord) error {
	if c.output == "json" {
		line, err := json.Marshal(rec)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.Out, "%s\n", line)
		return err
	}
	if rec.Note != "" {
		fmt.Fprintf(c.Err, "supnode: %s\n", rec.Note)
	}
	_, err := c.Out.Write(rec.Data)
	return err
}
