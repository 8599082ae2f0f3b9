package model

import (
	"slices"
	"strconv"

	sup "github.com/supnode/supnode/supervisor"
)

// StartSupervisor (S12). A name may be used again when its supervisor has stopped (S37).
func (c *Cluster) StartSupervisor(key string, spec sup.Spec) Answer {
	return c.ask(key, func() {
		if old := c.Sup(spec.Name); old != nil && old.Op != over {
			c.end(key, sup.CodeDuplicateSupervisor)
			return
		}
		c.create(key, spec)
	})
}

func (c *Cluster) create(key string, spec sup.Spec) {
	c.Sups = slices.DeleteFunc(c.Sups, func(x *Sup) bool { return x.Name == spec.Name })
	s := c.raise(spec, nil)
	s.starters = []string{key}
	s.advance()
}

// raise begins the start of a supervisor with its initial children; up is the child that it is, nil = nobody's.
func (c *Cluster) raise(spec sup.Spec, up *Child) *Sup {
	s := &Sup{c: c, up: up, Name: spec.Name, Spec: spec, Op: starting, created: c.Index}
	for _, ch := range spec.Children {
		s.add(ch)
	}
	c.Sups = append(c.Sups, s)
	before := c.advancing
	c.advancing = true // whoever is touched goes on when all have begun
	s.advance()
	for _, ch := range s.Children {
		if !s.inOrder() {
			ch.want()
		}
	}
	c.advancing = before
	return s
}

// StopSupervisor (S13): a second request waits for the same stop. It cuts in on whatever is going on. To stop one that is a
// child is to terminate that child.
func (c *Cluster) StopSupervisor(key string, name sup.Name, reason string) Answer {
	return c.ask(key, func() {
		s := c.Sup(name)
		switch {
		case s == nil:
			c.end(key, sup.CodeSupervisorNotFound)
			return
		case s.Op == over:
			c.end(key, s.refusal())
			return
		case s.up != nil:
			c.terminate(key, s.up.Key(), reason)
			return
		}
		s.stoppers = append(s.stoppers, key)
		s.undo = false // who asks for a stop is answered with the supervisor, stopped (api.md §3)
		if s.Op != stopping {
			if reason == "" {
				reason = sup.ReasonShutdown
			}
			s.beginStop(reason, sup.CodeSupervisorStopped)
		}
		s.advance()
	})
}

// take carries a request out when the supervisor can, else makes it wait in order (protocol.md, Group operations).
func (c *Cluster) take(key string, name sup.Name, carryOut func(s *Sup)) Answer {
	return c.ask(key, func() {
		s := c.Sup(name)
		switch {
		case s == nil:
			c.end(key, sup.CodeSupervisorNotFound)
		case s.Op == stopping || s.Op == over:
			c.end(key, s.refusal())
		case s.Op == idle:
			carryOut(s)
			s.advance()
		default:
			s.queue = append(s.queue, queued{key: key, carryOut: func() { carryOut(s) }})
		}
	})
}

// StartChild (S31): answered when its init has returned; an id that exists is a duplicate, whatever state that child is in.
func (c *Cluster) StartChild(key string, name sup.Name, spec sup.ChildSpec) Answer {
	return c.take(key, name, func(s *Sup) {
		switch {
		case s.simple():
			c.end(key, sup.CodeWrongStrategy)
		case s.child(spec.ID) != nil:
			c.end(key, sup.CodeDuplicateChild)
		default:
			s.begin(key, spec)
		}
	})
}

// StartSimpleChild (S34): the template with an id that was never used; at most max_children at a time.
func (c *Cluster) StartSimpleChild(key string, name sup.Name) Answer {
	return c.take(key, name, func(s *Sup) {
		if !s.simple() {
			c.end(key, sup.CodeWrongStrategy)
			return
		}
		if m := s.Spec.MaxChildren; m > 0 && len(s.Children) >= m {
			c.end(key, sup.CodeQuotaExceeded)
			return
		}
		s.last++
		spec := *s.Spec.ChildTemplate
		spec.ID = sup.ChildID("child_" + strconv.FormatUint(s.last, 10))
		s.begin(key, spec)
	})
}

func (s *Sup) begin(key string, spec sup.ChildSpec) {
	ch := s.add(spec)
	ch.runs = append(ch.runs, key)
	s.work()
}

// TerminateChild (S32) works in every state, at once: it does not wait for an operation, and cancels a restart.
func (c *Cluster) TerminateChild(key string, k sup.Key) Answer {
	return c.ask(key, func() { c.terminate(key, k, "") })
}

// terminate is told the reason for which a child that is a supervisor stops.
func (c *Cluster) terminate(key string, k sup.Key, reason string) {
	s := c.Sup(k.Supervisor)
	switch {
	case s == nil:
		c.end(key, sup.CodeSupervisorNotFound)
		return
	case s.Op == stopping || s.Op == over:
		c.end(key, s.refusal())
		return
	}
	ch := s.child(k.Child)
	if ch == nil {
		c.end(key, sup.CodeChildNotFound)
		return
	}
	ch.answer(sup.CodeChildNotFound)
	ch.waiters = append(ch.waiters, key)
	switch {
	case ch.held():
		ch.farewell = reason
		ch.stop(terminate)
	case c.held: // what holds it now nobody knows
		ch.State, ch.then, ch.owed, ch.due, ch.halt = Stopping, terminate, true, false, false
	default:
		s.remove(ch)
		s.endedForGood(ch) // S38: by hand whatever its state, also one that had ended before a manifest set auto_shutdown
	}
	s.advance()
}

// RestartChild (S33): stops the child and starts it again, uncounted; it works in every state. A child that an operation waits
// for does not make the request wait too.
func (c *Cluster) RestartChild(key string, k sup.Key) Answer {
	carryOut := func(s *Sup) {
		ch := s.child(k.Child)
		if ch == nil || ch.then == terminate {
			c.end(key, sup.CodeChildNotFound)
			return
		}
		ch.runs = append(ch.runs, key)
		ch.crashes = 0 // S20: by hand the waits begin anew
		switch {
		case ch.held():
			ch.stop(restart)
		case ch.State == Wanted:
			ch.Avoid, ch.Unplaceable, ch.notBefore = "", false, 0
		case !ch.due:
			ch.again("")
		}
		s.work()
	}
	if s := c.Sup(k.Supervisor); s != nil && (s.Op == working || s.Op == starting || s.Op == applying && s.change.next == nil) && c.Requests[key] == nil {
		if ch := s.child(k.Child); ch != nil && (ch.State == Wanted && s.Op != starting || ch.lacksNode()) {
			return c.ask(key, func() { carryOut(s) })
		}
	}
	return c.take(key, k.Supervisor, carryOut)
}
