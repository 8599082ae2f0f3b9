package supnode_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/supnode/supnode"
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/admin"
	"github.com/supnode/supnode/node"
	"github.com/supnode/supnode/supervisor"
)

// The messages and the behavior of these examples.

type Task struct{ ID, Payload string }

var (
	Process = actor.DefineCall[Task, string]("pool.process")
	Count   = actor.DefineCall[struct{}, int]("pool.count")
	Reset   = actor.DefineCast[struct{}]("pool.reset")
)

type WorkerArgs struct {
	Prefix string `json:"prefix"`
}

type worker struct {
	prefix string
	done   int
}

func poolWorker() actor.Behavior {
	b := actor.New("pool-worker", func(c *actor.Context, a WorkerArgs) (*worker, error) { return &worker{prefix: a.Prefix}, nil })
	actor.OnCall(b, Process, func(c *actor.Context, w *worker, t Task) (string, error) {
		if t.Payload == "" {
			return "", errors.New("the task is empty")
		}
		w.done++
		return w.prefix + strings.ToUpper(t.Payload), nil
	})
	actor.OnCall(b, Count, func(c *actor.Context, w *worker, _ struct{}) (int, error) { return w.done, nil })
	actor.OnCast(b, Reset, func(c *actor.Context, w *worker, _ struct{}) error { w.done = 0; return nil })
	return b
}

// startNode starts a cluster of one node in this process; a real one lists the same three or five servers on every node.
func startNode(behaviors *actor.Registry, change ...func(*node.Config)) (n *node.Node, stop func()) {
	dir, err := os.MkdirTemp("", "supnode-example-")
	if err != nil {
		log.Fatal(err)
	}
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	config := node.Config{
		Name: "n1", DataDir: dir, Servers: []node.Server{{Name: "n1", Addr: port.Addr().String()}},
		RPC:       node.RPCConfig{Listen: port.Addr().String(), Listener: port},
		Behaviors: behaviors,
	}
	for _, c := range change {
		c(&config)
	}
	n, err = node.Start(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	// The examples print what happens after the node has joined; nothing else needs this.
	for deadline := time.Now().Add(time.Minute); !n.Ready().Ready; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			log.Fatalf("the node never joined: %+v", n.Ready())
		}
	}
	return n, func() {
		if err := errors.Join(n.Close(), os.RemoveAll(dir)); err != nil {
			log.Print(err)
		}
	}
}

