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
	"time"
)

// The bounds of following events.
const (
	// silence is how long a stream may say nothing; a node sends a heartbeat every few seconds.
	silence = 15 * time.Second
	// maxEvent bounds one event, in bytes: the loss of a node names every child that ran there.
	maxEvent = 64 << 20
)

// Event is one event of a stream: its id, and its JSON.
type Event struct {
	ID   uint64
	Data []byte
}

// Stream follows the events after since at one node after the other: it gives each to take, in order, and returns when
// the last node of the list has refused or ended its stream, when take fails, or when ctx ends. It returns the id of the
// last event that was taken, to go on after. The error is never nil.
func (c *Client) Stream(ctx context.Context, since uint64, take func(Event) error) (uint64, error) {
	var failed []error
	for _, addr := range c.addrs {
		err := c.stream(ctx, addr, &since, take)
		if !elsewhere(err) || ctx.Err() != nil {
			return since, err
		}
		failed = append(failed, err)
	}
	return since, mostTelling(failed)
}

// elsewhere reports whether the next node is worth a try: a node has a bound on those who follow it.
func elsewhere(err error) bool {
	var p *Problem
	return Passing(err) || (errors.As(err, &p) && p.Code == "busy")
}

// taking is an error of whoever takes the events.
type taking struct{ error }

func (e taking) Unwrap() error { return e.error }

// stream reads events from one node and moves since along.
func (c *Client) stream(ctx context.Context, addr string, since *uint64, take func(Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(c.silence, func() { cancel(fmt.Errorf("it said nothing for %s", c.silence)) })
	defer quiet.Stop()
	req, err := c.request(ctx, addr, Request{Method: http.MethodGet, Path: []string{"v1", "events"},
		Query: url.Values{"since": {strconv.FormatUint(*since, 10)}}})
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", strconv.FormatUint(*since, 10))
	res, err := c.http.Do(req)
	if err != nil {
		return lost(ctx, addr, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil {
			return lost(ctx, addr, err)
		}
		return problemOf(addr, res.StatusCode, body)
	}
	in := bufio.NewScanner(res.Body)
	in.Buffer(nil, maxEvent)
	var e Event
	for in.Scan() {
		quiet.Reset(c.silence)
		name, value, _ := strings.Cut(in.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case in.Text() == "" && e.Data != nil:
			if err := take(e); err != nil {
				return taking{err}
			}
			*since, e = e.ID, Event{}
		case name == "id":
			if e.ID, err = strconv.ParseUint(value, 10, 64); err != nil {
				return fmt.Errorf("%s sent no event: its id is %q", addr, value)
			}
		case name == "data":
			e.Data = append(e.Data, value...)
		}
	}
	if err := in.Err(); err != nil {
		return lost(ctx, addr, err)
	}
	return fmt.Errorf("%s ended the stream", addr)
}

// lost says why a stream broke off.
func lost(ctx context.Context, addr string, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return unreachable(addr, err)
}
