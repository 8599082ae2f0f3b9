package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/cli/client"
	"github.com/supnode/supnode/node"
	"github.com/supnode/supnode/node/store"
	"github.com/supnode/supnode/supervisor"
)

func (c *command) raft() *cobra.Command {
	peers := &cobra.Command{
		Use: "peers", Short: "List the servers, as the node asked knows them", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.show(cmd.Context(), client.Request{Method: http.MethodGet, Path: []string{"v1", "status"}}, func(ans client.Answer) error {
				return c.printPeers(cmd, ans)
			})
		},
	}
	transfer := &cobra.Command{
		Use: "transfer-leadership [NODE]", Short: "Hand the leadership to another server; no child is touched",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return takes("NODE")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if len(args) == 1 {
				query.Set("to", args[0])
			}
			return c.show(cmd.Context(), client.Request{Method: http.MethodPost, Path: []string{"v1", "raft", "transfer-leadership"}, Query: query}, func(ans client.Answer) error {
				var now struct{ Leader string }
				if err := ans.Into(&now); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.Out, "%s leads\n", now.Leader)
				return err
			})
		},
	}
	c.asks(peers, transfer)
	return group("raft", "Look at Raft, and hand its leadership over", peers, c.raftLog(), transfer)
}

// printPeers prints a node's view. The members' states it asks for too, and does without: there may be no majority.
func (c *command) printPeers(cmd *cobra.Command, ans client.Answer) error {
	var s node.Status
	if err := ans.Into(&s); err != nil {
		return err
	}
	states := map[supervisor.NodeName]string{}
	if cl, err := c.cluster(); err == nil {
		defer cl.Close()
		var l struct{ Nodes []supervisor.NodeInfo }
		if cl.Get(cmd.Context(), &l, url.Values{"consistency": {"stale"}}, "v1", "nodes") == nil {
			for _, n := range l.Nodes {
				states[n.Name] = n.Status
			}
		}
	}
	rows := [][]string{{"NAME", "ADDR", "ROLE", "STATUS"}}
	for _, p := range s.Servers {
		role := "follower"
		switch {
		case s.Leader == "":
			role = ""
		case p.Name == s.Leader:
			role = "leader"
		}
		rows = append(rows, []string{string(p.Name), p.Addr, role, states[p.Name]})
	}
	return table(c.Out, rows)
}

func (c *command) raftLog() *cobra.Command {
	var from uint64
	var limit int
	cmd := &cobra.Command{
		Use: "log DATA_DIR", Short: "Print the Raft log in a server's data_dir; the server may run or not",
		Long: "Print the Raft log in a server's data_dir, read from this host's disk; nothing is written there. The server may run: the log\n" +
			"is then read from a copy, as it was a moment ago. What is in the newest entries need not be committed.\n" +
			"With -o json every entry is a line.",
		Args: takes("DATA_DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := within("limit", limit, 1, store.MaxRead); err != nil {
				return err
			}
			entries, err := store.ReadLog(filepath.Join(args[0], "raft"), from, limit)
			if err != nil {
				return err
			}
			return c.printEntries(entries, c.output == "json")
		},
	}
	cmd.Flags().Uint64Var(&from, "from", 0, "the first entry (default: the newest ones)")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many entries at most")
	c.prints(cmd)
	return cmd
}

func (c *command) printEntries(entries []store.Entry, asJSON bool) error {
	rows := [][]string{{"INDEX", "TERM", "TIME", "KIND", "WHAT"}}
	for _, e := range entries {
		l := logLineOf(e)
		if asJSON {
			b, err := json.Marshal(l)
			if err == nil {
				_, err = fmt.Fprintf(c.Out, "%s\n", b)
			}
			if err != nil {
				return err
			}
			continue
		}
		at := ""
		if l.Time != nil {
			at = l.Time.Format(time.RFC3339Nano)
		}
		rows = append(rows, []string{fmt.Sprint(l.Index), fmt.Sprint(l.Term), at, l.Kind, orElse(strings.Join(l.What, ", "), l.Wrong)})
	}
	if asJSON {
		return nil
	}
	return table(c.Out, rows)
}
