package cluster

import (
	"bytes"
	"os"
	"text/template"
	"time"

	"github.com/supnode/supnode/test/jepsen-lite/history"
	"github.com/supnode/supnode/test/jepsen-lite/proxy"
)

// Config is what a cluster is made of.
type Config struct {
	Binary          string // the supnode to run
	Dir             string // an empty folder for all it writes
	Nodes           int
	Timing          history.Timing
	FastFailover    string        // loopback | refused | off
	Proxied         bool          // the nodes reach each other through link proxies only
	Allow           []string      // programs that children may be
	ShutdownTimeout time.Duration // of a graceful leave; 0 = 5 s
	LogLevel        string        // of the nodes; empty = info
	Log             func(format string, args ...any)
}

var file = template.Must(template.New("config").Parse(`node:
  name: {{.Name}}
  data_dir: {{.Data}}
  shutdown_timeout: {{.Shutdown}}
cluster:
  servers:
{{- range .Servers}}
    - {name: {{.Name}}, addr: "{{.Addr}}"}
{{- end}}
  heartbeat_interval: {{.H}}
  lease_ttl: {{.TTL}}
  fast_failover: {{.FastFailover}}
rpc:
  listen: {{.RPC}}
  advertise: {{.Advertise}}
admin:
  listen: {{.Admin}}
exec:
  enabled: true
  allow: [{{range $i, $p := .Allow}}{{if $i}}, {{end}}"{{$p}}"{{end}}]
log: {level: {{.Level}}}
`))

type server struct{ Name, Addr string }

// write writes the node's config file. With links, each node finds its peers where its own links are, and announces itself
// where the link is that is for anyone.
func (n *Node) write() error {
	c, advertise := n.cluster.Config, n.RPC
	var servers []server
	for _, peer := range n.cluster.nodes {
		addr := peer.RPC
		switch {
		case n.cluster.Net == nil:
		case peer == n:
			addr = n.cluster.Net.Addr(proxy.Anyone, n.Name)
			advertise = addr
		default:
			addr = n.cluster.Net.Addr(n.Name, peer.Name)
		}
		servers = append(servers, server{peer.Name, addr})
	}
	var b bytes.Buffer
	err := file.Execute(&b, map[string]any{
		"Name": n.Name, "Data": n.Data, "Shutdown": c.ShutdownTimeout, "Servers": servers, "H": c.Timing.H, "TTL": c.Timing.TTL,
		"FastFailover": c.FastFailover, "RPC": n.RPC, "Advertise": advertise, "Admin": n.Admin, "Allow": c.Allow, "Level": c.LogLevel,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(n.File, b.Bytes(), 0o644)
}
