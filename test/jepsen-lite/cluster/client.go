package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// Client asks a cluster over HTTP, one node after another until one answers, with one idempotency key per write. It is
// safe for concurrent use.
type Client struct {
	http  *http.Client
	bases []string      // of the nodes, in the order they are tried first
	next  atomic.Uint32 // the base that answered last
	try   time.Duration // bound of one attempt
}

// attempt bounds one attempt of a Client, and how long a node asked may look for a leader.
const attempt = 3 * time.Second

// Client asks the nodes in this order; without names all of them.
func (c *Cluster) Client(names ...string) *Client {
	if len(names) == 0 {
		names = c.Names()
	}
	cl := &Client{http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4, DisableCompression: true}}, try: attempt}
	for _, n := range names {
		cl.bases = append(cl.bases, "http://"+c.Node(n).Admin)
	}
	return cl
}

// Close drops the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Problem is the cluster's no: application/problem+json.
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

func (p *Problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail) }

// Final reports whether p settles the request: asking again with the same key would bring the same answer.
func (p *Problem) Final() bool {
	switch p.Code {
	case "no_leader", "busy", "stop_pending", "outcome_unknown", "":
		return false
	}
	return true
}

// Do asks until an answer is final or ctx is over, and decodes a success into out unless that is nil. The error of a
// refusal is a *Problem; any other error means that the outcome is not known.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, body, out any, key string) (attempts int, err error) {
	var last error
	for {
		i := c.next.Load()
		attempts++
		err := c.Once(ctx, c.bases[int(i)%len(c.bases)], method, path, query, body, out, key)
		var p *Problem
		if err == nil || errors.As(err, &p) && p.Final() {
			return attempts, err
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		c.next.CompareAndSwap(i, i+1)
		select {
		case <-ctx.Done():
			return attempts, fmt.Errorf("%s %s: no final answer in %d attempts: %w", method, path, attempts, last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Once makes one attempt at one node.
func (c *Client) Once(ctx context.Context, base, method, path string, query url.Values, body, out any, key string) error {
	ctx, cancel := context.WithTimeout(ctx, c.try)
	defer cancel()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(b)
	}
	if query == nil {
		query = url.Values{}
	}
	if !query.Has("timeout") && query.Get("consistency") != "stale" {
		query.Set("timeout", (attempt / 3).String())
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path+"?"+query.Encode(), content)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		p := &Problem{Status: resp.StatusCode}
		if json.Unmarshal(b, p) != nil || p.Code == "" {
			p.Detail = string(b)
		}
		p.Status = resp.StatusCode
		return p
	}
	if out == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if in, ok := out.(interface{ header(http.Header) }); ok {
		in.header(resp.Header)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s %s: %w in %.200s", method, path, err, b)
	}
	return nil
}

// Child is a child as the API shows it.
type Child struct {
	ID           string `json:"id"`
	Supervisor   string `json:"supervisor"`
	Status       string `json:"status"`
	Pending      string `json:"pending_reason"`
	Node         string `json:"node"`
	Incarnation  uint64 `json:"incarnation"`
	RestartCount uint64 `json:"restart_count"`
	Args         []struct {
		Env map[string]string `json:"env"`
	} `json:"args"` // of exec
	Index uint64 `json:"-"` // of the state that was read, where the answer tells it
}

func (c *Child) header(h http.Header) {
	c.Index, _ = strconv.ParseUint(h.Get("X-Supnode-Applied-Index"), 10, 64)
}

// Supervisor is a supervisor as the API shows it.
type Supervisor struct {
	Name             string `json:"name"`
	Status           string `json:"status"`
	Reason           string `json:"reason"`
	ChildCount       int    `json:"child_count"`
	TotalRestarts    int    `json:"total_restarts"`
	NodeFailures     int    `json:"node_failure_restarts"`
	RestartsInWindow int    `json:"restarts_in_window"`
}

// Status is a node's own view.
type Status struct {
	Node    string `json:"node"`
	Role    string `json:"role"`
	Leader  string `json:"leader"`
	Term    uint64 `json:"term"`
	Applied uint64 `json:"applied_index"`
}

// Member is a node as the cluster sees it.
type Member struct {
	Name        string `json:"name"`
	Status      string `json:"status"`
	Role        string `json:"role"`
	ChildCount  int    `json:"child_count"`
	Incarnation uint64 `json:"incarnation"`
}

// Supervisors lists the supervisors, linearizably.
func (c *Client) Supervisors(ctx context.Context) ([]Supervisor, error) {
	var out struct {
		Supervisors []Supervisor `json:"supervisors"`
	}
	_, err := c.Do(ctx, "GET", "/v1/supervisors", nil, nil, &out, "")
	return out.Supervisors, err
}

// Supervisor reads one, linearizably.
func (c *Client) Supervisor(ctx context.Context, name string) (s Supervisor, err error) {
	_, err = c.Do(ctx, "GET", "/v1/supervisors/"+url.PathEscape(name), nil, nil, &s, "")
	return s, err
}

// Children lists all children of a supervisor, linearizably.
func (c *Client) Children(ctx context.Context, supervisor string) (all []Child, err error) {
	for after := ""; ; {
		var page struct {
			Children []Child `json:"children"`
			Next     string  `json:"next"`
		}
		q := url.Values{}
		if after != "" {
			q.Set("after", after)
		}
		if _, err := c.Do(ctx, "GET", "/v1/supervisors/"+url.PathEscape(supervisor)+"/children", q, nil, &page, ""); err != nil {
			return nil, err
		}
		all = append(all, page.Children...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

// Members lists the nodes, linearizably.
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	var out struct {
		Nodes []Member `json:"nodes"`
	}
	_, err := c.Do(ctx, "GET", "/v1/nodes", nil, nil, &out, "")
	return out.Nodes, err
}

// StartSupervisor starts a supervisor from a manifest.
func (c *Client) StartSupervisor(ctx context.Context, manifest any, key string) error {
	_, err := c.Do(ctx, "POST", "/v1/supervisors", nil, manifest, nil, key)
	return err
}

// StopSupervisor stops one.
func (c *Client) StopSupervisor(ctx context.Context, name, key string) error {
	_, err := c.Do(ctx, "DELETE", "/v1/supervisors/"+url.PathEscape(name), nil, nil, nil, key)
	return err
}

// Operate does one operation on a child, asking until the outcome is known or ctx is over. spec is what a start sends.
func (c *Client) Operate(ctx context.Context, kind string, child history.Key, spec any, key string) history.Op {
	op := history.Op{Key: child, Kind: kind, Invoked: history.Now()}
	children := "/v1/supervisors/" + url.PathEscape(child.Supervisor) + "/children"
	var err error
	switch kind {
	case history.OpStart:
		op.Attempts, err = c.Do(ctx, "POST", children, nil, spec, nil, key)
	case history.OpTerminate:
		op.Attempts, err = c.Do(ctx, "DELETE", children+"/"+child.Child, nil, nil, nil, key)
	case history.OpRestart:
		op.Attempts, err = c.Do(ctx, "POST", children+"/"+child.Child+"/restart", nil, nil, nil, key)
	default:
		panic("unknown kind of operation " + kind)
	}
	op.Returned = history.Now()
	var p *Problem
	switch {
	case err == nil:
		op.Outcome = history.OK
	case errors.As(err, &p) && p.Final():
		op.Outcome, op.Detail = history.Refused, err.Error()
	default:
		op.Outcome, op.Detail = history.Maybe, err.Error()
	}
	return op
}

// Page is one answer of the event history.
type Page struct {
	Events []history.Event `json:"events"`
	Next   uint64          `json:"next"`
	LastID uint64          `json:"last_id"`
}

// Events reads the events after since; stale reads what the node asked has.
func (c *Client) Events(ctx context.Context, since uint64, stale bool) (p Page, err error) {
	q := url.Values{"since": {strconv.FormatUint(since, 10)}}
	if stale {
		q.Set("consistency", "stale")
	}
	_, err = c.Do(ctx, "GET", "/v1/events", q, nil, &p, "")
	return p, err
}
