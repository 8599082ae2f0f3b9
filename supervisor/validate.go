package supervisor

import (
	"fmt"
)

// Bounds of a manifest.
const (
	MaxRestartsLimit = 10_000  // of restart_intensity.max_restarts
	MaxBehaviorName  = 128     // bytes
	MaxArgs          = 256     // of one child
	MaxArgBytes      = 1 << 20 // of one child's args together
	MaxChildrenLimit = 1_000_000
	maxFieldErrors   = 100 // told at once
)

// Validate says what is wrong with a manifest, place by place; nothing when it can be started. What this version does not
// support is wrong too. Whether a behavior exists is not looked at: nodes know that. Empty fields mean their defaults.
func (s Spec) Validate() []FieldError {
	v := validator{depth: 1}
	if s.Name != "" && !s.Name.Valid() {
		v.add("name", "%q is not a supervisor name; use 1 to %d letters, digits, _ or -", s.Name, MaxSupervisorName)
	}
	v.spec("", s)
	return v.errors
}

// spec is all of a manifest but its name.
func (v *validator) spec(at string, s Spec) {
	switch s.Strategy {
	case "", OneForOne, OneForAll, RestForOne:
		v.static(at, s)
	case SimpleOneForOne:
		v.simple(at, s)
	default:
		v.add(at+"strategy", "%q is not a strategy; use one_for_one, one_for_all, rest_for_one or simple_one_for_one", s.Strategy)
	}
	v.selector(at+"selector", s.Selector)
	v.spread(at, s)
	if in := s.Intensity; in != nil {
		if in.MaxRestarts < 0 || in.MaxRestarts > MaxRestartsLimit {
			v.add(at+"restart_intensity.max_restarts", "%d is not between 0 and %d", in.MaxRestarts, MaxRestartsLimit)
		}
		if in.Within < 0 {
			v.add(at+"restart_intensity.within", `%s is not a window; write a duration like "5s"`, in.Within)
		}
	}
	if s.AutoShutdown != "" && !s.AutoShutdown.Valid() {
		v.add(at+"auto_shutdown", "%q is not known; use never, any_significant or all_significant", s.AutoShutdown)
	}
	seen := make(map[ChildID]int, len(s.Children))
	for i, c := range s.Children {
		in := fmt.Sprintf("%schildren[%d].", at, i)
		v.child(in, c)
		if j, dup := seen[c.ID]; dup && c.ID != "" {
			v.add(in+"id", "%q is the id of children[%d] already; ids are unique within a supervisor", c.ID, j)
			continue
		}
		seen[c.ID] = i
	}
}

// Validate says what is wrong with a child spec, as Spec.Validate does.
func (c ChildSpec) Validate() []FieldError {
	v := validator{depth: 1}
	v.child("", c)
	return v.errors
}

// InvalidSpec is the refusal that says what was found, the first hundred in full; nil when nothing was found.
func InvalidSpec(errors []FieldError) *Problem {
	if len(errors) == 0 {
		return nil
	}
	detail := errors[0].Location + ": " + errors[0].Message
	if len(errors) > 1 {
		detail += fmt.Sprintf(" (and %d more)", len(errors)-1)
	}
	return &Problem{Code: CodeInvalidSpec, Detail: detail, Errors: errors[:min(len(errors), maxFieldErrors)]}
}

type validator struct {
	errors []FieldError
	depth  int // the level of supervisors that is looked at
}

func (v *validator) add(location, format string, args ...any) {
	if len(v.errors) < maxFieldErrors {
		v.errors = append(v.errors, FieldError{Location: location, Message: fmt.Sprintf(format, args...)})
	}
}

// static is for the strategies whose children are listed one by one.
func (v *validator) static(at string, s Spec) {
	if s.ChildTemplate != nil {
		v.add(at+"child_template", "only simple_one_for_one has a child_template; list children instead")
	}
	if s.MaxChildren != 0 {
		v.add(at+"max_children", "only simple_one_for_one has max_children")
	}
}

