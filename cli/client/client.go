package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The bounds of a request.
const (
	dialTimeout = 3 * time.Second
	patience    = 3 * time.Second // with a node that says nothing, before it is asked whether it lives, and then for that answer
	maxAnswer   = 256 << 20       // bytes
)

// DefaultAddr is where a node on this host answers unless its file says otherwise.
const DefaultAddr = "http://127.0.0.1:8101"

// Client asks the nodes at its addresses.
type Client struct {
	addrs []string
	token string
	http  *http.Client

	silence  time.Duration // of a stream, after which it is lost
	patience time.Duration
	// Timeout is how long a node waits for a leader (?timeout=); 0: its default.
	Timeout time.Duration
}

// New makes a client. addrs are URLs like http://127.0.0.1:8101; the scheme may be left out, and each may be a list, with
// commas or spaces between. token may be empty.
func New(addrs []string, token string) (*Client, error) {
	c := &Client{token: token, silence: silence, patience: patience, http: &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, TLSHandshakeTimeout: dialTimeout, Proxy: http.ProxyFromEnvironment,
		},
		// A node sends nobody elsewhere, and what was meant for one path or host is not done at another.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, list := range addrs {
		for _, a := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
			if !strings.Contains(a, "://") {
				a = "http://" + a
			}
			if !isAddr(a) {
				return nil, fmt.Errorf("%q is not the address of a node; write one like %s", a, DefaultAddr)
			}
			c.addrs = append(c.addrs, strings.TrimSuffix(a, "/"))
		}
	}
	if len(c.addrs) == 0 {
		return nil, fmt.Errorf("no address of a node is given; write one like %s", DefaultAddr)
	}
	return c, nil
}

// isAddr reports whether a URL can be a node's.
func isAddr(a string) bool {
	u, err := url.Parse(a)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.ContainsAny(a, "?#") {
		return false
	}
	port, err := strconv.Atoi(u.Port())
	return u.Port() == "" || (err == nil && port > 0 && port < 1<<16)
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Request is what a cluster is asked.
type Request struct {
	Method string
	Path   []string // elements, not escaped
	Query  url.Values
	Body   []byte // JSON; nil = none
	Key    string // idempotency key of a write; empty = the client makes one
	Light  bool   // a key costs more than the request: one is made only where there is another node to ask
}

// Answer is a node's answer.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Into decodes the answer.
func (a Answer) Into(v any) error {
	if err := json.Unmarshal(a.Body, v); err != nil {
		return fmt.Errorf("understand the answer: %w", err)
	}
	return nil
}

// Do asks one node after the other until one gives an answer that counts: neither an unreachable node nor one without a
// leader does. A refusal is a *Problem.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	if r.Method != http.MethodGet && r.Key == "" && (!r.Light || len(c.addrs) > 1) {
		r.Key = rand.Text()
	}
	var ans Answer
	next := func(err error) bool { return Passing(err) || r.Key != "" && unknown(err) }
	err := c.inTurn(ctx, next, func(addr string) (err error) {
		ans, err = c.ask(ctx, addr, r)
		return err
	})
	return ans, err
}

// inTurn asks one node after the other until one does not fail, or fails in a way that is not worth asking the next.
func (c *Client) inTurn(ctx context.Context, next func(error) bool, ask func(addr string) error) error {
	var failed []error
	for _, addr := range c.addrs {
		err := ask(addr)
		if err == nil || ctx.Err() != nil || !next(err) {
			return err
		}
		failed = append(failed, err)
	}
	return mostTelling(failed)
}

// mostTelling is what to report of the failures at all nodes.
func mostTelling(failed []error) error {
	for _, err := range failed {
		if p := (*Problem)(nil); errors.As(err, &p) {
			return err // a node was reached: its word says more than a refused connection
		}
	}
	return errors.Join(failed...)
}

// Get asks for a path and decodes the answer into v.
func (c *Client) Get(ctx context.Context, v any, query url.Values, path ...string) error {
	ans, err := c.Do(ctx, Request{Method: http.MethodGet, Path: path, Query: query})
	if err != nil {
		return err
	}
	return ans.Into(v)
}

// unknown reports whether a node does not know what came of a request: under its key another one may.
func unknown(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Code == "outcome_unknown"
}

// Passing reports whether another node, or the same one later, may do better: it could not be reached, had no leader, or
// gave no answer that can be understood.
func Passing(err error) bool {
	var p *Problem
	if !errors.As(err, &p) {
		return !errors.As(err, &taking{})
	}
	return p.Code == "no_leader" || p.Code == ""
}

func (c *Client) ask(ctx context.Context, addr string, r Request) (Answer, error) {
	ctx, giveUp := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		giveUp(c.untilDead(ctx, addr))
	}()
	defer func() {
		giveUp(nil)
		<-watched
	}()
	req, err := c.request(ctx, addr, r)
	if err != nil {
		return Answer{}, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return Answer{}, unreachable(addr, lost(ctx, err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return Answer{}, unreachable(addr, lost(ctx, err))
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return Answer{}, problemOf(addr, res, body)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}

// untilDead returns when a node does not say any more that it lives, with the words for it, or when ctx ends, with nil. Some
// requests take as long as the children they wait for, so an answer may be late; but a paused node keeps nobody waiting.
func (c *Client) untilDead(ctx context.Context, addr string) error {
	next := time.NewTicker(c.patience)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		if !c.lives(ctx, addr) && ctx.Err() == nil {
			return errors.New("it takes connections and answers nothing, /healthz neither")
		}
	}
}

func (c *Client) lives(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	req, err := c.request(ctx, addr, Request{Method: http.MethodGet, Path: []string{"healthz"}})
	if err != nil {
		return false
	}
	res, err := c.http.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return true // whatever it says
}

func (c *Client) request(ctx context.Context, addr string, r Request) (*http.Request, error) {
	u := addr
	for _, p := range r.Path {
		u += "/" + element(p)
	}
	query := url.Values{}
	for k, v := range r.Query {
		query[k] = v
	}
	if c.Timeout > 0 {
		query.Set("timeout", c.Timeout.String())
	}
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, u, bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", addr, err)
	}
	if r.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.Key != "" && r.Method != http.MethodGet {
		req.Header.Set("Idempotency-Key", r.Key)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// element escapes an element of a path: .. would be the path above it.
func element(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

// unreachable says in one line what a person can do something about.
func unreachable(addr string, err error) error {
	if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) {
		return fmt.Errorf("%s has a certificate of an authority that is not known here; name the file with the authority's own in SSL_CERT_FILE", addr)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("%s can't be reached: %w", addr, err)
}
