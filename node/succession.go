package node

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// methodGone asks a server whether it, too, finds the process of its leader gone: goneRequest → goneReply.
const methodGone = "gone"

// reigns is the least pause between two elections that this server hastens, in Raft time-outs: should refusals lie, they
// cost an election now and then.
const reigns = 10

type goneRequest struct {
	Leader sup.NodeName `cbor:"1,keyasint"`
	Term   uint64       `cbor:"2,keyasint"`
}

type goneReply struct {
	Gone bool `cbor:"1,keyasint,omitempty"`
	// LastIndex is of the newest entry in the log of the server that answers.
	LastIndex uint64 `cbor:"2,keyasint"`
}

// succession hastens the election after a leader whose process has ended. Raft alone notices that by its time-outs; the
// kernel of the leader's host says it at once, by refusing a connection (P2). So a server that loses its stream to the
// leader dials; refused, it asks the other servers to do the same; and when a majority finds the leader gone and nobody finds
// otherwise, the one with the longest log, by name where logs are equal, begins the election. Raft lets any server do so at
// any time, and nothing else depends on when one does (L3 counts from the new leader's establishment), so a refusal that
// lies costs an election, never more. Raft's time-outs serve all other cases.
type succession struct {
	n        *Node
	suspects chan sup.NodeName // leaders that were lost; with one waiting, others are dropped
	last     time.Time         // when this server hastened an election
}

func newSuccession(n *Node) *succession {
	s := &succession{n: n, suspects: make(chan sup.NodeName, 1)}
	n.port.Handle(methodGone, func(ctx context.Context, _ sup.NodeName, body []byte) (any, error) {
		var ask goneRequest
		if err := rpc.Decode(body, &ask); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, s.patience())
		defer cancel()
		return s.own(ctx, ask), nil
	})
	return s
}

// patience bounds one attempt: by then Raft's own time-outs are over.
func (s *succession) patience() time.Duration {
	return 2 * time.Duration(s.n.cfg.settings().Lease().RaftTimeout())
}

// suspect hears that the leader was lost: the stream to it broke, or it refused one.
func (n *Node) suspect(leader sup.NodeName) {
	if n.succession == nil {
		return // a plain agent
	}
	select {
	case n.succession.suspects <- leader:
	default:
	}
}

func (s *succession) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case leader := <-s.suspects:
			s.succeed(ctx, leader)
		}
	}
}

// succeed begins an election if a majority finds the leader gone and this server is the one to lead next.
func (s *succession) succeed(ctx context.Context, leader sup.NodeName) {
	ctx, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	ask := goneRequest{Leader: leader, Term: s.n.raft.CurrentTerm()}
	if time.Since(s.last) < reigns*s.patience()/2 {
		return
	}
	own := s.own(ctx, ask)
	if !own.Gone || !nextToLead(s.n.cfg.Name, own, s.others(ctx, ask), len(s.n.cfg.Servers)) || !s.follows(ask) {
		return
	}
	s.last = time.Now() // no clock of the protocol: it spares elections, and decides nothing
	s.n.log.Info("the leader's process is gone: an election begins at once", "leader", leader, "term", ask.Term)
	me := raft.ServerAddress(s.n.cfg.Name)
	now := &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(me), Addr: []byte(me)}}
	if err := s.n.trans.TimeoutNow(raft.ServerID(me), me, now, &raft.TimeoutNowResponse{}); err != nil {
		s.n.log.Warn("the election waits for its time-out", "error", err)
	}
}

// own is what this server finds.
func (s *succession) own(ctx context.Context, ask goneRequest) (r goneReply) {
	r.Gone = s.follows(ask) && s.n.port.Probe(ctx, s.n.cfg.addrOf(ask.Leader)) && s.follows(ask)
	r.LastIndex = s.n.raft.LastIndex()
	return r
}

// follows reports whether this server still follows a leader of a term.
func (s *succession) follows(ask goneRequest) bool {
	_, id := s.n.raft.LeaderWithID()
	return s.n.raft.State() == raft.Follower && sup.NodeName(id) == ask.Leader && s.n.raft.CurrentTerm() == ask.Term
}

// others are the answers of the other servers, of those that give one.
func (s *succession) others(ctx context.Context, ask goneRequest) map[sup.NodeName]goneReply {
	var calls sync.WaitGroup
	var mu sync.Mutex
	all := map[sup.NodeName]goneReply{}
	for _, to := range s.n.cfg.Servers {
		if to.Name == s.n.cfg.Name || to.Name == ask.Leader {
			continue
		}
		calls.Go(func() {
			var r goneReply
			if s.n.port.Call(ctx, to.Addr, to.Name, methodGone, ask, &r) == nil {
				mu.Lock()
				defer mu.Unlock()
				all[to.Name] = r
			}
		})
	}
	calls.Wait()
	return all
}

// nextToLead reports whether me, which finds the leader gone, is to begin the election: with a majority of the servers, all
// that answer finding so too (one that already takes part in an election does not), and none with a longer log, or with one
// as long and a name that comes first.
func nextToLead(me sup.NodeName, own goneReply, others map[sup.NodeName]goneReply, servers int) bool {
	for name, r := range others { // any order: each by itself
		if !r.Gone || r.LastIndex > own.LastIndex || r.LastIndex == own.LastIndex && name < me {
			return false
		}
	}
	return 1+len(others) > servers/2
}
