package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

type applyManifest struct {
	Writing
	Supervisor sup.Name `path:"sup"`
	DryRun     bool     `query:"dry_run" doc:"Only say what there is to change."`
	Body       sup.Spec
}

type changeList struct {
	Changes  []sup.Change `json:"changes"`
	Warnings []string     `json:"warnings,omitempty" doc:"What the manifest has without effect, and where the supervisor is not as the manifest says although nothing is to change there: children that do not run, children of a sub-supervisor that were started or terminated by hand."`
}

func (a *api) applyRoutes() {
	register(a, huma.Operation{
		Method: http.MethodPut, Path: "/v1/supervisors/{sup}", OperationID: "apply-manifest", Responses: refuses(changing, stopped, placing, sup.CodeWrongStrategy, sup.CodeStopPending, sup.CodeDuplicateSupervisor),
		Summary: "Make a supervisor as a manifest says", Tags: []string{"supervisors"},
		Description: "Stops what the manifest does not name, starts what is new, restarts what differs, leaves the rest alone, and takes the manifest's order as the new start " +
			"order; creates the supervisor when it is not there or has stopped. Answers when all that is done. A child that cannot be started is the " +
			"error; all else is as the manifest says.",
	}, a.applyManifest)
}

func (a *api) applyManifest(ctx context.Context, in *applyManifest) (*struct{ Body changeList }, error) {
	ctx, err := in.apply(ctx)
	if err != nil {
		return nil, err
	}
	if k, sub := in.Supervisor.Parent(); sub {
		return nil, invalid(sup.FieldError{Location: "name", Message: fmt.Sprintf("%q is child %q of supervisor %q: change it in that one's manifest, and apply that", in.Supervisor, k.Child, k.Supervisor)})
	}
	spec := in.Body.WithDefaults()
	var wrong []sup.FieldError
	switch spec.Name {
	case "":
		spec.Name = in.Supervisor
	case in.Supervisor:
	default:
		wrong = append(wrong, sup.FieldError{Location: "name", Message: fmt.Sprintf("the path names supervisor %q and the manifest %q", in.Supervisor, spec.Name)})
	}
	if wrong = append(wrong, spec.Validate()...); len(wrong) > 0 {
		return nil, invalid(wrong...)
	}
	compactArgs(spec.Children...)
	if spec.ChildTemplate != nil {
		compactArgs(*spec.ChildTemplate)
	}
	list := changeList{Changes: []sup.Change{}, Warnings: spec.Warnings()}
	if in.DryRun {
		ans, err := a.node.Read(ctx, node.Query{Kind: node.QueryChanges, Manifest: &spec})
		if err != nil {
			return nil, err
		}
		list.Changes, list.Warnings = append(list.Changes, ans.Changes...), append(list.Warnings, ans.Apart...)
		return &struct{ Body changeList }{list}, nil
	}
	done, err := a.node.Do(ctx, fsm.Command{ApplyManifest: &fsm.ApplyManifest{Spec: spec, Home: a.node.Name()}}, in.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	list.Changes = append(list.Changes, done.Changes...)
	list.Warnings = append(list.Warnings, a.apart(ctx, &spec)...)
	return &struct{ Body changeList }{list}, nil
}

// apartWithin bounds the look at what a change has left: what was asked for is done.
const apartWithin = 2 * time.Second

// apart says where a supervisor is not as the manifest says that was applied; nil also when that cannot be learned now.
func (a *api) apart(ctx context.Context, spec *sup.Spec) []string {
	ctx, cancel := context.WithTimeout(ctx, apartWithin)
	defer cancel()
	ans, err := a.node.Read(ctx, node.Query{Kind: node.QueryChanges, Manifest: spec})
	if err != nil {
		return nil
	}
	return ans.Apart
}
