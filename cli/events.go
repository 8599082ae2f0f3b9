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

// The pauses of following: between two looks for new events, and after one that failed.
const (
	pollEvery  = 200 * time.Millisecond
	retryEvery = time.Second
)

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
	troubled := false
	for {
		page, err := c.eventsAfter(ctx, cl, since, follow)
		switch {
		case ctx.Err() != nil:
			return nil // interrupted: that is how following ends
		case err != nil && follow && client.Passing(err):
			if !troubled {
				fmt.Fprintf(c.Err, "supnode: %s; trying again\n", err)
			}
			troubled = true
			wait(ctx, retryEvery)
			continue
		case err != nil:
			return err
		}
		troubled = false
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
			wait(ctx, pollEvery)
		}
	}
}

// eventsAfter asks for the next page. Whoever follows is content with what a node knows: events come in order and without
// gaps from each, also while there is no leader.
func (c *command) eventsAfter(ctx context.Context, cl *client.Client, since uint64, follow bool) (page eventPage, err error) {
	query := url.Values{"since": {strconv.FormatUint(since, 10)}}
	if follow {
		query.Set("consistency", "stale")
	}
	err = cl.Get(ctx, &page, query, "v1", "events")
	return page, err
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
