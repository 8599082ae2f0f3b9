package node

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/leader"
	"github.com/supnode/supnode/node/store"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

const (
	// maxAppendEntries bounds what is sent at once to a server that lags. An entry may be as large as a request, and a message
	// that does not pass within raftIOTimeout is sent anew, for ever. The leader has few entries under way, each of many commands.
	maxAppendEntries = 16
	// snapshotEvery is how many log entries are kept before the log is compacted.
	snapshotEvery = 16384
	// trailingLogs are kept behind a snapshot for followers that lag.
	trailingLogs = 4096
	// raftStopTimeout bounds the wait for Raft's end: the process is to end whatever Raft waits for.
	raftStopTimeout = 5 * time.Second
	// raftIOTimeout bounds one Raft message on the wire.
	raftIOTimeout = 5 * time.Second
)

// raftConfig derives Raft's configuration from the lease (protocol.md, Names).
func (c Config) raftConfig(log hclog.Logger, notify chan<- bool) *raft.Config {
	t := time.Duration(c.settings().Lease().RaftTimeout())
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(c.Name)
	rc.HeartbeatTimeout, rc.ElectionTimeout, rc.LeaderLeaseTimeout = t, t, t
	rc.CommitTimeout = min(50*time.Millisecond, t/4)
	rc.MaxAppendEntries = maxAppendEntries
	rc.SnapshotThreshold, rc.TrailingLogs = snapshotEvery, trailingLogs
	rc.SnapshotInterval = 30 * time.Second
	rc.NotifyCh = notify
	rc.Logger = log
	rc.NoLegacyTelemetry = true
	return rc
}

// raftServers is the configuration that every server bootstraps: names are the addresses.
func (c Config) raftServers() (conf raft.Configuration) {
	for _, s := range c.Servers {
		conf.Servers = append(conf.Servers, raft.Server{ID: raft.ServerID(s.Name), Address: raft.ServerAddress(s.Name)})
	}
	return conf
}

// startRaft opens the store and joins Raft. On a first start the configuration of the file is bootstrapped; it names servers
// by name alone, each node resolves names by its own file, so it is identical on every server whatever addresses files give.
func (n *Node) startRaft(ctx context.Context) error {
	st, err := store.Open(store.Options{Dir: n.id.RaftDir(), Logger: n.log.Named("store"), Fatal: n.fatal, Verify: fsm.Verify})
	if err != nil {
		return err
	}
	n.store = st
	had, err := raft.HasExistingState(st.Log(), st.Stable(), st.Snapshots())
	if err != nil {
		return fmt.Errorf("read the Raft log in %s: %w", n.id.RaftDir(), err)
	}
	if !had {
		n.empty.Store(true)
		if err := n.mayBootstrap(ctx); err != nil {
			return err
		}
	}
	layer, err := rpc.RaftLayer[raft.ServerAddress](n.port, func(name sup.NodeName) (string, bool) {
		addr := n.serverAddr(name)
		return addr, addr != ""
	})
	if err != nil {
		return err
	}
	n.layer = layer
	rlog := newRaftLog(n.log.Named("raft"))
	n.trans = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: layer, MaxPool: 3, Timeout: raftIOTimeout, Logger: rlog,
		// No pipelining: in v1.8.0 a pipeline that ends at a newer term can dead-lock its replicating goroutine, which then
		// hears of neither a lost leadership nor Shutdown.
		MaxRPCsInFlight: 1,
	})
	n.notify = make(chan bool, 16)
	rc := n.cfg.raftConfig(rlog, n.notify)
	if !had {
		err := raft.BootstrapCluster(rc, st.Log(), st.Stable(), st.Snapshots(), n.trans, n.cfg.raftServers())
		if err != nil {
			return fmt.Errorf("bootstrap the Raft log in %s: %w", n.id.RaftDir(), err)
		}
	}
	if err := n.id.RaftCreated(); err != nil {
		return err
	}
	n.raft, err = raft.NewRaft(rc, n.fsm, st.Log(), terms{st.Stable(), n.joined}, st.Snapshots(), n.trans)
	if err != nil {
		return fmt.Errorf("start Raft on %s: %w", n.id.RaftDir(), err)
	}
	return n.checkVoters()
}

// terms is Raft's stable store. Raft panics when it can't save its term, and would take the whole program along; the store
// has ended the node by then (Options.Fatal), so it is enough that the goroutine goes no further.
type terms struct {
	raft.StableStore
	joined <-chan struct{} // until then the goroutine is Start's, and Raft hands errors on
}

func (t terms) SetUint64(key []byte, value uint64) error {
	err := t.StableStore.SetUint64(key, value)
	if err != nil {
		select {
		case <-t.joined:
			runtime.Goexit()
		default:
		}
	}
	return err
}

// stopRaft ends Raft and everything that writes to its store, or gives it up.
func (n *Node) stopRaft() {
	ctx, cancel := context.WithTimeout(context.Background(), raftStopTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- errors.Join(n.raft.Shutdown().Error(), n.trans.Close(), n.layer.Wait(ctx))
	}()
	select {
	case err := <-done:
		if err == nil {
			return
		}
		n.log.Warn("Raft's end", "error", err)
	case <-ctx.Done():
	}
	n.log.Error("Raft did not end in time; leaving it", "within", raftStopTimeout)
	n.store = nil // a write that hangs would hold its Close up for ever; its lock goes with the process
}

// future is a proposal on its way through Raft.
type future struct{ raft.ApplyFuture }

// propose appends an entry. Raft's time-out covers enqueueing only; a stalled log makes the proposer wait T_stall at most.
func (n *Node) propose(entry []byte) leader.Future {
	since := time.Now()
	return timed{future{n.raft.Apply(entry, n.stall())}, n.metrics, since}
}

// Wait returns what the state machine did with the entry. Raft ends every future when its leadership ends; ctx ends the
// wait earlier.
func (f future) Wait(ctx context.Context) (fsm.Applied, error) {
	done := make(chan error, 1)
	go func() { done <- f.Error() }() // ends with the leadership, or with Raft
	select {
	case err := <-done:
		if err != nil {
			return fsm.Applied{}, err
		}
	case <-ctx.Done():
		return fsm.Applied{}, ctx.Err()
	}
	switch a := f.Response().(type) {
	case fsm.Applied:
		return a, nil
	case error:
		return fsm.Applied{}, a
	default:
		return fsm.Applied{}, fmt.Errorf("the state machine answered %T", a)
	}
}
