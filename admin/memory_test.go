package admin

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

// memory is a Node with the real replicated state and no cluster around it: commands are applied at once, and one
// pretended member, n1, starts and stops children as soon as it is told.
type memory struct {
	t *testing.T

	mu    sync.Mutex // guards what follows
	state *fsm.State
	clock int64

	leader  sup.NodeName  // as Status says; empty: no leader, every request fails
	refuse  error         // what every request fails with, when set
	moved   chan struct{} // closed at the next entry
	hanging bool          // children do not finish starting
	seen    []string      // idempotency keys
	waited  time.Duration // the timeout of the last call
	logs    []node.LogPiece
	asked   node.LogQuery // of the last log
}

const started = int64(1_700_000_000e9)

func newMemory(t *testing.T) *memory {
	m := &memory{t: t, state: fsm.New(), leader: "n1", moved: make(chan struct{})}
	m.apply(fsm.Command{Bootstrap: &fsm.Bootstrap{Cluster: "c", Settings: fsm.Settings{
		HeartbeatInterval: 500e6, LeaseTTL: 3e9, FastFailover: "off", EventHistory: 4096,
	}}})
	m.apply(fsm.Command{Establish: &fsm.Establish{Term: 2, Leader: "n1"}})
	m.apply(fsm.Command{Register: &fsm.Register{Node: "n1", ID: "id", Addr: "127.0.0.1:7101", Voter: true,
		Tags: []fsm.Tag{{Key: "zone", Value: "a"}}, Behaviors: []string{"exec"}}})
	return m
}

func (m *memory) apply(commands ...fsm.Command) fsm.Applied {
	return m.commit(fsm.Entry{Commands: commands})
}

func (m *memory) commit(e fsm.Entry) fsm.Applied {
	m.clock += 1e9
	e.Clock, e.Wall = m.clock, started+m.clock
	close(m.moved)
	m.moved = make(chan struct{})
	return m.state.Apply(m.state.Index()+1, e)
}

// settle places what wants a node and lets the pretended member do what it is told, until nothing changes any more.
func (m *memory) settle() {
	for changed := true; changed; {
		changed = false
		n := m.state.Node("n1")
		e := fsm.Entry{}
		for c := range m.state.Wanting() {
			if why := m.state.Ineligible(c, n); why != "" {
				if c.Spec.Behavior == "exec" {
					e.Unplaced = append(e.Unplaced, fsm.Unplaceable{Key: c.Key, Problem: sup.Problem{
						Code: sup.CodeNoAvailableNode, Detail: "no node can take it", Child: c.Key.Child,
						Reasons: []sup.NodeReason{{Node: "n1", Reason: why}}}})
				} else {
					e.Unplaced = append(e.Unplaced, fsm.Unplaceable{Key: c.Key, Problem: sup.Problem{
						Code: sup.CodeBehaviorNotFound, Detail: "no node has it", Behavior: c.Spec.Behavior}})
				}
			} else {
				e.Placements = append(e.Placements, fsm.Placement{Key: c.Key, Node: "n1", Session: n.Session})
			}
		}
		if len(e.Placements)+len(e.Unplaced) > 0 {
			before := m.state.WantingCount()
			m.commit(e)
			changed = m.state.WantingCount() != before
		}
		var reports []fsm.Command
		for c := range m.state.On("n1") {
			r := &fsm.Report{Key: c.Key, Inc: c.Inc}
			switch {
			case c.Phase == fsm.Placed && string(c.Spec.Args[0]) == `{"command":"/bin/false"}`:
				r.Kind, r.Reason, r.Detail = fsm.ReportInitFailed, sup.ExitError, "it does not start"
			case c.Phase == fsm.Placed && !m.hanging:
				r.Kind = fsm.ReportRunning
			case c.Phase == fsm.Stopping:
				r.Kind, r.Reason = fsm.ReportEnded, sup.ExitShutdown
			default:
				continue
			}
			reports = append(reports, fsm.Command{Report: r})
		}
		if len(reports) > 0 {
			m.apply(reports...)
			changed = true
		}
	}
	if err := m.state.Check(); err != nil {
		m.t.Error(err)
	}
}

