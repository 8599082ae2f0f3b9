package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

// lines follows events over a connection of its own, and gives every line of the stream.
func lines(t *testing.T, s *Server, headers ...string) (*http.Response, *bufio.Scanner) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+s.Addr().String()+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	res, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res, bufio.NewScanner(res.Body)
}

// ids reads a stream up to the event with the id last and checks that nothing is missing, doubled or out of order.
func ids(t *testing.T, in *bufio.Scanner, first, last uint64) {
	t.Helper()
	for next := first; in.Scan(); {
		var id uint64
		if n, _ := fmt.Sscanf(in.Text(), "id: %d", &id); n == 0 {
			continue
		}
		if id != next || !in.Scan() {
			t.Fatalf("event %d, expected %d", id, next)
		}
		var e sup.Event
		if err := json.Unmarshal([]byte(strings.TrimPrefix(in.Text(), "data: ")), &e); err != nil || e.ID != id || e.Type == "" {
			t.Fatalf("%q: %v", in.Text(), err)
		}
		if !in.Scan() || in.Text() != "" {
			t.Fatalf("event %d is not followed by an empty line: %q", id, in.Text())
		}
		if next++; next > last {
			return
		}
	}
	t.Fatalf("the stream ended before event %d: %v", last, in.Err())
}

func (f *face) newest() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _, newest := f.state.Events(0, 1)
	return newest
}

// happen makes one event.
func (f *face) happen() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.apply(fsm.Command{Establish: &fsm.Establish{Term: f.clockTerm(), Leader: "n1"}})
}

func (f *face) clockTerm() uint64 { return uint64(f.clock/1e9) + 2 }

func TestEventsAreStreamedInOrderWithoutGaps(t *testing.T) {
	f := newFace(t)
	s := serve(t, f.handler)
	start := f.newest()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 30 {
			f.happen()
		}
	}()
	res, in := lines(t, s)
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("%d %s", res.StatusCode, got)
	}
	ids(t, in, 1, start+30)
	<-done
	// A client that comes again goes on where it was, whatever its URL says.
	_, again := lines(t, s, fmt.Sprintf("Last-Event-ID: %d", start+25))
	ids(t, again, start+26, start+30)
	f.happen()
	ids(t, again, start+31, start+31)
	ids(t, in, start+31, start+31)
}

func TestASilentStreamBeats(t *testing.T) {
	f := newFace(t)
	f.api.followers.heartbeat = 20 * time.Millisecond
	s := serve(t, f.handler)
	_, in := lines(t, s, fmt.Sprintf("Last-Event-ID: %d", f.newest()))
	for beats := 0; beats < 3; {
		if !in.Scan() {
			t.Fatal(in.Err())
		}
		switch in.Text() {
		case ": heartbeat":
			beats++
		case "":
		default:
			t.Fatalf("%q", in.Text())
		}
	}
	f.happen()
	ids(t, in, f.newest(), f.newest())
}

func TestAStreamOfEventsThatAreGoneIsRefused(t *testing.T) {
	f := newFace(t)
	for range 200 {
		f.happen() // the history has 4 KiB
	}
	for _, headers := range [][]string{{"Accept: text/event-stream", "Last-Event-ID: 3"}, {"Accept: text/html, text/event-stream;q=0.9"}, {"Accept: */*"}} {
		w := f.ask(http.MethodGet, "/v1/events?since=2", "", headers...)
		if w.Code != http.StatusGone || !strings.Contains(w.Body.String(), `"events_compacted"`) {
			t.Errorf("%q: %d %s", headers, w.Code, w.Body)
		}
	}
}

func TestStreamsEndWithTheServer(t *testing.T) {
	f := newFace(t)
	s, err := Listen("127.0.0.1:0", "", "", f.api.log)
	if err != nil {
		t.Fatal(err)
	}
	s.Handle(f.handler)
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	_, in := lines(t, s)
	ids(t, in, 1, f.newest())
	polled := make(chan string, 1)
	go func() {
		w := f.pollOver(s, f.newest())
		polled <- w
	}()
	await.True(t, "both are followed", func() bool { return len(f.api.followers.places) == 2 })
	began := time.Now()
	if err := s.Close(time.Minute); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the server's end took %s", took)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	for in.Scan() {
	}
	if got := <-polled; !strings.Contains(got, `"no_leader"`) {
		t.Errorf("a long poll was answered %s", got)
	}
	if n := len(f.api.followers.places); n != 0 {
		t.Errorf("%d still follow", n)
	}
}

// pollOver is a long poll over a connection.
func (f *face) pollOver(s *Server, since uint64) string {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get(fmt.Sprintf("http://%s/v1/events?follow=true&since=%d", s.Addr(), since))
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestALongPollAnswersWithTheNextEvent(t *testing.T) {
	f := newFace(t)
	since := f.newest()
	answers := make(chan *httptest.ResponseRecorder, 1)
	go func() { answers <- f.ask(http.MethodGet, fmt.Sprintf("/v1/events?follow=true&since=%d", since), "") }()
	await.True(t, "the poll waits", func() bool { return len(f.api.followers.places) == 1 })
	f.happen()
	w := <-answers
	var page eventList
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Events) != 1 || page.Events[0].ID != since+1 || page.Next != since+1 || page.LastID != since+1 {
		t.Errorf("%s", w.Body)
	}
	// What is there already is not waited for.
	if w := f.ask(http.MethodGet, "/v1/events?follow=true&since=0&limit=1", ""); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// flood is a node with more events than anyone can read.
type flood struct{ *memory }

func (flood) Read(ctx context.Context, q node.Query) (node.Answer, error) {
	var a node.Answer
	for i := range uint64(q.Limit) {
		a.Events = append(a.Events, sup.Event{ID: q.Since + 1 + i, Type: sup.EventSupervisorStopped, Reason: strings.Repeat("x", 10_000)})
	}
	return a, ctx.Err()
}

func TestAClientThatDoesNotReadIsDropped(t *testing.T) {
	a, g, err := newAPI(flood{newMemory(t)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	a.followers.patience = 50 * time.Millisecond
	s := serve(t, g)
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
	if _, err := conn.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	await.True(t, "it is not served any more", func() bool { return len(a.followers.places) == 0 })
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("%v", err)
	}
}

func TestFollowersAreBounded(t *testing.T) {
	f := newFace(t)
	for range MaxFollowers {
		if p := f.api.followers.enter(); p != nil {
			t.Fatal(p)
		}
	}
	since := fmt.Sprint("?follow=true&since=", f.newest())
	for _, headers := range [][]string{{"Accept: text/event-stream"}, nil} {
		if w := f.ask(http.MethodGet, "/v1/events"+since, "", headers...); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
			t.Errorf("%q: %d %s", headers, w.Code, w.Body)
		}
	}
	f.must(http.StatusOK, http.MethodGet, "/v1/events", "")
}
