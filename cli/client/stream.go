package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// silence is how long an answer that goes on may pause; a node sends a sign of life every few seconds.
const silence = 15 * time.Second

// elsewhere reports whether the next node is worth a try: a node has a bound on those who follow it.
func elsewhere(err error) bool {
	var p *Problem
	return Passing(err) || (errors.As(err, &p) && p.Code == "busy")
}

// taking is an error of whoever takes what a stream brings.
type taking struct{ error }

func (e taking) Unwrap() error { return e.error }

// listen asks a node for an answer that goes on, of the content type kind, and has read read it. The node is lost when it
// says nothing for too long.
func (c *Client) listen(ctx context.Context, addr, kind string, r Request, read func(io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(c.silence, func() { cancel(fmt.Errorf("it said nothing for %s", c.silence)) })
	defer quiet.Stop()
	req, err := c.request(ctx, addr, r)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", kind)
	res, err := c.http.Do(req)
	if err != nil {
		return unreachable(addr, lost(ctx, err))
	}
	defer res.Body.Close()
	heard := reading(func(p []byte) (int, error) {
		quiet.Reset(c.silence)
		defer quiet.Stop() // whoever takes what it says may be slow
		return res.Body.Read(p)
	})
	if res.StatusCode != http.StatusOK {
		read = func(in io.Reader) error {
			body, err := io.ReadAll(io.LimitReader(in, maxAnswer))
			if err != nil {
				return err
			}
			return problemOf(addr, res, body)
		}
	}
	switch err := read(heard); {
	case err == nil, errors.As(err, &taking{}), errors.As(err, new(*Problem)):
		return err
	default:
		return fmt.Errorf("%s broke off: %w", addr, lost(ctx, err))
	}
}

// reading is a Reader.
type reading func(p []byte) (int, error)

func (r reading) Read(p []byte) (int, error) { return r(p) }

// lost is why a stream broke off.
func lost(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}
