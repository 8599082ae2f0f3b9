package node

import (
	"context"
	"errors"
	"time"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// startManifests starts the supervisors of the config file, each once in the cluster's life whichever node asks first. One
// that can't start now, for want of a node or because its init fails, is tried again.
func (n *Node) startManifests(ctx context.Context) {
	wait := time.Second
	for _, m := range n.cfg.Manifests {
		n.warn(m)
		cmd := fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: m.WithDefaults(), Home: n.cfg.Name, Once: true}}
		for {
			_, err := n.Do(ctx, cmd, "")
			var p *sup.Problem
			if err == nil || errors.As(err, &p) && p.Code == sup.CodeDuplicateSupervisor {
				break
			}
			if ctx.Err() != nil {
				return
			}
			n.log.Warn("a supervisor of the config file did not start, trying again", "supervisor", m.Name, "error", err, "in", wait)
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			wait = min(2*wait, time.Minute)
		}
	}
}