// crash ends a child.
func (m *memory) crash(sup_ sup.Name, child sup.ChildID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.state.Child(sup.Key{Supervisor: sup_, Child: child})
	m.apply(fsm.Command{Report: &fsm.Report{Key: c.Key, Inc: c.Inc, Kind: fsm.ReportEnded, Reason: sup.ExitError, Detail: "exit status 3"}})
	m.settle()
}

func (m *memory) Metrics() prometheus.Gatherer { return prometheus.NewRegistry() }

func (m *memory) Name() sup.NodeName { return "n1" }

func (m *memory) Do(ctx context.Context, cmd fsm.Command, key string) (fsm.Outcome, error) {
	return m.do(ctx, cmd, key, false)
}

func (m *memory) DoCommitted(ctx context.Context, cmd fsm.Command, key string) (fsm.Outcome, error) {
	return m.do(ctx, cmd, key, true)
}

func (m *memory) do(ctx context.Context, cmd fsm.Command, key string, committed bool) (fsm.Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = append(m.seen, key)
	if m.refuse != nil {
		return fsm.Outcome{}, m.refuse
	}
	b, err := cbor.Marshal(cmd)
	if err != nil {
		return fsm.Outcome{}, err
	}
	sum := sha256.Sum256(b)
	cmd.Request = &fsm.Request{Key: key, Hash: sum[:], Own: key == ""}
	if key == "" {
		cmd.Request.Key = uuid.NewString()
	}
	res := m.apply(cmd).Results[0]
	if res.Status == fsm.Refused {
		return fsm.Outcome{}, res.Problem
	}
	m.settle()
	o, pending, _ := m.state.Outcome(cmd.Request.Key)
	switch {
	case pending && committed:
		id := m.state.Awaits(cmd.StartChild.Supervisor, cmd.Request.Key)
		return fsm.Outcome{Supervisor: cmd.StartChild.Supervisor, Child: id, Index: m.state.Index()}, nil
	case pending:
		m.mu.Unlock()
		<-ctx.Done()
		m.mu.Lock()
		return fsm.Outcome{}, ctx.Err()
	case o.Problem != nil:
		return *o, o.Problem
	}
	return *o, nil
}

func (m *memory) Read(ctx context.Context, q node.Query) (node.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state
	a := node.Answer{Index: s.Index(), By: "n1", Leader: m.leader}
	if m.refuse != nil && !q.Stale {
		return a, m.refuse
	}
	if info, ok := s.Info(q.Supervisor); ok {
		a.Supervisor = &info
	} else if q.Supervisor != "" {
		return a, &sup.Problem{Code: sup.CodeSupervisorNotFound, Supervisor: q.Supervisor, Detail: fmt.Sprintf("there is no supervisor %q", q.Supervisor)}
	}
	switch q.Kind {
	case node.QuerySupervisors:
		for v := range s.Supervisors() {
			info, _ := s.Info(v.Name)
			a.Supervisors = append(a.Supervisors, info)
		}
	case node.QueryChildren:
		a.Children, a.Next = s.Children(q.Supervisor, q.After, q.Limit, func(c *sup.ChildInfo) bool {
			return (q.Node == "" || c.Node == q.Node) && (q.Status == "" || c.Status == q.Status)
		})
	case node.QueryChild:
		c, ok := s.ChildInfo(sup.Key{Supervisor: q.Supervisor, Child: q.Child})
		if !ok {
			return a, &sup.Problem{Code: sup.CodeChildNotFound, Supervisor: q.Supervisor, Child: q.Child, Detail: "no such child"}
		}
		a.Child = &c
	case node.QueryCount:
		c := s.Counts(q.Supervisor)
		a.Count = &c
	case node.QueryNodes:
		a.Nodes = []sup.NodeInfo{{Name: "n1", Addr: "127.0.0.1:7101", Status: "up", Role: "leader", Incarnation: 1<<40 + 1}}
	case node.QueryNode:
		if q.Node != "n1" {
			return a, &sup.Problem{Code: sup.CodeNodeNotFound, Node: q.Node, Detail: "no such node"}
		}
		lease := sup.Duration(2500e6)
		a.Node = &sup.NodeInfo{Name: "n1", Addr: "127.0.0.1:7101", Status: "up", Role: "leader", Tags: map[string]string{"zone": "a"},
			Behaviors: []string{"exec"}, LeaseExpiresIn: &lease, Incarnation: 1<<40 + 1}
		if r := s.Node("n1"); r.Drained {
			a.Node.Status, a.Node.Drained, a.Node.Staying = string(r.Status), true, s.Staying("n1", 100)
		}
	case node.QueryRebalance:
		a.Moves = s.PlanRebalance(q.Limit)
	case node.QueryChanges:
		changes, p := s.Changes(q.Manifest)
		if p != nil {
			return a, p
		}
		a.Changes, a.Apart = changes, s.Apart(q.Manifest.Name, changes)
	case node.QueryEvents:
		if _, _, newest := s.Events(q.Since, 1); q.Wait > 0 && newest <= q.Since {
			if err := m.await(ctx, q); err != nil {
				return a, err
			}
		}
		events, oldest, newest := s.Events(q.Since, q.Limit)
		if oldest > 0 && q.Since < oldest-1 {
			return a, &sup.Problem{Code: sup.CodeEventsCompacted, Bound: int64(oldest), Detail: "too old"}
		}
		a.Events, a.LastEvent = events, newest
	}
	return a, nil
}

