package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/supnode/supnode/test/expect"
)

// cluster is a node that gives the answers of a script.
type cluster struct {
	answers map[string]string // "METHOD path?query" → "STATUS body"
	asked   []string          // with bodies
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	line := r.Method + " " + r.URL.RequestURI()
	c.asked = append(c.asked, strings.TrimSpace(line+" "+string(body)))
	answer, ok := c.answers[line]
	if !ok {
		answer = `404 {"title": "There is nothing at this path", "status": 404, "detail": "` + r.URL.Path + `", "code": "not_found"}`
	}
	var status int
	fmt.Sscanf(answer, "%d", &status)
	_, text, _ := strings.Cut(answer, " ")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// run runs a command line as a shell would split it at spaces ('…' kept together).
func run(t *testing.T, line, stdin string) (status int, stdout, stderr string) {
	t.Helper()
	var args []string
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		args = append(args, m[1]+m[2])
	}
	var out, err bytes.Buffer
	status = Run(context.Background(), args, IO{In: strings.NewReader(stdin), Out: &out, Err: &err})
	return status, out.String(), err.String()
}

// TestCommands runs scripts. In them "= METHOD path" lines say what the cluster answers, a "$ supnode …" line is run, and
// what it asks and prints is golden.
func TestCommands(t *testing.T) { expect.Scripts(t, "testdata/*.txt", play) }

