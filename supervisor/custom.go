package supervisor

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// SelectorFunc chooses one of the nodes for a child, or says in an error why none will do (S29). The leader calls it: on a
// goroutine of its own, for SelectorTimeout at most, and for one child of a supervisor after the other, so that each call sees
// where the former ones went. It is called again whenever the child needs a node, and by every later leader, so it is to be
// registered on every server. nodes are by name, at least one; they and child are the function's own to change.
type SelectorFunc func(nodes []SelectorNode, child SelectorChild) (NodeName, error)

// SelectorNode is a node that may take the child.
type SelectorNode struct {
	Name      NodeName
	Tags      map[string]string
	Children  int // of all supervisors, placed there or being placed
	Behaviors []string
}

// SelectorChild is the child that needs a node.
type SelectorChild struct {
	Supervisor   Name
	Spec         ChildSpec
	LastNode     NodeName // where it ran last; empty at its first start
	RestartCount uint64
}

// The limits of custom selectors.
const (
	SelectorTimeout = Duration(100e6)
	MaxSelectorName = 128 // bytes
)

// Selectors are the custom selectors of a program, by name. Register them before its node starts. The zero Selectors are none.
type Selectors struct {
	mu     sync.RWMutex // guards byName
	byName map[string]SelectorFunc
}

// NewSelectors makes an empty set.
func NewSelectors() *Selectors { return &Selectors{} }

// Register adds a selector. As a mistake here is one in the program, it panics: when the name is bad or taken.
func (s *Selectors) Register(name string, f SelectorFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !validSelectorName(name):
		panic(fmt.Sprintf("supervisor: %q is no name for a selector", name))
	case f == nil:
		panic(fmt.Sprintf("supervisor: selector %q is nil", name))
	case s.byName[name] != nil:
		panic(fmt.Sprintf("supervisor: selector %q is registered already", name))
	}
	if s.byName == nil {
		s.byName = map[string]SelectorFunc{}
	}
	s.byName[name] = f
}

// Get returns a selector by its name.
func (s *Selectors) Get(name string) (SelectorFunc, bool) {
	if s == nil {
		return nil, false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	f, ok := s.byName[name]
	return f, ok
}

// Names are the names of all selectors, sorted.
func (s *Selectors) Names() []string {
	if s == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.byName))
}

// Custom is the selector that a program has registered under a name.
func Custom(name string) *Selector { return &Selector{Kind: SelectCustom, Custom: name} }

func validSelectorName(name string) bool { return validLabel(name, MaxSelectorName) }
