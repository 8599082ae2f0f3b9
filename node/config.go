package node

import (
	"errors"
	"net"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/actor"
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/agent/guardian"
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

// The bounds of heartbeat_interval and lease_ttl: a renewal wants a commit, an election some of Raft's time-outs, and after a
// restore nothing is placed for the wait of the largest lease that may be out.
const (
	MinHeartbeat = 10 * time.Millisecond
	MinLeaseTTL  = 500 * time.Millisecond
	MaxLeaseTTL  = time.Minute
)

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

	// Selectors are the custom selectors of this program; nil = none. The leader asks its own, so every server is to have them.
	Selectors *sup.Selectors

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
	Logs      guardian.LogConfig
	Cgroup    string // auto | off | the directory of a cgroup v2 for commands with limits; default auto
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
	if c.Exec.Cgroup == "" {
		c.Exec.Cgroup = guardian.CgroupAuto
	}
	if c.Exec.Logs.MaxSize == 0 {
		c.Exec.Logs.MaxSize = guardian.DefaultLogSize
	}
	if c.Exec.Logs.MaxFiles == 0 {
		c.Exec.Logs.MaxFiles = guardian.DefaultLogFiles
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

// Validate reports the fields that are wrong, as *FieldError. It checks the inequalities of protocol.md (L5).
func (c Config) Validate() error {
	var errs []error
	for _, wrong := range c.Wrong() {
		errs = append(errs, wrong)
	}
	return errors.Join(errs...)
}

// Wrong are the fields that are wrong.
func (c Config) Wrong() []*FieldError {
	v := validation{Config: c}
	v.node()
	v.servers()
	v.reach()
	v.lease()
	v.rest()
	return v.errs
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
