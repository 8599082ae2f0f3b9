package actor

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Registry holds the behaviors that a node can run. Register them on every node that is to run them, before it starts. The
// zero Registry is empty.
type Registry struct {
	mu     sync.RWMutex // guards byName
	byName map[string]Behavior
}

// builtIn is the behavior of commands, which nodes have by themselves.
const builtIn = "exec"

// NewRegistry makes an empty registry.
func NewRegistry() *Registry { return &Registry{} }

// Register adds behaviors. As a mistake here is one in the program, it panics: when one is nil, or its name bad or taken.
func (r *Registry) Register(behaviors ...Behavior) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byName == nil {
		r.byName = map[string]Behavior{}
	}
	for _, b := range behaviors {
		if b == nil {
			panic("actor: a behavior that is registered is nil")
		}
		name := b.Name()
		mustBehavior(name, true)
		switch {
		case name == builtIn:
			panic(fmt.Sprintf("actor: behavior %q is built in: it runs commands", name))
		case r.byName[name] != nil:
			panic(fmt.Sprintf("actor: behavior %q is registered already", name))
		}
		r.byName[name] = b
	}
}

// Has reports whether a behavior is registered.
func (r *Registry) Has(name string) bool {
	_, ok := r.Get(name)
	return ok
}

// Get returns a behavior by its name.
func (r *Registry) Get(name string) (Behavior, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	b, ok := r.byName[name]
	return b, ok
}

// Names returns the names of all behaviors, sorted.
func (r *Registry) Names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.byName))
}
