package node

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/leader"
	sup "github.com/supnode/supnode/supervisor"
)

// The phases of a failover.
const (
	phaseElection = "election" // from the loss of the known leader until another is known, as this server saw it
	phaseRestart  = "restart"  // from a node's failure being committed until one of its children runs elsewhere
)

// maxRecovering bounds the children whose recovery is timed at once.
const maxRecovering = 1 << 17

// metrics are what a node counts as it happens. What can be looked at is looked at when it is asked for: see look.
type metrics struct {
	registry *prometheus.Registry

	commit   prometheus.Histogram
	batch    prometheus.Histogram
	failed   prometheus.Counter
	events   *prometheus.CounterVec
	failover *prometheus.HistogramVec
}

// seconds are the buckets of durations, from what a commit takes to the longest failover.
var seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func newMetrics(n *Node) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "supnode_commit_seconds",
			Help: "Time from an entry's proposal by this leader until it is applied.", Buckets: seconds}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "supnode_commit_commands",
			Help: "Commands in an entry that this leader committed.", Buckets: prometheus.ExponentialBuckets(1, 2, 12)}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{Name: "supnode_commit_failures_total",
			Help: "Entries of this leader whose outcome it did not learn."}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "supnode_events_total",
			Help: "Lifecycle events that this server has learned of since it started, by type; child_restarted counts restarts, node_failure_detected failures of nodes."}, []string{"type"}),
		failover: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "supnode_failover_seconds",
			Help: "Durations of a failover's phases. election: no leader known; restart: from a node's failure until a child of its runs elsewhere.", Buckets: seconds}, []string{"phase"}),
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), look{n})
	if n.cfg.voter() {
		for _, phase := range []string{phaseElection, phaseRestart} {
			m.failover.WithLabelValues(phase)
		}
		for _, t := range []sup.EventType{sup.EventChildRestarted, sup.EventChildMigrated, sup.EventNodeFailureDetected, sup.EventLeaderChanged} {
			m.events.WithLabelValues(string(t))
		}
		m.registry.MustRegister(m.commit, m.batch, m.failed, m.events, m.failover)
	}
	return m
}

// Metrics are this node's metrics, for Prometheus.
func (n *Node) Metrics() prometheus.Gatherer { return n.metrics.registry }

// timed is a proposal whose outcome is measured.
type timed struct {
	leader.Future
	m     *metrics
	since time.Time
}

// Wait implements leader.Future.
func (f timed) Wait(ctx context.Context) (fsm.Applied, error) {
	a, err := f.Future.Wait(ctx)
	if err != nil {
		f.m.failed.Inc()
		return a, err
	}
	f.m.commit.Observe(time.Since(f.since).Seconds())
	f.m.batch.Observe(float64(len(a.Results)))
	return a, nil
}

// measure counts events and times failovers until ctx ends.
func (n *Node) measure(ctx context.Context) {
	leaders := make(chan raft.Observation, 16)
	observer := raft.NewObserver(leaders, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	n.raft.RegisterObserver(observer)
	defer n.raft.DeregisterObserver(observer)
	// What the log held when this process began was counted before, or never. A wall clock would not tell: one that steps
	// would let events be passed over.
	known := n.raft.LastIndex()
	since := n.events.last()
	var leaderless time.Time
	recovering := map[sup.Key]time.Time{}
	for {
		since = n.eachEvent(since, func(e sup.Event) {
			if e.Index > known {
				n.countEvent(e, recovering)
			}
		})
		more := n.events.after(since)
		if more == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case o := <-leaders:
			switch known := o.Data.(raft.LeaderObservation).LeaderID != ""; {
			case !known && leaderless.IsZero():
				leaderless = time.Now()
			case known && !leaderless.IsZero():
				n.metrics.failover.WithLabelValues(phaseElection).Observe(time.Since(leaderless).Seconds())
				leaderless = time.Time{}
			}
		case <-more:
		}
	}
}

