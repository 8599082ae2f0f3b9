package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/raft"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/leader"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// leadership is one reign of this node: from its committed Establish to its loss.
type leadership struct {
	driver *leader.Driver
	over   <-chan struct{} // closed when it has ended
}

// followLeadership runs a leadership whenever Raft gives one, one at a time. Raft's channel is drained at once, whatever
// the former reign's end takes (protocol.md, facts).
func (n *Node) followLeadership(ctx context.Context) {
	var end context.CancelFunc
	former := closedChan()
	for {
		select {
		case <-ctx.Done():
			if end != nil {
				end()
			}
			<-former
			return
		case leading := <-n.notify:
			if end != nil {
				end()
				end = nil
			}
			if !leading {
				continue
			}
			reign, cancel := context.WithCancel(ctx)
			end = cancel
			before, done := former, make(chan struct{})
			former = done
			n.tasks.Go(func() {
				defer close(done)
				defer cancel()
				<-before
				n.reign(reign)
			})
		}
	}
}

func closedChan() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// reign leads until the leadership is lost. A reign that ends while Raft still holds this node for the leader begins anew
// with a new barrier, which waits as a new leader does (L3).
func (n *Node) reign(ctx context.Context) {
	for ctx.Err() == nil && n.raft.State() == raft.Leader {
		err := n.leadOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		n.log.Warn("leadership given up", "why", err)
		n.handOverLeadership(ctx)
		if n.mustEnd(err) && ctx.Err() == nil {
			n.cfg.Exit(err.Error())
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(n.cfg.settings().Lease().RaftTimeout())):
		}
	}
}

// mustEnd reports whether a reign's end is the process's (L6): its log hangs, and still nobody else leads. Raft itself ends the
// leadership of one that has merely lost its majority. A single server goes on: nobody would do better.
func (n *Node) mustEnd(err error) bool {
	return (errors.Is(err, errHangs) || errors.Is(err, leader.ErrStalled)) && len(n.cfg.Servers) > 1 && n.raft.State() == raft.Leader
}

// leadOnce commits the barrier and runs the leader's machine.
func (n *Node) leadOnce(ctx context.Context) error {
	term := n.raft.CurrentTerm()
	establish := fsm.Entry{Term: term, Wall: time.Now().UnixNano(), Commands: []fsm.Command{{Establish: &fsm.Establish{Term: term, Leader: n.cfg.Name}}}}
	n.fsm.View(func(s *fsm.State) {
		establish.Clock = s.Clock()
		if s.Cluster() == "" {
			boot := fsm.Command{Bootstrap: &fsm.Bootstrap{Cluster: uuid.NewString(), Settings: n.cfg.settings()}}
			establish.Commands = append([]fsm.Command{boot}, establish.Commands...)
		}
	})
	// An uncommitted Bootstrap of an earlier leader may come first in the log; the second one is then stale.
	b, err := fsm.Encode(establish)
	if err != nil {
		return fmt.Errorf("encode the barrier: %w", err)
	}
	if err := n.commitBarrier(ctx, b); err != nil {
		return fmt.Errorf("barrier of term %d: %w", term, err)
	}
	if now := n.raft.CurrentTerm(); now != term {
		return fmt.Errorf("barrier of term %d: it is term %d", term, now)
	}
	over := make(chan struct{})
	defer close(over)
	lead := &leadership{over: over, driver: leader.NewDriver(leader.Options{
		Machine:  leader.Config{Name: n.cfg.Name, Term: term, Draw: rand.Uint64, MaxTTL: int64(MaxLeaseTTL)},
		Clock:    n.clock,
		Wall:     func() int64 { return time.Now().UnixNano() },
		View:     n.fsm.View,
		Propose:  n.propose,
		Probe:    n.port.Probe,
		Transfer: n.transfer,
		HandOver: n.transferTo,
		Logger:   n.log.Named("leader"), Selectors: n.cfg.Selectors,
	})}
	n.lead.Store(lead)
	defer n.lead.Store(nil)
	n.log.Info("leading", "term", term)
	err = lead.driver.Run(ctx)
	return err
}

// errHangs ends a reign whose barrier does not commit although nothing took the leadership away.
var errHangs = errors.New("the leader commits nothing")

