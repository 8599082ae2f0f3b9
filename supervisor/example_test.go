package supervisor_test

import (
	"encoding/json"
	"errors"
	"fmt"

	sup "github.com/supnode/supnode/supervisor"
)

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