// countEvent counts an event and what it says of a failover.
func (n *Node) countEvent(e sup.Event, recovering map[sup.Key]time.Time) {
	n.metrics.events.WithLabelValues(string(e.Type)).Inc()
	key := sup.Key{Supervisor: e.Supervisor, Child: e.Child}
	switch e.Type {
	case sup.EventNodeFailureDetected:
		for _, k := range e.AffectedChildren {
			if len(recovering) < maxRecovering {
				recovering[k] = e.Time
			}
		}
	case sup.EventChildRestarted:
		if at, ok := recovering[key]; ok {
			n.metrics.failover.WithLabelValues(phaseRestart).Observe(max(0, e.Time.Sub(at).Seconds()))
			delete(recovering, key)
		}
	case sup.EventSupervisorStopped:
		maps.DeleteFunc(recovering, func(k sup.Key, _ time.Time) bool { return k.Supervisor == e.Supervisor })
	}
}

// look collects what is looked at when it is asked for.
type look struct{ n *Node }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("supnode_"+name, help, labels, nil)
}

var (
	descInfo      = describe("info", "The version that runs; always 1.", "node", "role", "version")
	descLeader    = describe("leader", "1 when this node leads.")
	descHasLeader = describe("has_leader", "1 when this node knows a leader.")
	descTerm      = describe("raft_term", "Raft's term.")
	descCommit    = describe("raft_commit_index", "Index of the last committed entry.")
	descApplied   = describe("raft_applied_index", "Index of the last entry that is applied here.")
	descChildren  = describe("children", "Children in this server's replica, by status.", "status")
	descMoving    = describe("children_moving", "Children that are told to stop to run on another node.")
	descToMove    = describe("children_to_move", "Further children of draining nodes, those that stay there too, and those that a rebalance is to move.")
	descSups      = describe("supervisors", "Supervisors in this server's replica, by status.", "status")
	descNodes     = describe("nodes", "Nodes in this server's replica, by status.", "status")
	descLive      = describe("lease_held", "1 while this node holds its lease: its children may run.")
	descLeft      = describe("lease_remaining_seconds", "How long this node's lease still lasts.")
	descMargin    = describe("lease_margin_seconds", "The least that was left of a lease when it was renewed, since the start.")
	descLapses    = describe("lease_lapses_total", "Leases that were lost since the start; children were stopped for each.")
	descHere      = describe("agent_children", "Children on this node, by phase; fenced are those of a session that is over.", "phase")
	descReports   = describe("agent_unacknowledged_reports", "Reports that no leader has acknowledged.")
	descGuardian  = describe("guardian_up", "1 while the guardian of exec's commands lives.")
	descFenced    = describe("guardian_fenced", "1 while the guardian lets nothing run: its session is over.")
	descCommands  = describe("guardian_commands", "Commands that have not ended.")
	descLogs      = describe("exec_logs_blocked", "Logs of running commands that cannot be written now.")
	descLost      = describe("exec_log_lost_bytes_total", "Output of commands that could not be written to their logs, since the start.")
	descActors    = describe("actors", "Incarnations of Go behaviors on this node.")
	descHanging   = describe("actors_hanging", "Go behaviors that were to be gone for a second and whose code has not returned; nothing replaces them meanwhile.")
	descBusy      = describe("messages_refused_total", "Messages to actors of this node that met a full mailbox.")
	descSent      = describe("messages_sent_total", "Messages to actors on other nodes.")
	descReceived  = describe("messages_received_total", "Messages from other nodes to actors on this one.")
	descLostCasts = describe("messages_lost_total", "Casts that were queued and that no handler saw, here or on the way to or from another node.")
	descUnhandled = describe("messages_unhandled_total", "Casts to actors of this node whose behavior has no handler for them.")
	descCalls     = describe("calls", "Calls that have no answer yet: of this node to other nodes (out), of other nodes to this one (in).", "direction")
	descOutbox    = describe("messages_queued", "Messages that wait to be sent to other nodes.")
	descQueue     = describe("queue_length", "What waits: for the leader's machine (inputs), for the log (entries), for its commit (in_flight), for a node (wanting), for Raft to apply (raft_apply), requests for their outcome (requests), clients for events (watchers).", "queue")
)

// childStates are the states that children are in.
var childStates = []sup.Status{sup.StatusPending, sup.StatusStarting, sup.StatusRunning, sup.StatusStopping, sup.StatusRestarting, sup.StatusBackoff, sup.StatusExited}

