package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

type nodeList struct {
	Nodes []sup.NodeInfo `json:"nodes"`
}

func (a *api) nodeRoutes() {
	register(a, huma.Operation{
		Method: http.MethodGet, Path: "/v1/nodes", OperationID: "list-nodes", Responses: refuses(asking), Summary: "List the members", Tags: []string{"nodes"},
	}, func(ctx context.Context, in *struct{ Reading }) (*read[nodeList], error) {
		ans, err := a.read(ctx, in.Reading, node.Query{Kind: node.QueryNodes})
		if err != nil {
			return nil, err
		}
		list := nodeList{Nodes: []sup.NodeInfo{}}
		for _, n := range ans.Nodes {
			list.Nodes = append(list.Nodes, nodeView(n))
		}
		return answered(ans, list), nil
	})
	register(a, huma.Operation{
		Method: http.MethodGet, Path: "/v1/nodes/{node}", OperationID: "get-node", Responses: refuses(asking, sup.CodeNodeNotFound), Summary: "One member", Tags: []string{"nodes"},
	}, func(ctx context.Context, in *struct {
		Reading
		Node sup.NodeName `path:"node"`
	}) (*read[sup.NodeInfo], error) {
		ans, err := a.read(ctx, in.Reading, node.Query{Kind: node.QueryNode, Node: in.Node})
		if err != nil {
			return nil, err
		}
		return answered(ans, nodeView(*ans.Node)), nil
	})
	for _, op := range []struct {
		name, summary, description string
		undo                       bool
	}{
		{"drain", "Move a node's children off and place none there", "The children that can run elsewhere are moved, some at a time; follow it with GET /v1/nodes/{node}. A child that no other node can take, and one that is temporary, keeps running: `staying` says why. It lasts until undrain, also when the node starts again.", false},
		{"undrain", "Let a drained node take children again", "What has moved stays where it is; see rebalance.", true},
	} {
		register(a, huma.Operation{
			Method: http.MethodPost, Path: "/v1/nodes/{node}/" + op.name, OperationID: op.name + "-node", Responses: refuses(changing, sup.CodeNodeNotFound), Summary: op.summary, Tags: []string{"nodes"},
			Description: op.description, DefaultStatus: http.StatusAccepted,
		}, func(ctx context.Context, in *changeNode) (*struct{ Body sup.NodeInfo }, error) {
			ctx, err := in.apply(ctx)
			if err != nil {
				return nil, err
			}
			done, err := a.node.Do(ctx, fsm.Command{Drain: &fsm.Drain{Node: in.Node, Undo: op.undo}}, in.IdempotencyKey)
			if err != nil {
				return nil, err
			}
			info := sup.NodeInfo{Name: in.Node, Drained: !op.undo}
			if now, ok := a.after(ctx, done, node.Query{Kind: node.QueryNode, Node: in.Node}); ok {
				info = *now.Node
			}
			return &struct{ Body sup.NodeInfo }{nodeView(info)}, nil
		})
	}
	register(a, huma.Operation{
		Method: http.MethodDelete, Path: "/v1/nodes/{node}", OperationID: "remove-node", Responses: refuses(changing, sup.CodeNodeNotFound, sup.CodeNodeInUse), Summary: "Forget an agent that is down or has left", Tags: []string{"nodes"},
		Description:   "Another node may have its name then. The servers of the cluster, and nodes that are up or draining, are node_in_use.",
		DefaultStatus: http.StatusNoContent, Metadata: map[string]any{needs: Admin},
	}, func(ctx context.Context, in *changeNode) (*struct{}, error) {
		ctx, err := in.apply(ctx)
		if err != nil {
			return nil, err
		}
		_, err = a.node.Do(ctx, fsm.Command{ForgetNode: &fsm.ForgetNode{Node: in.Node}}, in.IdempotencyKey)
		return nil, err
	})
	register(a, huma.Operation{
		Method: http.MethodPost, Path: "/v1/rebalance", OperationID: "rebalance", Responses: refuses(changing), Summary: "Even out the children's number over the nodes", Tags: []string{"nodes"},
		Description:   "As far as their selectors permit: a pinned child stays, one that is local_first goes home, the others even the nodes out. The children move some at a time, after the answer; ask again when there were more than max.",
		DefaultStatus: http.StatusAccepted,
	}, a.rebalance)
}

type changeNode struct {
	Writing
	Node sup.NodeName `path:"node"`
}

type rebalance struct {
	Writing
	DryRun bool `query:"dry_run" doc:"Only say what would move."`
	Max    int  `query:"max" minimum:"1" maximum:"1000" default:"1000" doc:"Move at most so many."`
}

type moveList struct {
	Moves []sup.Move `json:"moves"`
}

func (a *api) rebalance(ctx context.Context, in *rebalance) (*struct{ Body moveList }, error) {
	ctx, err := in.apply(ctx)
	if err != nil {
		return nil, err
	}
	list := moveList{Moves: []sup.Move{}}
	if in.DryRun {
		ans, err := a.node.Read(ctx, node.Query{Kind: node.QueryRebalance, Limit: in.Max})
		if err != nil {
			return nil, err
		}
		list.Moves = append(list.Moves, ans.Moves...)
	} else {
		done, err := a.node.Do(ctx, fsm.Command{Rebalance: &fsm.Rebalance{Max: in.Max}}, in.IdempotencyKey)
		if err != nil {
			return nil, err
		}
		list.Moves = append(list.Moves, done.Moves...)
	}
	return &struct{ Body moveList }{list}, nil
}

// nodeView has no null where a list or an object is meant.
func nodeView(n sup.NodeInfo) sup.NodeInfo {
	if n.Tags == nil {
		n.Tags = map[string]string{}
	}
	if n.Behaviors == nil {
		n.Behaviors = []string{}
	}
	return n
}
