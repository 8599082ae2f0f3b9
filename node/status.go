package node

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/store"
	sup "github.com/supnode/supnode/supervisor"
)

// minFree is the free space below which a server is not ready: a full disk ends it (protocol.md, facts).
const minFree = 64 << 20

// Status is this node's own view; it asks nobody.
func (n *Node) Status() Status {
	s := Status{Node: n.cfg.Name, Role: "agent", Leader: n.leaderName(), Servers: n.cfg.Servers, Version: n.cfg.Version}
	if n.raft == nil {
		return s
	}
	s.Role = "follower"
	if n.raft.State() == raft.Leader {
		s.Role = "leader"
	}
	s.Term, s.CommitIndex = n.raft.CurrentTerm(), n.raft.CommitIndex()
	n.fsm.View(func(st *fsm.State) { s.AppliedIndex = st.Index() })
	return s
}

// Ready says, check by check, whether the node can do its work: it has a leader, is caught up and holds its lease.
func (n *Node) Ready() Ready {
	r := Ready{Ready: true}
	check := func(name string, ok bool, format string, args ...any) {
		r.Ready = r.Ready && ok
		r.Checks = append(r.Checks, Check{name, ok, fmt.Sprintf(format, args...)})
	}
	leader := n.leaderName()
	if leader == "" {
		why := "a majority of the servers must be up and connected"
		if found := n.alone.Load(); found != nil {
			why += "; " + *found
		}
		check("leader", false, "no leader is known: %s", why)
	} else {
		check("leader", true, "%s", leader)
	}
	if n.raft != nil {
		commit, applied := n.raft.CommitIndex(), n.fsm.Index()
		ok, but := commit <= applied+maxLag, ""
		if lags := n.lagsBehind(n.agent.Status().Session); lags {
			ok, but = false, "; this process joined the cluster later than the last of them: what was committed before is still on its way"
		}
		check("caught_up", ok, "applied %d of %d committed entries%s", applied, commit, but)
		free, _, err := store.FreeSpace(n.cfg.DataDir)
		log := store.Path(n.id.RaftDir())
		_, gone := os.Lstat(log)
		switch {
		case errors.Is(gone, fs.ErrNotExist):
			check("disk", false, "%s was removed while this process uses it: what it holds is lost when the process ends; copy it from /proc/%d/fd before that", log, os.Getpid())
		case err != nil:
			check("disk", false, "%v", err)
		default:
			check("disk", free >= minFree, "%d MiB free in %s (at least %d are needed)", free>>20, n.cfg.DataDir, minFree>>20)
		}
	}
	a := n.agent.Status()
	left := time.Duration(a.Deadline - n.clock.Now())
	if a.Live && left > 0 {
		check("lease", true, "session %s, %s left, %d children", a.Session, left.Round(time.Millisecond), a.Children)
	} else {
		check("lease", false, "no lease: children are stopped until the leader grants one")
	}
	if n.exec != nil {
		check("exec_logs", true, "%s", n.logs.Health()) // their loss is no reason to send requests elsewhere
	}
	if hangs := n.actors.Hanging(actor.HangAfter); len(hangs) > 0 {
		check("hanging", true, "%s", hanging(hangs))
	}
	return r
}

// lagsBehind reports whether the replica lacks the entry that gave this process its session: it learns of a commit only with
// the entries, so until then it does not know how much there is.
func (n *Node) lagsBehind(own sup.Session) (lags bool) {
	n.fsm.View(func(s *fsm.State) {
		m := s.Node(n.cfg.Name)
		lags = !own.IsZero() && (m == nil || m.Session.Less(own))
	})
	return lags
}

// maxNamed is how many hanging children Ready names.
const maxNamed = 10

// hanging is a list of hanging children for a person, the longest first. The node does its other work: it is ready.
func hanging(all []actor.Hang) string {
	slices.SortFunc(all, func(a, b actor.Hang) int { return cmp.Compare(b.For, a.For) })
	var names []string
	for _, h := range all[:min(len(all), maxNamed)] {
		names = append(names, fmt.Sprintf("%s (for %s)", h.Key, h.For.Round(time.Second)))
	}
	more := ""
	if len(all) > maxNamed {
		more = fmt.Sprintf(" and %d more", len(all)-maxNamed)
	}
	return fmt.Sprintf("%s%s: was to be gone, and its code does not return; nothing replaces it until it does, and it ends this node when its lease ends",
		strings.Join(names, ", "), more)
}

// maxLag is how many committed entries a ready server may have still to apply.
const maxLag = 1000
