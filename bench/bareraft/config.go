package bareraft

import (
	"io"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/store"
	"go.etcd.io/bbolt"
)

// The same values as in package node, but for maxAppendEntries: there few entries are under way, each of many commands.
const (
	maxAppendEntries = 1024
	snapshotEvery    = 16384
	trailingLogs     = 4096
	raftIOTimeout    = 5 * time.Second
)

// raftConfig is Raft's configuration in a supnode cluster of this lease.
func raftConfig(l fsm.Lease, id string, notify chan<- bool, log hclog.Logger) *raft.Config {
	t := time.Duration(l.RaftTimeout())
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(id)
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

// transportConfig is that of supnode's Raft transport, over bare TCP.
func transportConfig(layer raft.StreamLayer, log hclog.Logger) *raft.NetworkTransportConfig {
	return &raft.NetworkTransportConfig{
		Stream: layer, MaxPool: 3, MaxRPCsInFlight: 1, Timeout: raftIOTimeout, Logger: log,
	}
}

// openLog opens a log file as supnode does.
func openLog(dir string) (*raftboltdb.BoltStore, error) {
	return raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, store.LogFile), BoltOptions: &bbolt.Options{
		NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	}})
}

// nothing is a state machine without a state.
type nothing struct{}

func (nothing) Apply(*raft.Log) any                 { return nil }
func (nothing) Snapshot() (raft.FSMSnapshot, error) { return nothing{}, nil }
func (nothing) Restore(r io.ReadCloser) error       { return r.Close() }
func (nothing) Persist(s raft.SnapshotSink) error   { return s.Close() }
func (nothing) Release()                            {}
