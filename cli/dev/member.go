package dev

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// adminOffset is how far a node's admin port lies above its node port.
const adminOffset = 1000

// member is one node of the cluster.
type member struct {
	name        string
	port, admin string // HOST:PORT
	config, log string // files
}

func (m member) url() string { return "http://" + m.admin }

// members lays the cluster out: n1 has the node port base+1 and the admin port base+1001, and so on.
func members(n, base int, dir string) []member {
	var out []member
	for i := 1; i <= n; i++ {
		name := fmt.Sprintf("n%d", i)
		out = append(out, member{
			name: name, port: fmt.Sprintf("127.0.0.1:%d", base+i), admin: fmt.Sprintf("127.0.0.1:%d", base+adminOffset+i),
			config: filepath.Join(dir, name+".yaml"), log: filepath.Join(dir, name+".log"),
		})
	}
	return out
}

// portsFree says which port of the members is taken, if one is.
func portsFree(ms []member) error {
	for _, m := range ms {
		for _, addr := range []string{m.port, m.admin} {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				return fmt.Errorf("%s is taken (%w); is another supnode dev running? Choose other ports with --base-port", addr, err)
			}
			l.Close()
		}
	}
	return nil
}

// writeConfig writes a member's config file.
func writeConfig(m member, all []member, shell string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by supnode dev. It is the file that you would write: supnode start --config %s runs it.\n", filepath.Base(m.config))
	fmt.Fprintf(&b, "node:\n  name: %s\n  data_dir: ./%s          # paths are relative to this file\n", m.name, m.name)
	fmt.Fprintf(&b, "cluster:\n  servers:\n")
	for _, o := range all {
		fmt.Fprintf(&b, "    - {name: %s, addr: %s}\n", o.name, o.port)
	}
	fmt.Fprintf(&b, "rpc:\n  listen: %s\nadmin:\n  listen: %s\n", m.port, m.admin)
	fmt.Fprintf(&b, "exec:\n  enabled: true           # run commands as the user who started this\n  allow: [%s]\n", strings.Join(allowed(shell), ", "))
	return os.WriteFile(m.config, []byte(b.String()), 0o600)
}

// allowed are the globs of the commands that may run: the usual ones, and where the shell really is.
func allowed(shell string) []string {
	globs := []string{"/bin/*", "/usr/bin/*"}
	if own := filepath.Dir(shell) + "/*"; !slices.Contains(globs, own) {
		globs = append(globs, own)
	}
	return globs
}
