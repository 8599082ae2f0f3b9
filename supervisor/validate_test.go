package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parse(t *testing.T, manifest string) Spec {
	t.Helper()
	var s Spec
	if err := json.Unmarshal([]byte(manifest), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// The manifest of api.md §4 is valid, and its defaults are those of api.md §4.
func TestManifestOfTheContract(t *testing.T) {
	s := parse(t, `{"name": "pool", "strategy": "one_for_one", "selector": "round_robin",
		"restart_intensity": {"max_restarts": 3, "within": "5s"}, "auto_shutdown": "never",
		"children": [{"id": "w1", "behavior": "exec",
			"args": [{"command": "/bin/sh", "args": ["-c", "sleep 1000"], "env": {"A": "b"}, "dir": "/"}],
			"restart": "permanent", "selector": {"node": "n2"}, "shutdown_timeout": "5s", "significant": false}],
		"child_template": null}`)
	if errs := s.Validate(); len(errs) > 0 {
		t.Errorf("errors: %v", errs)
	}
	if d := cmp.Diff(s.Children[0].WithDefaults().InitTimeout.Std().String(), "30s"); d != "" {
		t.Error(d)
	}
	short := parse(t, `{"children": [{"id": "w1", "behavior": "exec", "args": [{"command": "/bin/true"}]}]}`).WithDefaults()
	out, err := json.Marshal(short)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"strategy":"one_for_one","selector":"local_first","restart_intensity":{"max_restarts":3,"within":"5s"},"auto_shutdown":"never",` +
		`"children":[{"id":"w1","behavior":"exec","args":[{"command":"/bin/true"}],"restart":"permanent","shutdown_timeout":"5s","init_timeout":"30s"}]}`
	if d := cmp.Diff(want, string(out)); d != "" {
		t.Error(d)
	}
	if errs := short.Validate(); len(errs) > 0 {
		t.Errorf("errors: %v", errs)
	}
	if d := parse(t, `{"restart_intensity": {"max_restarts": 0}}`).WithDefaults(); d.Intensity.MaxRestarts != 0 || d.Intensity.Within != DefaultIntensity.Within {
		t.Errorf("intensity %+v", d.Intensity)
	}
}

// What is wrong is told at its place, with what would be right.
func TestInvalidManifests(t *testing.T) {
	child := func(fields string) string {
		return `{"name": "pool", "children": [{"id": "w0", "behavior": "x"}, {"id": "w1", "behavior": "x", ` + fields + `}]}`
	}
	exec := func(args string) string {
		return `{"name": "pool", "children": [{"id": "w0", "behavior": "exec", "args": ` + args + `}]}`
	}
	for _, c := range []struct{ manifest, location, message string }{
		{`{"name": "a/b"}`, "name", "letters"},
		{`{"name": "` + strings.Repeat("x", 129) + `"}`, "name", "128"},
		{`{"strategy": "simple_one_for_one"}`, "child_template", "needs a child_template"},
		{`{"strategy": "simple_one_for_one", "child_template": {"behavior": "x", "id": "w"}}`, "child_template.id", "no id"},
		{`{"strategy": "simple_one_for_one", "child_template": {"restart": "permanent"}}`, "child_template.behavior", "needs a behavior"},
		{`{"strategy": "simple_one_for_one", "child_template": {"behavior": "x", "restart": "always"}}`, "child_template.restart", "temporary"},
		{`{"strategy": "simple_one_for_one", "child_template": {"behavior": "exec", "args": ["/bin/true"]}}`, "child_template.args[0]", "object"},
		{`{"strategy": "simple_one_for_one", "child_template": {"behavior": "x"}, "children": [{"id": "w", "behavior": "x"}]}`, "children", "without children"},
		{`{"strategy": "simple_one_for_one", "child_template": {"behavior": "x"}, "max_children": -1}`, "max_children", "between 1"},
		{`{"strategy": "simple_one_for_one", "child_template": {"behavior": "x"}, "max_children": 1000001}`, "max_children", "between 1"},
		{`{"strategy": "simple_one_for_one", "child_template": {"behavior": "x"}, "auto_shutdown": "any_significant"}`, "auto_shutdown", "come and go"},
		{`{"strategy": "two_for_one"}`, "strategy", "not a strategy"},
		{`{"auto_shutdown": "sometimes"}`, "auto_shutdown", "never"},
		{`{"selector": {"custom": "the best"}}`, "selector.custom", "no space"},
		{`{"spread": "` + strings.Repeat("x", 129) + `"}`, "spread", "1 to 128 bytes"},
		{`{"selector": {"node": "N2"}}`, "selector.node", "lower-case"},
		{`{"selector": {"node": "n2", "fallback": "best"}}`, "selector.fallback", "least_loaded"},
		{`{"restart_intensity": {"max_restarts": -1, "within": "5s"}}`, "restart_intensity.max_restarts", "between"},
		{`{"restart_intensity": {"max_restarts": 10001, "within": "5s"}}`, "restart_intensity.max_restarts", "between"},
		{`{"restart_intensity": {"max_restarts": 1, "within": "infinity"}}`, "restart_intensity.within", "5s"},
		{`{"child_template": {"behavior": "exec"}}`, "child_template", "simple_one_for_one"},
		{`{"max_children": 3}`, "max_children", "simple_one_for_one"},
		{child(`"restart": "always"`), "children[1].restart", "permanent, transient or temporary"},
		{child(`"selector": {"custom": "` + strings.Repeat("x", 129) + `"}`), "children[1].selector.custom", "128 bytes"},
		{child(`"require": {"": "a"}`), "children[1].require", "is no tag"},
		{child(`"require": {"zone": "` + strings.Repeat("x", 257) + `"}`), "children[1].require", "at most 256"},
		{child(`"require": {"1":"","2":"","3":"","4":"","5":"","6":"","7":"","8":"","9":"","10":"","11":"","12":"","13":"","14":"","15":"","16":"","17":""}`), "children[1].require", "17 tags are too many"},
		{child(`"max_per_node": -1`), "children[1].max_per_node", "not between 1"},
		{child(`"backoff": {"initial": "infinity"}`), "children[1].backoff.initial", "100ms"},
		{child(`"backoff": {"initial": "12h", "max": "48h"}`), "children[1].backoff.max", "24h"},
		{child(`"backoff": {"initial": "1m", "max": "30s"}`), "children[1].backoff.max", "shorter than the first wait"},
		{child(`"backoff": {"max": "infinity"}`), "children[1].backoff.max", "30s"},
		{child(`"backoff": {"factor": 0.5}`), "children[1].backoff.factor", "between 1 and 100"},
		{child(`"backoff": {"factor": 101}`), "children[1].backoff.factor", "between 1 and 100"},
		{child(`"backoff": {"jitter": 1.5}`), "children[1].backoff.jitter", "between 0 and 1"},
		{child(`"backoff": {"jitter": -0.1}`), "children[1].backoff.jitter", "between 0 and 1"},
		{child(`"restart": "temporary", "backoff": {}`), "children[1].backoff", "never restarted"},
		{child(`"init_timeout": "0s"`), "children[1].init_timeout", "30s"},
		{child(`"init_timeout": "infinity"`), "children[1].init_timeout", "30s"},
		{`{"children": [{"id": ".w", "behavior": "x"}]}`, "children[0].id", "not beginning with a dot"},
		{`{"children": [{"behavior": "x"}]}`, "children[0].id", "needs an id"},
		{`{"children": [{"id": "w", "behavior": "x"}, {"id": "w", "behavior": "x"}]}`, "children[1].id", "children[0]"},
		{`{"children": [{"id": "w"}]}`, "children[0].behavior", "exec"},
		{exec(`[]`), "children[0].args", "needs an argument"},
		{exec(`[{"command": "a"}, {"command": "b"}]`), "children[0].args[1]", "a string or a number"},
		{exec(`["/bin/true"]`), "children[0].args[0]", "object"},
		{exec(`[{}]`), "children[0].args[0].command", "needs a command"},
		{exec(`[{"command": ""}]`), "children[0].args[0].command", "needs a command"},
		{exec(`[{"command": 5}]`), "children[0].args[0].command", "not a string"},
		{exec(`[{"command": "a", "args": "b"}]`), "children[0].args[0].args", "not a list of strings"},
		{exec(`[{"command": "a", "env": {"A": 1}}]`), "children[0].args[0].env", "not an object of strings"},
		{exec(`[{"command": "a", "cwd": "/"}]`), "children[0].args[0].cwd", "command, args, env, env_file, dir, stop_signal, liveness and limits"},
		{exec(`[{"command": "a", "env": {"A=B": "1"}}]`), "children[0].args[0].env", "name of a variable"},
		{exec(`[{"command": "a", "env": {"SUPNODE_NODE_ID": "1"}}]`), "children[0].args[0].env.SUPNODE_NODE_ID", "set by the node"},
		{exec(`[{"command": "a\u0000b"}]`), "children[0].args[0].command", "NUL"},
		{exec(`[{"command": null}]`), "children[0].args[0].command", "needs a command"},
		{exec(`[{"command": "bin/a"}]`), "children[0].args[0].command", "relative path"},
		{exec(`[{"command": "a", "args": ["b", "c\u0000"]}]`), "children[0].args[0].args[1]", "NUL"},
		{exec(`[{"command": "a", "dir": "b"}]`), "children[0].args[0].dir", "relative path"},
		{exec(`[{"command": "a", "dir": "/b\u0000"}]`), "children[0].args[0].dir", "NUL"},
		{exec(`[{"command": "a", "env": {"A": "b\u0000"}}]`), "children[0].args[0].env.A", "NUL"},
		{exec(`[{"command": "a", "env_file": 5}]`), "children[0].args[0].env_file", "not the path of a file, or a list of paths"},
		{exec(`[{"command": "a", "env_file": ["/a", 5]}]`), "children[0].args[0].env_file", "not the path of a file, or a list of paths"},
		{exec(`[{"command": "a", "env_file": ""}]`), "children[0].args[0].env_file[0]", "not an absolute path"},
		{exec(`[{"command": "a", "env_file": ["/a", "b/c"]}]`), "children[0].args[0].env_file[1]", "not an absolute path"},
		{exec(`[{"command": "a", "env_file": ["/a\u0000"]}]`), "children[0].args[0].env_file[0]", "NUL"},
		{exec(`[{"command": "a", "env_file": [` + strings.Repeat(`"/a",`, 16) + `"/a"]}]`), "children[0].args[0].env_file", "a command may have 16"},
		{exec(`[{"command": "a", "limits": 2}]`), "children[0].args[0].limits", "is an object"},
		{exec(`[{"command": "a", "limits": {"ram": "1GiB"}}]`), "children[0].args[0].limits.ram", "memory, cpus and pids"},
		{exec(`[{"command": "a", "limits": {"memory": 5}}]`), "children[0].args[0].limits.memory", `write one like "256MiB"`},
		{exec(`[{"command": "a", "limits": {"memory": "a lot"}}]`), "children[0].args[0].limits.memory", `write one like "256MiB"`},
		{exec(`[{"command": "a", "limits": {"memory": "1000KiB"}}]`), "children[0].args[0].limits.memory", "1000KiB is less than 1MiB"},
		{exec(`[{"command": "a", "limits": {"cpus": 0}}]`), "children[0].args[0].limits.cpus", "0 is not between 0.01 and 4096"},
		{exec(`[{"command": "a", "limits": {"cpus": "1"}}]`), "children[0].args[0].limits.cpus", "not a number"},
		{exec(`[{"command": "a", "limits": {"pids": -1}}]`), "children[0].args[0].limits.pids", "between 1 and 4194304"},
		{exec(`[{"command": "a", "limits": {"pids": 1.5}}]`), "children[0].args[0].limits.pids", "whole number"},
		{exec(`[{"command": "a", "liveness": 2}]`), "children[0].args[0].liveness", "is an object"},
		{exec(`[{"command": "a", "liveness": {}}]`), "children[0].args[0].liveness", "one of command, tcp and http (here are 0)"},
		{exec(`[{"command": "a", "liveness": {"tcp": "a:1", "http": "http://a"}}]`), "children[0].args[0].liveness", "(here are 2)"},
		{exec(`[{"command": "a", "liveness": {"tcp": "a:1", "period": "1s"}}]`), "children[0].args[0].liveness.period", "it knows command, tcp, http, interval"},
		{exec(`[{"command": "a", "liveness": {"tcp": "a"}}]`), "children[0].args[0].liveness.tcp", "HOST:PORT"},
		{exec(`[{"command": "a", "liveness": {"tcp": "::1:80"}}]`), "children[0].args[0].liveness.tcp", "HOST:PORT"},
		{exec(`[{"command": "a", "liveness": {"tcp": "a:70000"}}]`), "children[0].args[0].liveness.tcp", "HOST:PORT"},
		{exec(`[{"command": "a", "liveness": {"http": "a/b"}}]`), "children[0].args[0].liveness.http", "not a URL"},
		{exec(`[{"command": "a", "liveness": {"http": "http:///b"}}]`), "children[0].args[0].liveness.http", "not a URL"},
		{exec(`[{"command": "a", "liveness": {"command": []}}]`), "children[0].args[0].liveness.command", "needs a command"},
		{exec(`[{"command": "a", "liveness": {"command": "x"}}]`), "children[0].args[0].liveness.command", "not a list of strings"},
		{exec(`[{"command": "a", "liveness": {"command": ["b/c"]}}]`), "children[0].args[0].liveness.command[0]", "relative path"},
		{exec(`[{"command": "a", "liveness": {"tcp": "a:1", "interval": "1ms"}}]`), "children[0].args[0].liveness.interval", "between 100ms and 24h0m0s"},
		{exec(`[{"command": "a", "liveness": {"tcp": "a:1", "timeout": "infinity"}}]`), "children[0].args[0].liveness.timeout", "not a duration"},
		{exec(`[{"command": "a", "liveness": {"tcp": "a:1", "timeout": 5}}]`), "children[0].args[0].liveness.timeout", "not a duration"},
		{exec(`[{"command": "a", "liveness": {"tcp": "a:1", "initial_delay": "48h"}}]`), "children[0].args[0].liveness.initial_delay", "between 0s and 24h0m0s"},
		{exec(`[{"command": "a", "liveness": {"tcp": "a:1", "failures": 0}}]`), "children[0].args[0].liveness.failures", "between 1 and 1000"},
		{exec(`[{"command": "a", "liveness": {"tcp": "a:1", "failures": 1.5}}]`), "children[0].args[0].liveness.failures", "whole number"},
		{exec(`[{"command": "a", "stop_signal": 2}]`), "children[0].args[0].stop_signal", "not the name of a signal"},
		{exec(`[{"command": "a", "stop_signal": "SIGFOO"}]`), "children[0].args[0].stop_signal", "use one of SIGTERM, SIGINT"},
		{exec(`[{"command": "a", "stop_signal": "int"}]`), "children[0].args[0].stop_signal", `write "int" as SIGINT`},
		{exec(`[{"command": "a", "stop_signal": "SIGKILL"}]`), "children[0].args[0].stop_signal", "shutdown_timeout"},
	} {
		errs := parse(t, c.manifest).WithDefaults().Validate()
		if len(errs) != 1 || errs[0].Location != c.location || !strings.Contains(errs[0].Message, c.message) {
			t.Errorf("%s: %+v, want one error at %s with %q", c.manifest, errs, c.location, c.message)
		}
	}
	many := parse(t, `{"name": "a b", "strategy": "x", "children": [{"id": "w 1", "behavior": "x"}]}`).Validate()
	if len(many) != 3 {
		t.Errorf("errors: %v", many)
	}
	if p := InvalidSpec(many); p.Code != CodeInvalidSpec || len(p.Errors) != 3 || !strings.Contains(p.Detail, "2 more") {
		t.Errorf("problem: %+v", p)
	}
	if InvalidSpec(nil) != nil {
		t.Error("nothing wrong is a problem")
	}
	c := ChildSpec{ID: "w", Behavior: "x", Restart: "always"}
	if errs := c.Validate(); len(errs) != 1 || errs[0].Location != "restart" {
		t.Errorf("errors: %v", errs)
	}
	var hundreds Spec
	for range 500 {
		hundreds.Children = append(hundreds.Children, ChildSpec{})
	}
	if n := len(hundreds.Validate()); n != maxFieldErrors {
		t.Errorf("%d errors are told", n)
	}
}

func TestNames(t *testing.T) { // api.md §4
	for n, want := range map[NodeName]bool{
		"n1": true, "a-b": true, NodeName(strings.Repeat("x", 63)): true,
		"": false, "N1": false, "a_b": false, "a.b": false, NodeName(strings.Repeat("x", 64)): false,
	} {
		if n.Valid() != want {
			t.Errorf("node name %q", n)
		}
	}
	for n, want := range map[Name]bool{"pool": true, "A_b-9": true, "": false, "a.b": false, "a/b": false, "ä": false} {
		if n.Valid() != want {
			t.Errorf("supervisor name %q", n)
		}
	}
	for id, want := range map[ChildID]bool{"w1": true, "a.b": true, "-": true, ".a": false, "": false, "a b": false, ChildID(strings.Repeat("x", 129)): false} {
		if id.Valid() != want {
			t.Errorf("child id %q", id)
		}
	}
}

func TestFurtherArgumentsOfACommand(t *testing.T) {
	a, errs := ParseExecArgs([]json.RawMessage{[]byte(`{"command": "/x", "args": ["-q"]}`), []byte(`"a b"`), []byte(`3.50`)})
	if diff := cmp.Diff([]string{"-q", "a b", "3.50"}, a.Args); diff != "" || errs != nil {
		t.Error(diff, errs)
	}
	for _, wrong := range []string{`null`, `true`, `{"command": "/y"}`, `["x"]`} {
		_, errs := ParseExecArgs([]json.RawMessage{[]byte(`{"command": "/x"}`), []byte(wrong)})
		if len(errs) != 1 || errs[0].Location != "args[1]" {
			t.Errorf("%s: %+v", wrong, errs)
		}
	}
}

func TestExecArgs(t *testing.T) {
	a, errs := ParseExecArgs([]json.RawMessage{[]byte(`{"command": "/bin/sh", "args": ["-c", "x"], "env": {"A": "b"}, "dir": "/tmp"}`)})
	want := ExecArgs{Command: "/bin/sh", Args: []string{"-c", "x"}, Env: map[string]string{"A": "b"}, Dir: "/tmp"}
	if d := cmp.Diff(want, a); d != "" || len(errs) > 0 {
		t.Error(d, errs)
	}
	for text, want := range map[string]ExecArgs{
		`"env_file": "/a"`:         {EnvFile: []string{"/a"}},
		`"env_file": ["/a", "/b"]`: {EnvFile: []string{"/a", "/b"}},
		`"env_file": null`:         {},
		`"stop_signal": "SIGINT"`:  {StopSignal: "SIGINT"},
		`"stop_signal": ""`:        {},
		`"liveness": null`:         {},
		`"limits": {}`:             {Limits: &Limits{}},
		`"limits": {"memory": "256MiB", "cpus": 0.5, "pids": 100}`:                                   {Limits: &Limits{Memory: 256 << 20, CPUs: 0.5, PIDs: 100}},
		`"liveness": {"tcp": "[::1]:80"}`:                                                            {Liveness: &Liveness{TCP: "[::1]:80", Interval: 10e9, Timeout: 1e9, Failures: 3, InitialDelay: 10e9}},
		`"liveness": {"http": "https://a/b", "interval": "2s"}`:                                      {Liveness: &Liveness{HTTP: "https://a/b", Interval: 2e9, Timeout: 1e9, Failures: 3, InitialDelay: 2e9}},
		`"liveness": {"command": ["a", "b"], "timeout": "3s", "failures": 1, "initial_delay": "0s"}`: {Liveness: &Liveness{Command: []string{"a", "b"}, Interval: 10e9, Timeout: 3e9, Failures: 1}},
	} {
		want.Command = "/x"
		a, errs := ParseExecArgs([]json.RawMessage{[]byte(`{"command": "/x", ` + text + `}`)})
		if d := cmp.Diff(want, a); d != "" || len(errs) > 0 {
			t.Error(text, d, errs)
		}
	}
}

// Problems are errors that errors.As finds by type, with the tutorial's fields.
func TestTypedErrors(t *testing.T) {
	var behavior *BehaviorNotFoundError
	var duplicate *DuplicateChildError
	var missing *ChildNotFoundError
	var restarts *MaxRestartsExceededError
	var nodes *NoAvailableNodeError
	for _, c := range []struct {
		problem *Problem
		as      any
		text    string
	}{
		{&Problem{Code: CodeBehaviorNotFound, Behavior: "b", Node: "n1"}, &behavior, `behavior "b" is not registered on node n1`},
		{&Problem{Code: CodeBehaviorNotFound, Behavior: "b"}, &behavior, `behavior "b" is registered on no live node`},
		{&Problem{Code: CodeDuplicateChild, Supervisor: "s", Child: "c"}, &duplicate, `supervisor "s" has a child "c" already`},
		{&Problem{Code: CodeChildNotFound, Supervisor: "s", Child: "c"}, &missing, `supervisor "s" has no child "c"`},
		{&Problem{Code: CodeMaxRestartsExceeded, Supervisor: "s", MaxRestarts: 3, Within: 5e9}, &restarts, `supervisor "s" had more than 3 restarts within 5s`},
		{&Problem{Code: CodeNoAvailableNode, Child: "c"}, &nodes, `no node can take child "c"`},
	} {
		var err error = c.problem
		if !errors.As(err, c.as) {
			t.Errorf("%s is not found by its type", c.problem.Code)
		}
		if got := errors.Unwrap(err).Error(); got != c.text {
			t.Errorf("%s reads %q", c.problem.Code, got)
		}
	}
	if restarts.MaxRestarts != 3 || restarts.Within != 5e9 || nodes.Child != "c" {
		t.Error("fields are lost")
	}
}

func TestNodeFailureAlwaysNamesItsChildren(t *testing.T) { // S44
	b, err := json.Marshal(Event{ID: 1, Type: EventNodeFailureDetected, Node: "n1"})
	if err != nil || !strings.Contains(string(b), `"affected_children":[]`) || !strings.Contains(string(b), `"node":"n1"`) {
		t.Errorf("%s %v", b, err)
	}
	b, err = json.Marshal([]Event{{ID: 1, Type: EventNodeFailureDetected, AffectedChildren: []Key{{"s", "c"}}}, {ID: 2, Type: EventNodeJoined}})
	if err != nil || !strings.Contains(string(b), `"affected_children":[{"supervisor":"s","child":"c"}]`) || strings.Count(string(b), "affected") != 1 {
		t.Errorf("%s %v", b, err)
	}
	var e Event
	if err := json.Unmarshal([]byte(`{"id":3,"type":"node_failure_detected","affected_children":[]}`), &e); err != nil || e.ID != 3 {
		t.Errorf("%+v %v", e, err)
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]Duration{"250ms": 250e6, "infinity": Infinity, "0s": 0} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d != want || d.String() != text {
			t.Errorf("%s: %s %v", text, d, err)
		}
	}
	for _, text := range []string{"-1s", "5", "", "forever"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is a duration: %s", text, d)
		}
	}
}

func TestSelectorsReadAndWriteTheSame(t *testing.T) {
	for _, text := range []string{`"local_first"`, `"round_robin"`, `"least_loaded"`, `"random"`, `{"node":"n2"}`, `{"node":"n2","fallback":"least_loaded"}`, `{"custom":"gpu"}`} {
		var s Selector
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Error(err)
			continue
		}
		if b, err := json.Marshal(s); err != nil || string(b) != text {
			t.Errorf("%s became %s (%v)", text, b, err)
		}
	}
	if text := fmt.Sprint(RoundRobin, OnNode("n2"), Selector{Kind: SelectNode, Node: "n2", Fallback: SelectRandom}, Custom("gpu")); text != "round_robin only n2 n2, else random custom gpu" {
		t.Errorf("to people: %s", text)
	}
	for _, text := range []string{`"best"`, `{}`, `{"node":"n1","custom":"x"}`, `{"nod":"n1"}`, `5`} {
		if err := json.Unmarshal([]byte(text), new(Selector)); err == nil {
			t.Errorf("%s is a selector", text)
		}
	}
}
