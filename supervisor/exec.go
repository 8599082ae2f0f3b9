package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// ExecBehavior is the built-in behavior that runs a command (docs/exec.md).
const ExecBehavior = "exec"

// MaxEnvFiles bounds the files of env_file.
const MaxEnvFiles = 16

// ExecArgs is the first argument of an exec child; those that follow, strings or numbers, are further Args: so the children
// of one template can differ (S34). A field that is left out has its zero value.
type ExecArgs struct {
	Command    string            `json:"command"` // an absolute path, or a name looked up in PATH; its node decides whether it may run
	Args       []string          `json:"args,omitempty"`
	Env        map[string]string `json:"env,omitempty"`      // before EnvFile and the node's own environment
	EnvFile    []string          `json:"env_file,omitempty"` // absolute paths, read on the node at each start; of two settings the later counts
	Dir        string            `json:"dir,omitempty"`      // absolute; default /
	StopSignal StopSignal        `json:"stop_signal,omitempty"`
	Liveness   *Liveness         `json:"liveness,omitempty"`
	Limits     *Limits           `json:"limits,omitempty"`
}

// StopSignal names the signal that asks a command to stop; empty = SIGTERM.
type StopSignal string

// DefaultStopSignal is the StopSignal of a command that names none.
const DefaultStopSignal StopSignal = "SIGTERM"

// StopSignals are those that may be chosen: the ones by which programs are asked to end.
var StopSignals = []StopSignal{"SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGABRT", "SIGUSR1", "SIGUSR2", "SIGWINCH"}

// ParseExecArgs reads the arguments of an exec child. The errors are located below the child: args[0].command.
func ParseExecArgs(args []json.RawMessage) (ExecArgs, []FieldError) {
	var v validator
	a := v.exec("", args)
	return a, v.errors
}

// ReservedEnv are the variables that the node itself sets for a command.
var ReservedEnv = []string{"SUPNODE_CHILD", "SUPNODE_INCARNATION", "SUPNODE_NODE", "SUPNODE_NODE_ID", "SUPNODE_PROBE", "SUPNODE_SUPERVISOR"}

func (v *validator) exec(at string, args []json.RawMessage) (a ExecArgs) {
	const want = `write one object: [{"command": "/bin/sleep", "args": ["60"]}]`
	if len(args) == 0 {
		v.add(at+"args", "exec needs an argument and this child has none; %s", want)
		return a
	}
	o, ok := v.object(at+"args[0]", args[0], "the first argument of exec is an object; "+want)
	if !ok {
		return a
	}
	o.take("command", "a string", &a.Command)
	o.take("args", "a list of strings", &a.Args)
	o.take("env", "an object of strings", &a.Env)
	a.EnvFile = o.takeStrings("env_file", "the path of a file, or a list of paths")
	o.take("dir", "a string", &a.Dir)
	o.take("stop_signal", "the name of a signal", &a.StopSignal)
	a.Liveness = o.liveness()
	a.Limits = o.limits()
	o.rest("exec")
	for i, raw := range args[1:] {
		a.Args = append(a.Args, v.word(fmt.Sprintf("%sargs[%d]", at, i+1), raw))
	}
	v.execValues(o, &a)
	return a
}

// word is a further argument of exec as the command gets it.
func (v *validator) word(at string, raw json.RawMessage) (text string) {
	var number json.Number
	switch {
	case json.Unmarshal(raw, &text) == nil && raw[0] == '"':
	case json.Unmarshal(raw, &number) == nil && raw[0] != '"' && number != "":
		text = number.String()
	default:
		v.add(at, "what follows the first argument of exec is passed to the command, so it is a string or a number")
	}
	return text
}

const nul = "a NUL byte cannot be passed to a command"

func (v *validator) execValues(o *object, a *ExecArgs) {
	switch {
	case strings.Contains(a.Command, "\x00"):
		o.wrong("command", nul)
	case a.Command == "" && !o.bad["command"]:
		o.wrong("command", `exec needs a command, the path of a program like "/bin/sleep"`)
	case strings.Contains(a.Command, "/") && !path.IsAbs(a.Command):
		o.wrong("command", "%q is a relative path; give an absolute one, or a name that is looked up in PATH", a.Command)
	}
	switch {
	case strings.Contains(a.Dir, "\x00"):
		o.wrong("dir", nul)
	case a.Dir != "" && !path.IsAbs(a.Dir):
		o.wrong("dir", "%q is a relative path; give an absolute one", a.Dir)
	}
	for i, s := range a.Args {
		if strings.Contains(s, "\x00") {
			o.wrong(fmt.Sprintf("args[%d]", i), nul)
		}
	}
	v.execEnv(o, a)
	if s := a.StopSignal; s != "" && !slices.Contains(StopSignals, s) {
		o.wrong("stop_signal", "%s", s.why())
	}
}