// commitBarrier proposes the barrier and waits until it is applied. A log that hangs is noticed here, as the driver
// notices it later (L6); as long as Raft commits, or this replica applies, the barrier is on its way.
func (n *Node) commitBarrier(ctx context.Context, barrier []byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	defer func() {
		cancel(nil)
		watch.Wait()
	}()
	watch.Go(func() {
		if stalls(ctx, n.stall(), func() [2]uint64 { return [2]uint64{n.raft.CommitIndex(), n.fsm.Index()} }) {
			cancel(errHangs)
		}
	})
	for {
		_, err := n.propose(barrier).Wait(ctx)
		switch {
		case ctx.Err() != nil && err != nil:
			return context.Cause(ctx)
		case errors.Is(err, raft.ErrEnqueueTimeout): // Raft has not taken it
		default:
			return err
		}
	}
}

// stalls returns true when progress has not moved for two periods, false when ctx ends.
func stalls(ctx context.Context, period time.Duration, progress func() [2]uint64) bool {
	look := time.NewTicker(period)
	defer look.Stop()
	last, still := progress(), 0
	for {
		select {
		case <-ctx.Done():
			return false
		case <-look.C:
		}
		if now := progress(); now != last {
			last, still = now, 0
		} else if still++; still == 2 {
			return true
		}
	}
}

// stall is T_stall.
func (n *Node) stall() time.Duration { return time.Duration(n.cfg.settings().Lease().Stall()) }

// transfer hands leadership to another server. It has succeeded, too, when this one has lost it meanwhile.
func (n *Node) transfer(ctx context.Context) error {
	return n.transferBy(ctx, n.raft.LeadershipTransfer)
}

// transferTo hands leadership to one server.
func (n *Node) transferTo(ctx context.Context, to sup.NodeName) error {
	return n.transferBy(ctx, func() raft.Future {
		return n.raft.LeadershipTransferToServer(raft.ServerID(to), raft.ServerAddress(to))
	})
}

func (n *Node) transferBy(ctx context.Context, begin func() raft.Future) error {
	if len(n.cfg.Servers) == 1 {
		return errors.New("there is no other server")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*n.stall())
	defer cancel()
	f := begin()
	done := make(chan error, 1)
	go func() { done <- f.Error() }() // no task: a Raft that hangs never answers, and the node is to end all the same
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil && n.raft.State() != raft.Leader {
		return nil
	}
	return err
}

// handOverLeadership gives leadership away before a leave, so that the successor moves the children.
func (n *Node) handOverLeadership(ctx context.Context) {
	if n.raft == nil || n.raft.State() != raft.Leader || len(n.cfg.Servers) == 1 {
		return
	}
	if err := n.transfer(ctx); err != nil {
		n.log.Warn("leadership was not handed over", "error", err)
	}
}

// leaderName is the leader as Raft, or on a plain agent its stream, knows it; empty when unknown.
func (n *Node) leaderName() sup.NodeName {
	if n.raft != nil {
		_, id := n.raft.LeaderWithID()
		return sup.NodeName(id)
	}
	if at := n.known.Load(); at != nil {
		return at.name
	}
	return ""
}

// findLeader says where the leader is asked.
func (n *Node) findLeader(ctx context.Context) (leaderAddr, bool) {
	if n.lead.Load() != nil {
		return leaderAddr{name: n.cfg.Name, here: true}, true
	}
	if name := n.leaderName(); name != "" && name != n.cfg.Name {
		return leaderAddr{name: name, addr: n.cfg.addrOf(name)}, true
	}
	if n.raft != nil {
		return leaderAddr{}, false
	}
	for _, s := range n.cfg.Servers {
		if who, err := n.who(ctx, s); err == nil && who.Leader != "" {
			return leaderAddr{name: who.Leader, addr: n.cfg.addrOf(who.Leader)}, true
		}
	}
	return leaderAddr{}, false
}

// redirect tells the node port where agents find the leader.
func (n *Node) redirect() (name sup.NodeName, addr string, here bool) {
	if n.lead.Load() != nil {
		return n.cfg.Name, "", true
	}
	name = n.leaderName()
	return name, n.cfg.addrOf(name), false
}

// serveSync serves one agent's stream while this node leads.
func (n *Node) serveSync(c *rpc.SyncConn) {
	if lead := n.lead.Load(); lead != nil {
		lead.driver.ServeSync(leaderConn{c})
	}
	c.Close()
}
