package node

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// maxStaying bounds the children that the answer for a draining node lists as staying.
const maxStaying = 100

// MaxPage bounds the children or events of one Answer.
const MaxPage = 1000

// Read answers a query: linearizable by the leader (R1), or with Query.Stale from this node's own replica; a plain agent
// has none and asks a server. The answer is the caller's own. Errors are *supervisor.Problem, or ctx's.
func (n *Node) Read(ctx context.Context, q Query) (Answer, error) {
	if !utf8.ValidString(string(q.Supervisor) + string(q.Child) + string(q.Node) + string(q.Status) + q.After) {
		return Answer{}, sup.InvalidSpec([]sup.FieldError{{Location: "request", Message: "it has text that is not UTF-8"}})
	}
	if q.Stale && n.raft != nil {
		return n.readReplica(ctx, q)
	}
	if q.Stale {
		return n.readAtServer(ctx, q)
	}
	var a Answer
	err := n.atLeader(ctx, func(ctx context.Context, at leaderAddr) (err error) {
		if at.here {
			a, err = n.readHere(ctx, q)
			return err
		}
		return n.port.Call(ctx, at.addr, at.name, methodRead, q, &a)
	})
	return a, err
}

// readAtServer asks the servers in turn for a stale read.
func (n *Node) readAtServer(ctx context.Context, q Query) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, leaderTimeout(ctx)+q.Wait)
	defer cancel()
	for _, s := range n.cfg.Servers {
		a, err := n.readAt(ctx, s, q)
		if p := (*sup.Problem)(nil); err == nil || asProblem(err, &p) {
			return a, err
		}
	}
	return Answer{}, &sup.Problem{Code: sup.CodeNoLeader, Node: n.cfg.Name, Detail: "no server of this agent's cluster was reached"}
}

// readAt asks one server. One that is paused takes the question and does not answer: the next one is to have its turn.
func (n *Node) readAt(ctx context.Context, s Server, q Query) (a Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, serverPatience+q.Wait)
	defer cancel()
	err = n.port.Call(ctx, s.Addr, s.Name, methodRead, q, &a)
	return a, err
}

// readReplica answers from this node's replica.
func (n *Node) readReplica(ctx context.Context, q Query) (Answer, error) {
	if q.Kind == QueryEvents && q.Wait > 0 {
		if err := n.awaitEvents(ctx, q.Since, q.Wait); err != nil {
			return Answer{}, err
		}
	}
	return n.answer(q)
}

// readHere is a linearizable read at the leader.
func (n *Node) readHere(ctx context.Context, q Query) (Answer, error) {
	lead := n.lead.Load()
	if lead == nil {
		return Answer{}, n.notLeader()
	}
	ctx, cancel := context.WithTimeout(ctx, leaderTimeout(ctx))
	defer cancel()
	index, err := lead.driver.ReadIndex(ctx)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", n.notLeader(), err)
	}
	if err := n.fsm.WaitIndex(ctx, index); err != nil {
		return Answer{}, err
	}
	return n.answer(q)
}

// answer reads the local replica.
func (n *Node) answer(q Query) (a Answer, err error) {
	leader := n.leaderName()
	n.fsm.View(func(s *fsm.State) {
		a, err = n.query(s, q, leader)
		a.Index, a.By, a.Leader = s.Index(), n.cfg.Name, leader
	})
	return a, err
}

