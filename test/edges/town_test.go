package edges

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/supnode/supnode/test/await"
	"github.com/supnode/supnode/test/jepsen-lite/cluster"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// town is a cluster of three with the supervisor "steady": a child on each node, c1 on n1 and so on.
type town struct {
	*cluster.Cluster
	client *cluster.Client
}

// newTown starts one; change may edit a node's config file before. fast_failover is on.
func newTown(dir string, change func(name, text string) string) (*town, error) {
	c, err := cluster.New(cluster.Config{Binary: program, Dir: dir, Nodes: 3, FastFailover: "loopback", Allow: []string{"/**"},
		Timing: history.Timing{H: 500 * time.Millisecond, TTL: 3 * time.Second}})
	if err != nil {
		return nil, err
	}
	for _, name := range c.Names() {
		n := c.Node(name)
		text, err := os.ReadFile(n.File)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		if change != nil {
			text = []byte(change(name, string(text)))
		}
		if err := os.WriteFile(n.File, text, 0o600); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	w := &town{Cluster: c, client: c.Client()}
	if err := c.Start(ctx); err != nil {
		return nil, errors.Join(err, w.tails(), w.Close())
	}
	children := []map[string]any{}
	for _, name := range c.Names() {
		children = append(children, map[string]any{"id": "c" + name[1:], "behavior": "exec", "selector": map[string]any{"node": name},
			"args": []any{map[string]any{"command": "/bin/sleep", "args": []string{"1000"}}}})
	}
	if err := w.client.StartSupervisor(ctx, map[string]any{"name": "steady", "children": children}, "steady"); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// tails is the end of each node's log, as an error.
func (w *town) tails() error {
	var errs []error
	for _, name := range w.Names() {
		errs = append(errs, fmt.Errorf("---- %s\n%s", name, w.Node(name).Tail(20)))
	}
	return errors.Join(errs...)
}

// startTown is a town of the test's own.
func startTown(t *testing.T, change func(name, text string) string) *town {
	t.Helper()
	w, err := newTown(t.TempDir(), change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// lives are the incarnations of steady's children on these nodes; of all without names.
func (w *town) lives(t *testing.T, nodes ...string) map[string]string {
	t.Helper()
	children, err := w.client.Children(within(t), "steady")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, c := range children {
		if len(nodes) == 0 || slices.Contains(nodes, c.Node) {
			out[c.ID] = fmt.Sprintf("%s on %s, incarnation %d", c.Status, c.Node, c.Incarnation)
		}
	}
	return out
}

// undisturbed is called before something is done to a cluster; what it returns, afterwards: the children on these nodes must
// run on as they did.
func (w *town) undisturbed(t *testing.T, nodes ...string) func() {
	t.Helper()
	before := w.lives(t, nodes...)
	return func() {
		t.Helper()
		if diff := cmp.Diff(before, w.lives(t, nodes...)); diff != "" {
			t.Errorf("children were disturbed:\n%s\n%v", diff, w.tails())
		}
	}
}

// url is a node's admin address with a path.
func (w *town) url(node, path string) string { return "http://" + w.Node(node).Admin + path }

// answer is what a node answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// into decodes the answer.
func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

// problem is a refusal as its answer says it.
type problem struct {
	Code, Detail string
	Bound        int64
	Errors       []struct{ Location, Message string }
}

// ask sends one request to an address; headers are "Name: value".
func ask(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	a, err := try(within(t), method, url, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func try(ctx context.Context, method, url, body string, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(b)}, err
}

// The town that tests share which only knock at a healthy cluster.
var (
	shared   *town
	sharedIn string
	build    sync.Once
	broken   error
)

func theTown(t *testing.T) *town {
	t.Helper()
	build.Do(func() {
		if sharedIn, broken = os.MkdirTemp("", "supnode-town-"); broken == nil {
			shared, broken = newTown(sharedIn, nil)
		}
	})
	if broken != nil {
		t.Fatal(broken)
	}
	return shared
}

// closeTown ends the shared town, which must be as healthy as ever.
func closeTown() error {
	if sharedIn != "" {
		defer os.RemoveAll(sharedIn)
	}
	if shared == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	errs := []error{shared.Stop(ctx)}
	trouble, err := shared.Trouble()
	errs = append(errs, err)
	for _, line := range trouble {
		errs = append(errs, errors.New(line))
	}
	left, err := shared.Left()
	errs = append(errs, err)
	for _, line := range left {
		errs = append(errs, errors.New("left behind: "+line))
	}
	shared.client.Close()
	return errors.Join(append(errs, shared.Close())...)
}
