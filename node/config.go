package node

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// The defaults of a Config.
const (
	DefaultShutdownTimeout   = 30 * time.Second
	DefaultHeartbeatInterval = 500 * time.Millisecond
	DefaultLeaseTTL          = 3 * time.Second
	DefaultFastFailover      = "loopback"
	DefaultEventHistory      = 64 << 20
)

// MaxLeaseTTL bounds lease_ttl: after a restore nothing is placed for the wait of the largest lease that may be out.
const MaxLeaseTTL = time.Minute

// exitGrace is how long the last words of a process that ends at once may take.
const exitGrace = 50 * time.Millisecond

// Config is all that a node is told. Validate names the field that is wrong, by its path in the config file.
type Config struct {
	Name            sup.NodeName
	DataDir         string
	Tags            map[string]string
	ShutdownTimeout time.Duration // of a graceful leave; default 30s

	Servers           []Server      // the Raft voters: 1, 3 or 5
	HeartbeatInterval time.Duration // H; default 500ms
	LeaseTTL          time.Duration // TTL; default 3s
	FastFailover      string        // loopback | refused | off; default loopback
	EventHistory      int64         // bytes; default 64 MiB

	RPC   RPCConfig
	Admin string // the admin address that is announced to other nodes; empty = none
	Exec  ExecConfig

	// Behaviors are the Go behaviors that this node can run and announces; nil = none. Those that are registered after Start
	// are not announced.
	Behaviors *actor.Registry

	Manifests []sup.Spec // created once in the cluster's life
	Logger    hclog.Logger
	Version   string

	// Exit ends the process at once; it is called when a child could not be stopped by the end of its lease (A3) and
	// when a store fails. Default: os.Exit(70) after a log line.
	Exit func(why string)
}

// RPCConfig is the node port.
type RPCConfig struct {
	Listen    string
	Advertise string       // default Listen
	Listener  net.Listener // in place of Listen, for tests; nil = listen on Listen
	TLS       *TLSFiles    // nil = plain text: loopback addresses only, unless Insecure
	Insecure  bool
}

// TLSFiles are PEM files for mutual TLS.
type TLSFiles struct{ CA, Cert, Key string }

// ExecConfig is the built-in behavior exec.
type ExecConfig struct {
	Enabled   bool
	Isolation string   // group | pid_namespace
	Allow     []string // globs on the resolved absolute path; none = nothing may run
}

// FieldError says which field of a Config is wrong, by its path in the config file, and what would be right.
type FieldError struct{ Field, Problem string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// WithDefaults fills in what was left out.
func (c Config) WithDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.ShutdownTimeout, DefaultShutdownTimeout)
	def(&c.HeartbeatInterval, DefaultHeartbeatInterval)
	def(&c.LeaseTTL, DefaultLeaseTTL)
	if c.FastFailover == "" {
		c.FastFailover = DefaultFastFailover
	}
	if c.EventHistory == 0 {
		c.EventHistory = DefaultEventHistory
	}
	if c.RPC.Advertise == "" {
		c.RPC.Advertise = c.RPC.Listen
	}
	if c.Exec.Isolation == "" {
		c.Exec.Isolation = "group"
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Version == "" {
		c.Version = "devel"
	}
	if c.Exit == nil {
		log := c.Logger
		c.Exit = func(why string) {
			time.AfterFunc(exitGrace, func() { os.Exit(70) }) // also when nobody takes the log line
			log.Error("the process ends", "why", why)
			os.Exit(70)
		}
	}
	return c
}

var nodeName = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

