package config

import sup "github.com/supnode/supnode/supervisor"

// schema is the config file as it is written. What it leaves out is nil or zero and gets its default in load.go.
type schema struct {
	Node        nodeBlock    `yaml:"node"`
	Cluster     clusterBlock `yaml:"cluster"`
	RPC         rpcBlock     `yaml:"rpc"`
	Admin       adminBlock   `yaml:"admin"`
	Exec        execBlock    `yaml:"exec"`
	Log         logBlock     `yaml:"log"`
	Supervisors []sup.Spec   `yaml:"supervisors"`
}

type nodeBlock struct {
	Name            string            `yaml:"name"`
	DataDir         string            `yaml:"data_dir"`
	Tags            map[string]string `yaml:"tags"`
	ShutdownTimeout duration          `yaml:"shutdown_timeout"`
}

type clusterBlock struct {
	Servers           []serverEntry `yaml:"servers"`
	HeartbeatInterval duration      `yaml:"heartbeat_interval"`
	LeaseTTL          duration      `yaml:"lease_ttl"`
	FastFailover      string        `yaml:"fast_failover"`
	EventHistory      size          `yaml:"event_history"`
}

type serverEntry struct {
	Name string `yaml:"name"`
	Addr string `yaml:"addr"`
}

type rpcBlock struct {
	Listen    string      `yaml:"listen"`
	Advertise string      `yaml:"advertise"`
	TLS       *rpcTLSPart `yaml:"tls"`
	Insecure  bool        `yaml:"insecure"`
}

type rpcTLSPart struct {
	CA   string `yaml:"ca"`
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

type adminBlock struct {
	Listen     string        `yaml:"listen"`
	Insecure   bool          `yaml:"insecure"`
	TLS        *adminTLSPart `yaml:"tls"`
	TokensFile string        `yaml:"tokens_file"`
}

type adminTLSPart struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

type execBlock struct {
	Enabled   bool     `yaml:"enabled"`
	Isolation string   `yaml:"isolation"`
	Allow     []string `yaml:"allow"`
	Logs      logsPart `yaml:"logs"`
}

type logsPart struct {
	MaxSize  size `yaml:"max_size"`
	MaxFiles int  `yaml:"max_files"`
}

type logBlock struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}