// Describe implements prometheus.Collector; with no description the collector is unchecked: what there is depends on the node.
func (look) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (l look) Collect(to chan<- prometheus.Metric) {
	n := l.n
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := n.Status()
	gauge(descInfo, 1, string(s.Node), s.Role, s.Version)
	gauge(descHasLeader, truth(s.Leader != ""))
	gauge(descLeader, truth(n.lead.Load() != nil))
	a := n.agent.Status()
	left := max(0, float64(a.Deadline-n.clock.Now())/1e9)
	gauge(descLive, truth(a.Live && left > 0))
	gauge(descLeft, left)
	if a.MinLeft >= 0 {
		gauge(descMargin, float64(a.MinLeft)/1e9)
	}
	to <- prometheus.MustNewConstMetric(descLapses, prometheus.CounterValue, float64(a.Lapses))
	for phase, count := range map[string]int{"starting": a.Starting, "running": a.Running, "stopping": a.Stopping, "fenced": a.Fenced} {
		gauge(descHere, float64(count), phase)
	}
	gauge(descReports, float64(a.Unacknowledged))
	if n.exec != nil {
		h := n.exec.Health()
		gauge(descGuardian, truth(h.Alive))
		gauge(descFenced, truth(h.Fenced))
		gauge(descCommands, float64(h.Commands))
		logs := n.logs.Health()
		gauge(descLogs, float64(logs.Blocked))
		to <- prometheus.MustNewConstMetric(descLost, prometheus.CounterValue, float64(logs.Lost))
	}
	l.actors(to, gauge)
	if n.raft == nil {
		return
	}
	gauge(descTerm, float64(s.Term))
	gauge(descCommit, float64(s.CommitIndex))
	gauge(descApplied, float64(s.AppliedIndex))
	l.replica(gauge)
}

// actors are the Go behaviors that run here, and their messages.
func (l look) actors(to chan<- prometheus.Metric, gauge func(*prometheus.Desc, float64, ...string)) {
	s, m := l.n.actors.Stats(), l.n.courier.Stats()
	gauge(descActors, float64(s.Actors))
	gauge(descHanging, float64(len(l.n.actors.Hanging(actor.HangAfter))))
	for d, v := range map[*prometheus.Desc]uint64{descBusy: s.Busy, descSent: m.Sent, descReceived: m.Received, descLostCasts: s.Lost + m.Lost, descUnhandled: s.Unhandled} {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge(descCalls, float64(m.Calls), "out")
	gauge(descCalls, float64(m.Served), "in")
	gauge(descOutbox, float64(m.Queued))
}

// replica is what this server's replica and its queues hold.
func (l look) replica(gauge func(*prometheus.Desc, float64, ...string)) {
	n := l.n
	var c fsm.Census
	var wanting int
	n.fsm.View(func(s *fsm.State) { c, wanting = s.Census(), s.WantingCount() })
	for _, status := range childStates {
		gauge(descChildren, float64(c.Children[status]), string(status))
	}
	gauge(descMoving, float64(c.Moving))
	gauge(descToMove, float64(c.ToMove))
	for _, status := range []sup.Status{sup.StatusStarting, sup.StatusRunning, sup.StatusStopping, sup.StatusStopped} {
		gauge(descSups, float64(c.Supervisors[status]), string(status))
	}
	for _, status := range []fsm.NodeStatus{fsm.MemberUp, fsm.MemberDraining, fsm.MemberDown, fsm.MemberLeft} {
		gauge(descNodes, float64(c.Nodes[status]), string(status))
	}
	var q leader.Queues
	if lead := n.lead.Load(); lead != nil {
		q = lead.driver.Queues()
	}
	apply, err := strconv.Atoi(n.raft.Stats()["fsm_pending"])
	if err != nil {
		apply = 0
	}
	for queue, length := range map[string]int{"inputs": q.Inputs, "entries": q.Entries, "in_flight": q.InFlight, "wanting": wanting,
		"raft_apply": apply, "requests": n.waiters.count(), "watchers": n.events.count()} {
		gauge(descQueue, float64(length), queue)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
