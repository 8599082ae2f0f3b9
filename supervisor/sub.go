package supervisor

import "strings"

// MaxDepth is how many levels of supervisors a tree may have.
const MaxDepth = 16

// Sub is the name of the supervisor that is the child id of n: SUP/ID.
func (n Name) Sub(id ChildID) Name { return n + "/" + Name(id) }

// Parent is the child that a supervisor is; ok is false when it is nobody's child.
func (n Name) Parent() (k Key, ok bool) {
	i := strings.LastIndexByte(string(n), '/')
	if i < 0 {
		return Key{}, false
	}
	return Key{Supervisor: n[:i], Child: ChildID(n[i+1:])}, true
}

// Depth is the level of a supervisor in its tree; 1 = nobody's child.
func (n Name) Depth() int { return 1 + strings.Count(string(n), "/") }

// Levels is how many levels of supervisors a manifest has, itself among them.
func (s Spec) Levels() int {
	most := 0
	for _, c := range s.Children {
		most = max(most, c.Levels())
	}
	return 1 + most
}

// Levels is how many levels of supervisors a child is; 0 = it is none.
func (c ChildSpec) Levels() int {
	if c.Supervisor == nil {
		return 0
	}
	return c.Supervisor.Levels()
}

// Supervisors is how many supervisors a manifest makes, itself among them.
func (s Spec) Supervisors() int {
	n := 1
	for _, c := range s.Children {
		n += c.Supervisors()
	}
	return n
}

// Supervisors is how many supervisors a child makes; 0 = it is none.
func (c ChildSpec) Supervisors() int {
	if c.Supervisor == nil {
		return 0
	}
	return c.Supervisor.Supervisors()
}

// sub is for a child that is a supervisor: what its children have, it has not.
func (v *validator) sub(at string, c ChildSpec) {
	if c.Restart != "" && !c.Restart.Valid() {
		v.add(at+"restart", "%q is not a restart type; use permanent, transient or temporary", c.Restart)
	}
	const words = "a supervisor as a child has none; "
	if c.Behavior != "" {
		v.add(at+"behavior", "a child has a behavior or is a supervisor; leave one of them out")
	}
	if len(c.Args) > 0 {
		v.add(at+"args", words+"give them to its children")
	}
	if c.Selector != nil {
		v.add(at+"selector", words+"write supervisor.selector, for its children")
	}
	if c.Backoff != nil {
		v.add(at+"backoff", words+"give one to its children")
	}
	if len(c.Require) > 0 {
		v.add(at+"require", words+"give it to its children")
	}
	if c.MaxPerNode != 0 {
		v.add(at+"max_per_node", words+"give it to its children")
	}
	if c.ShutdownTimeout != nil && *c.ShutdownTimeout != Infinity {
		v.add(at+"shutdown_timeout", words+"it has stopped when its children have, each within its own")
	}
	if c.InitTimeout != nil {
		v.add(at+"init_timeout", words+"it has started when its children have, each within its own")
	}
	if v.depth >= MaxDepth {
		v.add(at+"supervisor", "supervisors may be %d levels deep; this one is deeper", MaxDepth)
		return
	}
	if c.Supervisor.Name != "" {
		v.add(at+"supervisor.name", "a supervisor as a child has no name of its own: it is addressed as SUP/ID")
	}
	v.depth++
	v.spec(at+"supervisor.", *c.Supervisor)
	v.depth--
}