func play(t *testing.T, script string) string {
	c := &cluster{answers: map[string]string{}}
	s := httptest.NewServer(c)
	defer s.Close()
	t.Setenv("SUPNODE_ADDR", s.URL)
	t.Setenv("SUPNODE_TOKEN", "")
	var out strings.Builder
	stdin := ""
	for _, line := range strings.Split(script, "\n") {
		switch {
		case strings.HasPrefix(line, "#"), line == "":
			if line != "" {
				fmt.Fprintln(&out, line)
			}
		case strings.HasPrefix(line, "= "):
			fmt.Fprintln(&out, line)
			words := strings.SplitN(line[2:], " ", 3)
			c.answers[words[0]+" "+words[1]] = words[2]
		case strings.HasPrefix(line, "< "):
			fmt.Fprintln(&out, line)
			stdin = strings.ReplaceAll(line[2:], `\n`, "\n")
		case strings.HasPrefix(line, "$ supnode"):
			c.asked = nil
			status, stdout, stderr := run(t, strings.TrimPrefix(line, "$ supnode"), stdin)
			fmt.Fprintln(&out, line)
			for _, a := range c.asked {
				fmt.Fprintln(&out, "asks:   "+a)
			}
			for _, text := range []struct{ name, text string }{{"stdout: ", stdout}, {"stderr: ", stderr}} {
				for l := range strings.Lines(strings.ReplaceAll(text.text, s.URL, "http://NODE")) {
					fmt.Fprintln(&out, strings.TrimRight(text.name+strings.TrimRight(l, "\n"), " "))
				}
			}
			fmt.Fprintf(&out, "status: %d\n\n", status)
			stdin = ""
		}
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

func TestJSONIsWhatTheClusterSaid(t *testing.T) {
	c := &cluster{answers: map[string]string{"GET /v1/supervisors/pool": `200 {"name":"pool","future":[1.50,"<&>"]}`}}
	s := httptest.NewServer(c)
	defer s.Close()
	status, out, _ := run(t, "sup show pool -o json --addr "+s.URL, "")
	var v map[string]any
	if status != 0 || json.Unmarshal([]byte(out), &v) != nil || !strings.Contains(out, "1.50") || !strings.Contains(out, `"<&>"`) {
		t.Errorf("%d %s", status, out)
	}
}

func TestAddrIsAListTriedInTurn(t *testing.T) {
	c := &cluster{answers: map[string]string{"GET /v1/status": `200 {"node":"n1","role":"leader","leader":"n1","term":1}`}}
	s := httptest.NewServer(c)
	defer s.Close()
	status, out, errs := run(t, "status --addr 127.0.0.1:1,"+s.URL, "")
	if status != 0 || !strings.Contains(out, "n1 (leader)") {
		t.Errorf("%d %s %s", status, out, errs)
	}
	status, _, errs = run(t, "status --addr 127.0.0.1:1", "")
	if status != 1 || !strings.Contains(errs, "http://127.0.0.1:1 can't be reached") {
		t.Errorf("%d %s", status, errs)
	}
}

func TestTheTokenIsSent(t *testing.T) {
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		io.WriteString(w, "{}")
	}))
	defer s.Close()
	t.Setenv("SUPNODE_TOKEN", "one")
	run(t, "status --addr "+s.URL, "")
	run(t, "status --token two --addr "+s.URL, "")
	if diff := cmp.Diff([]string{"Bearer one", "Bearer two"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestConfigCheckStartsNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "n1.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const good = "node: {name: n1, data_dir: ./data}\ncluster:\n  servers: [{name: n1, addr: 127.0.0.1:7101}]\n"
	write(good)
	status, out, errs := run(t, "config check "+file, "")
	want := file + " is right: node n1, server 1 of 1; data in " + dir + "/data, node port 127.0.0.1:7101, admin http://127.0.0.1:8101\n"
	if status != 0 || out != want || errs != "" {
		t.Errorf("%d\n%s\n%s%s", status, want, out, errs)
	}
	write(good + "exec: {enabled: true}\n")
	if status, _, errs := run(t, "config check "+file, ""); status != 0 || errs != file+": warning: exec.enabled without exec.allow: no command may run\n" {
		t.Errorf("%d %s", status, errs)
	}
	for _, command := range []string{"config check ", "start --config "} {
		write(good + "clutser: {}\n")
		status, _, errs := run(t, command+file, "")
		if want := "supnode: " + file + ":4:1: unknown key \"clutser\"; did you mean \"cluster\"?\n    4 | clutser: {}\n      | ^\n"; status != 2 || errs != want {
			t.Errorf("%s: %d\n%s\nwant\n%s", command, status, errs, want)
		}
		if status, _, errs := run(t, command+filepath.Join(dir, "no.yaml"), ""); status != 2 || !strings.Contains(errs, "no such file") {
			t.Errorf("%s: %d %s", command, status, errs)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("something was made: %v", entries)
	}
}

func TestFollowingGoesOnUntilInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	var resumed []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/events" || r.Header.Get("Accept") != "text/event-stream" {
			t.Errorf("asked for %s as %s", r.URL.Path, r.Header.Get("Accept"))
		}
		resumed = append(resumed, r.URL.Query().Get("since"))
		switch len(resumed) {
		case 1:
			io.WriteString(w, ": heartbeat\n\nid: 8\ndata: {\"id\":8,\"time\":\"2026-01-02T03:04:05Z\",\"type\":\"node_joined\",\"node\":\"n1\"}\n\n")
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, `{"title":"The cluster has no leader","status":503,"detail":"none","code":"no_leader"}`)
		case 3:
			io.WriteString(w, "id: 9\ndata: {\"id\":9,\"time\":\"2026-01-02T03:04:06Z\",\"type\":\"node_left\",\"node\":\"n1\"}\n\n")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	defer s.Close()
	out := &watched{upon: "node_left", then: interrupt}
	var errs bytes.Buffer
	status := Run(ctx, []string{"events", "--follow", "--since", "7", "--addr", s.URL}, IO{In: strings.NewReader(""), Out: out, Err: &errs})
	want := "03:04:05.000  node_joined            n1\n03:04:06.000  node_left              n1\n"
	if status != 0 || out.String() != want || strings.ReplaceAll(errs.String(), s.URL, "NODE") != "supnode: NODE broke off: its stream has ended; trying again\n" {
		t.Errorf("%d\n%s%s", status, out, &errs)
	}
	if diff := cmp.Diff([]string{"7", "8", "8"}, resumed); diff != "" {
		t.Error(diff)
	}
}

// watched calls then when upon is written.
type watched struct {
	bytes.Buffer
	upon string
	then func()
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if strings.Contains(w.String(), w.upon) {
		w.then()
	}
	return n, err
}

func TestFollowingEndsWithARefusal(t *testing.T) {
	c := &cluster{answers: map[string]string{"GET /v1/events?since=1": `410 {"title":"These events are no longer kept","status":410,"detail":"begin at since=3","code":"events_compacted","bound":4}`}}
	s := httptest.NewServer(c)
	defer s.Close()
	if status, _, errs := run(t, "events --follow --since 1 --addr "+s.URL, ""); status != 1 || errs != "supnode: These events are no longer kept: begin at since=3\n" {
		t.Errorf("%d %s", status, errs)
	}
}

func TestCompletionAndVersionArePrinted(t *testing.T) {
	if status, out, _ := run(t, "completion bash", ""); status != 0 || !strings.Contains(out, "__start_supnode") {
		t.Errorf("%d %.100s", status, out)
	}
	if status, out, _ := run(t, "version", ""); status != 0 || !strings.HasPrefix(out, "supnode ") {
		t.Errorf("%d %s", status, out)
	}
	if status, out, _ := run(t, "", ""); status != 0 || !strings.Contains(out, "Begin with: supnode dev") {
		t.Errorf("%d %s", status, out)
	}
}