func (n *Node) query(s *fsm.State, q Query, leader sup.NodeName) (a Answer, err error) {
	limit := q.Limit
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	switch q.Kind {
	case QuerySupervisors:
		a.Supervisors = []sup.Info{}
		for v := range s.Supervisors() {
			info, _ := s.Info(v.Name)
			a.Supervisors = append(a.Supervisors, n.uptime(info))
		}
		return a, nil
	case QueryPlace:
		p, err := place(s, sup.Key{Supervisor: q.Supervisor, Child: q.Child})
		a.Place = &p
		return a, err
	case QuerySupervisor, QueryChildren, QueryChild, QueryCount:
		info, ok := s.Info(q.Supervisor)
		if !ok {
			return a, &sup.Problem{Code: sup.CodeSupervisorNotFound, Supervisor: q.Supervisor,
				Detail: fmt.Sprintf("there is no supervisor %q", q.Supervisor)}
		}
		info = n.uptime(info)
		a.Supervisor = &info
	}
	switch q.Kind {
	case QuerySupervisor:
	case QueryChildren:
		if _, err := strconv.ParseUint(q.After, 10, 64); q.After != "" && err != nil {
			return a, &sup.Problem{Code: sup.CodeInvalidSpec, Detail: fmt.Sprintf("after=%q is no cursor", q.After),
				Errors: []sup.FieldError{{Location: "after", Message: "give what `next` of the former page was"}}}
		}
		a.Children, a.Next = s.Children(q.Supervisor, q.After, limit, func(c *sup.ChildInfo) bool {
			return (q.Node == "" || c.Node == q.Node) && (q.Status == "" || c.Status == q.Status)
		})
	case QueryChild:
		c, ok := s.ChildInfo(sup.Key{Supervisor: q.Supervisor, Child: q.Child})
		if !ok {
			return a, &sup.Problem{Code: sup.CodeChildNotFound, Supervisor: q.Supervisor, Child: q.Child,
				Detail: fmt.Sprintf("supervisor %q has no child %q", q.Supervisor, q.Child)}
		}
		a.Child, a.LastNode = &c, s.Child(sup.Key{Supervisor: q.Supervisor, Child: q.Child}).LastNode
	case QueryCount:
		c := s.Counts(q.Supervisor)
		a.Count = &c
	case QueryNodes:
		a.Nodes = []sup.NodeInfo{}
		for m := range s.Nodes() {
			a.Nodes = append(a.Nodes, n.nodeInfo(s, m, leader))
		}
	case QueryNode:
		m := s.Node(q.Node)
		if m == nil {
			return a, &sup.Problem{Code: sup.CodeNodeNotFound, Node: q.Node, Detail: fmt.Sprintf("there is no node %q", q.Node)}
		}
		info := n.nodeInfo(s, m, leader)
		info.Staying = s.Staying(m.Name, maxStaying)
		a.Node = &info
	case QueryChanges:
		if q.Manifest == nil {
			return a, fmt.Errorf("query %q has no manifest", q.Kind)
		}
		changes, p := s.Changes(q.Manifest)
		if p != nil {
			return a, p
		}
		a.Changes, a.Apart = changes, s.Apart(q.Manifest.Name, changes)
	case QueryRebalance:
		a.Moves = s.PlanRebalance(min(limit, fsm.MaxMoves))
	case QueryEvents:
		events, oldest, newest := s.Events(q.Since, limit)
		if oldest > 0 && q.Since < oldest-1 {
			return a, &sup.Problem{Code: sup.CodeEventsCompacted, Bound: int64(oldest),
				Detail: fmt.Sprintf("events up to %d are no longer kept: begin at since=%d", oldest-1, oldest-1)}
		}
		a.Events, a.LastEvent = events, newest
	default:
		return a, fmt.Errorf("unknown query %q", q.Kind)
	}
	return a, nil
}

// uptime adds what depends on the clock of the node that answers.
func (n *Node) uptime(i sup.Info) sup.Info {
	if i.Status != sup.StatusStopped && !i.StartedAt.IsZero() {
		i.UptimeMS = max(0, time.Since(i.StartedAt).Milliseconds())
	}
	return i
}

func (n *Node) nodeInfo(s *fsm.State, m *fsm.Node, leader sup.NodeName) sup.NodeInfo {
	info := sup.NodeInfo{
		Name: m.Name, Addr: m.Addr, Status: string(m.Status), Role: "agent", Tags: map[string]string{},
		Behaviors: slices.Clone(m.Behaviors), ChildCount: s.CountOn(m.Name), Incarnation: m.Session.Gen<<40 + m.Session.Seq,
		Drained: m.Drained,
	}
	if info.Behaviors == nil {
		info.Behaviors = []string{}
	}
	for _, t := range m.Tags {
		info.Tags[t.Key] = t.Value
	}
	switch {
	case m.Name == leader:
		info.Role = "leader"
	case m.Voter:
		info.Role = "follower"
	}
	if lead := n.lead.Load(); lead != nil && m.Live() { // a session that is over has no lease
		if left, ok := lead.driver.LeaseLeft(m.Name); ok {
			d := sup.Duration(max(0, left))
			info.LeaseExpiresIn = &d
		}
	}
	return info
}
