package node

import (
	"fmt"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// waiting says what a request that is not over waits for, as far as a state knows; empty = nothing is known.
func waiting(s *fsm.State, cmd fsm.Command) string {
	of, own := concerns(cmd)
	if own != "" {
		if c, ok := s.ChildInfo(sup.Key{Supervisor: of, Child: own}); ok && unsettled(&c) {
			return inTheWay(s, &c)
		}
	}
	if c := firstUnsettled(s, of); c != nil {
		return fmt.Sprintf("supervisor %s is not done with child %s: %s", of, c.ID, inTheWay(s, c))
	}
	return ""
}

// concerns are the supervisor that a request is about, and the child.
func concerns(cmd fsm.Command) (of sup.Name, own sup.ChildID) {
	switch {
	case cmd.StartSupervisor != nil:
		of = cmd.StartSupervisor.Spec.Name
	case cmd.StopSupervisor != nil:
		of = cmd.StopSupervisor.Name
	case cmd.ApplyManifest != nil:
		of = cmd.ApplyManifest.Spec.Name
	case cmd.TerminateChild != nil:
		of, own = cmd.TerminateChild.Key.Supervisor, cmd.TerminateChild.Key.Child
	case cmd.RestartChild != nil:
		of, own = cmd.RestartChild.Key.Supervisor, cmd.RestartChild.Key.Child
	case cmd.StartChild != nil:
		if of = cmd.StartChild.Supervisor; cmd.StartChild.Spec != nil {
			own = cmd.StartChild.Spec.ID
		}
	}
	return of, own
}

// unsettled reports whether a child is on its way up or down.
func unsettled(c *sup.ChildInfo) bool {
	return c.Status != sup.StatusRunning && c.Status != sup.StatusExited
}

// firstUnsettled is the child that holds a supervisor up: one that waits for a node, else one that stops, else the first on
// its way; nil = none.
func firstUnsettled(s *fsm.State, of sup.Name) *sup.ChildInfo {
	for _, holdsUp := range []func(*sup.ChildInfo) bool{
		func(c *sup.ChildInfo) bool { return c.Status == sup.StatusPending },
		func(c *sup.ChildInfo) bool { return c.Status == sup.StatusStopping },
		unsettled,
	} {
		if first, _ := s.Children(of, "", 1, holdsUp); len(first) > 0 {
			return &first[0]
		}
	}
	return nil
}

// inTheWay is what a child is about, or the one below it that it waits for.
func inTheWay(s *fsm.State, c *sup.ChildInfo) string {
	if below := c.Supervisor.Sub(c.ID); c.Type == sup.TypeSupervisor {
		if first := firstUnsettled(s, below); first != nil {
			return inTheWay(s, first)
		}
	}
	text := fmt.Sprintf("child %s/%s is %s", c.Supervisor, c.ID, c.Status)
	if c.Node != "" {
		text += fmt.Sprintf(" on node %s", c.Node)
	}
	if c.PendingReason != "" {
		text += " (" + c.PendingReason + ")"
	}
	return text
}
