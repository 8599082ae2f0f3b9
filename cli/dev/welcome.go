package dev

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/supnode/supnode/cli/client"
	sup "github.com/supnode/supnode/supervisor"
)

// welcome says what runs and what to try.
func (c *cluster) welcome(ctx context.Context, cl *client.Client) error {
	var list struct{ Nodes []sup.NodeInfo }
	if err := cl.Get(ctx, &list, nil, "v1", "nodes"); err != nil {
		return fmt.Errorf("list the nodes: %w", err)
	}
	info := map[string]sup.NodeInfo{}
	for _, n := range list.Nodes {
		info[string(n.Name)] = n
	}
	fate := "it stays"
	if c.fresh {
		fate = "removed at exit"
	}
	what := fmt.Sprintf("%d nodes run, each a process of its own", len(c.members))
	if len(c.members) == 1 {
		what = "One node runs"
	}
	fmt.Fprintf(c.Out, "%s; config files, data and logs are in %s (%s).\n\n", what, c.Dir, fate)
	t := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  NODE\tPID\tROLE\tCHILDREN\tADMIN\n")
	leader, follower := c.members[0].name, ""
	for _, m := range c.members {
		n := info[m.name]
		fmt.Fprintf(t, "  %s\t%d\t%s\t%d\t%s\n", m.name, c.processes[m.name].pid(), n.Role, n.ChildCount, m.url())
		if n.Role == "leader" {
			leader = m.name
		} else {
			follower = m.name
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "\nThe supervisor %q keeps %d commands running, one after the other on the next node (round_robin).\n", demoName, demoChildren)
	fmt.Fprintf(c.Out, "Try in another terminal, and watch here:\n\n")
	if follower != "" {
		fmt.Fprintf(c.Out, "  kill -9 %-8d   lose %s: its commands move to the other nodes\n", c.processes[follower].pid(), follower)
		fmt.Fprintf(c.Out, "  kill -9 %-8d   lose %s, the leader: another one takes over, then its commands move\n", c.processes[leader].pid(), leader)
	}
	addr := ""
	if c.members[0].url() != client.DefaultAddr {
		addr = " --addr " + c.members[0].url()
	}
	fmt.Fprintf(c.Out, "  %s children list %s%s\n", c.Command, demoName, addr)
	fmt.Fprintf(c.Out, "  curl -s %s/v1/supervisors/%s\n", c.members[0].url(), demoName)
	fmt.Fprintf(c.Out, "\nA node that dies is started again after %s, so that you can watch the others first. Ctrl-C stops everything.\n\n", restartAfter)
	return nil
}
