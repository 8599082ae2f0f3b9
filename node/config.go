package node

import (
	"net"
	"time"

	"github.com/hashicorp/go-hclog"
	sup "github.com/supnode/supnode/supervisor"
)

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

	Manifests []sup.Spec // created once in the cluster's life
	Logger    hclog.Logger
	Version   string
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
