package leader

import (
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// item is a command on its way to a commit.
type item struct {
	cmd    fsm.Command
	size   int
	asked  bool // a client's request, answered under id
	id     uint64
	stream uint64 // where its answer goes, of an agent's
}

func newItem(c fsm.Command, stream uint64) *item {
	return &item{cmd: c, size: sizeOf(&c), stream: stream}
}

// queues are the commands that wait to be proposed, in the order of their coming.
type queues struct {
	own      []*item // the leader's: NodeDown, Bump, …; one of each kind and node
	agents   []*item // the agents': at most MaxReports, and a Register, Leave or Left a node
	requests []*item // the clients': at most MaxRequests
	reported map[reportID]*item
}

// reportID names a report that waits or is proposed: it is not proposed again meanwhile.
type reportID struct {
	key  sup.Key
	inc  sup.Incarnation
	kind fsm.ReportKind
}

func newQueues() queues { return queues{reported: map[reportID]*item{}} }

func idOf(r *fsm.Report) reportID { return reportID{r.Key, r.Inc, r.Kind} }

// take removes what the next entry is to hold: the leader's own commands first, then the agents', then the clients'.
// While clients wait, agents get at most three quarters of an entry.
func (q *queues) take() (items []*item, size int) {
	pull := func(from *[]*item, limit int) {
		for len(*from) > 0 && limit > 0 && len(items) < MaxCommands {
			it := (*from)[0]
			if len(items) > 0 && size+it.size > MaxEntryBytes {
				return
			}
			(*from)[0] = nil
			*from = (*from)[1:]
			items = append(items, it)
			size += it.size
			limit--
		}
	}
	pull(&q.own, MaxCommands)
	if len(q.requests) > 0 {
		pull(&q.agents, MaxCommands*3/4)
	} else {
		pull(&q.agents, MaxCommands)
	}
	pull(&q.requests, MaxCommands)
	return items, size
}

// asked queues a client's request.
func (m *Machine) asked(ev Asked) {
	if len(m.queues.requests) >= MaxRequests {
		m.do(Answer{ID: ev.ID, Result: fsm.Result{Status: fsm.Refused, Problem: &sup.Problem{
			Code: sup.CodeBusy, Bound: MaxRequests, Detail: "the leader has too many requests waiting; try again later",
		}}})
		return
	}
	it := newItem(ev.Command, 0)
	it.asked, it.id = true, ev.ID
	m.queues.requests = append(m.queues.requests, it)
	if m.mutant("answer_before_commit") {
		it.asked = false
		m.do(Answer{ID: ev.ID, Result: fsm.Result{Status: fsm.OK, Outcome: guess(ev.Command)}})
	}
}

// guess is what the mutant answer_before_commit says of a request.
func guess(c fsm.Command) *fsm.Outcome {
	o := &fsm.Outcome{}
	switch {
	case c.StartSupervisor != nil:
		o.Supervisor = c.StartSupervisor.Spec.Name
	case c.ApplyManifest != nil:
		o.Supervisor = c.ApplyManifest.Spec.Name
	case c.StartChild != nil:
		o.Supervisor = c.StartChild.Supervisor
		if c.StartChild.Spec != nil {
			o.Child = c.StartChild.Spec.ID
		}
	case c.StopSupervisor != nil:
		o.Supervisor = c.StopSupervisor.Name
	case c.TerminateChild != nil:
		o.Supervisor, o.Child = c.TerminateChild.Key.Supervisor, c.TerminateChild.Key.Child
	case c.RestartChild != nil:
		o.Supervisor, o.Child = c.RestartChild.Key.Supervisor, c.RestartChild.Key.Child
	}
	return o
}

// reports queues what an agent says of its incarnations, unless it waits or is proposed already.
func (m *Machine) reports(s *stream, rs []fsm.Report) {
	for i := range rs {
		r := rs[i]
		m.arrives(&r)
		if r.Kind.Final() {
			m.strayEnded(s, &r)
		}
		if it := m.queues.reported[idOf(&r)]; it != nil {
			it.stream = s.id // it is acknowledged where it was repeated last
			continue
		}
		if len(m.queues.agents) >= MaxReports {
			return
		}
		it := newItem(fsm.Command{Report: &r}, s.id)
		m.queues.reported[idOf(&r)] = it
		m.queues.agents = append(m.queues.agents, it)
	}
}

// acks gathers acknowledgements by stream, in the order of the reports.
type acks struct {
	streams []uint64
	of      map[uint64][]rpc.Ack
}

func (a *acks) add(stream uint64, r *fsm.Report) {
	if a.of == nil {
		a.of = map[uint64][]rpc.Ack{}
	}
	if len(a.of[stream]) == 0 {
		a.streams = append(a.streams, stream)
	}
	a.of[stream] = append(a.of[stream], rpc.Ack{Key: r.Key, Inc: r.Inc, Kind: r.Kind})
}

func (m *Machine) sendAcks(a *acks) {
	for _, id := range a.streams {
		s, rest := m.streams[id], a.of[id]
		for s != nil && len(rest) > 0 {
			n := min(len(rest), rpc.MaxBatch)
			m.send(s, rpc.ToAgent{Acks: rest[:n:n]})
			rest = rest[n:]
		}
	}
}

// sizeOf estimates a command's encoded size from above its variable parts.
func sizeOf(c *fsm.Command) int {
	n := 96
	switch {
	case c.Report != nil:
		n += len(c.Report.Key.Supervisor) + len(c.Report.Key.Child) + len(c.Report.Detail)
	case c.Move != nil:
		n += len(c.Move.Key.Supervisor) + len(c.Move.Key.Child)
	case c.Rebalance != nil:
		for _, v := range c.Rebalance.Moves {
			n += 48 + len(v.Supervisor) + len(v.Child) + len(v.From) + len(v.To)
		}
	case c.StartSupervisor != nil:
		n += manifestSize(&c.StartSupervisor.Spec)
	case c.ApplyManifest != nil:
		n += manifestSize(&c.ApplyManifest.Spec)
	case c.StartChild != nil:
		if c.StartChild.Spec != nil {
			n += specSize(c.StartChild.Spec)
		}
		for _, a := range c.StartChild.Args {
			n += len(a) + 8
		}
	case c.Delivered != nil:
		if o := c.Delivered.Outcome; o != nil {
			n += 256 + len(o.Reply)
			if o.Problem != nil {
				n += 4 * fsm.MaxDetail
			}
		}
	case c.Register != nil:
		n += 512
		for _, b := range c.Register.Behaviors {
			n += len(b) + 2
		}
		for _, t := range c.Register.Tags {
			n += len(t.Key) + len(t.Value) + 8
		}
	default:
		n += 256
	}
	if c.Request != nil {
		n += len(c.Request.Key) + len(c.Request.Hash)
	}
	return n
}

func manifestSize(s *sup.Spec) int {
	n := 256
	for i := range s.Children {
		n += specSize(&s.Children[i])
	}
	if s.ChildTemplate != nil {
		n += specSize(s.ChildTemplate)
	}
	return n
}

func specSize(c *sup.ChildSpec) int {
	n := 128 + len(c.ID) + len(c.Behavior)
	for k, v := range c.Require { // any order: a sum
		n += len(k) + len(v) + 4
	}
	if c.Supervisor != nil {
		n += manifestSize(c.Supervisor)
	}
	for _, a := range c.Args {
		n += len(a) + 8
	}
	return n
}
