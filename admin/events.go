package admin

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

type listEvents struct {
	Reading
	Since  uint64 `query:"since" doc:"The id of the last event seen; 0: from the first that is kept."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"1000"`
	Follow bool   `query:"follow" doc:"Not supported by this version."`
	Accept string `header:"Accept" hidden:"true"`
}

type eventList struct {
	Events []sup.Event `json:"events" doc:"In order, without gaps."`
	Next   uint64      `json:"next" doc:"The since of the next page."`
	LastID uint64      `json:"last_id" doc:"The newest event that there is."`
}

func (a *api) eventRoutes() {
	register(a, huma.Operation{
		Method: http.MethodGet, Path: "/v1/events", OperationID: "list-events", Summary: "The lifecycle events after an id", Tags: []string{"events"},
	}, func(ctx context.Context, in *listEvents) (*read[eventList], error) {
		if in.Follow || strings.Contains(in.Accept, "text/event-stream") {
			return nil, invalidAt("query.follow", "following is not supported by this version; ask again with since=NEXT")
		}
		ans, err := a.read(ctx, in.Reading, node.Query{Kind: node.QueryEvents, Since: in.Since, Limit: in.Limit})
		if err != nil {
			return nil, err
		}
		list := eventList{Events: []sup.Event{}, Next: in.Since, LastID: ans.LastEvent}
		for _, e := range ans.Events {
			e.Time = e.Time.UTC()
			list.Events = append(list.Events, e)
			list.Next = e.ID
		}
		return answered(ans, list), nil
	})
}
