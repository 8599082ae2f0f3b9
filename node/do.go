package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/leader"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// retryEvery is the pause between two looks for a leader.
const retryEvery = 20 * time.Millisecond

// notLeader says that the node asked does not lead; a request that was not proposed before had no effect there.
func (n *Node) notLeader() error {
	name := n.leaderName()
	return &rpc.NotLeader{Leader: name, Addr: n.cfg.addrOf(name)}
}

// Do asks the cluster for a change and returns when its outcome is known. key is the client's idempotency key; with none
// the node makes one. The leader may change in between: the request is repeated under its key, and so has its effect once
// (S36). The defaults of a spec are filled in, and one that is not valid, or has more than MaxRequest, is refused. Errors are
// *supervisor.Problem, or ctx's, with what the request waits for, where this node knows it.
func (n *Node) Do(ctx context.Context, cmd fsm.Command, key string) (Outcome, error) {
	return n.do(ctx, cmd, key, false)
}

// DoCommitted is Do, answered as soon as the request is committed.
func (n *Node) DoCommitted(ctx context.Context, cmd fsm.Command, key string) (Outcome, error) {
	return n.do(ctx, cmd, key, true)
}

func (n *Node) do(ctx context.Context, cmd fsm.Command, key string, committed bool) (Outcome, error) {
	if cmd.Request = nil; !forClients(cmd) {
		return Outcome{}, errNoRequest
	}
	cmd, err := prepared(cmd)
	if err != nil {
		return Outcome{}, err
	}
	req, err := identify(cmd, key)
	if err != nil {
		return Outcome{}, err
	}
	cmd.Request = req
	reply, err := n.request(ctx, doRequest{Command: cmd, Committed: committed})
	switch {
	case err == nil && reply.Problem != nil:
		err = reply.Problem
	case err != nil && ctx.Err() != nil && n.fsm != nil:
		var why string
		n.fsm.View(func(s *fsm.State) { why = waiting(s, cmd) })
		if why != "" {
			err = fmt.Errorf("%s: %w", why, err)
		}
	}
	return reply, err
}

// request asks the leader, again and again until there is an answer.
func (n *Node) request(ctx context.Context, ask doRequest) (reply Outcome, err error) {
	sent := false // a leader may have it
	err = n.atLeader(ctx, func(ctx context.Context, at leaderAddr) error {
		if at.here {
			reply, err = n.doHere(ctx, ask)
		} else {
			err = n.port.Call(ctx, at.addr, at.name, methodDo, ask, &reply)
		}
		sent = sent || errors.Is(err, rpc.ErrOutcomeUnknown)
		return err
	})
	var p *sup.Problem
	if sent && errors.As(err, &p) && p.Code == sup.CodeNoLeader {
		err = n.lostOnTheWay(p)
	}
	return reply, err
}

// lostOnTheWay is no_leader for a request that a leader had before: it may be carried out all the same.
func (n *Node) lostOnTheWay(p *sup.Problem) *sup.Problem {
	said := *p
	said.Detail += "; a leader had the request before and may have carried it out: asked again with the same Idempotency-Key, the cluster says so"
	if n.isClosing() { // the cluster has a leader perhaps, and goes on
		said.Code = sup.CodeOutcomeUnknown
	}
	return &said
}

// identify gives a command the identity under which its effect happens once.
func identify(cmd fsm.Command, key string) (*fsm.Request, error) {
	cmd.Request = nil
	if start := cmd.StartSupervisor; start != nil {
		same := *start
		same.Home = "" // through whichever node it is asked again, it is the same request
		cmd.StartSupervisor = &same
	}
	if apply := cmd.ApplyManifest; apply != nil {
		same := *apply
		same.Home = ""
		cmd.ApplyManifest = &same
	}
	b, err := rpc.Encode(cmd)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	if err := validKey(key); err != nil {
		return nil, err
	}
	if err := fits(b); err != nil {
		return nil, err
	}
	if err := readable(b); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	r := &fsm.Request{Key: key, Hash: sum[:]}
	if key == "" {
		r.Key, r.Own = uuid.NewString(), true
	}
	return r, nil
}

// leaderAddr is where the leader is asked.
type leaderAddr struct {
	name sup.NodeName
	addr string
	here bool
}