// Validate reports the first field that is wrong, as a *FieldError. It checks the inequalities of protocol.md (L5).
func (c Config) Validate() error {
	wrong := func(field, format string, args ...any) error {
		return &FieldError{field, fmt.Sprintf(format, args...)}
	}
	switch {
	case !nodeName.MatchString(string(c.Name)):
		return wrong("node.name", "%q is not a node name: use 1 to 63 of a-z, 0-9 and -", c.Name)
	case c.DataDir == "":
		return wrong("node.data_dir", "is missing: name a directory of this node's own")
	case c.ShutdownTimeout < 0:
		return wrong("node.shutdown_timeout", "%s is negative", c.ShutdownTimeout)
	case !slices.Contains([]int{1, 3, 5}, len(c.Servers)):
		return wrong("cluster.servers", "has %d servers: list 1, 3 or 5, the same on every node", len(c.Servers))
	}
	names, addrs := map[sup.NodeName]bool{}, map[string]bool{}
	for i, s := range c.Servers {
		at := fmt.Sprintf("cluster.servers[%d]", i)
		if !nodeName.MatchString(string(s.Name)) {
			return wrong(at+".name", "%q is not a node name: use 1 to 63 of a-z, 0-9 and -", s.Name)
		}
		if _, _, err := net.SplitHostPort(s.Addr); err != nil {
			return wrong(at+".addr", "%q is not host:port", s.Addr)
		}
		if names[s.Name] {
			return wrong(at+".name", "%q is listed twice", s.Name)
		}
		if addrs[s.Addr] {
			return wrong(at+".addr", "%s is listed twice", s.Addr)
		}
		names[s.Name], addrs[s.Addr] = true, true
	}
	if rpc.IsLoopback(c.RPC.Advertise) {
		// Others take a refusal there for this node's death (P2), and would ask their own host.
		for i, s := range c.Servers {
			if !rpc.IsLoopback(s.Addr) {
				return wrong("rpc.advertise", "%s reaches this host alone, but cluster.servers[%d] is at %s: give the address at which other hosts reach this node",
					c.RPC.Advertise, i, s.Addr)
			}
		}
	}
	if !c.voter() {
		for i, s := range c.Servers {
			if s.Addr == c.RPC.Listen || s.Addr == c.RPC.Advertise {
				return wrong("node.name", "%q is not among cluster.servers, but the node port %s is that of cluster.servers[%d], %q: one of the two names is mistyped",
					c.Name, s.Addr, i, s.Name)
			}
		}
	}
	l := c.settings().Lease()
	switch {
	case c.HeartbeatInterval <= 0:
		return wrong("cluster.heartbeat_interval", "must be above 0")
	case l.RaftTimeout() < int64(5*time.Millisecond):
		return wrong("cluster.lease_ttl", "%s is too short: use at least 500ms", c.LeaseTTL)
	case c.LeaseTTL > MaxLeaseTTL:
		return wrong("cluster.lease_ttl", "%s is too long: use at most %s", c.LeaseTTL, MaxLeaseTTL)
	case 3*l.H > l.TTL:
		return wrong("cluster.heartbeat_interval", "%s is more than a third of lease_ttl %s (L5): lower it, or raise lease_ttl", c.HeartbeatInterval, c.LeaseTTL)
	case l.TTL <= l.Survives():
		return wrong("cluster.lease_ttl", "%s does not outlast an election (L5): with heartbeat_interval %s it must exceed %s",
			c.LeaseTTL, c.HeartbeatInterval, time.Duration(l.Survives()))
	case !slices.Contains([]string{"loopback", "refused", "off"}, c.FastFailover):
		return wrong("cluster.fast_failover", "%q is not one of loopback, refused, off", c.FastFailover)
	case c.EventHistory < 64<<10:
		return wrong("cluster.event_history", "%d bytes is too little: use at least 64KiB", c.EventHistory)
	case c.RPC.Listen == "" && c.RPC.Listener == nil:
		return wrong("rpc.listen", "is missing: name host:port of the node port")
	case !slices.Contains([]string{"group", "pid_namespace"}, c.Exec.Isolation):
		return wrong("exec.isolation", "%q is not one of group, pid_namespace", c.Exec.Isolation)
	}
	if c.RPC.TLS == nil && !c.RPC.Insecure {
		for _, a := range []struct{ field, addr string }{{"rpc.listen", c.RPC.Listen}, {"rpc.advertise", c.RPC.Advertise}} {
			if a.addr != "" && !rpc.IsLoopback(a.addr) {
				return wrong(a.field, "%s is not a loopback address: give rpc.tls {ca, cert, key}, or rpc.insecure: true for a closed test network", a.addr)
			}
		}
	}
	for i, m := range c.Manifests {
		for _, e := range m.WithDefaults().Validate() {
			return wrong(fmt.Sprintf("supervisors[%d].%s", i, e.Location), "%s", e.Message)
		}
	}
	return nil
}

func (c Config) settings() fsm.Settings {
	return fsm.Settings{
		HeartbeatInterval: int64(c.HeartbeatInterval), LeaseTTL: int64(c.LeaseTTL),
		FastFailover: c.FastFailover, EventHistory: c.EventHistory,
	}
}

// voter reports whether the node is among the servers.
func (c Config) voter() bool {
	return slices.ContainsFunc(c.Servers, func(s Server) bool { return s.Name == c.Name })
}

// serverNames are the names of the servers, sorted.
func (c Config) serverNames() (names []sup.NodeName) {
	for _, s := range c.Servers {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names
}

// addrOf is where this node's file says that a server is; empty for a node that is not one.
func (c Config) addrOf(name sup.NodeName) string {
	for _, s := range c.Servers {
		if s.Name == name {
			return s.Addr
		}
	}
	return ""
}
