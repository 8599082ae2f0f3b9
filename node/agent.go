package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/agent"
	"github.com/supnode/supnode/node/agent/guardian"
	"github.com/supnode/supnode/rpc"
)

// featureLevel is the highest feature level of the replicated state that this program understands.
const featureLevel = 1

// clearLeftovers makes the proof of P1 true before this process may register: the former guardian is gone, and so is
// every process that carries this node's UUID.
func (n *Node) clearLeftovers(ctx context.Context) error {
	lock, err := guardian.Acquire(ctx, n.guardianLock(), lockWait)
	if err != nil {
		return err
	}
	n.guard = lock
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	killed, err := guardian.KillLeftovers(ctx, n.id.ID())
	if err != nil {
		return fmt.Errorf("commands of this node's former process are still there: %w", err)
	}
	if killed > 0 {
		n.log.Warn("killed what the former process had left", "processes", killed)
	}
	return nil
}

func (n *Node) openPort() (*rpc.Port, error) {
	c := rpc.Config{
		Node: n.cfg.Name, Version: n.cfg.Version, Listen: n.cfg.RPC.Listen, Listener: n.cfg.RPC.Listener, Advertise: n.cfg.RPC.Advertise,
		Insecure: n.cfg.RPC.Insecure, Logger: n.log.Named("rpc"),
	}
	if t := n.cfg.RPC.TLS; t != nil {
		c.TLS = &rpc.TLSFiles{CA: t.CA, Cert: t.Cert, Key: t.Key}
	}
	return rpc.Open(c)
}

// startAgent makes the agent and, where exec is enabled, its guardian.
func (n *Node) startAgent() error {
	var tags []fsm.Tag
	for k, v := range n.cfg.Tags {
		tags = append(tags, fsm.Tag{Key: k, Value: v})
	}
	slices.SortFunc(tags, func(a, b fsm.Tag) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	n.agent = agent.NewDriver(agent.Options{
		Agent: agent.Config{
			Node: n.cfg.Name, ID: n.id.ID(), Addr: n.port.Advertise(), Admin: n.cfg.Admin, Voter: n.cfg.voter(), Tags: tags,
			Level: featureLevel, Settings: n.cfg.settings(), Gen: n.id.Gen(), Seed: rand.Uint64(),
		},
		Clock: n.clock, Connector: connector{n}, Remember: n.id.SetGen, Exit: n.cfg.Exit, Logger: n.log.Named("agent"),
	})
	n.useBehaviors()
	n.logs = guardian.NewLogs(filepath.Join(n.cfg.DataDir, "logs"), n.cfg.Exec.Logs, n.log.Named("exec"))
	if !n.cfg.Exec.Enabled {
		return nil
	}
	exec, err := guardian.Start(guardian.Config{
		Node: n.cfg.Name, NodeID: n.id.ID(), DataDir: n.cfg.DataDir, Logs: n.logs, Lock: n.guard, Listener: n.port.Socket(),
		Allow: n.cfg.Exec.Allow, Isolation: guardian.Isolation(n.cfg.Exec.Isolation), Cgroup: n.cfg.Exec.Cgroup, Logger: n.log.Named("exec"),
	}, n.agent.Sink)
	if err != nil {
		return fmt.Errorf("start the guardian of commands: %w", err)
	}
	n.guard = nil // the runner's now
	n.exec = exec
	n.agent.Use(exec, "exec")
	return nil
}

// runAgent runs the agent; its end is the node's.
func (n *Node) runAgent(ctx context.Context) {
	err := n.agent.Run(ctx)
	var rejected *agent.RejectedError
	switch {
	case errors.As(err, &rejected):
		n.fatal(errors.New(rejected.Why))
	case err != nil && ctx.Err() == nil:
		n.fatal(fmt.Errorf("agent: %w", err))
	}
}
