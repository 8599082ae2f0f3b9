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
	errors := tree(MaxDepth + 1).WithDefaults().Validate()
	if len(errors) != 1 || !strings.HasSuffix(errors[0].Location, ".supervisor") || !strings.Contains(errors[0].Message, "16 levels") {
		t.Errorf("%v", errors)
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
