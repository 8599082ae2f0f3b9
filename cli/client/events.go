package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxEvent bounds one event, in bytes: the loss of a node names every child that ran there.
const maxEvent = 64 << 20

// Event is one event of a stream: its id, and its JSON.
type Event struct {
	ID   uint64
	Data []byte
}

// Stream follows the events after since at one node after the other: it gives each to take, in order, and returns when
// the last node of the list has refused or ended its stream, when take fails, or when ctx ends. It returns the id of the
// last event that was taken, to go on after. The error is never nil.
func (c *Client) Stream(ctx context.Context, since uint64, take func(Event) error) (uint64, error) {
	err := c.inTurn(ctx, elsewhere, func(addr string) error {
		query := url.Values{"since": {strconv.FormatUint(since, 10)}}
		return c.listen(ctx, addr, "text/event-stream", Request{Method: http.MethodGet, Path: []string{"v1", "events"}, Query: query}, func(in io.Reader) error {
			return readEvents(in, &since, take)
		})
	})
	return since, err
}

// readEvents reads server-sent events, and moves since along.
func readEvents(from io.Reader, since *uint64, take func(Event) error) error {
	in := bufio.NewScanner(from)
	in.Buffer(nil, maxEvent)
	var e Event
	for in.Scan() {
		name, value, _ := strings.Cut(in.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case in.Text() == "" && e.Data != nil:
			if err := take(e); err != nil {
				return taking{err}
			}
			*since, e = e.ID, Event{}
		case name == "id":
			id, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return fmt.Errorf("the id of an event is %q", value)
			}
			e.ID = id
		case name == "data":
			e.Data = append(e.Data, value...)
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	return errors.New("its stream has ended")
}
