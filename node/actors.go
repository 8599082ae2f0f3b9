package node

import (
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/node/agent/behaviors"
	sup "github.com/supnode/supnode/supervisor"
)

// useBehaviors makes the runner of Go behaviors and has the agent announce them.
func (n *Node) useBehaviors() {
	registry := n.cfg.Behaviors
	if registry == nil {
		registry = actor.NewRegistry()
	}
	n.newCourier()
	r := behaviors.Start(behaviors.Config{
		Node: n.cfg.Name, Registry: registry, Clock: n.clock, Router: n.courier, Logger: n.log.Named("actors"),
	}, n.agent.Sink)
	n.actors = r.System()
	n.courier.Use(n.actors)
	n.port.OnMessages(n.courier.Serve)
	n.agent.Use(r, registry.Names()...)
}

// Actors runs this node's actors: their messages, counters and what hangs (S14).
func (n *Node) Actors() *actor.System { return n.actors }

// Ref names a child, wherever it runs. Its messages go out from this node.
func (n *Node) Ref(supervisor sup.Name, child sup.ChildID) actor.Ref {
	return n.actors.Ref(string(supervisor), string(child))
}
