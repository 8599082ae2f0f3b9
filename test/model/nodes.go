package model

import (
	"slices"
	"strings"

	sup "github.com/supnode/supnode/supervisor"
)

// Register gives a node a new session; whatever its former session held is lost (P1).
func (c *Cluster) Register(name sup.NodeName, zone string, behaviors []string) Answer {
	n := c.Node(name)
	if n == nil {
		n = &Node{Name: name}
		c.Nodes = append(c.Nodes, n)
		slices.SortFunc(c.Nodes, func(a, b *Node) int { return strings.Compare(string(a.Name), string(b.Name)) })
	}
	if n.Life == "up" {
		n.Life = "down"
		c.lose(n, true, "registered anew")
	}
	c.sessions++
	n.Life, n.Leaving, n.Session, n.Gen, n.Behaviors, n.Zone = "up", false, c.sessions, c.Gen, behaviors, zone
	c.emit(sup.Event{Type: sup.EventNodeJoined, Node: name})
	if n.Drained {
		c.emit(sup.Event{Type: sup.EventNodeDraining, Node: name, Reason: byOperator})
	}
	return ok
}

const byOperator = "drained by an operator"

// NodeDown (S23).
func (c *Cluster) NodeDown(name sup.NodeName, why string) Answer {
	n := c.Node(name)
	if n == nil || n.Life != "up" {
		return stale
	}
	n.Life = "down"
	c.lose(n, true, why)
	return ok
}

// Bump (protocol.md, Restore and recovery): every session is over and every slot is free; until Released nothing is placed and no
// stop is acknowledged.
func (c *Cluster) Bump() Answer {
	c.Gen++
	c.held = true
	for _, n := range c.Nodes {
		if n.Life == "up" {
			n.Life = "down"
			c.lose(n, true, "new cluster generation")
		}
	}
	return ok
}

// Released ends that: the stops that are owed are done.
func (c *Cluster) Released() Answer {
	if !c.held {
		return stale
	}
	c.held = false
	for _, s := range slices.Clone(c.Sups) {
		for _, ch := range slices.Clone(s.Children) {
			if ch.owed && (s.Op != stopping || s.simple()) {
				s.pay(ch)
			}
		}
		s.advance()
	}
	return ok
}

// pay ends a stop that was owed.
func (s *Sup) pay(ch *Child) {
	followed := ch.then
	ch.State, ch.then, ch.owed = Down, "", false
	s.stopped(ch, followed)
}

// Leave begins a goodbye (P3): the node takes nothing more, what it has is moved, uncounted (S16), all at once or, paced, one
// by one with Move.
func (c *Cluster) Leave(name sup.NodeName, paced bool) Answer {
	n := c.Node(name)
	if n == nil || n.Life != "up" || n.Leaving {
		return stale
	}
	n.Leaving = true
	if !n.Drained {
		c.emit(sup.Event{Type: sup.EventNodeDraining, Node: name})
	}
	for _, s := range c.Sups {
		for _, ch := range s.Children {
			// What is to go down with its supervisor or its group stops in their order, not in that of the node.
			if !paced && ch.Node == name && (ch.State == Placed || ch.State == Running) && s.Op != stopping && !ch.halt && !ch.leaves() {
				s.move(ch)
			}
		}
	}
	return ok
}

// Left ends a goodbye: what is still there runs again elsewhere, and no failure is counted anywhere.
func (c *Cluster) Left(name sup.NodeName) Answer {
	n := c.Node(name)
	if n == nil || n.Life != "up" {
		return stale
	}
	n.Life = "left"
	c.emit(sup.Event{Type: sup.EventNodeLeft, Node: name})
	c.lose(n, false, "")
	return ok
}

// Drain has a node take nothing more until that is undone; it outlasts its sessions.
func (c *Cluster) Drain(key string, name sup.NodeName, undo bool) Answer {
	return c.ask(key, func() {
		n := c.Node(name)
		if n == nil {
			c.end(key, sup.CodeNodeNotFound)
			return
		}
		before := n.Status()
		n.Drained = !undo
		switch after := n.Status(); {
		case before == after:
		case undo:
			c.emit(sup.Event{Type: sup.EventNodeUndrained, Node: name})
		default:
			c.emit(sup.Event{Type: sup.EventNodeDraining, Node: name, Reason: byOperator})
		}
		c.end(key, "")
	})
}

// Move stops a child that is to run elsewhere (S16). Nothing is ended that would not run again (S3). Of supervisors whose
// children start one after another only one moves at a time, when all is quiet (S10), or the one whose start is under way.
func (c *Cluster) Move(k sup.Key, inc uint64) Answer {
	ch := c.reported(k, inc)
	if ch == nil || ch.State == Stopping || ch.temporary() && ch.Started {
		return stale
	}
	s := ch.sup
	switch {
	case s.Op == stopping:
		return stale
	case s.Op == applying && !s.inOrder():
		return stale
	case s.inOrder() && s.goesDown():
		return stale
	case s.inOrder() && s.Op != idle && ch.State != Placed:
		return stale
	}
	if to := c.Node(ch.toward); ch.toward != "" && (to == nil || !c.Eligible(ch, to)) {
		ch.toward = ""
		if c.Node(ch.Node).Status() == "up" { // where it was to go it cannot any more: it stays
			return stale
		}
	}
	s.move(ch)
	return ok
}

func (s *Sup) goesDown() bool {
	return slices.ContainsFunc(s.Children, func(ch *Child) bool { return ch.halt })
}

func (s *Sup) move(ch *Child) {
	ch.stop(move)
	s.work()
}

// Established is the first entry of a leader.
func (c *Cluster) Established(leader sup.NodeName, term uint64) Answer {
	c.emit(sup.Event{Type: sup.EventLeaderChanged, Leader: leader, Term: term})
	return ok
}
