package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/supnode/supnode/cli/client"
	sup "github.com/supnode/supnode/supervisor"
)

const (
	demoName     = "demo"
	demoChildren = 6
)

// script is what a demo child does: it says who it is, and lives.
const script = `echo "$SUPNODE_CHILD runs on $SUPNODE_NODE as incarnation $SUPNODE_INCARNATION"; n=0; while :; do n=$((n+1)); echo "tick $n"; sleep 1; done`

// startDemo starts the demo supervisor; one that is there already is left alone.
func startDemo(ctx context.Context, cl *client.Client) error {
	spec := sup.Spec{Name: demoName, Strategy: sup.OneForOne, Selector: sup.RoundRobin}
	for i := 1; i <= demoChildren; i++ {
		arg, err := json.Marshal(map[string]any{"command": "/bin/sh", "args": []string{"-c", script}})
		if err != nil {
			return err
		}
		spec.Children = append(spec.Children, sup.ChildSpec{ID: sup.ChildID(fmt.Sprintf("w%d", i)), Behavior: "exec", Args: []json.RawMessage{arg}})
	}
	body, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	_, err = cl.Do(ctx, client.Request{Method: http.MethodPost, Path: []string{"v1", "supervisors"}, Body: body})
	if p := (*client.Problem)(nil); errors.As(err, &p) && p.Code == string(sup.CodeDuplicateSupervisor) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("start the demo supervisor: %w", err)
	}
	return nil
}
