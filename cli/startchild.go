package cli

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/cli/client"
	"github.com/supnode/supnode/supervisor"
)

// childFlags describe a child on the command line.
type childFlags struct {
	id, behavior, restart, selector, pin, dir, shutdown, wait, args string
	env                                                             []string
}

func (c *command) startChild() *cobra.Command {
	var f childFlags
	cmd := &cobra.Command{
		Use:   "start SUP (FILE | --id ID [flags] -- COMMAND [ARG…] | --args JSON)",
		Short: "Start a child",
		Example: "  supnode children start pool --id w1 -- /bin/sh -c 'sleep 1000'\n" +
			"  supnode children start pool w1.yaml\n" +
			"  supnode children start jobs --args '[\"queue-7\", 3]'    # jobs is simple_one_for_one",
		Args: func(cmd *cobra.Command, args []string) error {
			return takes("SUP")(cmd, args[:min(len(args), 1)])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if f.wait != "" {
				query.Set("wait", f.wait)
			}
			request := client.Request{Method: http.MethodPost, Path: []string{"v1", "supervisors", args[0], "children"}, Query: query}
			if cmd.Flags().Changed("args") {
				body, err := f.argsAlone(cmd, args)
				if err != nil {
					return err
				}
				request.Body = body
				return c.show(cmd.Context(), request, c.printChild)
			}
			dash := cmd.ArgsLenAtDash()
			if dash < 0 && len(args) == 2 && f.id == "" {
				m, err := c.readManifest(args[1])
				if err != nil {
					return err
				}
				request.Body = m.body()
				return m.place(c.show(cmd.Context(), request, c.printChild))
			}
			if dash != 1 || len(args) < 2 || f.id == "" {
				return usagef("name the child and its command (--id ID -- COMMAND ARG…), or a FILE with a child spec; " +
					"a child of simple_one_for_one takes --args alone")
			}
			body, err := f.spec(args[1:])
			if err != nil {
				return err
			}
			request.Body = body
			return c.show(cmd.Context(), request, c.printChild)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.id, "id", "", "the child's id")
	flags.StringVar(&f.behavior, "behavior", "exec", "what the child is")
	choose(cmd, &f.restart, "restart", "", "permanent, transient or temporary (default permanent)", "permanent", "transient", "temporary")
	flags.StringVar(&f.selector, "selector", "", "local_first, round_robin, least_loaded, random, or JSON: {\"custom\": NAME} (default: the supervisor's)")
	flags.StringVar(&f.pin, "node", "", "run on this node and never elsewhere")
	flags.StringVar(&f.shutdown, "shutdown-timeout", "", "how long a stop may take before it is a kill (default 5s)")
	flags.StringArrayVar(&f.env, "env", nil, "NAME=VALUE for the command; may be repeated")
	flags.StringVar(&f.dir, "dir", "", "the command's working directory")
	choose(cmd, &f.wait, "wait", "", "committed: answer at the commit instead of when the child has started", "started", "committed")
	flags.StringVar(&f.args, "args", "", "of simple_one_for_one: the args that follow its template's, a JSON list ([] for none)")
	return cmd
}

// argsAlone is the body that starts a child of simple_one_for_one.
func (f childFlags) argsAlone(cmd *cobra.Command, args []string) ([]byte, error) {
	for _, name := range []string{"id", "behavior", "restart", "selector", "node", "shutdown-timeout", "env", "dir"} {
		if cmd.Flags().Changed(name) {
			return nil, usagef("--args and --%s exclude each other: a child of simple_one_for_one is made from its template", name)
		}
	}
	if len(args) != 1 {
		return nil, usagef("with --args nothing else describes the child; name the supervisor alone")
	}
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(f.args), &list); err != nil || list == nil {
		return nil, usagef("--args %s: write a JSON list, like '[\"queue-7\", 3]'", f.args)
	}
	return json.Marshal(map[string]any{"args": list})
}

// spec is the child spec that the flags describe.
func (f childFlags) spec(command []string) ([]byte, error) {
	if f.pin != "" && f.selector != "" {
		return nil, usagef("--node and --selector exclude each other")
	}
	exec := map[string]any{"command": command[0], "args": command[1:]}
	if f.dir != "" {
		exec["dir"] = f.dir
	}
	if len(f.env) > 0 {
		env := map[string]string{}
		for _, e := range f.env {
			name, value, ok := strings.Cut(e, "=")
			if !ok || name == "" {
				return nil, usagef("--env %s: write NAME=VALUE", e)
			}
			env[name] = value
		}
		exec["env"] = env
	}
	spec := map[string]any{"id": f.id, "behavior": f.behavior, "args": []any{exec}}
	for name, value := range map[string]string{"restart": f.restart, "selector": f.selector, "shutdown_timeout": f.shutdown} {
		if value != "" {
			spec[name] = value
		}
	}
	var selector supervisor.Selector
	switch {
	case f.pin != "":
		spec["selector"] = supervisor.OnNode(supervisor.NodeName(f.pin))
	case strings.HasPrefix(f.selector, "{"):
		if err := json.Unmarshal([]byte(f.selector), &selector); err != nil {
			return nil, usagef("--selector %s: %s", f.selector, supervisor.SelectorForms)
		}
		spec["selector"] = selector
	}
	return json.Marshal(spec)
}
