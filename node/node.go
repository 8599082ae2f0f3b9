package node

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/agent"
	"github.com/supnode/supnode/node/agent/guardian"
	"github.com/supnode/supnode/node/clock"
	"github.com/supnode/supnode/node/courier"
	"github.com/supnode/supnode/node/identity"
	"github.com/supnode/supnode/node/store"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// Node is one running member of a cluster: a server (Raft voter) or an agent. Every node runs children and answers requests.
type Node struct {
	cfg     Config
	log     hclog.Logger
	clock   *clock.BootClock
	id      *identity.Identity
	guard   *guardian.Lock // until the guardian has it
	port    *rpc.Port
	agent   *agent.Driver
	actors  *actor.System
	courier *courier.Courier
	exec    *guardian.Runner // nil where exec is not enabled
	logs    *guardian.Logs   // of its commands

	// Of a server; nil on a plain agent.
	fsm        *fsm.FSM
	store      *store.Store
	raft       *raft.Raft
	trans      *raft.NetworkTransport
	layer      *rpc.Layer[raft.ServerAddress]
	notify     chan bool
	empty      atomic.Bool // its Raft log was empty at this start
	succession *succession

	lead          atomic.Pointer[leadership] // while this node leads
	known         atomic.Pointer[leaderAddr] // the leader that the agent's stream last found
	alone         atomic.Pointer[string]     // why no leader is known, once that has lasted
	waiters       waiters
	events        watch
	subscriptions subscriptions
	deliveries    *deliveries
	metrics       *metrics

	joined    chan struct{} // closed when a server's Raft runs
	closing   chan struct{} // closed when the node begins to stop
	closeOnce sync.Once
	ended     chan struct{} // closed when everything has stopped
	failure   atomic.Pointer[error]
	tasks     sync.WaitGroup
	cancel    context.CancelFunc
}

// Start starts a node and returns once its port listens and its parts run; it need not have found a leader yet (Ready
// says so). Close or Leave ends it. Errors name the field or directory that is wrong and what would be right.
//
// The very first start of a server waits until another server answers: a program that starts several nodes by itself starts
// them side by side. ctx bounds this wait, and that for a former process which holds the data directory; the node outlives it.
func Start(ctx context.Context, cfg Config) (_ *Node, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, log: cfg.Logger.With("node", string(cfg.Name)),
		joined: make(chan struct{}), closing: make(chan struct{}), ended: make(chan struct{}), deliveries: newDeliveries(),
	}
	n.metrics = newMetrics(n)
	defer func() {
		if err != nil {
			n.release()
		}
	}()
	if n.clock, err = clock.Boot(); err != nil {
		return nil, err
	}
	// Lock first, then bind (P1): whoever holds the directory is the only process of this node.
	n.id, err = identity.Open(ctx, identity.Options{Dir: cfg.DataDir, Name: cfg.Name, Wait: lockWait})
	if err != nil {
		return nil, err
	}
	if err := n.clearLeftovers(ctx); err != nil {
		return nil, err
	}
	if n.port, err = n.openPort(); err != nil {
		return nil, err
	}
	n.port.SetCluster(n.id.Cluster())
	if cfg.voter() {
		n.fsm = fsm.NewFSM(n.log.Named("fsm"), n.fatal)
		n.fsm.OnApplied(n.applied)
		n.serveWho()
		if err := n.startRaft(ctx); err != nil {
			return nil, err
		}
		close(n.joined)
		n.serve()
		n.succession = newSuccession(n)
		n.port.SetLeader(n.redirect)
		n.port.OnSync(n.serveSync)
	}
	n.serveLogs()
	if err := n.startAgent(); err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	if cfg.voter() {
		n.tasks.Go(func() { n.followLeadership(run) })
		n.tasks.Go(func() { n.succession.run(run) })
		n.tasks.Go(func() { n.measure(run) })
		n.tasks.Go(func() { n.dropLost(run) })
	}
	n.tasks.Go(func() { n.runAgent(run) })
	n.tasks.Go(func() { n.startManifests(run) })
	n.tasks.Go(func() { n.learnCluster(run) })
	n.tasks.Go(func() { n.watchLeaderless(run) })
	go n.reap()
	return n, nil
}

// lockWait is how long a start waits for the former process's guardian to finish.
const lockWait = 15 * time.Second

// Name is the node's name.
func (n *Node) Name() sup.NodeName { return n.cfg.Name }

// ShutdownTimeout bounds Leave.
func (n *Node) ShutdownTimeout() time.Duration { return n.cfg.ShutdownTimeout }

// Done is closed when the node has ended, by Close, Leave or a failure; Err says which.
func (n *Node) Done() <-chan struct{} { return n.ended }

// Err says why the node ended by itself; nil after Close or Leave. It is meant to be read after Done.
func (n *Node) Err() error {
	if p := n.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// Close stops the node now: its children are killed, nothing is handed over. It returns when nothing of it is left. A child
// whose code does not return holds it up, and when the lease of the node is over ends the process (Config.Exit, S14).
func (n *Node) Close() error {
	n.stop()
	<-n.ended
	return n.Err()
}

// Leave hands the node's children over to other nodes, then stops it (P3), bounded by ShutdownTimeout and ctx. What
// could not be handed over is logged, and in the event node_left. Of a node that has ended it is Close.
func (n *Node) Leave(ctx context.Context) error {
	if n.isClosing() {
		return n.Close()
	}
	ctx, cancel := context.WithTimeout(ctx, n.cfg.ShutdownTimeout)
	defer cancel()
	n.handOverLeadership(ctx)
	_, err := n.agent.Leave(ctx)
	return errors.Join(err, n.Close())
}

func (n *Node) stop() { n.closeOnce.Do(func() { close(n.closing) }) }

// fatal ends the node because of a failure that it can't go on with: a store error, a corrupt log entry (protocol.md, facts).
func (n *Node) fatal(err error) {
	if n.failure.CompareAndSwap(nil, &err) {
		n.log.Error("the node ends", "error", err)
	}
	n.stop()
}

// reap waits for the end to begin and takes the node apart.
func (n *Node) reap() {
	<-n.closing
	n.cancel()
	n.release()
	n.tasks.Wait()
	n.subscriptions.end()
	n.finish()
	close(n.ended)
}

// release ends every part that was started, in an order that lets children stop first and the lock go last.
func (n *Node) release() {
	n.stop()
	n.deliveries.close()
	if n.agent != nil {
		n.agent.Close()
	}
	if n.courier != nil {
		n.courier.Close()
	}
	if n.raft != nil {
		n.stopRaft()
	}
	if n.trans != nil {
		n.trans.Close()
	}
	if n.port != nil {
		n.port.Close()
	}
	if n.cancel == nil { // Start failed: no task uses them
		n.finish()
	}
}

// finish closes what tasks use to their end.
func (n *Node) finish() {
	if n.store != nil {
		n.store.Close()
	}
	if n.guard != nil {
		n.guard.Release()
	}
	if n.id != nil {
		n.id.Close()
	}
	if n.clock != nil {
		n.clock.Close()
	}
}

// guardianLock is the file that the guardian locks as long as one of its commands lives (P0, P1).
func (n *Node) guardianLock() string { return filepath.Join(n.cfg.DataDir, "guardian.lock") }

func (n *Node) applied(a fsm.Applied) {
	n.waiters.complete(a.Completed)
	n.events.tell(a.LastEvent)
}
