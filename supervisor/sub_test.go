package supervisor

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestNamesOfSubSupervisors(t *testing.T) {
	n := Name("pool").Sub("db").Sub("deep.1")
	if n != "pool/db/deep.1" || n.Depth() != 3 || n.Valid() {
		t.Errorf("%q, depth %d, valid for a user=%t", n, n.Depth(), n.Valid())
	}
	if k, ok := n.Parent(); !ok || k != (Key{Supervisor: "pool/db", Child: "deep.1"}) {
		t.Errorf("the parent of %q is %v, %t", n, k, ok)
	}
	if k, ok := Name("pool").Parent(); ok {
		t.Errorf("pool is a child: %v", k)
	}
}

// tree is a manifest of so many levels of supervisors.
func tree(levels int) Spec {
	text := `{"children": [{"id": "w", "behavior": "x"}]}`
	for range levels - 1 {
		text = fmt.Sprintf(`{"children": [{"id": "s", "supervisor": %s}]}`, text)
	}
	var s Spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		panic(err)
	}
	return s
}

func TestTreesAreBounded(t *testing.T) {
	s := tree(MaxDepth).WithDefaults()
	if errors := s.Validate(); len(errors) != 0 || s.Levels() != MaxDepth || s.Supervisors() != MaxDepth {
		t.Errorf("%d levels, %d supervisors, %v", s.Levels(), s.Supervisors(), errors)
	}
	wide := tree(MaxDepth).WithDefaults() // what stands side by side makes no tree deeper
	for i := range 2 * MaxDepth {
		c := wide.Children[0]
		c.ID, c.Restart = ChildID(fmt.Sprint("s", i)), []Restart{Permanent, Transient, Temporary}[i%3]
		wide.Children = append(wide.Children, c)
	}
	if errors := wide.Validate(); len(errors) != 0 {
		t.Errorf("%v", errors)
	}
	errors := tree(MaxDepth + 1).WithDefaults().Validate()
	if len(errors) != 1 || !strings.HasSuffix(errors[0].Location, ".supervisor") || !strings.Contains(errors[0].Message, "16 levels") {
		t.Errorf("%v", errors)
	}
}

// What belongs to the children of a sub-supervisor is refused on itself, and each word says where it belongs.
func TestWhatASubSupervisorHasNot(t *testing.T) {
	for _, test := range []struct{ field, at, word string }{
		{`"restart": "always"`, "restart", "permanent"},
		{`"behavior": "x"`, "behavior", "leave one of them out"},
		{`"args": [1]`, "args", "to its children"},
		{`"selector": "random"`, "selector", "supervisor.selector"},
		{`"backoff": {}`, "backoff", "to its children"},
		{`"require": {"zone": "a"}`, "require", "to its children"},
		{`"max_per_node": 1`, "max_per_node", "to its children"},
		{`"shutdown_timeout": "1s"`, "shutdown_timeout", "when its children have"},
		{`"init_timeout": "1s"`, "init_timeout", "when its children have"},
		{`"shutdown_timeout": "infinity"`, "", ""}, // what it is anyway
	} {
		s := parse(t, fmt.Sprintf(`{"name": "pool", "children": [{"id": "db", "supervisor": {"children": []}, %s}]}`, test.field))
		errors := s.WithDefaults().Validate()
		switch {
		case test.at == "" && len(errors) == 0:
		case len(errors) != 1 || errors[0].Location != "children[0]."+test.at || !strings.Contains(errors[0].Message, test.word):
			t.Errorf("%s: %v", test.field, errors)
		}
	}
	errors := parse(t, `{"children": [{"id": "db", "supervisor": {"name": "db", "children": []}}]}`).WithDefaults().Validate()
	if len(errors) != 1 || errors[0].Location != "children[0].supervisor.name" || !strings.Contains(errors[0].Message, "SUP/ID") {
		t.Errorf("a name of its own: %v", errors)
	}
}

// A sub-supervisor has the defaults of any supervisor, but its parent's selector and no time-outs of its own.
func TestDefaultsInATree(t *testing.T) {
	s := Spec{Selector: RoundRobin, Children: []ChildSpec{{ID: "db", Supervisor: &Spec{Children: []ChildSpec{{ID: "d1", Behavior: "x"}}}}}}
	c := s.WithDefaults().Children[0]
	if c.Restart != Permanent || c.ShutdownTimeout != nil || c.InitTimeout != nil || c.Selector != nil {
		t.Errorf("the child: %+v", c)
	}
	sub := c.Supervisor
	if sub.Strategy != OneForOne || sub.Selector != nil || *sub.Intensity != DefaultIntensity || sub.Children[0].Restart != Permanent {
		t.Errorf("the supervisor: %+v", sub)
	}
	if s.Children[0].Supervisor.Strategy != "" {
		t.Error("the manifest itself was changed")
	}
	if w := (Spec{Children: []ChildSpec{{ID: "db", Supervisor: &Spec{Children: []ChildSpec{{ID: "d1", Significant: true}}}}}}).Warnings(); len(w) != 1 ||
		!strings.Contains(w[0], `"db/d1"`) {
		t.Errorf("%q", w)
	}
}
