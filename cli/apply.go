package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/cli/client"
	"github.com/supnode/supnode/cli/eventline"
	"github.com/supnode/supnode/supervisor"
)

// applied is what a file changes, in what -o json prints.
type applied struct {
	Supervisor string          `json:"supervisor"`
	File       string          `json:"file"`
	Changes    json.RawMessage `json:"changes"`
	Warnings   []string        `json:"warnings,omitempty"`

	manifest manifest
}

func (c *command) apply() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "apply FILE…",
		Short: "Make supervisors as their manifests say, and show the differences first (YAML or JSON, - for stdin)",
		Long: "Make each supervisor as its manifest says: stop what the manifest does not name, start what is new, restart what differs, leave the\n" +
			"rest alone, and take the manifest's order as the new start order. One that is not there, or has stopped, is created.\n" +
			"All files are read and their differences shown before anything changes; then they are applied in turn.",
		Example: "  supnode apply --dry-run pool.yaml\n  supnode apply pool.yaml jobs.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return takes("FILE")(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := c.readAll(args)
			if err != nil {
				return err
			}
			cl, err := c.cluster()
			if err != nil {
				return err
			}
			defer cl.Close()
			for i := range files {
				if err := files[i].ask(cmd.Context(), cl, true); err != nil {
					return err
				}
				c.warn(&files[i], nil)
			}
			if c.output == "table" {
				if err := c.printChanges(files); err != nil {
					return err
				}
			}
			if dryRun {
				return c.reportApplied(files)
			}
			for i := range files {
				told := files[i].Warnings
				if err := files[i].ask(cmd.Context(), cl, false); err != nil {
					return c.stoppedAt(files, i, err)
				}
				c.warn(&files[i], told)
				but := ""
				if len(files[i].Warnings) > 0 {
					but = ", but for what the warnings say"
				}
				if c.output == "table" {
					fmt.Fprintf(c.Out, "%s is as %s says%s\n", files[i].Supervisor, files[i].File, but)
				}
			}
			return c.reportApplied(files)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only show the differences")
	c.asks(cmd)
	return cmd
}

// stoppedAt ends the command when a file was refused: why, which files were not even tried, and for programs what was changed before.
func (c *command) stoppedAt(files []applied, at int, err error) error {
	var left []string
	for _, f := range files[at+1:] {
		left = append(left, f.File)
	}
	if len(left) > 0 {
		err = fmt.Errorf("%w; not applied after it: %s (apply all again: what is as its file says stays untouched)", err, strings.Join(left, ", "))
	}
	if at == 0 {
		return err
	}
	return errors.Join(err, c.reportApplied(files[:at]))
}

// warn says what of a file has no effect, and what is not as it says; not what was told before.
func (c *command) warn(f *applied, told []string) {
	for _, w := range f.Warnings {
		if !slices.Contains(told, w) {
			fmt.Fprintf(c.Err, "warning: %s: %s\n", f.File, eventline.Printable(w))
		}
	}
}

// readAll reads the files and the names of their supervisors.
func (c *command) readAll(names []string) ([]applied, error) {
	var files []applied
	of := map[string]string{}
	for _, name := range names {
		m, err := c.readManifest(name)
		if err != nil {
			return nil, err
		}
		if name == "-" {
			name = "stdin"
		}
		var named struct{ Name string }
		if err := json.Unmarshal(m.body(), &named); err != nil || named.Name == "" {
			return nil, usagef("%s has no name: which supervisor is it to be?", name)
		}
		if first, twice := of[named.Name]; twice {
			return nil, usagef("%s and %s are both manifests of supervisor %s", first, name, named.Name)
		}
		of[named.Name] = name
		files = append(files, applied{Supervisor: named.Name, File: name, manifest: m})
	}
	return files, nil
}

// ask has the cluster apply the file, or say what that would change.
func (f *applied) ask(ctx context.Context, cl *client.Client, dryRun bool) error {
	query := url.Values{}
	if dryRun {
		query.Set("dry_run", "true")
	}
	ans, err := cl.Do(ctx, client.Request{
		Method: http.MethodPut, Path: []string{"v1", "supervisors", f.Supervisor}, Query: query, Body: f.manifest.body(),
	})
	if err != nil {
		if err = f.manifest.place(err); errors.As(err, &refusedFile{}) {
			return err // it names the file
		}
		return fmt.Errorf("%s: %w", f.File, err)
	}
	var list struct {
		Changes  json.RawMessage
		Warnings []string
	}
	if err := ans.Into(&list); err != nil {
		return err
	}
	f.Changes, f.Warnings = list.Changes, list.Warnings
	return nil
}

// reportApplied ends the command with what was changed, for programs.
func (c *command) reportApplied(files []applied) error {
	if c.output != "json" {
		return nil
	}
	body, err := json.Marshal(map[string]any{"supervisors": files})
	if err != nil {
		return err
	}
	return writeIndented(c.Out, body)
}

func (c *command) printChanges(files []applied) error {
	rows := [][]string{{"SUPERVISOR", "ACTION", "CHILD", "WHAT"}}
	for _, f := range files {
		var changes []supervisor.Change
		if err := json.Unmarshal(f.Changes, &changes); err != nil {
			return fmt.Errorf("understand the answer: %w", err)
		}
		if len(changes) == 0 {
			rows = append(rows, []string{f.Supervisor, "none", "", ""})
		}
		for _, ch := range changes {
			what := strings.Join(ch.Fields, ", ")
			if len(ch.From) > 0 {
				what = fmt.Sprintf("%s: %s -> %s", what, ch.From, ch.To)
			}
			rows = append(rows, []string{f.Supervisor, string(ch.Action), string(ch.Child), what})
		}
	}
	return table(c.Out, rows)
}