// await waits for an event after q.Since, as a node does. m.mu is held, and released meanwhile.
func (m *memory) await(ctx context.Context, q node.Query) error {
	enough := time.NewTimer(q.Wait)
	defer enough.Stop()
	for {
		moved := m.moved
		m.mu.Unlock()
		var err error
		over := false
		select {
		case <-moved:
		case <-enough.C:
			over = true
		case <-ctx.Done():
			err = ctx.Err()
		}
		m.mu.Lock()
		if _, _, newest := m.state.Events(q.Since, 1); err != nil || over || newest > q.Since {
			return err
		}
	}
}

// CallChild answers every call with its value; a cast to a child that is not there is refused, all others are taken.
func (m *memory) CallChild(ctx context.Context, k sup.Key, in actor.Incoming, timeout time.Duration, key string) (json.RawMessage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = append(m.seen, key)
	m.waited = timeout
	if m.state.Child(k) == nil {
		return nil, m.state.NoChild(k)
	}
	return in.Value, m.refuse
}

func (m *memory) CastChild(ctx context.Context, k sup.Key, in actor.Incoming, key string) error {
	_, err := m.CallChild(ctx, k, in, 0, key)
	return err
}

func (m *memory) TransferLeadership(_ context.Context, to sup.NodeName) (sup.NodeName, error) {
	switch to {
	case "", "n1":
		return "n1", m.refuse
	}
	return "", &sup.Problem{Code: sup.CodeNodeNotFound, Node: to, Detail: "there is no such server"}
}

func (m *memory) Status() node.Status {
	return node.Status{Node: "n1", Role: "leader", Leader: m.leader, Term: 2, CommitIndex: 7, AppliedIndex: 7, Version: "test",
		Servers: []node.Server{{Name: "n1", Addr: "127.0.0.1:7101"}}}
}

func (m *memory) Ready() node.Ready {
	return node.Ready{Ready: m.leader != "", Checks: []node.Check{{Name: "leader", OK: m.leader != "", Detail: string(m.leader)}}}
}

// mustJSON is v as JSON, for comparisons.
func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Logs gives the pieces of m.logs; a log that is followed then has no end.
func (m *memory) Logs(ctx context.Context, q node.LogQuery) (node.LogReader, error) {
	if _, err := m.Read(ctx, node.Query{Kind: node.QueryChild, Supervisor: q.Supervisor, Child: q.Child}); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = q
	return &memoryLog{m.logs, q.Follow}, nil
}

type memoryLog struct {
	pieces []node.LogPiece
	follow bool
}

func (l *memoryLog) Next(ctx context.Context) (node.LogPiece, error) {
	if len(l.pieces) > 0 {
		p := l.pieces[0]
		l.pieces = l.pieces[1:]
		return p, nil
	}
	if !l.follow {
		return node.LogPiece{}, io.EOF
	}
	select {
	case <-ctx.Done():
		return node.LogPiece{}, ctx.Err()
	case <-time.After(time.Millisecond):
		return node.LogPiece{}, nil
	}
}
