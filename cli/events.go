package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/cli/client"
	"github.com/supnode/supnode/cli/eventline"
	"github.com/supnode/supnode/supervisor"
)

// pollEvery is the pause between two looks for new events.
const pollEvery = 200 * time.Millisecond

type eventPage struct {
	Events []json.RawMessage `json:"events"`
	Next   uint64            `json:"next"`
	LastID uint64            `json:"last_id"`
}

func (c *command) events() *cobra.Command {
	var since uint64
	var follow bool
	cmd := &cobra.Command{
		Use: "events", Short: "Print the lifecycle events, one a line (with -o json one JSON object a line)", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.cluster()
			if err != nil {
				return err
			}
			defer cl.Close()
			return c.printEvents(cmd.Context(), cl, since, follow)
		},
	}
	cmd.Flags().Uint64Var(&since, "since", 0, "only events with a larger id")
	cmd.Flags().BoolVar(&follow, "follow", false, "go on with new events until interrupted")
	c.asks(cmd)
	return cmd
}

// printEvents prints page after page; following, it waits for more at the end. With -o json it prints an event a line.
func (c *command) printEvents(ctx context.Context, cl *client.Client, since uint64, follow bool) error {
	lines := eventline.New(c.Out)
	for {
		var page eventPage
		err := cl.Get(ctx, &page, url.Values{"since": {strconv.FormatUint(since, 10)}}, "v1", "events")
		if ctx.Err() != nil {
			return nil // interrupted: that is how following ends
		}
		if err != nil {
			return err
		}
		for _, raw := range page.Events {
			if err := c.printEvent(lines, raw); err != nil {
				return err
			}
		}
		since = page.Next
		switch {
		case since < page.LastID:
		case !follow:
			return nil
		default:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pollEvery):
			}
		}
	}
}

func (c *command) printEvent(lines *eventline.Writer, raw json.RawMessage) error {
	if c.output == "json" {
		_, err := fmt.Fprintf(c.Out, "%s\n", raw)
		return err
	}
	var e supervisor.Event
	if err := json.Unmarshal(raw, &e); err != nil {
		return fmt.Errorf("understand an event: %w", err)
	}
	return lines.Write(e)
}
