package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// LogQuery says which log, and from where.
type LogQuery struct {
	Supervisor, Child string
	Node              string // empty = where the child runs, or ran last
	Lines             int
	After             string // in place of Lines: behind the record with this After
	Follow            bool
}

// LogRecord is a piece of a log: output, or a note for a person, or neither.
type LogRecord struct {
	Data        []byte `json:"data,omitempty"`
	Note        string `json:"note,omitempty"`
	Alive       bool   `json:"alive,omitempty"`
	Node        string `json:"node,omitempty"`
	Incarnation uint64 `json:"incarnation,omitempty"`
	After       string `json:"after,omitempty"`
}

// Logs reads a log at one node after the other, and gives its records to take, in order. It returns nil at the log's end, and an error
// when the last node of the list has refused or lost the log, when take fails, or when ctx ends. q.After is moved along, to go on there.
func (c *Client) Logs(ctx context.Context, q *LogQuery, take func(LogRecord) error) error {
	var failed []error
	for _, addr := range c.addrs {
		err := c.logs(ctx, addr, q, take)
		if err == nil || !elsewhere(err) || ctx.Err() != nil {
			return err
		}
		failed = append(failed, err)
	}
	return mostTelling(failed)
}

func (c *Client) logs(ctx context.Context, addr string, q *LogQuery, take func(LogRecord) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(c.silence, func() { cancel(fmt.Errorf("it said nothing for %s", c.silence)) })
	defer quiet.Stop()
	query := url.Values{"lines": {strconv.Itoa(q.Lines)}, "follow": {strconv.FormatBool(q.Follow)}}
	for name, value := range map[string]string{"node": q.Node, "after": q.After} {
		if value != "" {
			query.Set(name, value)
		}
	}
	req, err := c.request(ctx, addr, Request{Method: http.MethodGet, Path: []string{"v1", "supervisors", q.Supervisor, "children", q.Child, "logs"}, Query: query})
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/x-ndjson")
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
	for in := json.NewDecoder(res.Body); ; {
		var rec LogRecord
		switch err := in.Decode(&rec); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return lost(ctx, addr, err)
		}
		quiet.Reset(c.silence)
		if !rec.Alive {
			if err := take(rec); err != nil {
				return taking{err}
			}
		}
		if rec.After != "" {
			q.After = rec.After
		}
	}
}
