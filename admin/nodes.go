package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
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
