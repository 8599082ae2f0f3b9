package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

type listEvents struct {
	Reading
	Since  uint64 `query:"since" doc:"The id of the last event seen; 0: from the first that is kept."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"1000"`
	Follow bool   `query:"follow" doc:"When there is no such event yet, wait for one, for 20 s at most; the list is empty when none came."`
	// LastEventID is read by the stream alone.
	LastEventID string `header:"Last-Event-ID" doc:"In place of since, for a stream."`
}

type eventList struct {
	Events []sup.Event `json:"events" doc:"In order, without gaps."`
	Next   uint64      `json:"next" doc:"The since of the next page."`
	LastID uint64      `json:"last_id" doc:"The newest event that there is."`
}

func (a *api) eventRoutes() {
	register(a, huma.Operation{
		Method: http.MethodGet, Path: "/v1/events", OperationID: "list-events", Summary: "The lifecycle events after an id", Tags: []string{"events"},
		Description: "With Accept: text/event-stream the events as they happen, as server-sent events: id is the event's id, data the event. " +
			"A comment line every 5 s says that the stream lives. It resumes after Last-Event-ID, or since.",
		Middlewares: huma.Middlewares{a.streamInstead},
		Responses:   refuses(asking, sup.CodeEventsCompacted),
	}, func(ctx context.Context, in *listEvents) (*read[eventList], error) {
		q := node.Query{Kind: node.QueryEvents, Since: in.Since, Limit: in.Limit}
		ans, err := a.read(ctx, in.Reading, q)
		if err == nil && in.Follow && len(ans.Events) == 0 {
			ans, err = a.poll(ctx, q)
		}
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
	a.huma.OpenAPI().Paths["/v1/events"].Get.Responses["200"].Content["text/event-stream"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
}

// streamInstead answers those who ask for server-sent events.
func (a *api) streamInstead(ctx huma.Context, next func(huma.Context)) {
	if !wantsStream(ctx.Header("Accept")) {
		next(ctx)
		return
	}
	r, w := humago.Unwrap(ctx)
	a.stream(w, r)
}
