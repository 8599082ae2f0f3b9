package fsm

import (
	"fmt"

	sup "github.com/supnode/supnode/supervisor"
)

// A message to an actor is not carried out by the state: a node takes it there. Under a client's key it does so once (S36):
// it delivers only after its Deliver is pending, whose Claim no other node has, and when it is lost before its Delivered
// came, the outcome is unknown for good.

// deliver lets a message be delivered by the node that asks.
func (s *State) deliver(key string, c *Deliver) Result {
	if key == "" || c.Claim == 0 {
		return stale() // nobody could be told what came of it
	}
	return Result{Status: Pending}
}

// delivered records what came of a message.
func (s *State) delivered(c *Delivered) Result {
	r := s.requests.delivering.get(c.Request)
	switch {
	case r == nil || r.Deliver.Claim != c.Claim:
		return stale()
	case c.Outcome == nil:
		s.requests.end(c.Request)
		s.turn.applied.Completed = append(s.turn.applied.Completed, Completion{Key: c.Request})
		return Result{Status: OK}
	}
	o := c.Outcome.Kept()
	s.complete(c.Request, &o)
	return Result{Status: OK}
}

// Kept is an outcome of a message as it is kept: within its bounds, and in valid text, without which the log could not be
// read. Whoever proposes a Delivered makes it so.
func (o Outcome) Kept() Outcome {
	o.Claim = 0
	if len(o.Reply) > MaxReply {
		o.Reply, o.Unkept = nil, len(o.Reply)
	}
	if o.Problem != nil {
		p := *o.Problem
		p.Detail = KeptText(p.Detail)
		p.Errors = nil
		for _, e := range o.Problem.Errors {
			p.Errors = append(p.Errors, sup.FieldError{Location: KeptText(e.Location), Message: KeptText(e.Message)})
		}
		o.Problem = &p
	}
	return o
}

// undelivered ends the messages that a node was to deliver whose session is over.
func (s *State) undelivered(n sup.NodeName) {
	var lost []*request
	for r := range s.requests.delivering.all() {
		if r.Deliver.Node == n {
			lost = append(lost, r)
		}
	}
	for _, r := range lost {
		s.complete(r.Key, unknownDelivery(r.Deliver))
	}
}

// overdue ends the messages of which nothing was heard for too long.
func (s *State) overdue() {
	for r := s.requests.delivering.first(); r != nil && s.clock-r.Born > deliverLife; r = s.requests.delivering.first() {
		s.complete(r.Key, unknownDelivery(r.Deliver))
	}
}

func unknownDelivery(d *Deliver) *Outcome {
	return &Outcome{Problem: &sup.Problem{
		Code: sup.CodeOutcomeUnknown, Supervisor: d.Key.Supervisor, Child: d.Key.Child, Node: d.Node,
		Detail: fmt.Sprintf("node %s, which was to deliver the message to child %s, was gone before it said what came of it; it is not repeated", d.Node, d.Key),
	}}
}
