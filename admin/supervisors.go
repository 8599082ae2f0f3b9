package admin

import (
	"context"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

type supervisorList struct {
	Supervisors []sup.Info `json:"supervisors"`
}

type startSupervisor struct {
	Writing
	Body sup.Spec
}

type stopSupervisor struct {
	Writing
	Supervisor sup.Name `path:"sup"`
	Reason     string   `query:"reason" default:"shutdown" maxLength:"256" doc:"Why, in the event and in the supervisor's record."`
}

type getSupervisor struct {
	Reading
	Supervisor sup.Name `path:"sup"`
}

type created[T any] struct {
	Location string `header:"Location"`
	Body     T
}

func (a *api) supervisorRoutes() {
	tags := []string{"supervisors"}
	register(a, huma.Operation{
		Method: http.MethodPost, Path: "/v1/supervisors", OperationID: "start-supervisor", Responses: refuses(changing, stopped, placing, sup.CodeDuplicateSupervisor, sup.CodeStopPending), Summary: "Start a supervisor", Tags: tags,
		Description:   "Answers when all initial children run. Nothing is left behind when one of them cannot start.",
		DefaultStatus: http.StatusCreated,
	}, a.startSupervisor)
	register(a, huma.Operation{
		Method: http.MethodGet, Path: "/v1/supervisors", OperationID: "list-supervisors", Responses: refuses(asking), Summary: "List the supervisors", Tags: tags,
	}, func(ctx context.Context, in *struct{ Reading }) (*read[supervisorList], error) {
		ans, err := a.read(ctx, in.Reading, node.Query{Kind: node.QuerySupervisors})
		if err != nil {
			return nil, err
		}
		list := supervisorList{Supervisors: []sup.Info{}}
		for _, s := range ans.Supervisors {
			list.Supervisors = append(list.Supervisors, supervisorView(s))
		}
		return answered(ans, list), nil
	})
	register(a, huma.Operation{
		Method: http.MethodGet, Path: "/v1/supervisors/{sup}", OperationID: "get-supervisor", Responses: refuses(asking, sup.CodeSupervisorNotFound), Summary: "One supervisor, with statistics", Tags: tags,
	}, func(ctx context.Context, in *getSupervisor) (*read[sup.Info], error) {
		ans, err := a.read(ctx, in.Reading, node.Query{Kind: node.QuerySupervisor, Supervisor: in.Supervisor})
		if err != nil {
			return nil, err
		}
		return answered(ans, supervisorView(*ans.Supervisor)), nil
	})
	register(a, huma.Operation{
		Method: http.MethodDelete, Path: "/v1/supervisors/{sup}", OperationID: "stop-supervisor", Responses: refuses(changing, stopped, sup.CodeStopPending, sup.CodeSupervisorNotFound), Summary: "Stop a supervisor", Tags: tags,
		Description: "Stops its children in reverse start order, then itself. It stays readable until its name is used again.",
	}, a.stopSupervisor)
	register(a, huma.Operation{
		Method: http.MethodGet, Path: "/v1/supervisors/{sup}/count", OperationID: "count-children", Responses: refuses(asking, sup.CodeSupervisorNotFound), Summary: "Count the children", Tags: tags,
	}, func(ctx context.Context, in *getSupervisor) (*read[sup.Counts], error) {
		ans, err := a.read(ctx, in.Reading, node.Query{Kind: node.QueryCount, Supervisor: in.Supervisor})
		if err != nil {
			return nil, err
		}
		return answered(ans, *ans.Count), nil
	})
}

func (a *api) startSupervisor(ctx context.Context, in *startSupervisor) (*created[sup.Info], error) {
	ctx, err := in.apply(ctx)
	if err != nil {
		return nil, err
	}
	spec := in.Body.WithDefaults()
	if spec.Name == "" {
		spec.Name = node.MadeName(in.IdempotencyKey)
	}
	if wrong := spec.Validate(); len(wrong) > 0 {
		return nil, invalid(wrong...)
	}
	compactArgs(spec.Children...)
	if spec.ChildTemplate != nil {
		compactArgs(*spec.ChildTemplate)
	}
	done, err := a.node.Do(ctx, fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: spec, Home: a.node.Name()}}, in.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	info := sup.Info{Name: spec.Name, Strategy: spec.Strategy, Status: sup.StatusRunning, Selector: spec.Selector,
		Intensity: *spec.Intensity, AutoShutdown: spec.AutoShutdown, ChildCount: len(spec.Children), CreatedIndex: done.Index,
		ChildTemplate: spec.ChildTemplate, MaxChildren: spec.MaxChildren, Spread: spec.Spread}
	if now, ok := a.after(ctx, done, node.Query{Kind: node.QuerySupervisor, Supervisor: spec.Name}); ok {
		info = asStarted(info, *now.Supervisor, done)
	}
	info.Warnings = spec.Warnings()
	return &created[sup.Info]{Location: "/v1/supervisors/" + url.PathEscape(string(spec.Name)), Body: supervisorView(info)}, nil
}

func (a *api) stopSupervisor(ctx context.Context, in *stopSupervisor) (*struct{ Body sup.Info }, error) {
	ctx, err := in.apply(ctx)
	if err != nil {
		return nil, err
	}
	done, err := a.node.Do(ctx, fsm.Command{StopSupervisor: &fsm.StopSupervisor{Name: in.Supervisor, Reason: in.Reason}}, in.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	info := sup.Info{Name: in.Supervisor, Status: sup.StatusStopped, Reason: in.Reason}
	if now, ok := a.after(ctx, done, node.Query{Kind: node.QuerySupervisor, Supervisor: in.Supervisor}); ok && now.Supervisor.Status == sup.StatusStopped && !reused(*now.Supervisor, done) {
		info = *now.Supervisor
	}
	return &struct{ Body sup.Info }{supervisorView(info)}, nil
}

// asStarted is a supervisor as the start says it whose outcome is done: now is how it is by now, made how it was made. A
// repeated request must be answered with the first outcome, whatever became of what it started.
func asStarted(made, now sup.Info, done fsm.Outcome) sup.Info {
	switch {
	case reused(now, done):
		return made
	case now.Status == sup.StatusRunning:
		return now
	}
	made.StartedAt, made.CreatedIndex = now.StartedAt, now.CreatedIndex
	return made
}

// reused reports whether a supervisor is another one, that was given the name after a request was done.
func reused(now sup.Info, done fsm.Outcome) bool { return now.CreatedIndex > done.Index }

// after looks at what a request has done. The local replica will do when it has come as far as the outcome. When nothing
// can be read any more (the leader just went, or what was made is gone again), the answer is what the outcome says.
func (a *api) after(ctx context.Context, done fsm.Outcome, q node.Query) (node.Answer, bool) {
	q.Stale = true
	if ans, err := a.node.Read(ctx, q); err == nil && ans.Index >= done.Index {
		return ans, true
	}
	q.Stale = false
	ans, err := a.node.Read(ctx, q)
	return ans, err == nil
}

// supervisorView has no null where an object is meant, and times in UTC.
func supervisorView(i sup.Info) sup.Info {
	if i.ChildrenByNode == nil {
		i.ChildrenByNode = map[sup.NodeName]int{}
	}
	i.StartedAt = i.StartedAt.UTC()
	return i
}
