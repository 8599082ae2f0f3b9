package cluster

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/proc"
	"github.com/supnode/supnode/test/jepsen-lite/proxy"
	"go.uber.org/goleak"
)

var timing = history.Timing{H: 100 * time.Millisecond, TTL: time.Second}

func start(t *testing.T, proxied bool) (*Cluster, context.Context) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(func() { goleak.VerifyNone(t) })
	t.Cleanup(cancel)
	c, err := New(Config{Binary: exe, Dir: t.TempDir(), Nodes: 3, Timing: timing, FastFailover: "off", Proxied: proxied,
		Allow: []string{"/bin/true"}, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return c, ctx
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestACleanStopLeavesNothing(t *testing.T) {
	c, ctx := start(t, false)
	check(t, c.Stop(ctx))
	left, err := c.Left()
	check(t, err)
	if len(left) > 0 {
		t.Error("left behind:", left)
	}
}

func TestWhatIsLeftIsSeen(t *testing.T) {
	c, ctx := start(t, false)
	n := c.Node("n2")
	check(t, os.WriteFile(filepath.Join(n.Temp, "forgotten"), nil, 0o644))
	for _, other := range c.Others("n2") {
		check(t, c.Node(other).Term())
		_, err := c.Node(other).Wait(ctx)
		check(t, err)
	}
	left, err := c.Left() // n2 still runs
	check(t, err)
	text := strings.Join(left, "\n")
	pid, _ := n.PID()
	for _, want := range []string{"process " + regexp.QuoteMeta(mustGet(t, pid).String()), "listens on port", "temp file .*forgotten"} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("not seen: %s\nin %s", want, text)
		}
	}
}

func mustGet(t *testing.T, pid int) proc.Process {
	t.Helper()
	p, ok := proc.Get(pid)
	if !ok {
		t.Fatal("no process", pid)
	}
	return p
}

func TestSignalsAndWhatIsWrittenDown(t *testing.T) {
	c, ctx := start(t, false)
	n := c.Node("n1")
	g, err := n.Guardian()
	check(t, err)
	check(t, n.Pause())
	if pid, _ := n.PID(); mustGet(t, pid).State != 'T' {
		t.Error("a paused supnode is not stopped")
	}
	if err := n.IsReady(ctx); err == nil {
		t.Error("a paused node says it is ready")
	}
	check(t, n.Resume())
	check(t, c.Ready(ctx, "n1"))
	resume, err := n.PauseGuardian()
	check(t, err)
	if mustGet(t, g).State != 'T' {
		t.Error("a paused guardian is not stopped")
	}
	check(t, resume())
	check(t, n.KillGuardian())
	check(t, n.Kill())
	if n.Running() {
		t.Error("a killed node runs")
	}
	if revived, err := c.Revive(); err != nil || len(revived) > 0 {
		t.Errorf("a node that was killed on purpose was revived: %v %v", revived, err)
	}
	check(t, n.Start())
	check(t, c.Ready(ctx, "n1"))
	var got []string
	for _, a := range c.Actions() {
		if a.Node == "n1" {
			got = append(got, a.What)
		}
	}
	want := []string{history.Started, history.Paused, history.Resumed, history.GuardianPaused, history.GuardianResumed,
		history.GuardianKilled, history.Killed, history.Reaped, history.Started}
	if !slices.Equal(got, want) {
		t.Errorf("written down: %q\nwant %q", got, want)
	}
}

func TestAnEndThatNobodyAskedForIsWrittenDownAndRevived(t *testing.T) {
	c, ctx := start(t, false)
	pid, _ := c.Node("n2").PID()
	p, err := os.FindProcess(pid)
	check(t, err)
	check(t, p.Kill()) // behind the driver's back
	_, err = c.Node("n2").Wait(ctx)
	check(t, err)
	if !slices.ContainsFunc(c.Actions(), func(a history.Action) bool { return a.Node == "n2" && a.What == history.Exited }) {
		t.Error("not written down:", c.Actions())
	}
	revived, err := c.Revive()
	check(t, err)
	if !slices.Equal(revived, []string{"n2"}) {
		t.Error("revived", revived)
	}
	check(t, c.Ready(ctx, "n2"))
}

func TestTheLeaderIsWhomMostCallSo(t *testing.T) {
	c, ctx := start(t, false)
	leader, err := c.Leader(ctx)
	check(t, err)
	if leader != "n1" {
		t.Error("leader", leader)
	}
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if l, err := c.Leader(short, "n1"); err == nil {
		t.Errorf("%s was taken for the leader, nobody but n1 claims it", l)
	}
}

func TestOperationsAskUntilTheOutcomeIsKnown(t *testing.T) {
	c, ctx := start(t, false)
	cl := c.Client()
	defer cl.Close()
	child := history.Key{Supervisor: "pool", Child: "w1"}
	op := cl.Operate(ctx, history.OpStart, child, map[string]any{"id": "w1"}, "key-7")
	if op.Outcome != history.Refused || op.Attempts != 3 || !strings.Contains(op.Detail, "duplicate_child: key-7") {
		t.Errorf("a refusal after two nodes without a leader: %+v", op)
	}
	if op := cl.Operate(ctx, history.OpTerminate, child, nil, "key-8"); op.Outcome != history.OK || op.Returned <= op.Invoked {
		t.Errorf("a success: %+v", op)
	}
	lost := c.Client("n1")
	defer lost.Close()
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if op := lost.Operate(short, history.OpStart, child, nil, "key-9"); op.Outcome != history.Maybe || op.Attempts < 2 {
		t.Errorf("no answer in time: %+v", op)
	}
}

func TestPeersAreFoundThroughTheLinks(t *testing.T) {
	c, _ := start(t, true)
	b, err := os.ReadFile(c.Node("n2").File)
	check(t, err)
	servers := regexp.MustCompile(`name: (n\d), addr: "([^"]+)"`).FindAllStringSubmatch(string(b), -1)
	if len(servers) != 3 {
		t.Fatalf("servers %q in\n%s", servers, b)
	}
	for _, s := range servers {
		want := c.Net.Addr(proxy.Anyone, "n2")
		if s[1] != "n2" {
			want = c.Net.Addr("n2", s[1])
		}
		if s[2] != want {
			t.Errorf("n2 is to find %s at %s, want %s", s[1], s[2], want)
		}
	}
}

func TestTroubleInALogIsSeen(t *testing.T) {
	c, _ := start(t, false)
	f, err := os.OpenFile(c.Node("n3").LogFile, os.O_APPEND|os.O_WRONLY, 0)
	check(t, err)
	_, err = f.WriteString("2026-01-01 [INFO] fine\npanic: oh\n")
	check(t, err)
	f.Close()
	got, err := c.Trouble()
	check(t, err)
	if !slices.Equal(got, []string{"n3: panic: oh"}) {
		t.Errorf("trouble %q", got)
	}
}
