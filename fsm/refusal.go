package fsm

import (
	"fmt"
	"strings"

	sup "github.com/supnode/supnode/supervisor"
)

// The refusals of the core. Each says what to do.

func supervisorNotFound(n sup.Name) *sup.Problem {
	return &sup.Problem{
		Code: sup.CodeSupervisorNotFound, Supervisor: n,
		Detail: fmt.Sprintf("there is no supervisor %q; list those there are, or start it", n),
	}
}

func childNotFound(k sup.Key) *sup.Problem {
	return &sup.Problem{
		Code: sup.CodeChildNotFound, Supervisor: k.Supervisor, Child: k.Child,
		Detail: fmt.Sprintf("supervisor %q has no child %q; list its children, or start this one", k.Supervisor, k.Child),
	}
}

// NoChild is the refusal of whatever is asked of a child that there is not, or of one of a supervisor that there is not or
// that has stopped (S45).
func (s *State) NoChild(k sup.Key) *sup.Problem {
	h := s.Supervisor(k.Supervisor)
	switch {
	case h == nil:
		return supervisorNotFound(k.Supervisor)
	case h.Status == sup.StatusStopped:
		return supervisorStopped(h)
	}
	return childNotFound(k)
}

// terminated is for those who wait for a child that somebody terminates.
func terminated(k sup.Key) *sup.Problem {
	return &sup.Problem{
		Code: sup.CodeChildNotFound, Supervisor: k.Supervisor, Child: k.Child,
		Detail: fmt.Sprintf("child %q of supervisor %q is terminated by another request; start it again when it is gone", k.Child, k.Supervisor),
	}
}

// childEnded is for those who wait for a child to run that ended for good instead.
func childEnded(c *Child) *sup.Problem {
	return &sup.Problem{
		Code: sup.CodeChildNotFound, Supervisor: c.Key.Supervisor, Child: c.Key.Child,
		Detail: fmt.Sprintf("child %q of supervisor %q has ended (%s) and is %s, so it was removed; start it again", c.Key.Child, c.Key.Supervisor,
			c.LastExit.Reason, c.Spec.Restart),
	}
}

func duplicateSupervisor(h *Supervisor) *sup.Problem {
	return &sup.Problem{
		Code: sup.CodeDuplicateSupervisor, Supervisor: h.Name,
		Detail: fmt.Sprintf("there is a supervisor %q already, it is %s; stop it first or choose another name", h.Name, h.Status),
	}
}

func duplicateChild(n sup.Name, id sup.ChildID) *sup.Problem {
	return &sup.Problem{
		Code: sup.CodeDuplicateChild, Supervisor: n, Child: id,
		Detail: fmt.Sprintf("supervisor %q has a child %q already; terminate it first or choose another id", n, id),
	}
}

func wrongStrategy(h *Supervisor) *sup.Problem {
	want := "send a child spec, without args beside it"
	if h.Spec.Strategy == sup.SimpleOneForOne {
		want = "send args alone: its children are made from its template"
	}
	return &sup.Problem{
		Code: sup.CodeWrongStrategy, Supervisor: h.Name, Strategy: h.Spec.Strategy,
		Detail: fmt.Sprintf("supervisor %q is %s; %s", h.Name, h.Spec.Strategy, want),
	}
}

// otherStrategy is for a manifest of another strategy than the supervisor's.
func otherStrategy(h *Supervisor, want sup.Strategy) *sup.Problem {
	return &sup.Problem{
		Code: sup.CodeWrongStrategy, Supervisor: h.Name, Strategy: h.Spec.Strategy,
		Detail: fmt.Sprintf("supervisor %q is %s and cannot become %s; stop it and start it anew, or use another name", h.Name, h.Spec.Strategy, want),
	}
}

// unnamed is for those who wait for a child that the supervisor's new manifest does not name.
func unnamed(k sup.Key) *sup.Problem {
	return &sup.Problem{
		Code: sup.CodeChildNotFound, Supervisor: k.Supervisor, Child: k.Child,
		Detail: fmt.Sprintf("child %q of supervisor %q goes: a manifest that was applied does not name it", k.Child, k.Supervisor),
	}
}

// missed says what there is after a change that could not start so many children.
func missed(children int) string {
	text := "; all else is as the manifest says: mend the cause and apply it again"
	if children > 1 {
		text = fmt.Sprintf("; %d more could not be started", children-1) + text
	}
	return text
}

// absent says that a change which goes on has left out so many children that could not be started.
func absent(children int) string {
	if children == 0 {
		return ""
	}
	return fmt.Sprintf("; %d before it could not be started and are not there: apply the manifest again then", children)
}

// explained is a problem with more to say.
func explained(p *sup.Problem, more string) *sup.Problem {
	e := *p
	e.Detail += more
	return &e
}

