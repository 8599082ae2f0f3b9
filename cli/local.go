package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/supnode/supnode/node/identity"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// tls makes what rpc.tls of a config file asks for.
func (c *command) tls() *cobra.Command {
	dir := "."
	cmd := &cobra.Command{
		Use: "init NODE[=HOST,…]…", Short: "Make certificates for nodes, and the CA when there is none",
		Long: "Makes ca.pem and ca-key.pem unless they are there, and NODE.pem and NODE-key.pem for every node named.\n" +
			"A node needs ca.pem and its own pair; ca-key.pem belongs on no node. Nothing is overwritten.",
		Example: "  supnode tls init --dir certs n1 n2 n3=10.0.0.3,n3.example.com",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("name the nodes; usage: %s", cmd.UseLine())
			}
			for _, arg := range args {
				if name, _, _ := strings.Cut(arg, "="); !sup.NodeName(name).Valid() {
					return usagef("%q is not a node name: use 1 to %d of a-z, 0-9 and -", name, sup.MaxNodeName)
				}
			}
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			ca, err := rpc.LoadCA(dir)
			if errors.Is(err, fs.ErrNotExist) {
				ca, err = rpc.NewCA(dir, 0)
			}
			if err != nil {
				return err
			}
			for _, arg := range args {
				name, hosts, _ := strings.Cut(arg, "=")
				files, err := ca.IssueNode(dir, sup.NodeName(name), strings.FieldsFunc(hosts, func(r rune) bool { return r == ',' }), 0)
				if err != nil {
					return err
				}
				fmt.Fprintf(c.Out, "%s: tls: {ca: %s, cert: %s, key: %s}\n", name, files.CA, files.Cert, files.Key)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", dir, "where the files are made")
	return group("tls", "Make certificates for mutual TLS between nodes", cmd)
}

// node is what an operator does to a node that does not run.
func (c *command) node() *cobra.Command {
	adopt := &cobra.Command{
		Use: "adopt DATA_DIR", Short: "Make a moved or copied data_dir this machine's own; its original may never start again",
		Args: takes("DATA_DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			a, err := identity.Adopt(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.Out, "%s is node %s here now; the directory that it was copied from may never start again\n", args[0], a.Name)
			return err
		},
	}
	return group("node", "Mend a node that does not run", adopt)
}
