package model

import (
	"slices"
	"strings"

	sup "github.com/supnode/supnode/supervisor"
)

// Register gives a node a new session; whatever its former session held is lost (P1).
func (c *Cluster) Register(name sup.NodeName, behaviors []string) Answer {
	n := c.Node(name)
	if n == nil {
		n = &Node{Name: name}
		c.Nodes = append(c.Nodes, n)
		slices.SortFunc(c.Nodes, func(a, b *Node) int { return strings.Compare(string(a.Name), string(b.Name)) })
	}
	wasLive := n.live()
	n.Status = "down"
	if wasLive {
		c.lose(n, true, "registered anew")
	}
	c.sessions++
	n.Status, n.Session, n.Behaviors = "up", c.sessions, behaviors
	c.emit(sup.Event{Type: sup.EventNodeJoined, Node: name})
	return ok
}

// NodeDown (S23).
func (c *Cluster) NodeDown(name sup.NodeName, why string) Answer {
	n := c.Node(name)
	if n == nil || !n.live() {
		return stale
	}
	n.Status = "down"
	c.lose(n, true, why)
	return ok
}

// Leave begins a goodbye (P3): the node takes nothing more, what it has is stopped and moved, uncounted (S16).
func (c *Cluster) Leave(name sup.NodeName) Answer {
	n := c.Node(name)
	if n == nil || n.Status != "up" {
		return stale
	}
	n.Status = "draining"
	c.emit(sup.Event{Type: sup.EventNodeDraining, Node: name})
	for _, s := range c.Sups {
		for _, ch := range s.Children {
			if ch.Node == name && (ch.State == Placed || ch.State == Running) && s.Op != stopping {
				ch.stop(move)
			}
		}
	}
	return ok
}

// Left ends a goodbye: what is still there is lost.
func (c *Cluster) Left(name sup.NodeName) Answer {
	n := c.Node(name)
	if n == nil || !n.live() {
		return stale
	}
	n.Status = "left"
	c.emit(sup.Event{Type: sup.EventNodeLeft, Node: name})
	c.lose(n, false, "")
	return ok
}

// Established is the first entry of a leader.
func (c *Cluster) Established(leader sup.NodeName, term uint64) Answer {
	c.emit(sup.Event{Type: sup.EventLeaderChanged, Leader: leader, Term: term})
	return ok
}
