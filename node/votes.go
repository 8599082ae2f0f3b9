package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// mayBootstrap asks the other servers before an empty data_dir votes under this node's name: a wiped disk has forgotten
// its votes and its part of what was acknowledged (protocol.md, facts). The leader's word decides. Where there is none the
// cluster must be one that begins: every server that answers has an empty log too. One that has a log may only lag, so
// what it does not know is no answer. Some other server must answer, which a first start needs anyway to elect a leader.
func (n *Node) mayBootstrap(ctx context.Context) error {
	if len(n.cfg.Servers) == 1 {
		return nil
	}
	n.log.Info("empty data_dir: asking the other servers whether this node is known", "data_dir", n.cfg.DataDir)
	doubts := 0
	inDoubt := map[sup.NodeName]bool{} // until they say otherwise: one that does not answer now may have what it had
	for {
		begins := 0
		for _, s := range n.cfg.Servers {
			if s.Name == n.cfg.Name {
				continue
			}
			who, err := n.askWho(ctx, s, whoRequest{Node: n.cfg.Name, Empty: true, Servers: n.cfg.serverNames()})
			var differs *sup.Problem
			switch {
			case errors.As(err, &differs) && differs.Code == sup.CodeInvalidSpec:
				return errors.New(differs.Detail) // two sets of voters could each elect a leader
			case err != nil:
			case who.Known && who.ID != n.id.ID():
				return fmt.Errorf("data_dir %s is empty, but the cluster knows node %q from an earlier data_dir (%s): a server that forgot its votes may not come back; "+
					"restore the directory, or replace the server under a new name", n.cfg.DataDir, n.cfg.Name, who.ID)
			case who.Sure:
				return nil
			case who.New:
				begins++
				delete(inDoubt, s.Name)
			default:
				inDoubt[s.Name] = true
			}
		}
		if begins > 0 && len(inDoubt) == 0 {
			return nil
		}
		if len(inDoubt) > 0 {
			doubts++
		}
		if doubts == 20 { // seconds: a cluster that begins is through by then
			n.log.Warn("empty data_dir, and servers that have served this cluster can't say yet whether this node is new: waiting for the cluster's leader",
				"servers", slices.Sorted(maps.Keys(inDoubt)))
		}
		select {
		case <-ctx.Done():
			if len(inDoubt) > 0 {
				return fmt.Errorf("data_dir %s is empty, and without a leader %v can't say whether node %q is new or has lost its data_dir: %w",
					n.cfg.DataDir, slices.Sorted(maps.Keys(inDoubt)), n.cfg.Name, ctx.Err())
			}
			return fmt.Errorf("another server was not reached: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// isNew reports whether this server has followed no leader yet: its log holds at most the configuration that it began with.
func (n *Node) isNew() bool {
	select {
	case <-n.joined:
		return n.raft.LastIndex() <= 1
	default:
		return n.empty.Load()
	}
}

// catchUp reports whether this node leads and its replica holds all that was ever acknowledged (R1).
func (n *Node) catchUp(ctx context.Context) bool {
	lead := n.lead.Load()
	if lead == nil {
		return false
	}
	index, err := lead.driver.ReadIndex(ctx)
	return err == nil && n.fsm.WaitIndex(ctx, index) == nil
}

// checkVoters refuses a file whose list of servers is not the cluster's: changing the file changes no membership.
func (n *Node) checkVoters() error {
	f := n.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return fmt.Errorf("read the cluster's servers: %w", err)
	}
	var voters []sup.NodeName
	for _, s := range f.Configuration().Servers {
		voters = append(voters, sup.NodeName(s.ID))
	}
	slices.Sort(voters)
	if listed := n.cfg.serverNames(); !slices.Equal(voters, listed) {
		return &FieldError{"cluster.servers", fmt.Sprintf("lists %v, but the servers of the cluster in %s are %v: list these; changing the file changes no membership",
			listed, n.cfg.DataDir, voters)}
	}
	return nil
}
