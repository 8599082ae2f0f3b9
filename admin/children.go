package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

type childList struct {
	Children []sup.ChildInfo `json:"children"`
	Next     string          `json:"next" doc:"The after of the next page; empty: this was the last."`
}

type listChildren struct {
	Reading
	Supervisor sup.Name     `path:"sup"`
	Node       sup.NodeName `query:"node" doc:"Only children on this node."`
	Status     sup.Status   `query:"status" enum:"pending,starting,running,stopping,restarting,backoff,exited" doc:"Only children in this state."`
	Limit      int          `query:"limit" minimum:"1" maximum:"1000" default:"1000"`
	After      string       `query:"after" doc:"The next of the former page."`
}

// childStart is a child spec, or args alone for simple_one_for_one. It has ChildSpec's fields, all of them optional.
type childStart struct {
	ID              sup.ChildID       `json:"id,omitempty"`
	Behavior        string            `json:"behavior,omitempty"`
	Args            []json.RawMessage `json:"args,omitempty"`
	Restart         sup.Restart       `json:"restart,omitempty"`
	Selector        *sup.Selector     `json:"selector,omitempty"`
	ShutdownTimeout *sup.Duration     `json:"shutdown_timeout,omitempty"`
	InitTimeout     *sup.Duration     `json:"init_timeout,omitempty"`
	Significant     bool              `json:"significant,omitempty"`
	Backoff         *sup.Backoff      `json:"backoff,omitempty"`
	Require         map[string]string `json:"require,omitempty"`
	MaxPerNode      int               `json:"max_per_node,omitempty"`
	Supervisor      *sup.Spec         `json:"supervisor,omitempty" doc:"In place of a behavior: a manifest without name. The child is a supervisor, SUP/ID."`
}

type startChild struct {
	Writing
	Supervisor sup.Name `path:"sup"`
	Wait       string   `query:"wait" enum:"started,committed" default:"started" doc:"committed: answer at the commit instead of when the child's init has returned."`
	Body       childStart
}

// OneChild names a child in a path.
type OneChild struct {
	Supervisor sup.Name    `path:"sup"`
	Child      sup.ChildID `path:"child"`
}

func (c OneChild) key() sup.Key { return sup.Key{Supervisor: c.Supervisor, Child: c.Child} }

type getChild struct {
	Reading
	OneChild
}

type changeChild struct {
	Writing
	OneChild
}

