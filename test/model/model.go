package model

import (
	"slices"

	sup "github.com/supnode/supnode/supervisor"
)

// Cluster is the model's whole state. Sups are in the order of their creation.
type Cluster struct {
	Index    uint64 // of the entry that is being applied
	Clock    int64  // cluster time, ns
	Gen      uint64 // the generation
	held     bool   // after a restore: nothing is placed and no stop is acknowledged
	Nodes    []*Node
	Sups     []*Sup
	Requests map[string]*Request

	Events []sup.Event // of the entry that is being applied, without ID, Index and Time
	Done   []Done      // requests that ended in it

	sessions uint64

	touched   []*Sup // supervisors that are to advance
	advancing bool
}

// Node is a member. Session rises with every registration.
type Node struct {
	Name      sup.NodeName
	Life      string // up | down | left
	Drained   bool   // by an operator, until that is undone
	Leaving   bool   // its process has begun a goodbye
	Session   uint64
	Gen       uint64 // of the session
	Behaviors []string
	Zone      string // the value of its tag zone
}

// Status is what users see (api.md §3).
func (n *Node) Status() string {
	if n.Life == "up" && (n.Drained || n.Leaving) {
		return "draining"
	}
	return n.Life
}

// Request is what is known of a client's request (S36).
type Request struct {
	Ended bool
	Code  sup.Code // empty = done
}

// Done is a request that has ended.
type Done struct {
	Key  string
	Code sup.Code
}

// Answer is what a command is answered at once.
type Answer struct {
	Status string // ok | stale | pending | refused
	Code   sup.Code
	Key    string // of the request
}

var (
	ok    = Answer{Status: "ok"}
	stale = Answer{Status: "stale"}
)

// New is an empty cluster.
func New() *Cluster { return &Cluster{Gen: 1, Requests: map[string]*Request{}} }

// Begin opens the next entry. Cluster time never falls.
func (c *Cluster) Begin(index uint64, clock int64) {
	c.Index, c.Clock = index, max(c.Clock, clock)
	c.Events, c.Done = nil, nil
}

func (c *Cluster) emit(e sup.Event) { c.Events = append(c.Events, e) }

// Node is a member, or nil.
func (c *Cluster) Node(name sup.NodeName) *Node {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// Sup is a supervisor, a stopped one too (S37), or nil.
func (c *Cluster) Sup(name sup.Name) *Sup {
	for _, s := range c.Sups {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Child is a child, or nil.
func (c *Cluster) Child(k sup.Key) *Child {
	if s := c.Sup(k.Supervisor); s != nil {
		return s.child(k.Child)
	}
	return nil
}

// ask carries out a request once; the same key is answered the first outcome again (S36).
func (c *Cluster) ask(key string, carryOut func()) Answer {
	if c.Requests[key] == nil {
		c.Requests[key] = &Request{}
		carryOut()
	}
	return c.answer(key)
}

func (c *Cluster) answer(key string) Answer {
	switch r := c.Requests[key]; {
	case !r.Ended:
		return Answer{Status: "pending", Key: key}
	case r.Code != "":
		return Answer{Status: "refused", Code: r.Code, Key: key}
	}
	return Answer{Status: "ok", Key: key}
}

// end ends a request; an empty code says that it is done.
func (c *Cluster) end(key string, code sup.Code) {
	r := c.Requests[key]
	if r == nil || r.Ended {
		return
	}
	r.Ended, r.Code = true, code
	c.Done = append(c.Done, Done{Key: key, Code: code})
}

// Eligible (S28): up, not draining, has the behavior, is the node that the child is pinned to, has the tag that it requires and
// holds fewer other children of its supervisor than its limit.
func (c *Cluster) Eligible(ch *Child, n *Node) bool {
	others := 0
	for _, x := range ch.sup.Children {
		if x != ch && x.held() && x.Node == n.Name {
			others++
		}
	}
	return !ch.isSup() && n.Status() == "up" && slices.Contains(n.Behaviors, ch.Spec.Behavior) && (ch.pin() == "" || ch.pin() == n.Name) &&
		(len(ch.Spec.Require) == 0 || ch.Spec.Require["zone"] == n.Zone) && (ch.Spec.MaxPerNode == 0 || others < ch.Spec.MaxPerNode)
}

// Wanting are the children that want a node, by supervisor and in start order.
func (c *Cluster) Wanting() (wanting []*Child) {
	for _, s := range c.Sups {
		for _, ch := range s.Children {
			if ch.State == Wanted {
				wanting = append(wanting, ch)
			}
		}
	}
	return wanting
}

// Place gives a node to a child (S30): what does not fit any more is ignored.
func (c *Cluster) Place(k sup.Key, node sup.NodeName, session uint64) {
	ch, n := c.Child(k), c.Node(node)
	if c.held || ch == nil || n == nil || ch.State != Wanted || ch.waits() || n.Session != session || !c.Eligible(ch, n) {
		return
	}
	ch.State, ch.Node, ch.Inc, ch.Unplaceable, ch.Avoid = Placed, node, c.Index, false, ""
}

// Unplaced says that the leader finds no node for a child (S19): a first start by call fails with it, S12 and S31; anything
// else waits, also in a tree that its parent restarts, and a restart by hand is told so.
func (c *Cluster) Unplaced(k sup.Key, code sup.Code) {
	ch := c.Child(k)
	if c.held || ch == nil || ch.State != Wanted || ch.waits() {
		return
	}
	s := ch.sup
	switch {
	case ch.Started || s.byParent():
		ch.Unplaceable = true
		ch.answerTree(code)
		s.waitsForNode(ch, code)
	case s.Op == starting:
		s.failStart(code)
	default:
		ch.answer(code)
		s.doneWith(ch, code)
		s.remove(ch)
	}
	s.advance()
}
