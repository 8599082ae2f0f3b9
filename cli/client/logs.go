package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
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
	return c.inTurn(ctx, elsewhere, func(addr string) error {
		return c.listen(ctx, addr, "application/x-ndjson", q.request(), func(in io.Reader) error { return q.read(in, take) })
	})
}

func (q *LogQuery) request() Request {
	query := url.Values{"lines": {strconv.Itoa(q.Lines)}, "follow": {strconv.FormatBool(q.Follow)}}
	for name, value := range map[string]string{"node": q.Node, "after": q.After} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return Request{Method: http.MethodGet, Path: []string{"v1", "supervisors", q.Supervisor, "children", q.Child, "logs"}, Query: query}
}

// read reads records, and moves q.After along.
func (q *LogQuery) read(from io.Reader, take func(LogRecord) error) error {
	for in := json.NewDecoder(from); ; {
		var rec LogRecord
		switch err := in.Decode(&rec); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
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
