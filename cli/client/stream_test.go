package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/test/machine"
)

// streaming is a node that sends text and then says nothing more.
func streaming(t *testing.T, text string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, text)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	return s
}

func TestAStreamGoesOnAtTheNextNode(t *testing.T) {
	full, _ := answering(t, 429, `{"title": "Too much is waiting", "status": 429, "detail": "", "code": "busy"}`)
	first, _ := answering(t, 200, "id: 1\ndata: {\"a\":1}\n\nid: 2\ndata: {}\n\nid: 3\ndata: cut")
	mute := streaming(t, ": heartbeat\n\n")
	second, asked := answering(t, 200, ": heartbeat\n\nid: 3\ndata: {}\n\n")
	c, err := New([]string{machine.Addr(), full.URL, first.URL, mute.URL, second.URL}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.silence = 50 * time.Millisecond
	var got []string
	last, err := c.Stream(context.Background(), 0, func(e Event) error {
		got = append(got, fmt.Sprintf("%d %s", e.ID, e.Data))
		return nil
	})
	if last != 3 || strings.Join(got, ", ") != `1 {"a":1}, 2 {}, 3 {}` || err == nil {
		t.Errorf("%d %q %v", last, got, err)
	}
	if query := (*asked)[0].URL.RawQuery; query != "since=2" {
		t.Errorf("the next node was asked for %s", query)
	}
}

func TestAStreamThatSaysNothingIsLost(t *testing.T) {
	mute := streaming(t, "")
	c, err := New([]string{mute.URL}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.silence = 50 * time.Millisecond
	if _, err := c.Stream(context.Background(), 0, nil); err == nil || !Passing(err) || !strings.Contains(err.Error(), "it said nothing for 50ms") {
		t.Errorf("%v", err)
	}
}

func TestAStreamEndsWithItsTaker(t *testing.T) {
	s, _ := answering(t, 200, "id: 1\ndata: {}\n\nid: 2\ndata: {}\n\n")
	other, asked := answering(t, 200, "")
	c, err := New([]string{s.URL, other.URL}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	full := errors.New("the disk is full")
	last, err := c.Stream(context.Background(), 0, func(Event) error { return full })
	if last != 0 || !errors.Is(err, full) || Passing(err) || len(*asked) != 0 {
		t.Errorf("%d %v", last, err)
	}
}
