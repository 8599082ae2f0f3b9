package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// ExecBehavior is the built-in behavior that runs a command (api.md §4).
const ExecBehavior = "exec"

// ExecArgs is the one argument of an exec child.
type ExecArgs struct {
	Command string            `json:"command"` // a path; its node decides whether it may run
	Args    []string          `json:"args,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
	Dir     string            `json:"dir,omitempty"`
}

// ParseExecArgs reads the arguments of an exec child. The errors are located below the child: args[0].command.
func ParseExecArgs(args []json.RawMessage) (ExecArgs, []FieldError) {
	var v validator
	a := v.exec("", args)
	return a, v.errors
}

// reservedEnv are the variables that the node itself sets for a command.
var reservedEnv = []string{"SUPNODE_CHILD", "SUPNODE_INCARNATION", "SUPNODE_NODE", "SUPNODE_NODE_ID", "SUPNODE_SUPERVISOR"}

func (v *validator) exec(at string, args []json.RawMessage) (a ExecArgs) {
	const want = `write one object: [{"command": "/bin/sleep", "args": ["60"]}]`
	if len(args) != 1 {
		v.add(at+"args", "exec takes one argument and this child has %d; %s", len(args), want)
		return a
	}
	at += "args[0]"
	raw := bytes.TrimSpace(args[0])
	if len(raw) == 0 || raw[0] != '{' {
		v.add(at, "the argument of exec is an object; %s", want)
		return a
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		v.add(at, "this is not JSON: %s", err)
		return a
	}
	names := make([]string, 0, len(fields))
	for name := range fields { // any order: sorted below
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		var err error
		var kind string
		switch name {
		case "command":
			kind, err = "a string", json.Unmarshal(fields[name], &a.Command)
		case "args":
			kind, err = "a list of strings", json.Unmarshal(fields[name], &a.Args)
		case "env":
			kind, err = "an object of strings", json.Unmarshal(fields[name], &a.Env)
		case "dir":
			kind, err = "a string", json.Unmarshal(fields[name], &a.Dir)
		default:
			v.add(at+"."+name, "exec knows no field %q; it knows command, args, env and dir", name)
		}
		if err != nil {
			v.add(at+"."+name, "this is not %s", kind)
		}
	}
	v.execValues(at, &a, fields)
	return a
}

func (v *validator) execValues(at string, a *ExecArgs, fields map[string]json.RawMessage) {
	const nul = "a NUL byte cannot be passed to a command"
	if a.Command == "" && (fields["command"] == nil || bytes.Equal(fields["command"], []byte(`""`))) {
		v.add(at+".command", `exec needs a command, the path of a program like "/bin/sleep"`)
	}
	if strings.Contains(a.Command, "\x00") {
		v.add(at+".command", nul)
	}
	if strings.Contains(a.Dir, "\x00") {
		v.add(at+".dir", nul)
	}
	for i, s := range a.Args {
		if strings.Contains(s, "\x00") {
			v.add(fmt.Sprintf("%s.args[%d]", at, i), nul)
		}
	}
	names := make([]string, 0, len(a.Env))
	for name := range a.Env { // any order: sorted below
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00"):
			v.add(at+".env", "%q is not the name of a variable", name)
		case slices.Contains(reservedEnv, name):
			v.add(at+".env."+name, "%s is set by the node itself", name)
		case strings.Contains(a.Env[name], "\x00"):
			v.add(at+".env."+name, nul)
		}
	}
}
