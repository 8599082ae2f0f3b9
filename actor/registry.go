package actor

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Registry holds the behaviors that a node can run. Register them on every node that is to run them, before it starts.
type Registry struct {
	mu     sync.RWMutex // guards byName
	byName map[string]Behavior
}

// builtIn is the behavior of commands, which nodes have by themselves.
const builtIn = "exec"

// NewRegistry makes an empty registry.
func NewRegistry() *Registry { return &Registry{byName: map[string]Behavior{}} }

// Register adds behaviors. As a mistake here is one in the program, it panics: when a name is bad or taken.
func (r *Registry) Register(behaviors ...Behavior) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range behaviors {
		name := b.Name()
		switch why := badName(name); {
		case why != "":
			panic(fmt.Sprintf("actor: %q is no name for a behavior: %s", name, why))
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