// atLeader runs try at the leader, again and again until it gives an answer: a node that does not lead, a broken
// connection and a lost leadership are no answers. It fails with no_leader when no leader was reached for the leader
// time-out of ctx.
func (n *Node) atLeader(ctx context.Context, try func(context.Context, leaderAddr) error) error {
	limit := leaderTimeout(ctx)
	lost := time.Now()
	for {
		if at, ok := n.findLeader(ctx); ok {
			asked, release := whileLeads(ctx, at.name, n.leaderName)
			began := time.Now()
			err := try(asked, at)
			release()
			var p *sup.Problem
			var other *rpc.NotLeader
			switch {
			case err == nil || (errors.As(err, &p) && p.Code != sup.CodeNoLeader):
				return err
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, rpc.ErrOutcomeUnknown):
				lost = time.Now() // it was reached: the search begins anew
			case (at.here || errors.As(err, &other)) && !errors.Is(err, context.DeadlineExceeded):
				lost = lost.Add(time.Since(began)) // it had been reached: only the search is bounded
			}
		}
		if time.Since(lost) >= limit {
			return &sup.Problem{Code: sup.CodeNoLeader, Node: n.cfg.Name,
				Detail: fmt.Sprintf("no leader was reached in %s: a majority of the servers must be up and connected", limit)}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-n.closing:
			return &sup.Problem{Code: sup.CodeNoLeader, Node: n.cfg.Name, Detail: "this node is shutting down"}
		case <-time.After(retryEvery):
		}
	}
}

// leaderLook is how often a request that waits for its answer looks whether another node leads by now.
const leaderLook = 500 * time.Millisecond

// whileLeads is ctx until another node than name is known to lead: the host that was asked may be gone without a word,
// which its connection would notice much later. release must be called.
func whileLeads(ctx context.Context, name sup.NodeName, leader func() sup.NodeName) (asked context.Context, release func()) {
	asked, cancel := context.WithCancel(ctx)
	var look *time.Timer
	var mu sync.Mutex // guards look until it is set
	mu.Lock()
	look = time.AfterFunc(leaderLook, func() {
		mu.Lock()
		defer mu.Unlock()
		switch now := leader(); {
		case asked.Err() != nil:
		case now != "" && now != name:
			cancel()
		default:
			look.Reset(leaderLook)
		}
	})
	mu.Unlock()
	return asked, func() {
		cancel()
		look.Stop()
	}
}

// doHere runs a request at this node as the leader.
func (n *Node) doHere(ctx context.Context, ask doRequest) (Outcome, error) {
	lead := n.lead.Load()
	if lead == nil {
		return Outcome{}, n.notLeader()
	}
	key := ask.Command.Request.Key
	done, forget := n.waiters.add(key)
	defer forget()
	res, err := lead.driver.Ask(ctx, ask.Command)
	switch {
	case errors.Is(err, leader.ErrOver):
		return Outcome{}, fmt.Errorf("%w: %w", rpc.ErrOutcomeUnknown, err)
	case err != nil:
		return Outcome{}, err
	}
	switch res.Status {
	case fsm.Refused:
		return Outcome{}, res.Problem
	case fsm.OK:
		return *res.Outcome, nil
	case fsm.Stale: // a manifest of the config file that was started once already
		return Outcome{Supervisor: ask.Command.StartSupervisor.Spec.Name}, nil
	}
	if ask.Committed {
		if o, known := n.committed(ask.Command); known {
			return o, nil
		}
	}
	var o *Outcome
	var claim uint64
	n.fsm.View(func(s *fsm.State) {
		o, _, _ = s.Outcome(key)
		claim = s.Claim(key)
	})
	switch d := ask.Command.Deliver; {
	case d != nil && d.Claim == claim:
		return Outcome{Claim: claim}, nil
	case o == nil:
		o, err = n.await(ctx, lead, ask.Command, done)
	}
	switch {
	case err != nil:
		return Outcome{}, err
	case o == nil: // a message that was not sent: it is this one's turn
		return n.doHere(ctx, ask)
	}
	return *o, nil
}

