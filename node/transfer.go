package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// methodTransfer asks the leader to hand its leadership over: transferRequest → the leader's name.
const methodTransfer = "transfer"

type transferRequest struct {
	To sup.NodeName `cbor:"1,keyasint,omitempty"`
}

// TransferLeadership hands the leadership to another server: to, or with none whichever is most up to date. It returns the
// leader that follows. When to leads already nothing is done. Errors are *supervisor.Problem, or ctx's.
func (n *Node) TransferLeadership(ctx context.Context, to sup.NodeName) (leader sup.NodeName, err error) {
	if servers := n.cfg.serverNames(); to != "" && !slices.Contains(servers, to) {
		names := strings.Join(strings.Fields(strings.Trim(fmt.Sprint(servers), "[]")), ", ")
		return "", &sup.Problem{Code: sup.CodeNodeNotFound, Node: to,
			Detail: fmt.Sprintf("%s is not a server, and servers alone lead: name one of %s", to, names)}
	}
	ask := transferRequest{To: to}
	err = n.atLeader(ctx, func(ctx context.Context, at leaderAddr) (err error) {
		if at.here {
			leader, err = n.transferHere(ctx, ask)
			return err
		}
		return n.port.Call(ctx, at.addr, at.name, methodTransfer, ask, &leader)
	})
	return leader, err
}

func (n *Node) serveTransfer() {
	n.port.Handle(methodTransfer, func(ctx context.Context, _ sup.NodeName, body []byte) (any, error) {
		var ask transferRequest
		if err := rpc.Decode(body, &ask); err != nil {
			return nil, err
		}
		leader, err := n.transferHere(ctx, ask)
		return leader, err
	})
}

// transferHere hands this node's leadership over and waits until another leader is known.
func (n *Node) transferHere(ctx context.Context, ask transferRequest) (sup.NodeName, error) {
	switch {
	case n.lead.Load() == nil:
		return "", n.notLeader()
	case ask.To == n.cfg.Name:
		return ask.To, nil
	case len(n.cfg.Servers) == 1:
		return "", &sup.Problem{Code: sup.CodeNodeUnreachable, Detail: fmt.Sprintf("%s is the only server: no other could lead", n.cfg.Name)}
	}
	ctx, cancel := context.WithTimeout(ctx, leaderTimeout(ctx))
	defer cancel()
	var err error
	if ask.To == "" {
		err = n.transfer(ctx)
	} else {
		err = n.transferTo(ctx, ask.To)
	}
	if err != nil {
		return "", &sup.Problem{Code: sup.CodeNodeUnreachable, Node: ask.To,
			Detail: fmt.Sprintf("the leadership stays with %s: %s; is the other server up and connected?", n.cfg.Name, err)}
	}
	for look := time.NewTicker(retryEvery); ; {
		if leader := n.leaderName(); leader != "" && leader != n.cfg.Name {
			look.Stop()
			return leader, nil
		}
		select {
		case <-ctx.Done():
			look.Stop()
			return "", errors.Join(n.notLeader(), ctx.Err())
		case <-look.C:
		}
	}
}