func (a *api) childRoutes() {
	tags := []string{"children"}
	register(a, huma.Operation{
		Method: http.MethodGet, Path: "/v1/supervisors/{sup}/children", OperationID: "list-children", Responses: refuses(asking, sup.CodeSupervisorNotFound), Summary: "List the children, in start order", Tags: tags,
	}, a.listChildren)
	register(a, huma.Operation{
		Method: http.MethodPost, Path: "/v1/supervisors/{sup}/children", OperationID: "start-child", Responses: refuses(changing, stopped, placing, sup.CodeDuplicateChild, sup.CodeWrongStrategy, sup.CodeStopPending, sup.CodeSupervisorNotFound, sup.CodeChildNotFound), Summary: "Start a child", Tags: tags,
		Description:   `A child spec, or for simple_one_for_one {"args": […]}. Answers when the child's init has returned.`,
		DefaultStatus: http.StatusCreated,
	}, a.startChild)
	register(a, huma.Operation{
		Method: http.MethodGet, Path: "/v1/supervisors/{sup}/children/{child}", OperationID: "get-child", Responses: refuses(asking, sup.CodeSupervisorNotFound, sup.CodeChildNotFound), Summary: "One child", Tags: tags,
	}, func(ctx context.Context, in *getChild) (*read[sup.ChildInfo], error) {
		ans, err := a.read(ctx, in.Reading, node.Query{Kind: node.QueryChild, Supervisor: in.Supervisor, Child: in.Child})
		if err != nil {
			return nil, err
		}
		return answered(ans, childView(*ans.Child)), nil
	})
	register(a, huma.Operation{
		Method: http.MethodDelete, Path: "/v1/supervisors/{sup}/children/{child}", OperationID: "terminate-child", Responses: refuses(changing, stopped, sup.CodeStopPending, sup.CodeSupervisorNotFound, sup.CodeChildNotFound), Summary: "Terminate and remove a child", Tags: tags,
		Description: "Answers once the child has stopped.", DefaultStatus: http.StatusNoContent,
	}, func(ctx context.Context, in *changeChild) (*struct{}, error) {
		ctx, err := in.apply(ctx)
		if err != nil {
			return nil, err
		}
		_, err = a.node.Do(ctx, fsm.Command{TerminateChild: &fsm.TerminateChild{Key: in.key()}}, in.IdempotencyKey)
		return nil, err
	})
	register(a, huma.Operation{
		Method: http.MethodPost, Path: "/v1/supervisors/{sup}/children/{child}/restart", OperationID: "restart-child", Responses: refuses(changing, stopped, placing, sup.CodeStopPending, sup.CodeSupervisorNotFound, sup.CodeChildNotFound), Summary: "Restart a child by hand", Tags: tags,
		Description: "Not counted in the intensity window. Answers once the child runs.",
	}, func(ctx context.Context, in *changeChild) (*struct{ Body sup.ChildInfo }, error) {
		ctx, err := in.apply(ctx)
		if err != nil {
			return nil, err
		}
		done, err := a.node.Do(ctx, fsm.Command{RestartChild: &fsm.RestartChild{Key: in.key()}}, in.IdempotencyKey)
		if err != nil {
			return nil, err
		}
		return &struct{ Body sup.ChildInfo }{a.childAfter(ctx, done, in.key(), sup.ChildInfo{Status: sup.StatusRunning})}, nil
	})
}

func (a *api) listChildren(ctx context.Context, in *listChildren) (*read[childList], error) {
	ans, err := a.read(ctx, in.Reading, node.Query{Kind: node.QueryChildren, Supervisor: in.Supervisor,
		Node: in.Node, Status: in.Status, Limit: in.Limit, After: in.After})
	if err != nil {
		return nil, err
	}
	list := childList{Children: []sup.ChildInfo{}, Next: ans.Next}
	for _, c := range ans.Children {
		list.Children = append(list.Children, childView(c))
	}
	return answered(ans, list), nil
}

