package cli

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// completeWithin bounds what a shell waits for; a cluster that does not answer in time completes nothing.
const completeWithin = time.Second

// completes has a shell complete the arguments of a command, and of those below it, by the words of their usage.
func (c *command) completes(cmd *cobra.Command) {
	for _, below := range cmd.Commands() {
		c.completes(below)
	}
	words := strings.Fields(cmd.Use)[1:]
	if cmd.HasSubCommands() || cmd.ValidArgsFunction != nil {
		return
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		word := ""
		if i := len(args); i < len(words) {
			word = strings.Trim(words[i], "([])…")
		} else if n := len(words); n > 0 && strings.HasSuffix(words[n-1], "…") {
			word = strings.TrimSuffix(words[n-1], "…")
		}
		switch word {
		case "FILE":
			return nil, cobra.ShellCompDirectiveDefault
		case "DATA_DIR":
			return nil, cobra.ShellCompDirectiveFilterDirs
		case "SUP":
			return c.named(cmd, "supervisors", "name", "v1", "supervisors"), cobra.ShellCompDirectiveNoFileComp
		case "CHILD":
			return c.named(cmd, "children", "id", "v1", "supervisors", args[0], "children"), cobra.ShellCompDirectiveNoFileComp
		case "NODE":
			return c.named(cmd, "nodes", "name", "v1", "nodes"), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// named asks the cluster for a list, and gives the names in it.
func (c *command) named(cmd *cobra.Command, list, name string, path ...string) (names []string) {
	cl, err := c.cluster()
	if err != nil {
		return nil
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
	defer cancel()
	var answer map[string]any
	if cl.Get(ctx, &answer, url.Values{"consistency": {"stale"}}, path...) != nil {
		return nil
	}
	items, _ := answer[list].([]any)
	for _, item := range items {
		if fields, ok := item.(map[string]any); ok {
			if n, ok := fields[name].(string); ok {
				names = append(names, n)
			}
		}
	}
	return names
}
