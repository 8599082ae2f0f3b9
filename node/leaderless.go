package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/supnode/supnode/rpc"
)

const (
	// leaderlessLook is how often a node looks whether it knows a leader; elections take less than two looks.
	leaderlessLook = time.Second
	// leaderlessFirst and leaderlessMost bound the pauses between two log lines that say why there is none.
	leaderlessFirst, leaderlessMost = 5 * time.Second, 5 * time.Minute
)

// watchLeaderless finds out why no leader is known, when that lasts: which servers are not reached, or refuse this node, and
// in what words. /readyz says it, and the log, more and more seldom. A node that was never led and is refused for being of
// another cluster ends: its data_dir, or its servers, are not its own.
func (n *Node) watchLeaderless(ctx context.Context) {
	look := time.NewTicker(leaderlessLook)
	defer look.Stop()
	led, silent := false, 0
	next, pause := time.Time{}, leaderlessFirst
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		if n.leaderName() != "" {
			n.alone.Store(nil)
			led, silent, next, pause = true, 0, time.Time{}, leaderlessFirst
			continue
		}
		if silent++; silent < 2 {
			continue
		}
		why, foreign := n.askAround(ctx)
		if ctx.Err() != nil {
			return
		}
		if foreign != "" && !led && n.id.Cluster() != "" {
			if err := n.id.SetCluster(foreign); err != nil {
				n.fatal(err)
				return
			}
		}
		n.alone.Store(&why)
		if now := time.Now(); now.After(next) {
			n.log.Warn("no leader is known", "servers", why)
			next, pause = now.Add(pause), min(2*pause, leaderlessMost)
		}
	}
}

// askAround asks the other servers and says what came of it. foreign is another cluster's UUID when servers refused this
// node for its sake and no server took it in.
func (n *Node) askAround(ctx context.Context) (why, foreign string) {
	var said []string
	takenIn := false
	for _, s := range n.cfg.Servers {
		if s.Name == n.cfg.Name {
			continue
		}
		who, err := n.who(ctx, s)
		var refused *rpc.RefusedError
		switch {
		case errors.As(err, &refused):
			said = append(said, fmt.Sprintf("%s refuses this node: %s", s.Name, refused.Why))
			if refused.Cluster != "" {
				foreign = refused.Cluster
			}
		case err != nil:
			said = append(said, fmt.Sprintf("%s: %s", s.Name, err))
		case who.Leader == "":
			takenIn = true
			said = append(said, fmt.Sprintf("%s is reached and knows no leader either", s.Name))
		case who.Leader == s.Name:
			takenIn = true
			said = append(said, fmt.Sprintf("%s is reached and leads, but does not reach this node: its file must have %s as the address of %s, and no firewall be between",
				s.Name, n.cfg.addrOf(n.cfg.Name), n.cfg.Name))
		default:
			takenIn = true
			said = append(said, fmt.Sprintf("%s is reached and follows %s", s.Name, who.Leader))
		}
	}
	if takenIn {
		foreign = ""
	}
	return strings.Join(said, "; "), foreign
}