// supervisorStopped is for whatever is asked of a supervisor that stops or has stopped (S45).
func supervisorStopped(h *Supervisor) *sup.Problem {
	if h.Exceeded {
		return maxRestartsExceeded(h)
	}
	text := "supervisor %q has stopped (%s); %s"
	if h.Status == sup.StatusStopping {
		text = "supervisor %q is stopping (%s); %s once it has stopped"
	}
	return &sup.Problem{
		Code: sup.CodeSupervisorStopped, Supervisor: h.Name, Reason: h.Reason, Detail: fmt.Sprintf(text, h.Name, h.Reason, startAgain(h.Name)),
	}
}

// startAgain says how a supervisor that has stopped is started again: one that is a child, by its parent.
func startAgain(n sup.Name) string {
	if k, ok := n.Parent(); ok {
		return fmt.Sprintf("restart child %q of supervisor %q", k.Child, k.Supervisor)
	}
	return "start it again"
}

// cancelled is for the request whose start a stop cut in on.
func cancelled(n sup.Name, reason string) *sup.Problem {
	return &sup.Problem{
		Code: sup.CodeSupervisorStopped, Supervisor: n, Reason: reason,
		Detail: fmt.Sprintf("supervisor %q was stopped (%s) before its start was complete; %s", n, reason, startAgain(n)),
	}
}

func maxRestartsExceeded(h *Supervisor) *sup.Problem {
	in := h.intensity()
	return &sup.Problem{
		Code: sup.CodeMaxRestartsExceeded, Supervisor: h.Name, MaxRestarts: in.MaxRestarts, Within: in.Within,
		Detail: fmt.Sprintf("supervisor %q had more than %d restarts within %s and stopped; its events say on which nodes its "+
			"children failed, and the logs of these nodes why: mend the cause, and %s", h.Name, in.MaxRestarts, in.Within, startAgain(h.Name)),
	}
}

func initFailed(k sup.Key, n sup.NodeName, why string) *sup.Problem {
	if why == "" {
		why = "no reason given"
	}
	return &sup.Problem{
		Code: sup.CodeInitFailed, Supervisor: k.Supervisor, Child: k.Child, Node: n, Reason: why,
		Detail: fmt.Sprintf("the init of child %q on node %s failed: %s", k.Child, n, why),
	}
}

func busy(detail string, bound int64) *sup.Problem {
	return &sup.Problem{Code: sup.CodeBusy, Detail: detail, Bound: bound}
}

func quota(n sup.Name, id sup.ChildID, of string, bound int64) *sup.Problem {
	return &sup.Problem{
		Code: sup.CodeQuotaExceeded, Supervisor: n, Child: id, Bound: bound,
		Detail: fmt.Sprintf("there may be %d %s; remove some first", bound, of),
	}
}

// mayRun refuses what this version cannot run. Validate says it with a place in the manifest, before it gets here.
func mayRun(spec *sup.Spec) *sup.Problem {
	var e *sup.FieldError
	switch {
	case spec.Name == "":
		e = &sup.FieldError{Location: "name", Message: "a supervisor needs a name"}
	case strings.Contains(string(spec.Name), "/"):
		e = &sup.FieldError{Location: "name", Message: "the name of a sub-supervisor is made of its parent's; start it there, as a child"}
	case !spec.Strategy.Valid():
		e = &sup.FieldError{Location: "strategy", Message: fmt.Sprintf("%q is not a strategy", spec.Strategy)}
	case spec.Strategy == sup.SimpleOneForOne && (spec.ChildTemplate == nil || len(spec.Children) > 0):
		e = &sup.FieldError{Location: "child_template", Message: "simple_one_for_one has a child_template and no children"}
	case spec.AutoShutdown != "" && !spec.AutoShutdown.Valid():
		e = &sup.FieldError{Location: "auto_shutdown", Message: fmt.Sprintf("%q is not known", spec.AutoShutdown)}
	case spec.Strategy == sup.SimpleOneForOne && spec.AutoShutdown.Stops(false):
		e = &sup.FieldError{Location: "auto_shutdown", Message: "simple_one_for_one has no auto_shutdown"}
	}
	if e == nil {
		return nil
	}
	return &sup.Problem{
		Code: sup.CodeInvalidSpec, Supervisor: spec.Name, Errors: []sup.FieldError{*e},
		Detail: e.Location + ": " + e.Message,
	}
}

func nodeNotFound(n sup.NodeName) *sup.Problem {
	return &sup.Problem{
		Code: sup.CodeNodeNotFound, Node: n, Detail: fmt.Sprintf("there is no node %q; list the nodes there are", n),
	}
}

func nodeInUse(n sup.NodeName, why string) *sup.Problem {
	return &sup.Problem{Code: sup.CodeNodeInUse, Node: n, Detail: fmt.Sprintf("node %s cannot be removed: %s", n, why)}
}
