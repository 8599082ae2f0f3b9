package supervisor

import (
	"slices"
	"strings"
	"testing"
)

// A mistake in the registration of a selector is one of the program, and is told at once.
func TestSelectorsAreRegisteredOnce(t *testing.T) {
	pick := func(nodes []SelectorNode, _ SelectorChild) (NodeName, error) { return nodes[0].Name, nil }
	s := NewSelectors()
	s.Register("b", pick)
	s.Register("a", pick)
	if f, ok := s.Get("a"); !ok || f == nil || !slices.Equal(s.Names(), []string{"a", "b"}) {
		t.Errorf("%v", s.Names())
	}
	var none *Selectors
	if _, ok := none.Get("a"); ok || none.Names() != nil {
		t.Error("no selectors have one")
	}
	for name, register := range map[string]func(){
		"registered already": func() { s.Register("a", pick) },
		"is nil":             func() { s.Register("c", nil) },
		"is no name":         func() { s.Register("a b", pick) },
	} {
		func() {
			defer func() {
				if v, _ := recover().(string); !strings.Contains(v, name) {
					t.Errorf("%s: %v", name, v)
				}
			}()
			register()
		}()
	}
}
