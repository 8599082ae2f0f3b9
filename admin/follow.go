package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

// The bounds of following events.
const (
	// MaxFollowers bounds the streams and long polls that are served at once; one more is refused with busy.
	MaxFollowers = 96
	// heartbeatEvery is the longest silence of a stream; a client that hears nothing for several of them has lost it.
	heartbeatEvery = 5 * time.Second
	// longPoll is how long ?follow=true waits for an event.
	longPoll = 20 * time.Second
	// followTimeout bounds how long a client may take to read what is written at once; a slower one is dropped.
	followTimeout = 10 * time.Second
	// followPage bounds the events that are held for a client.
	followPage = 100
)

// followers are those who follow events.
type followers struct {
	places    chan struct{} // one taken by each
	heartbeat time.Duration
	patience  time.Duration
}

func newFollowers() *followers {
	return &followers{places: make(chan struct{}, MaxFollowers), heartbeat: heartbeatEvery, patience: followTimeout}
}

func (f *followers) enter() *sup.Problem {
	select {
	case f.places <- struct{}{}:
		return nil
	default:
		return &sup.Problem{Code: sup.CodeBusy, Bound: MaxFollowers, Detail: fmt.Sprintf("%d clients follow this node's events already", MaxFollowers)}
	}
}

func (f *followers) leave() { <-f.places }

// wantsStream reports whether a request asks for server-sent events.
func wantsStream(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		if kind, _, err := mime.ParseMediaType(strings.TrimSpace(part)); err == nil && kind == "text/event-stream" {
			return true
		}
	}
	return false
}

// following is ctx, ended as soon as the server begins to close.
func following(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	closing, ok := ctx.Value(closingKey{}).(<-chan struct{})
	if !ok {
		return ctx, cancel
	}
	go func() { // ends with the caller's cancel
		select {
		case <-closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// poll waits for events after q.Since.
func (a *api) poll(ctx context.Context, q node.Query) (node.Answer, error) {
	if p := a.followers.enter(); p != nil {
		return node.Answer{}, p
	}
	defer a.followers.leave()
	ctx, cancel := following(ctx)
	defer cancel()
	q.Stale, q.Wait = true, longPoll
	ans, err := a.node.Read(ctx, q)
	if errors.Is(err, context.Canceled) {
		return ans, &sup.Problem{Code: sup.CodeNoLeader, Detail: "this node is shutting down"}
	}
	return ans, err
}

// stream serves events as they happen, from the one after Last-Event-ID, or else ?since. It answers from what the node
// asked knows: events come in order and without gaps from each node, also while there is no leader. It ends when the
// client does not keep up, or with the server; the client then asks again, here or elsewhere.
func (a *api) stream(w http.ResponseWriter, r *http.Request) {
	since, p := resumeAfter(r)
	if p == nil {
		p = a.followers.enter()
	}
	if p != nil {
		writeProblem(w, p)
		return
	}
	defer a.followers.leave()
	ctx, cancel := following(r.Context())
	defer cancel()
	q := node.Query{Kind: node.QueryEvents, Stale: true, Since: since, Limit: followPage}
	ans, err := a.node.Read(ctx, q)
	if err != nil {
		writeProblem(w, a.problem(ctx, http.MethodGet, err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // for a proxy before the node
	w.WriteHeader(http.StatusOK)
	out := eventStream{w: w, control: http.NewResponseController(w), patience: a.followers.patience}
	for err == nil {
		if err = out.write(ans.Events); err != nil {
			break
		}
		if n := len(ans.Events); n > 0 {
			q.Since = ans.Events[n-1].ID
		}
		q.Wait = a.followers.heartbeat
		ans, err = a.node.Read(ctx, q)
	}
	if ctx.Err() == nil {
		a.log.Debug("an event stream ended", "client", r.RemoteAddr, "after", q.Since, "why", err)
	}
}

// resumeAfter is the id of the last event that the client has seen.
func resumeAfter(r *http.Request) (uint64, *sup.Problem) {
	location, text := "header.Last-Event-ID", r.Header.Get("Last-Event-ID")
	if text == "" {
		location, text = "query.since", r.URL.Query().Get("since")
	}
	if text == "" {
		return 0, nil
	}
	since, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, invalidAt(location, "%q is not the id of an event; write a number", text)
	}
	return since, nil
}

// eventStream writes server-sent events. It holds one page at most, and the client must take each within its patience.
type eventStream struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	page     bytes.Buffer
}

// write sends events; with none it sends a heartbeat.
func (s *eventStream) write(events []sup.Event) error {
	s.page.Reset()
	for _, e := range events {
		e.Time = e.Time.UTC()
		b, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("write event %d: %w", e.ID, err)
		}
		fmt.Fprintf(&s.page, "id: %d\ndata: %s\n\n", e.ID, b)
	}
	if len(events) == 0 {
		s.page.WriteString(": heartbeat\n\n")
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(s.patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("bound a write: %w", err)
	}
	if _, err := s.w.Write(s.page.Bytes()); err != nil {
		return fmt.Errorf("the client does not read: %w", err)
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("the client does not read: %w", err)
	}
	return nil
}
