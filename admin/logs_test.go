package admin

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

const logPath = "/v1/supervisors/pool/children/w1/logs"

func TestALogIsReadAsTextOrAsRecords(t *testing.T) {
	f := newFace(t)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", pool)
	f.logs = []node.LogPiece{
		{Data: []byte("one\ntw"), Node: "n1", Incarnation: 7, After: "a"}, {}, {Note: "it moved"}, {Data: []byte("o \xff\n"), Node: "n2", Incarnation: 9, After: "b"},
	}
	w := f.ask(http.MethodGet, logPath+"?lines=5&node=n2&after=x", "")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Body.String() != "one\ntwo \xff\n" {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
	if want := (node.LogQuery{Supervisor: "pool", Child: "w1", Node: "n2", Lines: 5, After: "x"}); f.asked != want {
		t.Errorf("asked %+v", f.asked)
	}
	w = f.ask(http.MethodGet, logPath, "", "Accept: application/x-ndjson")
	want := `{"data":"b25lCnR3","node":"n1","incarnation":7,"after":"a"}` + "\n" + `{"note":"it moved"}` + "\n" + `{"data":"byD/Cg==","node":"n2","incarnation":9,"after":"b"}` + "\n"
	if d := cmp.Diff(want, w.Body.String()); d != "" || w.Header().Get("Content-Type") != ndjson {
		t.Errorf("%v %s", w.Header(), d)
	}
	if f.asked.Lines != 100 || f.asked.Follow {
		t.Errorf("asked %+v", f.asked)
	}
	f.logs = nil
	if w := f.ask(http.MethodGet, logPath, ""); w.Code != http.StatusOK || w.Body.Len() > 0 {
		t.Errorf("an empty log: %d %s", w.Code, w.Body)
	}
	for path, code := range map[string]string{
		"/v1/supervisors/none/children/w1/logs":   "supervisor_not_found",
		"/v1/supervisors/pool/children/none/logs": "child_not_found",
		logPath + "?lines=-1":                     "invalid_spec",
		logPath + "?lines=1000001":                "invalid_spec",
		logPath + "?follow=perhaps":               "invalid_spec",
		logPath + "?node=N2":                      "invalid_spec",
		logPath + "?timeout=never":                "invalid_spec",
	} {
		var p struct{ Code string }
		w := f.ask(http.MethodGet, path, "")
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Code != code {
			t.Errorf("%s: %d %s, want %s", path, w.Code, w.Body, code)
		}
	}
}

// follow asks a server for a log that is followed.
func followLog(t *testing.T, s *Server, path, accept string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+s.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	res, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestAFollowedLogBeatsUntilTheServerCloses(t *testing.T) {
	f := newFace(t)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", pool)
	f.logs = []node.LogPiece{{Data: []byte("one\n")}}
	f.api.followers.heartbeat = 20 * time.Millisecond
	s := serve(t, f.handler)
	text := followLog(t, s, logPath+"?follow=true", "*/*")
	line, err := bufio.NewReader(text.Body).ReadString('\n')
	if line != "one\n" || err != nil {
		t.Errorf("%q %v", line, err)
	}
	in := bufio.NewScanner(followLog(t, s, logPath+"?follow=true", ndjson).Body)
	for _, want := range []string{`{"data":"b25lCg=="}`, `{"alive":true}`, `{"alive":true}`} {
		if !in.Scan() || in.Text() != want {
			t.Errorf("%q, want %q", in.Text(), want)
		}
	}
	go s.Close(time.Minute)
	for in.Scan() {
	}
	if !errors.Is(in.Err(), io.ErrUnexpectedEOF) {
		t.Errorf("this is not the log's end: %v", in.Err())
	}
}

func TestAReaderOfALogThatDoesNotReadIsDropped(t *testing.T) {
	f := newFace(t)
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", pool)
	for range 400 {
		f.logs = append(f.logs, node.LogPiece{Data: make([]byte, 256<<10)})
	}
	f.api.followers.patience = 50 * time.Millisecond
	s := serve(t, f.handler)
	res := followLog(t, s, logPath+"?follow=true", "*/*")
	await.True(f.t, "it is dropped", func() bool { return len(f.api.followers.places) == 0 })
	if n, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Errorf("%d bytes, to the end", n)
	}
	for range MaxFollowers {
		f.api.followers.places <- struct{}{}
	}
	if w := f.ask(http.MethodGet, logPath+"?follow=true", ""); w.Code != http.StatusTooManyRequests {
		t.Errorf("one too many: %d %s", w.Code, w.Body)
	}
}

// A log is read through every node, and followed through one while its command is restarted, moved, and terminated.
func TestTheLogOfARealCommand(t *testing.T) {
	f, nodes := startReal(t, 3, 3)
	f.untilReady()
	await.True(f.t, "n3 can take children", func() bool {
		var n sup.NodeInfo
		return json.Unmarshal(f.ask(http.MethodGet, "/v1/nodes/n3", "").Body.Bytes(), &n) == nil && string(n.Status) == "up"
	})
	const chat = `i=0; echo begin; while :; do echo line $i; i=$((i+1)); sleep 0.02; done`
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", `{"name": "pool", "selector": {"node": "n3", "fallback": "least_loaded"}, "children": [
		{"id": "w1", "behavior": "exec", "args": [{"command": "/bin/sh", "args": ["-c", "`+chat+`"]}]}]}`)
	for _, n := range nodes {
		_, g, err := newAPI(n, Options{})
		if err != nil {
			t.Fatal(err)
		}
		await.True(f.t, "its first words are read through "+string(n.Name()), func() bool {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, logPath, nil)
			r.Host = "127.0.0.1:8101"
			g.ServeHTTP(w, r)
			return w.Code == http.StatusOK && strings.HasPrefix(w.Body.String(), "begin\nline 0\nline 1\n")
		})
	}
	s := serve(t, f.handler) // of n1
	res := followLog(t, s, logPath+"?follow=true&lines=1000", ndjson)
	var mu sync.Mutex
	var text, notes strings.Builder
	ended := make(chan error, 1)
	go func() {
		in := json.NewDecoder(res.Body)
		for {
			var rec logRecord
			if err := in.Decode(&rec); err != nil {
				ended <- err
				return
			}
			mu.Lock()
			text.Write(rec.Data)
			notes.WriteString(rec.Note + "\n")
			mu.Unlock()
		}
	}()
	shown := func(want int, note string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Count(text.String(), "begin\n") == want && strings.Contains(notes.String(), note)
		}
	}
	await.True(f.t, "it begins", shown(1, ""))
	f.must(http.StatusOK, http.MethodPost, "/v1/supervisors/pool/children/w1/restart", "")
	await.True(f.t, "it begins again", shown(2, "pool/w1 was started again on node n3"))
	if err := nodes[2].Close(); err != nil { // no goodbye: as a crash
		t.Fatal(err)
	}
	nodes[2] = nil
	await.True(f.t, "it begins elsewhere", shown(3, "pool/w1 moved from node n3 to node n"))
	f.must(http.StatusNoContent, http.MethodDelete, "/v1/supervisors/pool/children/w1", "")
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("the log ends: %v", err)
	}
	if !shown(3, "pool/w1 is no more")() {
		t.Errorf("%s", notes.String())
	}
	// What was shown is what was written: each life's lines in order, none missing.
	for i, life := range strings.Split(strings.TrimPrefix(text.String(), "begin\n"), "begin\n") {
		lines := strings.Split(strings.TrimSuffix(life, "\n"), "\n")
		for n, line := range lines {
			if want := fmt.Sprintf("line %d", n); line != want {
				t.Fatalf("life %d: %q, want %q", i, line, want)
			}
		}
	}
	if w := f.ask(http.MethodGet, logPath, ""); w.Code != http.StatusNotFound {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors/pool/children", `{"id": "w2", "behavior": "exec", "restart": "transient", "args": [{"command": "/bin/sh", "args": ["-c", "echo once; exit 0"]}]}`)
	await.True(f.t, "the log of one that has exited", func() bool {
		w := f.ask(http.MethodGet, "/v1/supervisors/pool/children/w2/logs", "")
		return w.Code == http.StatusOK && w.Body.String() == "once\n"
	})
	_, err := nodes[0].Logs(t.Context(), node.LogQuery{Supervisor: "pool", Child: "w2", Node: "n9"})
	var p *sup.Problem
	if !errors.As(err, &p) || p.Code != sup.CodeNodeNotFound {
		t.Errorf("%v", err)
	}
}
