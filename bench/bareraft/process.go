package bareraft

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/store"
	"github.com/supnode/supnode/test/jepsen-lite/history"
)

// argument makes the program a node.
const argument = "bare-raft-node"

// entrySize is that of an entry, in bytes.
const entrySize = 256

// applyTimeout bounds the enqueueing of an entry.
const applyTimeout = 10 * time.Second

// request is one line from the driver.
type request struct {
	Appliers int           // of a load; 0: only the index is asked for
	For      time.Duration // how long the load lasts
	Rest     time.Duration // an applier rests before each entry, at most this long
}

// line is one line to the driver.
type line struct {
	Committed history.Instant // when an entry of a term that began here was committed first; 0 = this line is an answer
	Index     uint64          // applied here
	Load      *Load
	Error     string
}

// Load is what appliers that apply one entry after another have seen.
type Load struct {
	Took []time.Duration // of every commit
	For  time.Duration
}

// PerSecond is the rate of commits.
func (l Load) PerSecond() float64 { return float64(len(l.Took)) / l.For.Seconds() }

// IsNode reports whether this process was started to be a node.
func IsNode() bool { return len(os.Args) > 1 && os.Args[1] == argument }

// Main is a node. It returns when the driver is gone.
func Main() error {
	f := flag.NewFlagSet(argument, flag.ContinueOnError)
	id := f.String("id", "", "of this node")
	dir := f.String("dir", "", "its folder")
	servers := f.String("servers", "", "id=address of all, with commas")
	lease := f.Duration("lease", 0, "lease_ttl that Raft's time-outs follow from")
	if err := f.Parse(os.Args[2:]); err != nil {
		return err
	}
	n := &process{out: json.NewEncoder(os.Stdout)}
	if err := n.start(fsm.Lease{TTL: int64(*lease)}, *id, *dir, strings.Split(*servers, ",")); err != nil {
		return err
	}
	in := json.NewDecoder(os.Stdin)
	for {
		var r request
		switch err := in.Decode(&r); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		answer := line{Index: n.raft.AppliedIndex()}
		if r.Appliers > 0 {
			load, err := n.load(r)
			if answer.Load = &load; err != nil {
				answer.Error = err.Error()
			}
		}
		if err := n.say(answer); err != nil {
			return err
		}
	}
}

type process struct {
	raft *raft.Raft

	mu  sync.Mutex // guards out
	out *json.Encoder
}

func (n *process) say(l line) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.out.Encode(l)
}

func (n *process) start(lease fsm.Lease, id, dir string, servers []string) error {
	log, err := openLog(dir)
	if err != nil {
		return err
	}
	snaps, err := raft.NewFileSnapshotStoreWithLogger(dir, store.RetainedSnapshots, hclog.NewNullLogger())
	if err != nil {
		return err
	}
	cached, err := raft.NewLogCache(store.CachedEntries, log)
	if err != nil {
		return err
	}
	var all raft.Configuration
	var own string
	for _, s := range servers {
		name, addr, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("%q is not id=address", s)
		}
		if all.Servers = append(all.Servers, raft.Server{ID: raft.ServerID(name), Address: raft.ServerAddress(addr)}); name == id {
			own = addr
		}
	}
	diary, err := os.OpenFile(filepath.Join(dir, "raft.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	logger := hclog.New(&hclog.LoggerOptions{Name: id, Output: diary, Level: hclog.Info})
	layer, err := listen(own)
	if err != nil {
		return err
	}
	trans := raft.NewNetworkTransportWithConfig(transportConfig(layer, logger))
	notify := make(chan bool, 16)
	rc := raftConfig(lease, id, notify, logger)
	had, err := raft.HasExistingState(cached, log, snaps)
	if err != nil {
		return err
	}
	if !had {
		if err := raft.BootstrapCluster(rc, cached, log, snaps, trans, all); err != nil {
			return err
		}
	}
	if n.raft, err = raft.NewRaft(rc, nothing{}, cached, log, snaps, trans); err != nil {
		return err
	}
	go n.lead(notify)
	return nil
}

// lead commits an entry at the beginning of each term that this node leads, and tells when that was.
func (n *process) lead(gained <-chan bool) {
	for leads := range gained {
		if leads && n.raft.Apply(make([]byte, entrySize), applyTimeout).Error() == nil {
			if n.say(line{Committed: history.Now()}) != nil {
				return
			}
		}
	}
}

// load keeps r.Appliers busy for r.For.
func (n *process) load(r request) (Load, error) {
	began := time.Now()
	end := began.Add(r.For)
	took := make([][]time.Duration, r.Appliers)
	errs := make([]error, r.Appliers)
	var appliers sync.WaitGroup
	for i := range r.Appliers {
		appliers.Go(func() {
			entry := make([]byte, entrySize)
			for {
				if r.Rest > 0 {
					time.Sleep(rand.N(r.Rest))
				}
				before := time.Now()
				if before.After(end) {
					return
				}
				if errs[i] = n.raft.Apply(entry, applyTimeout).Error(); errs[i] != nil {
					return
				}
				took[i] = append(took[i], time.Since(before))
			}
		})
	}
	appliers.Wait()
	load := Load{For: time.Since(began)}
	for _, t := range took {
		load.Took = append(load.Took, t...)
	}
	return load, errors.Join(errs...)
}