// committed is the answer to a request whose outcome is not waited for: what it concerns. It is not known of a child whose
// id is still to be made, nor when the request has ended.
func (n *Node) committed(cmd fsm.Command) (o Outcome, known bool) {
	known = true
	n.fsm.View(func(s *fsm.State) {
		o.Index = s.Index()
		switch {
		case cmd.StartChild != nil:
			o.Supervisor = cmd.StartChild.Supervisor
			if cmd.StartChild.Spec != nil {
				o.Child = cmd.StartChild.Spec.ID
			} else {
				o.Child = s.Awaits(o.Supervisor, cmd.Request.Key)
				known = o.Child != ""
			}
		case cmd.StartSupervisor != nil:
			o.Supervisor = cmd.StartSupervisor.Spec.Name
		}
	})
	return o, known
}

// overdueAfter is how long beyond its shutdown timeout a stop may take before those who wait get stop_pending (S14).
const overdueAfter = 5 * time.Second

// await waits for a request's outcome, for as long as this node leads.
func (n *Node) await(ctx context.Context, lead *leadership, cmd fsm.Command, done <-chan *Outcome) (*Outcome, error) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	var watch stopWatch
	for {
		select {
		case o := <-done:
			return o, nil
		case <-lead.over:
			return nil, fmt.Errorf("%w: %w", rpc.ErrOutcomeUnknown, leader.ErrOver)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
			var p *sup.Problem
			n.fsm.View(func(s *fsm.State) { p = watch.overdue(s, cmd, time.Now()) })
			if p != nil {
				return nil, p
			}
		}
	}
}

// stopWatch notices a stop, or an init, that takes longer than the child's spec allows.
type stopWatch struct {
	key   sup.Key
	inc   sup.Incarnation
	since time.Time
}

// overdue returns stop_pending when what cmd waits for hangs in its stop (S14), or in an init that was to end (S14a).
func (w *stopWatch) overdue(s *fsm.State, cmd fsm.Command, now time.Time) *sup.Problem {
	c := awaited(s, cmd)
	if c == nil || c.Phase != fsm.Stopping && !(c.Phase == fsm.Placed && c.Hanging) {
		*w = stopWatch{}
		return nil
	}
	if w.key != c.Key || w.inc != c.Inc {
		*w = stopWatch{key: c.Key, inc: c.Inc, since: now}
	}
	limit := overdueAfter
	text := fmt.Sprintf("the init of child %s on node %s has not returned, long after its init_timeout of %s; nothing replaces the child until it does",
		c.Key, c.Node, c.InitTimeout())
	if c.Phase == fsm.Stopping {
		if c.ShutdownTimeout() == sup.Infinity {
			return nil
		}
		limit += c.ShutdownTimeout().Std()
		text = fmt.Sprintf("child %s on node %s has not stopped %s after it was killed; the stop goes on", c.Key, c.Node, overdueAfter)
	}
	if now.Sub(w.since) < limit {
		return nil
	}
	return &sup.Problem{Code: sup.CodeStopPending, Supervisor: c.Key.Supervisor, Child: c.Key.Child, Node: c.Node, Detail: text}
}

// awaited is the child that cmd waits for to stop or to start, or that keeps its supervisor from it; nil = none.
func awaited(s *fsm.State, cmd fsm.Command) *fsm.Child {
	var k sup.Key
	switch {
	case cmd.TerminateChild != nil:
		k = cmd.TerminateChild.Key
	case cmd.RestartChild != nil:
		k = cmd.RestartChild.Key
	case cmd.StartChild != nil && cmd.StartChild.Spec != nil:
		k = sup.Key{Supervisor: cmd.StartChild.Supervisor, Child: cmd.StartChild.Spec.ID}
	case cmd.StartChild != nil:
		k = sup.Key{Supervisor: cmd.StartChild.Supervisor, Child: s.Awaits(cmd.StartChild.Supervisor, cmd.Request.Key)}
	case cmd.StartSupervisor != nil:
		k.Supervisor = cmd.StartSupervisor.Spec.Name
	case cmd.StopSupervisor != nil:
		k.Supervisor = cmd.StopSupervisor.Name
	case cmd.ApplyManifest != nil:
		k.Supervisor = cmd.ApplyManifest.Spec.Name
	}
	if c := s.Child(k); c != nil && (c.Phase == fsm.Stopping || c.Phase == fsm.Placed) {
		return s.Within(c)
	}
	return s.Obstacle(k.Supervisor)
}
