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

// retryEvery is the pause before all nodes are tried again.
const retryEvery = time.Second

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
			if follow {
				return c.followEvents(cmd.Context(), cl, since)
			}
			return c.printEvents(cmd.Context(), cl, since)
		},
	}
	cmd.Flags().Uint64Var(&since, "since", 0, "only events with a larger id")
	cmd.Flags().BoolVar(&follow, "follow", false, "go on with new events until interrupted")
	c.asks(cmd)
	return cmd
}

// printEvents prints page after page. With -o json it prints an event a line.
func (c *command) printEvents(ctx context.Context, cl *client.Client, since uint64) error {
	lines := eventline.New(c.Out)
	for {
		var page eventPage
		if err := cl.Get(ctx, &page, url.Values{"since": {strconv.FormatUint(since, 10)}}, "v1", "events"); err != nil {
			return err
		}
		for _, raw := range page.Events {
			if err := c.printEvent(lines, raw); err != nil {
				return err
			}
		}
		if since = page.Next; since >= page.LastID {
			return nil
		}
	}
}

// followEvents prints events as they happen until ctx ends. Where a stream breaks off, it goes on after the last event:
// they come in order and without gaps from each node, also while there is no leader.
func (c *command) followEvents(ctx context.Context, cl *client.Client, since uint64) error {
	lines := eventline.New(c.Out)
	troubled := false
	for {
		last, err := cl.Stream(ctx, since, func(e client.Event) error {
			troubled = false
			return c.printEvent(lines, e.Data)
		})
		since = last
		switch {
		case ctx.Err() != nil:
			return nil // interrupted: that is how following ends
		case !client.Passing(err):
			return err
		case !troubled:
			fmt.Fprintf(c.Err, "supnode: %s; trying again\n", err)
		}
		troubled = true
		wait(ctx, retryEvery)
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
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
