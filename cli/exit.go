package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/supnode/supnode/cli/client"
	"github.com/supnode/supnode/cli/eventline"
	"github.com/supnode/supnode/cli/yamlfile"
)

// The exit statuses.
const (
	exitDone    = 0
	exitRefused = 1 // the cluster said no, or could not be asked; a node ended by a failure
	exitUsage   = 2 // wrong usage, or a file that is wrong
)

// usageError is what the person at the keyboard got wrong.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitStatus is the status that an error ends the process with.
func exitStatus(err error) int {
	var usage usageError
	var file yamlfile.Errors
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage) || errors.As(err, &file):
		return exitUsage
	}
	return exitRefused
}

// complain says on stderr what went wrong. Of a refusal it says title and detail, then each place that is wrong.
func complain(w io.Writer, err error) {
	var p *client.Problem
	if !errors.As(err, &p) {
		fmt.Fprintf(w, "supnode: %s\n", err)
		return
	}
	text := err.Error()
	if len(p.Errors) > 1 {
		text = strings.Replace(text, p.Error(), p.Title, 1)
	}
	if p.Code == "unauthorized" {
		text += " (--token, or SUPNODE_TOKEN)"
	}
	fmt.Fprintf(w, "supnode: %s\n", eventline.Printable(text))
	if len(p.Errors) > 1 {
		for _, wrong := range p.Errors {
			fmt.Fprintf(w, "  %s: %s\n", eventline.Printable(wrong.Location), eventline.Printable(wrong.Message))
		}
	}
	for _, node := range slices.Sorted(maps.Keys(p.Reasons)) {
		if !strings.Contains(p.Detail, p.Reasons[node]) {
			fmt.Fprintf(w, "  %s: %s\n", node, eventline.Printable(p.Reasons[node]))
		}
	}
}
