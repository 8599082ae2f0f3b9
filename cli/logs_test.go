package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A log that is followed goes on behind what was printed, at the next node, when its node breaks off.
func TestAFollowedLogGoesOnAtAnotherNode(t *testing.T) {
	var asked []string
	note := func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+"?"+r.URL.RawQuery+" "+r.Header.Get("Accept"))
		w.Header().Set("Content-Type", "application/x-ndjson")
	}
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note(w, r)
		fmt.Fprintln(w, `{"data":"b25lCg==","node":"n1","incarnation":7,"after":"A1"}`)
		fmt.Fprintln(w, `{"note":"pool/a moved"}`)
		fmt.Fprintln(w, `{"alive":true,"after":"A2"}`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer first.Close()
	second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note(w, r)
		fmt.Fprintln(w, `{"data":"dHdvCg==","node":"n2","incarnation":9,"after":"A3"}`)
	}))
	defer second.Close()
	t.Setenv("SUPNODE_ADDR", first.URL+","+second.URL)
	status, out, err := run(t, "children logs pool/sub a -f -n 3", "")
	if status != 0 || out != "one\ntwo\n" || err != "supnode: pool/a moved\n" {
		t.Errorf("%d %q %q", status, out, err)
	}
	want := []string{
		"/v1/supervisors/pool/sub/children/a/logs?follow=true&lines=3 application/x-ndjson",
		"/v1/supervisors/pool/sub/children/a/logs?after=A2&follow=true&lines=3 application/x-ndjson",
	}
	if strings.Join(asked, "\n") != strings.Join(want, "\n") {
		t.Errorf("asked %q", asked)
	}
	asked = nil
	if status, out, _ := run(t, "children logs pool a -o json", ""); status != 0 || !strings.HasPrefix(out, `{"data":"b25lCg==","node":"n1","incarnation":7,"after":"A1"}`+"\n"+`{"note":"pool/a moved"}`+"\n"+`{"data":"dHdv`) {
		t.Errorf("%d %q", status, out)
	}
	if !strings.Contains(asked[0], "follow=false&lines=100") {
		t.Errorf("asked %q", asked)
	}
}

func TestLogsOfNothing(t *testing.T) {
	down := httptest.NewServer(nil)
	down.Close()
	for line, want := range map[string]string{
		"children logs pool a -n -1":                    "--lines -1: choose one from 0 to 1000000",
		"children logs pool":                            "SUP",
		"children logs pool a -f --addr " + down.URL:    "can't be reached",
		"children logs pool a --addr " + down.URL:       "can't be reached",
		"children logs pool a --follow --lines nothing": "--lines nothing: write a whole number",
	} {
		if status, out, err := run(t, line, ""); status == 0 || out != "" || !strings.Contains(err, want) {
			t.Errorf("%s: %d %q %q", line, status, out, err)
		}
	}
}

// An interrupt is how following ends.
func TestAnInterruptEndsAFollowedLog(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, `{"data":"b25lCg==","after":"A1"}`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	var out, err bytes.Buffer
	status := Run(ctx, []string{"children", "logs", "pool", "a", "-f", "--addr", s.URL}, IO{Out: writing{&out, cancel}, Err: &err})
	if status != 0 || out.String() != "one\n" || err.Len() > 0 {
		t.Errorf("%d %q %q", status, out.String(), err.String())
	}
}

// writing calls done when something is written.
type writing struct {
	*bytes.Buffer
	done func()
}

func (w writing) Write(p []byte) (int, error) {
	defer w.done()
	return w.Buffer.Write(p)
}