// The order of the tutorial: behaviors, node, supervisor.
func Example() {
	behaviors := actor.NewRegistry()
	behaviors.Register(poolWorker())
	b, _ := behaviors.Get("pool-worker")
	fmt.Println(behaviors.Has("pool-worker"), b.Name(), behaviors.Names())

	n, stop := startNode(behaviors)
	defer stop()

	ctx := context.Background()
	pool, err := supervisor.Start(ctx, n, supervisor.Options{
		Name: "pool", Strategy: supervisor.OneForOne, Selector: supervisor.RoundRobin,
		Intensity: &supervisor.Intensity{MaxRestarts: 10, Within: supervisor.Of(time.Minute)},
		Children: []supervisor.ChildSpec{
			{ID: "w1", Behavior: "pool-worker", Args: supervisor.Args(WorkerArgs{Prefix: "> "})},
			{ID: "w2", Behavior: "pool-worker"},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	children, err := pool.Children(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range children {
		text, err := Process.Call(ctx, c.Ref, Task{ID: "t1", Payload: "hello"})
		fmt.Printf("%s on %s: %s %v\n", c.ID, c.Node, text, err)
	}
	if err := pool.Stop(ctx, supervisor.ReasonShutdown); err != nil {
		log.Fatal(err)
	}
	running, err := pool.IsRunning(ctx)
	fmt.Println(pool.Name(), "runs:", running, err)
	// Output:
	// true pool-worker [pool-worker]
	// w1 on n1: > HELLO <nil>
	// w2 on n1: HELLO <nil>
	// pool runs: false <nil>
}

// Children come and go by hand, and say how they are.
func Example_children() {
	behaviors := actor.NewRegistry()
	behaviors.Register(poolWorker())
	n, stop := startNode(behaviors)
	defer stop()
	ctx := context.Background()
	pool, err := supervisor.Start(ctx, n, supervisor.Options{Name: "pool", Children: []supervisor.ChildSpec{{ID: "w1", Behavior: "pool-worker"}}})
	if err != nil {
		log.Fatal(err)
	}

	ref, err := pool.StartChild(ctx, supervisor.ChildSpec{ID: "w2", Behavior: "pool-worker", Args: supervisor.Args(WorkerArgs{Prefix: "2: "}),
		Selector: supervisor.LeastLoaded})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(Process.Call(ctx, ref, Task{Payload: "images"}))
	before, _ := Count.Call(ctx, ref, struct{}{})

	ref, err = pool.RestartChild(ctx, "w2") // a new incarnation with the same ref
	if err != nil {
		log.Fatal(err)
	}
	after, _ := Count.Call(ctx, ref, struct{}{})
	fmt.Println("tasks before and after:", before, after)

	w2, err := pool.Child(ctx, "w2")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(w2.ID, w2.Status, "on", w2.Node, "restarts:", w2.RestartCount, "last exit:", w2.LastExit.Reason)

	if err := pool.TerminateChild(ctx, "w1"); err != nil {
		log.Fatal(err)
	}
	count, _ := pool.CountChildren(ctx)
	fmt.Printf("%+v\n", count)
	stats, _ := pool.Stats(ctx)
	fmt.Println(stats.Name, stats.Strategy, stats.ChildCount, stats.ChildrenByNode, stats.TotalRestarts, stats.NodeFailureRestarts)

	again, err := supervisor.Find(ctx, n, "pool") // on any node, in any program of the cluster
	fmt.Println(again.Name(), err)
	// Output:
	// 2: IMAGES <nil>
	// tasks before and after: 1 0
	// w2 running on n1 restarts: 1 last exit: shutdown
	// {Specs:1 Active:1 Supervisors:0 Workers:1}
	// pool one_for_one 1 map[n1:1] 0 0
	// pool <nil>
}

// Children of simple_one_for_one are made from a template, each with args of its own.
func Example_template() {
	behaviors := actor.NewRegistry()
	behaviors.Register(poolWorker())
	n, stop := startNode(behaviors)
	defer stop()
	ctx := context.Background()
	tasks, err := supervisor.Start(ctx, n, supervisor.Options{
		Name: "tasks", Strategy: supervisor.SimpleOneForOne,
		ChildTemplate: &supervisor.ChildSpec{Behavior: "pool-worker", Restart: supervisor.Transient, Selector: supervisor.RoundRobin},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, task := range []string{"images", "videos", "audio"} {
		ref, err := tasks.StartChildArgs(ctx, WorkerArgs{Prefix: task + ": "})
		if err != nil {
			log.Fatal(err)
		}
		text, err := Process.Call(ctx, ref, Task{Payload: "go"})
		fmt.Println(ref.Key().Child, text, err)
	}
	// Output:
	// child_1 images: GO <nil>
	// child_2 videos: GO <nil>
	// child_3 audio: GO <nil>
}

// A program chooses nodes by its own rule: the tutorial's, which prefers nodes for workers and takes the least loaded of them.
func Example_customSelector() {
	behaviors := actor.NewRegistry()
	behaviors.Register(poolWorker())
	selectors := supervisor.NewSelectors()
	selectors.Register("workers-first", func(nodes []supervisor.SelectorNode, child supervisor.SelectorChild) (supervisor.NodeName, error) {
		if child.Spec.ID == "nowhere" {
			return "", errors.New("no node is good enough")
		}
		byLoad := func(a, b supervisor.SelectorNode) int { return a.Children - b.Children }
		workers := slices.DeleteFunc(slices.Clone(nodes), func(n supervisor.SelectorNode) bool { return n.Tags["role"] != "worker" })
		if len(workers) > 0 {
			return slices.MinFunc(workers, byLoad).Name, nil
		}
		return slices.MinFunc(nodes, byLoad).Name, nil
	})
	n, stop := startNode(behaviors, func(c *node.Config) { // on every server
		c.Selectors, c.Tags = selectors, map[string]string{"role": "worker", "zone": "a"}
	})
	defer stop()
	ctx := context.Background()
	pool, err := supervisor.Start(ctx, n, supervisor.Options{
		Name: "pool", Spread: "zone", Selector: supervisor.Custom("workers-first"),
		Children: []supervisor.ChildSpec{
			{ID: "w1", Behavior: "pool-worker"},
			{ID: "w2", Behavior: "pool-worker", Require: map[string]string{"zone": "a"}, MaxPerNode: 2},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	children, _ := pool.Children(ctx)
	for _, c := range children {
		fmt.Println(c.ID, "on", c.Node)
	}
	_, err = pool.StartChild(ctx, supervisor.ChildSpec{ID: "nowhere", Behavior: "pool-worker"})
	fmt.Println(err)
	_, err = pool.StartChild(ctx, supervisor.ChildSpec{ID: "w3", Behavior: "pool-worker", MaxPerNode: 2})
	var nobody *supervisor.NoAvailableNodeError
	if errors.As(err, &nobody) {
		fmt.Println(nobody.Reasons[0].Node, nobody.Reasons[0].Reason)
	}
	// Output:
	// w1 on n1
	// w2 on n1
	// no_available_node: selector "workers-first" chose no node: no node is good enough
	// n1 it holds 2 of the supervisor's children, and max_per_node is 2
}

// A program decides by the type of an error, and shows the error itself, which says what to do.
func Example_errors() {
	behaviors := actor.NewRegistry()
	behaviors.Register(poolWorker())
	n, stop := startNode(behaviors)
	defer stop()
	ctx := context.Background()
	pool, err := supervisor.Start(ctx, n, supervisor.Options{Name: "pool", Children: []supervisor.ChildSpec{{ID: "w1", Behavior: "pool-worker"}}})
	if err != nil {
		log.Fatal(err)
	}

	for _, spec := range []supervisor.ChildSpec{
		{ID: "w1", Behavior: "pool-worker"},
		{ID: "w2", Behavior: "nobodys"},
		{ID: "w2", Behavior: "pool-worker", Selector: supervisor.OnNode("n9")},
		{ID: "w2", Behavior: "pool-worker", Args: supervisor.Args("no object")},
		{ID: "w 2", Behavior: "pool-worker"},
	} {
		_, err := pool.StartChild(ctx, spec)
		var (
			duplicate *supervisor.DuplicateChildError
			behavior  *supervisor.BehaviorNotFoundError
			nobody    *supervisor.NoAvailableNodeError
			failed    *supervisor.InitFailedError
			invalid   *supervisor.InvalidSpecError
			exceeded  *supervisor.MaxRestartsExceededError
		)
		switch {
		case errors.As(err, &duplicate):
			fmt.Println("child", duplicate.Child, "exists")
		case errors.As(err, &behavior):
			fmt.Println("behavior", behavior.Behavior, "is nowhere")
		case errors.As(err, &nobody):
			fmt.Println("nobody for", nobody.Child, "-", nobody.Reasons[0].Node, nobody.Reasons[0].Reason)
		case errors.As(err, &failed):
			fmt.Println("init of", failed.Child, "on", failed.Node, "failed")
		case errors.As(err, &invalid):
			fmt.Println("wrong at", invalid.Errors[0].Location)
		case errors.As(err, &exceeded):
			fmt.Println("more than", exceeded.MaxRestarts, "restarts within", exceeded.Within)
		}
	}
	err = pool.TerminateChild(ctx, "w9")
	var missing *supervisor.ChildNotFoundError
	fmt.Println(errors.As(err, &missing), "-", err)
	// Output:
	// child w1 exists
	// behavior nobodys is nowhere
	// nobody for w2 - n1 the child is pinned to n9
	// init of w2 on n1 failed
	// wrong at id
	// true - child_not_found: supervisor "pool" has no child "w9"; list its children, or start this one
}

// Lifecycle events are told from the subscription on, on every node, whoever leads.
func Example_events() {
	behaviors := actor.NewRegistry()
	behaviors.Register(poolWorker())
	n, stop := startNode(behaviors)
	defer stop()
	ctx := context.Background()

	over := make(chan struct{})
	unsubscribe := n.OnLifecycleEvent(func(e supervisor.Event) {
		switch e.Type {
		case supervisor.EventSupervisorStarted:
			fmt.Println("[START]", e.Supervisor)
		case supervisor.EventSupervisorStopped:
			fmt.Println("[STOP]", e.Supervisor, e.Reason)
			close(over)
		case supervisor.EventChildStarted:
			fmt.Println("[CHILD]", e.Child, "started on", e.Node)
		case supervisor.EventChildStopped:
			fmt.Println("[CHILD]", e.Child, "stopped:", e.Reason)
		case supervisor.EventChildRestarted:
			fmt.Println("[RESTART]", e.Child, "on", e.Node, "attempt", e.Attempt)
		case supervisor.EventChildMigrated:
			fmt.Println("[MIGRATE]", e.Child, e.FromNode, "→", e.ToNode)
		case supervisor.EventNodeFailureDetected:
			fmt.Println("[FAILURE]", e.Node, "affected:", e.AffectedChildren)
		}
	})
	defer unsubscribe()
	defer n.OnNodeUp(func(name supervisor.NodeName) { fmt.Println("[UP]", name) })()
	defer n.OnNodeDown(func(name supervisor.NodeName, reason string) { fmt.Println("[DOWN]", name, reason) })()

	pool, err := supervisor.Start(ctx, n, supervisor.Options{Name: "pool", Children: []supervisor.ChildSpec{{ID: "w1", Behavior: "pool-worker"}}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := pool.RestartChild(ctx, "w1"); err != nil {
		log.Fatal(err)
	}
	if err := pool.Stop(ctx, "enough"); err != nil {
		log.Fatal(err)
	}
	<-over
	// Output:
	// [CHILD] w1 started on n1
	// [START] pool
	// [CHILD] w1 stopped: shutdown
	// [RESTART] w1 on n1 attempt 1
	// [CHILD] w1 stopped: shutdown
	// [STOP] pool enough
}

// Who must miss nothing, not even while it was away, keeps the id of the last event that it has dealt with.
func ExampleProgram() {
	audit := func(ctx context.Context, n *node.Node) error {
		since := uint64(0) // read it from where it is kept
		for {
			err := n.Follow(ctx, since, func(e supervisor.Event) error {
				fmt.Println(e.ID, e.Type)
				since = e.ID // and keep it
				return nil
			})
			var gap *supervisor.EventsCompactedError
			if !errors.As(err, &gap) {
				return err
			}
			since = gap.Oldest - 1 // the history does not go back that far any more
		}
	}
	behaviors := actor.NewRegistry()
	behaviors.Register(poolWorker())
	program := supnode.Program{Behaviors: behaviors, Beside: audit}
	// func main() { supnode.MainWith(program) }
	fmt.Println(program.Behaviors.Names())
	// Output: [pool-worker]
}

// What the tutorial's child specs look like.
func Example_specs() {
	children := []supervisor.ChildSpec{
		{ID: "basic-worker", Behavior: "worker"},
		{ID: "configured-worker", Behavior: "worker", Args: supervisor.Args(map[string]any{"pool_size": 10})},
		{ID: "storage-worker", Behavior: "storage", Selector: supervisor.OnNode("storage-1")},
		{ID: "task-worker", Behavior: "task-processor", Restart: supervisor.Transient, Selector: supervisor.RoundRobin},
		{ID: "coordinator", Behavior: "coordinator", Restart: supervisor.Permanent, Significant: true,
			ShutdownTimeout: new(supervisor.Of(30 * time.Second))},
		{ID: "command", Behavior: supervisor.ExecBehavior, Args: supervisor.Args(supervisor.ExecArgs{Command: "/bin/sleep", Args: []string{"60"}})},
	}
	options := supervisor.Options{Name: "app", Selector: supervisor.LeastLoaded, Children: children}
	fmt.Println(len(options.Validate()), "mistakes")
	manifest, _ := json.Marshal(options.Children[4]) // the same as a manifest has it
	fmt.Println(string(manifest))
	// Output:
	// 0 mistakes
	// {"id":"coordinator","behavior":"coordinator","restart":"permanent","shutdown_timeout":"30s","significant":true}
}

// A single actor that the whole cluster knows by name is a supervisor with one child.
func Example_globalActor() {
	behaviors := actor.NewRegistry()
	behaviors.Register(poolWorker())
	n, stop := startNode(behaviors)
	defer stop()
	ctx := context.Background()
	if _, err := supervisor.Start(ctx, n, supervisor.Options{Name: "scheduler", Children: []supervisor.ChildSpec{{ID: "main", Behavior: "pool-worker"}}}); err != nil {
		log.Fatal(err)
	}
	scheduler := n.Ref("scheduler", "main") // its name is enough
	fmt.Println(Process.Call(ctx, scheduler, Task{Payload: "now"}))
	fmt.Println(Reset.Cast(ctx, scheduler, struct{}{}))
	// Output:
	// NOW <nil>
	// <nil>
}

// A program that starts its node itself serves the HTTP API where it likes.
func Example_embeddedHTTP() {
	n, stop := startNode(nil)
	defer stop()
	if _, err := supervisor.Start(context.Background(), n, supervisor.Options{Name: "pool"}); err != nil {
		log.Fatal(err)
	}
	api, err := admin.New(n, admin.Options{})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(api) // or an http.Server of the program's own
	defer server.Close()
	answer, err := server.Client().Get(server.URL + "/v1/supervisors/pool/count")
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(answer.StatusCode, strings.TrimSpace(string(body)))
	// Output: 200 {"specs":0,"active":0,"supervisors":0,"workers":0}
}
