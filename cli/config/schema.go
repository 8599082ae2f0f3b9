package config

import sup "github.com/supnode/supnode/supervisor"

// schema is the config file as it is written. What it leaves out is nil or zero and gets its default in load.go; the tags
// default and doc are what docs/config.md tells.
type schema struct {
	Node        nodeBlock    `yaml:"node" doc:"this node"`
	Cluster     clusterBlock `yaml:"cluster" doc:"the cluster: the same on every node"`
	RPC         rpcBlock     `yaml:"rpc" doc:"the node port: Raft and what nodes say to each other"`
	Admin       adminBlock   `yaml:"admin" doc:"HTTP: the API and the metrics"`
	Exec        execBlock    `yaml:"exec" doc:"the built-in behavior that runs commands"`
	Log         logBlock     `yaml:"log" doc:"what the process says on stderr"`
	Supervisors []sup.Spec   `yaml:"supervisors" doc:"manifests; each is created once in the cluster's life, and never again after a stop"`
}

type nodeBlock struct {
	Name            string            `yaml:"name" doc:"unique in the cluster and stable: 1 to 63 of a-z, 0-9 and -"`
	DataDir         string            `yaml:"data_dir" doc:"the node's own directory, made with mode 0700 and locked; relative to this file"`
	Tags            map[string]string `yaml:"tags" doc:"for selectors and constraints: TAG: VALUE"`
	ShutdownTimeout duration          `yaml:"shutdown_timeout" default:"30s" doc:"bounds the graceful leave after SIGTERM: what is not handed over by then is stopped in place"`
}

type clusterBlock struct {
	Servers           []serverEntry `yaml:"servers" doc:"the Raft voters: 1, 3 or 5, the same list on every node; a node that is not among them is an agent"`
	HeartbeatInterval duration      `yaml:"heartbeat_interval" default:"500ms" doc:"how often an agent renews its lease; at least 10ms, at most a third of lease_ttl; replicated at the first start"`
	LeaseTTL          duration      `yaml:"lease_ttl" default:"3s" doc:"a node that is silent for this long stops its children itself; 500ms to 1m; Raft's time-outs and the leader's wait follow from it; replicated at the first start"`
	FastFailover      string        `yaml:"fast_failover" default:"loopback" doc:"when a refused connection counts as proof of death: loopback (only there), refused (everywhere; not behind address translation or firewalls that answer for a host), off; replicated at the first start"`
	EventHistory      sup.Size      `yaml:"event_history" default:"64MiB" doc:"lifecycle events kept for replay; at least 64KiB; replicated at the first start"`
}

type serverEntry struct {
	Name string `yaml:"name" doc:"the server's node.name"`
	Addr string `yaml:"addr" doc:"HOST:PORT at which the other nodes dial it"`
}

type rpcBlock struct {
	Listen    string      `yaml:"listen" doc:"HOST:PORT; by default the addr of this node in cluster.servers"`
	Advertise string      `yaml:"advertise" doc:"HOST:PORT at which other nodes reach this one; by default the addr in cluster.servers, for an agent rpc.listen"`
	TLS       *rpcTLSPart `yaml:"tls" doc:"mutual TLS; without it only loopback addresses are accepted; supnode tls init makes the files"`
	Insecure  bool        `yaml:"insecure" default:"false" doc:"true: any address in plain text, for a closed test network; warned of at each start"`
}

type rpcTLSPart struct {
	CA   string `yaml:"ca" doc:"PEM file of the authority that signed all nodes' certificates"`
	Cert string `yaml:"cert" doc:"PEM file of this node's certificate, which names node.name"`
	Key  string `yaml:"key" doc:"PEM file of its key"`
}

type adminBlock struct {
	Listen     string        `yaml:"listen" default:"127.0.0.1:8101" doc:"HOST:PORT; without tokens_file only loopback addresses are accepted"`
	Insecure   bool          `yaml:"insecure" default:"false" doc:"true: any address without tokens, for a closed test network; warned of at each start"`
	TLS        *adminTLSPart `yaml:"tls" doc:"HTTPS"`
	TokensFile string        `yaml:"tokens_file" doc:"bearer tokens with a role: viewer, operator or admin; supnode token new makes one"`
}

type adminTLSPart struct {
	Cert string `yaml:"cert" doc:"PEM file of the certificate"`
	Key  string `yaml:"key" doc:"PEM file of its key"`
}

type execBlock struct {
	Enabled   bool     `yaml:"enabled" default:"false" doc:"true: children may be commands; they run as this process's user"`
	Isolation string   `yaml:"isolation" default:"group" doc:"group: a process group for each command; pid_namespace (root): the kernel kills all commands with their guardian"`
	Allow     []string `yaml:"allow" doc:"globs on the resolved absolute path of a command, * within one element, ** across them; none: nothing may run"`
	Logs      logsPart `yaml:"logs" doc:"what commands write to stdout and stderr: DATA_DIR/logs/SUP/CHILD.log"`
	Cgroup    string   `yaml:"cgroup" default:"auto" doc:"where commands with limits get their cgroups: auto (the cgroup v2 that supnode runs in, where it is its own), off, or the directory of one; docs/exec.md"`
}

type logsPart struct {
	MaxSize  sup.Size `yaml:"max_size" default:"10MiB" doc:"a log that has grown to this size is rotated; 64KiB to 1TiB"`
	MaxFiles int      `yaml:"max_files" default:"3" doc:"how many files of a child's log are kept, the one that is written among them; 1 to 1000"`
}

type logBlock struct {
	Level  string `yaml:"level" default:"info" doc:"trace, debug, info, warn or error"`
	Format string `yaml:"format" default:"text" doc:"text or json"`
}