func (v *validator) execEnv(o *object, a *ExecArgs) {
	if len(a.EnvFile) > MaxEnvFiles {
		o.wrong("env_file", "%d files are too many; a command may have %d", len(a.EnvFile), MaxEnvFiles)
	}
	for i, file := range a.EnvFile {
		switch {
		case strings.Contains(file, "\x00"):
			o.wrong(fmt.Sprintf("env_file[%d]", i), "the path of a file has no NUL byte")
		case !path.IsAbs(file):
			o.wrong(fmt.Sprintf("env_file[%d]", i), "%q is not an absolute path; the file is read on the node that runs the command, which has no directory to begin at", file)
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
			o.wrong("env", "%q is not the name of a variable", name)
		case slices.Contains(ReservedEnv, name):
			o.wrong("env."+name, "%s is set by the node itself", name)
		case strings.Contains(a.Env[name], "\x00"):
			o.wrong("env."+name, nul)
		}
	}
}

// why says what is wrong with a stop signal.
func (s StopSignal) why() string {
	all := make([]string, len(StopSignals))
	for i, known := range StopSignals {
		all[i] = string(known)
		if strings.EqualFold(string(s), string(known)) || strings.EqualFold("SIG"+string(s), string(known)) {
			return fmt.Sprintf("write %q as %s", string(s), known)
		}
	}
	if strings.EqualFold(string(s), "SIGKILL") || strings.EqualFold(string(s), "KILL") {
		return `a command cannot stop by itself on SIGKILL; to kill it at once set shutdown_timeout to "0s"`
	}
	return fmt.Sprintf("%q is not a signal to stop by; use one of %s", string(s), strings.Join(all, ", "))
}

// An object is a JSON object of which field by field is taken.
type object struct {
	v      *validator
	at     string
	fields map[string]json.RawMessage
	taken  []string
	bad    map[string]bool // what was wrong by its type
}

// object reads one; want says what to write in its place.
func (v *validator) object(at string, raw json.RawMessage, want string) (*object, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' {
		v.add(at, "%s", want)
		return nil, false
	}
	o := &object{v: v, at: at, bad: map[string]bool{}}
	if err := json.Unmarshal(raw, &o.fields); err != nil {
		v.add(at, "this is not JSON: %s", err)
		return nil, false
	}
	return o, true
}

func (o *object) has(name string) bool { return len(o.fields[name]) > 0 }

func (o *object) wrong(name, format string, args ...any) {
	o.v.add(o.at+"."+name, format, args...)
}

// take decodes a field, if it is there.
func (o *object) take(name, kind string, into any) {
	o.taken = append(o.taken, name)
	if o.has(name) && json.Unmarshal(o.fields[name], into) != nil {
		o.bad[name] = true
		o.wrong(name, "this is not %s", kind)
	}
}

// takeStrings decodes a field that is one string or a list of them.
func (o *object) takeStrings(name, kind string) (list []string) {
	o.taken = append(o.taken, name)
	var one string
	switch raw := o.fields[name]; {
	case len(raw) == 0 || bytes.Equal(raw, []byte("null")):
		return nil
	case json.Unmarshal(raw, &one) == nil:
		return []string{one}
	case json.Unmarshal(raw, &list) == nil:
		return list
	}
	o.bad[name] = true
	o.wrong(name, "this is not %s", kind)
	return nil
}

// rest refuses the fields that were not taken.
func (o *object) rest(of string) {
	names := make([]string, 0, len(o.fields))
	for name := range o.fields { // any order: sorted below
		if !slices.Contains(o.taken, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	last := len(o.taken) - 1
	for _, name := range names {
		o.wrong(name, "%s knows no field %q; it knows %s and %s", of, name, strings.Join(o.taken[:last], ", "), o.taken[last])
	}
}