// simple is for simple_one_for_one, whose children are all made from a template (S34).
func (v *validator) simple(at string, s Spec) {
	if len(s.Children) > 0 {
		v.add(at+"children", "simple_one_for_one starts without children; start them from its child_template, one call each")
	}
	if s.MaxChildren < 0 || s.MaxChildren > MaxChildrenLimit {
		v.add(at+"max_children", "%d is not between 1 and %d", s.MaxChildren, MaxChildrenLimit)
	}
	if s.AutoShutdown == AnySignificant || s.AutoShutdown == AllSignificant {
		v.add(at+"auto_shutdown", "simple_one_for_one has no auto_shutdown: its children come and go; use never")
	}
	at += "child_template"
	switch t := s.ChildTemplate; {
	case t == nil:
		v.add(at, "simple_one_for_one needs a child_template: a child spec without id, from which its children are made")
	case t.Supervisor != nil:
		v.add(at+".supervisor", "children made from a template have a behavior; list sub-supervisors under another strategy")
	case t.ID != "":
		v.add(at+".id", "a template has no id: the children made from it are child_1, child_2, …")
	default:
		v.kept(at+".", *t)
		if len(t.Args) > 0 { // what a behavior needs may all come with the calls
			v.args(at+".", *t)
		}
	}
}

func (v *validator) child(at string, c ChildSpec) {
	switch {
	case c.ID == "":
		v.add(at+"id", "a child needs an id")
	case !c.ID.Valid():
		v.add(at+"id", "%q is not a child id; use 1 to %d letters, digits, _, - or ., not beginning with a dot", c.ID, MaxChildID)
	}
	if c.Supervisor != nil {
		v.sub(at, c)
		return
	}
	v.kept(at, c)
	v.args(at, c)
}

// kept is all of a child but its id and args.
func (v *validator) kept(at string, c ChildSpec) {
	switch {
	case c.Behavior == "":
		v.add(at+"behavior", `a child needs a behavior; "exec" runs a command`)
	case len(c.Behavior) > MaxBehaviorName:
		v.add(at+"behavior", "a behavior's name has at most %d bytes", MaxBehaviorName)
	case !validLabel(c.Behavior, MaxBehaviorName):
		v.add(at+"behavior", "%q is not a behavior's name: it has a space, a control character or no valid UTF-8", c.Behavior)
	}
	if c.Restart != "" && !c.Restart.Valid() {
		v.add(at+"restart", "%q is not a restart type; use permanent, transient or temporary", c.Restart)
	}
	v.selector(at+"selector", c.Selector)
	v.backoff(at+"backoff", c)
	v.constraints(at, c)
	if d := c.ShutdownTimeout; d != nil && *d < 0 && *d != Infinity {
		v.add(at+"shutdown_timeout", `%d ns is negative; write a duration like "5s", or "infinity"`, int64(*d))
	}
	if d := c.InitTimeout; d != nil && *d <= 0 {
		v.add(at+"init_timeout", `%s does not bound an init; write a duration like "30s"`, *d)
	}
}

// ArgsBeyond says what Validate does of the number, the size and the form of c's args, whatever its behavior makes of them.
func (c ChildSpec) ArgsBeyond() []FieldError {
	var v validator
	v.argsBeyond("", c)
	return v.errors
}

func (v *validator) args(at string, c ChildSpec) {
	before := len(v.errors)
	v.argsBeyond(at, c)
	if c.Behavior == ExecBehavior && len(v.errors) == before {
		v.exec(at, c.Args)
	}
}

func (v *validator) argsBeyond(at string, c ChildSpec) {
	if len(c.Args) > MaxArgs {
		v.add(at+"args", "%d args are too many; a child may have %d", len(c.Args), MaxArgs)
		return
	}
	size := 0
	for i, a := range c.Args {
		size += len(a)
		if why := argError(a); why != "" {
			v.add(fmt.Sprintf("%sargs[%d]", at, i), "%s", why)
			return
		}
	}
	if size > MaxArgBytes {
		v.add(at+"args", "%d bytes are too many; a child's args may have %d", size, MaxArgBytes)
	}
}

func (v *validator) selector(at string, s *Selector) {
	if s == nil {
		return
	}
	switch s.Kind {
	case SelectLocalFirst, SelectRoundRobin, SelectLeastLoaded, SelectRandom:
	case SelectNode:
		if !s.Node.Valid() {
			v.add(at+".node", "%q is not a node name; use 1 to %d lower-case letters, digits or -", s.Node, MaxNodeName)
		}
		switch s.Fallback {
		case "", SelectLocalFirst, SelectRoundRobin, SelectLeastLoaded, SelectRandom:
		default:
			v.add(at+".fallback", "%q is not a fallback; use local_first, round_robin, least_loaded or random", s.Fallback)
		}
	case SelectCustom:
		if !validSelectorName(s.Custom) {
			v.add(at+".custom", "%q is not the name of a selector: it has 1 to %d bytes, and no space or control character", s.Custom, MaxSelectorName)
		}
	default:
		v.add(at, "%q is no selector: %s", s.Kind, SelectorForms)
	}
}
