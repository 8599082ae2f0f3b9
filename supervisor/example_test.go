package supervisor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// A program holds a supervisor through its node; the examples of package supnode run.
func ExampleStart() {
	work := func(ctx context.Context, n sup.Cluster) error { // n is a *node.Node
		pool, err := sup.Start(ctx, n, sup.Options{
			Name: "pool", Strategy: sup.OneForOne, Selector: sup.RoundRobin,
			Intensity: &sup.Intensity{MaxRestarts: 10, Within: sup.Of(time.Minute)},
			Children:  []sup.ChildSpec{{ID: "w1", Behavior: "pool-worker", Args: sup.Args(map[string]int{"size": 10})}},
		})
		var failed *sup.InitFailedError
		if errors.As(err, &failed) {
			return fmt.Errorf("%s does not start on %s: %s", failed.Child, failed.Node, failed.Reason)
		} else if err != nil {
			return err
		}
		ref, err := pool.StartChild(ctx, sup.ChildSpec{ID: "w2", Behavior: "pool-worker"})
		if err != nil {
			return err
		}
		fmt.Println(ref) // Process.Call(ctx, ref, task), with a message of package actor
		return pool.Stop(ctx, sup.ReasonShutdown)
	}
	_ = work
}

func ExampleSpec_Validate() {
	var spec sup.Spec
	manifest := `{"name": "pool", "children": [{"id": "w1", "behavior": "exec", "args": [{"comand": "/bin/sleep"}]}]}`
	if err := json.Unmarshal([]byte(manifest), &spec); err != nil {
		fmt.Println(err)
	}
	for _, e := range spec.WithDefaults().Validate() {
		fmt.Println(e.Location, "-", e.Message)
	}
	// Output:
	// children[0].args[0].comand - exec knows no field "comand"; it knows command, args, env, env_file, dir, stop_signal, liveness and limits
	// children[0].args[0].command - exec needs a command, the path of a program like "/bin/sleep"
}

func ExampleProblem_Unwrap() {
	var err error = &sup.Problem{Code: sup.CodeMaxRestartsExceeded, Supervisor: "pool", MaxRestarts: 3, Within: 5e9}
	var exceeded *sup.MaxRestartsExceededError
	if errors.As(err, &exceeded) {
		fmt.Println(exceeded.MaxRestarts, "restarts within", exceeded.Within)
	}
	// Output: 3 restarts within 5s
}
