package supervisor

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// S34: the args of the template come first, those of the call behind them, and the template stays what it is.
func TestS34AChildIsMadeFromATemplate(t *testing.T) {
	args := make([]json.RawMessage, 1, 8)
	args[0] = json.RawMessage(`"a"`)
	template := ChildSpec{Behavior: "job", Restart: Transient, Args: args}
	one := template.Make(NthChild(1), [][]byte{[]byte(`1`), []byte(`2`)})
	two := template.Make(NthChild(2), [][]byte{[]byte(`3`)})
	if got := fmt.Sprintf("%s %s %s %s", one.ID, one.Behavior, one.Restart, one.Args); got != `child_1 job transient ["a" 1 2]` {
		t.Error(got)
	}
	if got := fmt.Sprintf("%s %s", two.ID, two.Args); got != `child_2 ["a" 3]` {
		t.Error(got)
	}
	if template.ID != "" || len(template.Args) != 1 {
		t.Errorf("%+v", template)
	}
	if id := NthChild(1<<64 - 1); !id.Valid() || id != "child_18446744073709551615" {
		t.Error(id)
	}
}

func TestATemplateMayLeaveAllArgsToTheCalls(t *testing.T) {
	s := parse(t, `{"strategy": "simple_one_for_one", "max_children": 10, "child_template": {"behavior": "exec", "restart": "temporary"}}`)
	if wrong := s.WithDefaults().Validate(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

func TestArgsAreBoundedWhateverTheBehavior(t *testing.T) {
	many := ChildSpec{}.Make("c", make([][]byte, MaxArgs+1))
	large := ChildSpec{}.Make("c", [][]byte{[]byte(`"` + strings.Repeat("x", MaxArgBytes) + `"`)})
	junk := ChildSpec{}.Make("c", [][]byte{[]byte(`{`)})
	for want, c := range map[string]ChildSpec{"too many": many, "bytes": large, "not JSON": junk} {
		if wrong := c.ArgsBeyond(); len(wrong) != 1 || !strings.Contains(wrong[0].Message, want) {
			t.Errorf("%s: %v", want, wrong)
		}
	}
	if wrong := (ChildSpec{Behavior: ExecBehavior}).Make("c", [][]byte{[]byte(`5`)}).ArgsBeyond(); wrong != nil {
		t.Errorf("what a behavior makes of its args is not looked at: %v", wrong)
	}
}