func (a *api) startChild(ctx context.Context, in *startChild) (*created[sup.ChildInfo], error) {
	ctx, err := in.apply(ctx)
	if err != nil {
		return nil, err
	}
	cmd, shown, err := in.Body.command(in.Supervisor)
	if err != nil {
		return nil, err
	}
	do, status := a.node.Do, sup.StatusRunning
	if in.Wait == "committed" {
		do, status = a.node.DoCommitted, sup.StatusStarting
	}
	done, err := do(ctx, fsm.Command{StartChild: cmd}, in.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	shown.Status = status
	key := sup.Key{Supervisor: in.Supervisor, Child: done.Child}
	return &created[sup.ChildInfo]{
		Location: "/v1/supervisors/" + url.PathEscape(string(key.Supervisor)) + "/children/" + url.PathEscape(string(key.Child)),
		Body:     a.childAfter(ctx, done, key, shown),
	}, nil
}

// command is what a body asks for, and the child as far as the body says it.
func (c childStart) command(of sup.Name) (*fsm.StartChild, sup.ChildInfo, error) {
	cmd := &fsm.StartChild{Supervisor: of}
	if reflect.DeepEqual(c, childStart{Args: c.Args}) {
		for _, arg := range c.Args {
			cmd.Args = append(cmd.Args, compact(arg))
		}
		return cmd, sup.ChildInfo{Args: c.Args}, nil
	}
	spec := sup.ChildSpec(c).WithDefaults()
	if wrong := spec.Validate(); len(wrong) > 0 {
		return nil, sup.ChildInfo{}, invalid(wrong...)
	}
	compactArgs(spec)
	cmd.Spec = &spec
	info := sup.ChildInfo{Behavior: spec.Behavior, Args: spec.Args, Restart: spec.Restart, Selector: spec.Selector,
		ShutdownTimeout: sup.Infinity, Significant: spec.Significant, Backoff: spec.Backoff, Require: spec.Require, MaxPerNode: spec.MaxPerNode}
	if spec.Supervisor != nil {
		info.Type = sup.TypeSupervisor
	} else {
		info.ShutdownTimeout = *spec.ShutdownTimeout
	}
	return cmd, info, nil
}

// childAfter is the child as a request left it; known is what can be said when it is gone again, or is another incarnation
// by now.
func (a *api) childAfter(ctx context.Context, done fsm.Outcome, key sup.Key, known sup.ChildInfo) sup.ChildInfo {
	now, ok := a.after(ctx, done, node.Query{Kind: node.QueryChild, Supervisor: key.Supervisor, Child: key.Child})
	if ok && (done.Incarnation == 0 || now.Child.Incarnation == done.Incarnation && now.Child.Status == sup.StatusRunning) {
		return childView(*now.Child)
	}
	if done.Incarnation != 0 {
		known.Status = sup.StatusRunning // so it was, whatever became of it
	}
	if ok && known.Behavior == "" { // a restart: what it is, it was before
		restarted := *now.Child
		restarted.Status, restarted.PendingReason, restarted.StartedAt, restarted.LastExit = known.Status, "", nil, nil
		known = restarted
	}
	known.ID, known.Supervisor, known.Node, known.Incarnation = key.Child, key.Supervisor, done.Node, done.Incarnation
	if known.Selector == nil { // the supervisor's
		if of, ok := a.after(ctx, done, node.Query{Kind: node.QuerySupervisor, Supervisor: key.Supervisor}); ok {
			known.Selector = of.Supervisor.Selector
			if t := of.Supervisor.ChildTemplate; t != nil {
				known = fromTemplate(known, t.WithDefaults())
			}
		}
	}
	if known.Restart == "" {
		known.Restart = sup.Permanent
	}
	return childView(known)
}

// fromTemplate adds to what is known of a child of simple_one_for_one what its template says (S34).
func fromTemplate(known sup.ChildInfo, t sup.ChildSpec) sup.ChildInfo {
	known.Behavior, known.Restart, known.ShutdownTimeout, known.Significant = t.Behavior, t.Restart, *t.ShutdownTimeout, t.Significant
	known.Backoff, known.Require, known.MaxPerNode = t.Backoff, t.Require, t.MaxPerNode
	known.Args = append(t.Args[:len(t.Args):len(t.Args)], known.Args...)
	if t.Selector != nil {
		known.Selector = t.Selector
	}
	return known
}

// childView has no null where a list is meant, and times in UTC.
func childView(c sup.ChildInfo) sup.ChildInfo {
	if c.Args == nil {
		c.Args = []json.RawMessage{}
	}
	if c.StartedAt != nil {
		t := c.StartedAt.UTC()
		c.StartedAt = &t
	}
	if c.LastExit != nil {
		e := *c.LastExit
		e.At = e.At.UTC()
		c.LastExit = &e
	}
	return c
}

// compactArgs takes the white space out of args: they are kept in the log as they are given.
func compactArgs(specs ...sup.ChildSpec) {
	for _, s := range specs {
		if s.Supervisor != nil {
			compactArgs(s.Supervisor.Children...)
			if s.Supervisor.ChildTemplate != nil {
				compactArgs(*s.Supervisor.ChildTemplate)
			}
		}
		for i, arg := range s.Args {
			s.Args[i] = compact(arg)
		}
	}
}

func compact(arg json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if err := json.Compact(&b, arg); err != nil {
		return arg // it came from a JSON document: it is valid
	}
	return b.Bytes()
}
