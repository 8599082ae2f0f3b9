package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/supnode/supnode/cli/yamlfile"
	"github.com/supnode/supnode/node"
	"github.com/supnode/supnode/node/agent/guardian"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// good is the file of the documentation without TLS.
const good = `node:
  name: n1
  data_dir: ./data/n1
  tags: {zone: a, disk: ssd}
  shutdown_timeout: 20s
cluster:
  servers:
    - {name: n1, addr: 127.0.0.1:7101}
    - {name: n2, addr: 127.0.0.1:7102}
    - {name: n3, addr: 127.0.0.1:7103}
  heartbeat_interval: 400ms
  lease_ttl: 4s
  fast_failover: off
  event_history: 32MiB
rpc:
  listen: 127.0.0.1:7101
  advertise: 127.0.0.1:7101
  insecure: false
admin:
  listen: 127.0.0.1:8101
  insecure: false
exec:
  enabled: true
  isolation: group
  allow: [/usr/bin/*, /opt/**]
  logs: {max_size: 1MiB, max_files: 5}
log: {level: warn, format: json}
supervisors:
  - name: pool
    children:
      - {id: w1, behavior: exec, args: [{command: /bin/sleep, args: ["9"]}]}
`

func TestAWholeFile(t *testing.T) {
	c, err := parse("n1.yaml", []byte(good), "/etc/supnode")
	if err != nil {
		t.Fatal(err)
	}
	want := node.Config{
		Name: "n1", DataDir: "/etc/supnode/data/n1", Tags: map[string]string{"zone": "a", "disk": "ssd"}, ShutdownTimeout: 20 * time.Second,
		Servers:           []node.Server{{Name: "n1", Addr: "127.0.0.1:7101"}, {Name: "n2", Addr: "127.0.0.1:7102"}, {Name: "n3", Addr: "127.0.0.1:7103"}},
		HeartbeatInterval: 400 * time.Millisecond, LeaseTTL: 4 * time.Second, FastFailover: "off", EventHistory: 32 << 20,
		RPC:   node.RPCConfig{Listen: "127.0.0.1:7101", Advertise: "127.0.0.1:7101"},
		Admin: "127.0.0.1:8101",
		Exec:  node.ExecConfig{Enabled: true, Isolation: "group", Allow: []string{"/usr/bin/*", "/opt/**"}, Cgroup: "auto", Logs: guardian.LogConfig{MaxSize: 1 << 20, MaxFiles: 5}},
	}
	if diff := cmp.Diff(want, c.Node, cmpopts.IgnoreFields(node.Config{}, "Manifests", "Logger", "Version", "Exit")); diff != "" {
		t.Error(diff)
	}
	if len(c.Node.Manifests) != 1 || c.Node.Manifests[0].Children[0].ID != "w1" ||
		string(c.Node.Manifests[0].Children[0].Args[0]) != `{"command":"/bin/sleep","args":["9"]}` {
		t.Errorf("manifests: %+v", c.Node.Manifests)
	}
	if diff := cmp.Diff(Log{Level: "warn", JSON: true}, c.Log); diff != "" {
		t.Error(diff)
	}
	if len(c.Warnings) != 0 {
		t.Errorf("warnings: %q", c.Warnings)
	}
}

func TestASmallFileGetsTheDefaults(t *testing.T) {
	c, err := parse("n1.yaml", []byte("node: {name: n1, data_dir: /var/n1}\ncluster:\n  servers: [{name: n1, addr: 127.0.0.1:7101}]\n"), "/etc")
	if err != nil {
		t.Fatal(err)
	}
	n := c.Node
	if n.HeartbeatInterval != 500*time.Millisecond || n.LeaseTTL != 3*time.Second || n.FastFailover != "loopback" || n.EventHistory != 64<<20 ||
		n.ShutdownTimeout != 30*time.Second || n.RPC.Listen != "127.0.0.1:7101" || n.RPC.Advertise != "127.0.0.1:7101" || n.Exec.Enabled {
		t.Errorf("node: %+v", n)
	}
	if c.Admin.Listen != "127.0.0.1:8101" || c.Admin.TLS != nil || c.Log != (Log{Level: "info"}) {
		t.Errorf("admin %+v, log %+v", c.Admin, c.Log)
	}
}

func TestAnAgentIsNotAmongTheServers(t *testing.T) {
	src := strings.Replace(strings.Replace(good, "name: n1\n", "name: a7\n", 1), "  listen: 127.0.0.1:7101\n  advertise: 127.0.0.1:7101", "  listen: 127.0.0.1:7107", 1)
	c, err := parse("a7.yaml", []byte(src), "/")
	if err != nil {
		t.Fatal(err)
	}
	if c.Node.RPC.Advertise != "127.0.0.1:7107" {
		t.Errorf("advertised %s", c.Node.RPC.Advertise)
	}
}

func TestAnAgentMustSayWhereItIsReached(t *testing.T) {
	agent := strings.Replace(good, "name: n1\n", "name: a7\n", 1)
	for _, c := range []struct{ rpc, want string }{
		{"", "a7.yaml:15:1: rpc.listen is missing: a7 is not among cluster.servers, so name HOST:PORT where it listens for the other nodes\n"},
		{"  listen: 0.0.0.0:7107\n", "a7.yaml:16:11: rpc.listen 0.0.0.0:7107 names no address that other nodes could dial: give rpc.advertise: HOST:PORT\n"},
	} {
		_, err := parse("a7.yaml", []byte(strings.Replace(agent, "  listen: 127.0.0.1:7101\n  advertise: 127.0.0.1:7101\n", c.rpc, 1)), "/")
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

func TestAServerMayListenElsewhereThanItIsReached(t *testing.T) {
	src := strings.Replace(good, "  listen: 127.0.0.1:7101\n", "  listen: 127.0.0.1:9999\n", 1)
	c, err := parse("n1.yaml", []byte(src), "/")
	if err != nil {
		t.Fatal(err)
	}
	if c.Node.RPC.Listen != "127.0.0.1:9999" || c.Node.RPC.Advertise != "127.0.0.1:7101" {
		t.Errorf("%+v", c.Node.RPC)
	}
}

func TestWhatIsDangerousIsWarnedOf(t *testing.T) {
	src := strings.NewReplacer("insecure: false", "insecure: true", "listen: 127.0.0.1:8101", "listen: 0.0.0.0:8101", "  allow: [/usr/bin/*, /opt/**]\n", "").Replace(good)
	c, err := parse("n1.yaml", []byte(src), "/")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"rpc.insecure: anyone who reaches 127.0.0.1:7101 can control this cluster and run what exec allows",
		"admin.insecure: anyone who reaches 0.0.0.0:8101 can control this cluster and run what exec allows",
		"exec.enabled without exec.allow: no command may run",
	}
	if diff := cmp.Diff(want, c.Warnings); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsNameFileLineColumnAndRemedy(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"no name", "  name: n1\n", "", `n1.yaml:1:1: node.name is missing: give this node a name of its own, like n1`},
		{"bad name", "name: n1\n", "name: N_1\n", `n1.yaml:2:9: node.name: "N_1" is not a node name: use 1 to 63 of a-z, 0-9 and -`},
		{"no data_dir", "  data_dir: ./data/n1\n", "", `n1.yaml:1:1: node.data_dir is missing: name a directory of this node's own, like ./data/n1`},
		{"empty data_dir", "data_dir: ./data/n1", "data_dir:", `n1.yaml:3:3: node.data_dir is missing: name a directory of this node's own, like ./data/n1`},
		{"unknown block", "exec:\n", "exce:\n", `n1.yaml:22:1: unknown key "exce"; did you mean "exec"?`},
		{"unknown key", "lease_ttl", "leasettl", `n1.yaml:12:3: unknown key "leasettl" in cluster; did you mean "lease_ttl"?`},
		{"tag that is no text", "zone: a", "zone: 7", `n1.yaml:4:16: node.tags.zone must be text, and 7 is the number 7; put it in quotes`},
		{"duration without unit", "400ms", "400", `n1.yaml:11:23: "400" is not a duration; write one like "500ms", "3s" or "1m30s"`},
		{"negative duration", "20s", "-20s", `n1.yaml:5:21: "-20s" is not above zero; write a duration like "500ms" or "3s"`},
		{"size without unit", "32MiB", "32", `n1.yaml:14:18: "32" is not a size; write one like "64MiB" or "1GiB"`},
		{"tiny history", "32MiB", "1KiB", `n1.yaml:14:18: cluster.event_history: 1024 bytes is too little: use at least 64KiB`},
		{"two servers", "    - {name: n3, addr: 127.0.0.1:7103}\n", "", `n1.yaml:8:5: cluster.servers: has 2 servers: list 1, 3 or 5, the same on every node`},
		{"no servers", "  servers:\n    - {name: n1, addr: 127.0.0.1:7101}\n    - {name: n2, addr: 127.0.0.1:7102}\n    - {name: n3, addr: 127.0.0.1:7103}\n", "", `n1.yaml:6:1: cluster.servers: has 0 servers: list 1, 3 or 5, the same on every node`},
		{"a server twice", "name: n3", "name: n2", `n1.yaml:10:14: cluster.servers[2].name: "n2" is listed twice`},
		{"an addr twice", ":7103", ":7102", `n1.yaml:10:24: cluster.servers[2].addr: 127.0.0.1:7102 is listed twice`},
		{"a server without name", "{name: n3, addr", "{addr", `n1.yaml:10:7: this server has no name; write {name: n3, addr: HOST:PORT}`},
		{"a server without addr", ", addr: 127.0.0.1:7103", "", `n1.yaml:10:7: server n3 has no addr; write {name: n3, addr: HOST:PORT}`},
		{"an addr without port", "addr: 127.0.0.1:7103", "addr: 127.0.0.1", `n1.yaml:10:24: addr "127.0.0.1" is not HOST:PORT, like 127.0.0.1:7101`},
		{"an addr with a bad port", "addr: 127.0.0.1:7103", "addr: 127.0.0.1:http", `n1.yaml:10:24: addr "127.0.0.1:http" has no port between 1 and 65535`},
		{"a port beyond the last", "addr: 127.0.0.1:7103", "addr: 127.0.0.1:70000", `n1.yaml:10:24: addr "127.0.0.1:70000" has no port between 1 and 65535`},
		{"a wildcard addr", "addr: 127.0.0.1:7103", "addr: 0.0.0.0:7103", `n1.yaml:10:24: addr "0.0.0.0:7103" names no address that other nodes could dial; write its own, like 10.0.0.1:7103`},
		{"L5: heartbeat above ttl/3", "400ms", "1500ms", `n1.yaml:11:23: cluster.heartbeat_interval: 1.5s is more than a third of lease_ttl 4s (L5): lower it, or raise lease_ttl`},
		{"L5: ttl below an election", "heartbeat_interval: 400ms\n  lease_ttl: 4s", "heartbeat_interval: 150ms\n  lease_ttl: 500ms", `n1.yaml:12:14: cluster.lease_ttl: 500ms does not outlast an election (L5): with heartbeat_interval 150ms use at least 717ms`},
		{"fast_failover", "fast_failover: off", "fast_failover: maybe", `n1.yaml:13:18: cluster.fast_failover: "maybe" is not one of loopback, refused, off`},
		{"listen differs from servers", "  listen: 127.0.0.1:7101\n  advertise: 127.0.0.1:7101\n", "  listen: 127.0.0.1:7199\n", `n1.yaml:16:11: rpc.listen 127.0.0.1:7199 differs from the addr 127.0.0.1:7101 of n1 in cluster.servers, where the other nodes dial it: make them equal, or say rpc.advertise: 127.0.0.1:7101 if that address leads here`},
		{"advertise differs from servers", "advertise: 127.0.0.1:7101", "advertise: 127.0.0.1:7199", `n1.yaml:17:14: rpc.advertise 127.0.0.1:7199 differs from the addr 127.0.0.1:7101 of n1 in cluster.servers, where the other nodes dial it: make them equal`},
		{"listen beyond loopback", "  listen: 127.0.0.1:7101\n", "  listen: 0.0.0.0:7101\n", `n1.yaml:16:11: rpc.listen: 0.0.0.0:7101 is not a loopback address: give rpc.tls {ca, cert, key}, or rpc.insecure: true for a closed test network`},
		{"a server beyond loopback", "addr: 127.0.0.1:7103", "addr: 10.0.0.3:7103", `n1.yaml:10:24: 10.0.0.3:7103 is not a loopback address: give rpc.tls {ca, cert, key}, or rpc.insecure: true for a closed test network`},
		{"half of rpc.tls", "  insecure: false\nadmin", "  tls: {ca: ca.pem, cert: n1.pem}\nadmin", `n1.yaml:18:8: rpc.tls.key is missing: mutual TLS needs ca, cert and key`},
		{"no ca file", "  insecure: false\nadmin", "  tls: {ca: ca.pem, cert: n1.pem, key: k.pem}\nadmin", `n1.yaml:18:13: rpc.tls.ca can't be read: open /nowhere/ca.pem: no such file or directory`},
		{"admin beyond loopback", "listen: 127.0.0.1:8101", "listen: 10.0.0.1:8101", `n1.yaml:20:11: admin.listen 10.0.0.1:8101 is not a loopback address, and anyone who reaches it would control the cluster: listen on 127.0.0.1, give admin.tokens_file, or say admin.insecure: true for a closed test network`},
		{"admin on every address", "listen: 127.0.0.1:8101", "listen: :8101", `n1.yaml:20:11: admin.listen :8101 is not a loopback address, and anyone who reaches it would control the cluster: listen on 127.0.0.1, give admin.tokens_file, or say admin.insecure: true for a closed test network`},
		{"admin on the node port", "listen: 127.0.0.1:8101", "listen: 127.0.0.1:7101", `n1.yaml:20:11: admin.listen 127.0.0.1:7101 meets the node port, 127.0.0.1:7101: give it a port of its own`},
		{"admin on every address of the node port's port", "listen: 127.0.0.1:8101\n  insecure: false", "listen: 0.0.0.0:7101\n  insecure: true", `n1.yaml:20:11: admin.listen 0.0.0.0:7101 meets the node port, 127.0.0.1:7101: give it a port of its own`},
		{"heartbeat too short", "heartbeat_interval: 400ms", "heartbeat_interval: 1ms", `n1.yaml:11:23: cluster.heartbeat_interval: 1ms is too short: use at least 10ms`},
		{"ttl too short", "heartbeat_interval: 400ms\n  lease_ttl: 4s", "heartbeat_interval: 20ms\n  lease_ttl: 400ms", `n1.yaml:12:14: cluster.lease_ttl: 400ms is too short: use at least 500ms`},
		{"no history", "32MiB", "0B", `n1.yaml:14:18: cluster.event_history: 0 is too little: use at least 64KiB`},
		{"no log", "max_size: 1MiB", "max_size: 0B", `n1.yaml:26:20: exec.logs.max_size: 0 is too little: use 64KiB to 1TiB`},
		{"no log files", "max_files: 5", "max_files: 0", `n1.yaml:26:37: exec.logs.max_files: 0 is too little: use 1 to 1000`},
		{"more log files than can be counted", "max_files: 5", "max_files: 99999999999999999999", `n1.yaml:26:37: exec.logs.max_files: 99999999999999999999 is too large`},
		{"no mapping", good, "- a\n", `n1.yaml:1:1: the file must be a mapping (key: value), not a list`},
		{"tokens", "  insecure: false\nexec", "  tokens_file: tokens.yaml\nexec", `n1.yaml:21:16: read the tokens file: open /nowhere/tokens.yaml: no such file or directory`},
		{"half of admin.tls", "  insecure: false\nexec", "  tls: {cert: a.pem}\nexec", `n1.yaml:21:8: admin.tls.key is missing: HTTPS needs cert and key`},
		{"no admin cert", "  insecure: false\nexec", "  tls: {cert: a.pem, key: b.pem}\nexec", `n1.yaml:21:15: admin.tls.cert can't be read: open /nowhere/a.pem: no such file or directory`},
		{"cgroup", "  isolation: group\n", "  isolation: group\n  cgroup: mine\n", `n1.yaml:25:11: exec.cgroup: "mine" is neither auto, nor off, nor the absolute path of a cgroup v2`},
		{"log size", "max_size: 1MiB", "max_size: 1KiB", `n1.yaml:26:20: exec.logs.max_size: 1024 bytes is not between 64KiB and 1TiB`},
		{"log size in words", "max_size: 1MiB", "max_size: large", `n1.yaml:26:20: "large" is not a size; write one like "64MiB" or "1GiB"`},
		{"log files", "max_files: 5", "max_files: 1001", `n1.yaml:26:37: exec.logs.max_files: 1001 is not between 1 and 1000`},
		{"isolation", "isolation: group", "isolation: vm", `n1.yaml:24:14: exec.isolation: "vm" is not one of group, pid_namespace`},
		{"relative glob", "/opt/**", "opt/**", `n1.yaml:25:23: "opt/**" can't match: commands are matched by their resolved absolute path; begin with /`},
		{"bad glob", "/opt/**", "'/opt/['", `n1.yaml:25:23: "/opt/[" is not a glob: syntax error in pattern; * stands for anything within one element, ** across elements`},
		{"log level", "level: warn", "level: loud", `n1.yaml:27:14: "loud" is not a log level: use one of trace, debug, info, warn, error`},
		{"log format", "format: json", "format: xml", `n1.yaml:27:28: "xml" is not a log format: use text or json`},
		{"a supervisor without name", "- name: pool\n    children", "- children", `n1.yaml:29:5: this supervisor has no name; without one a cluster couldn't know that it has been created`},
		{"a child without id", "{id: w1, behavior", "{behavior", `n1.yaml:31:9: supervisors[0].children[0].id: a child needs an id`},
		{"a strategy that is not", "- name: pool\n", "- name: pool\n    strategy: best_of_all\n", `n1.yaml:30:15: supervisors[0].strategy: "best_of_all" is not a strategy; use one_for_one`},
		{"a field that children do not have", "{id: w1, behavior", "{id: w1, depends_on: w0, behavior", `n1.yaml:31:18: unknown key "depends_on" in supervisors[0].children[0]; `},
		{"a backoff", "{id: w1, behavior", "{id: w1, backoff: {initial: 1m, max: 5s, factor: 1.5}, behavior", `n1.yaml:31:46: supervisors[0].children[0].backoff.max: 5s is shorter than the first wait, 1m0s`},
		{"a longest wait of nothing", "{id: w1, behavior", "{id: w1, backoff: {initial: 1s, max: 0s}, behavior", `n1.yaml:31:46: "0s" is no time to wait; write a duration like "100ms", or leave backoff out`},
		{"a window of nothing below", "{id: w1, behavior: exec", "{id: w0, supervisor: {restart_intensity: {within: 0s}}}\n      - {id: w1, behavior: exec", `n1.yaml:31:59: "0s" is not a window; write a duration like "5s"`},
		{"a supervisor twice", "supervisors:\n", "supervisors:\n  - {name: pool}\n", `n1.yaml:30:11: supervisor "pool" is listed twice`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatalf("%q is not in the good file", c.old)
			}
			_, err := parse("n1.yaml", []byte(strings.Replace(good, c.old, c.new, 1)), "/nowhere")
			var errs yamlfile.Errors
			if !errors.As(err, &errs) {
				t.Fatalf("want yamlfile.Errors, got %v", err)
			}
			got := *errs[0]
			if got.Excerpt == "" {
				t.Error("no excerpt is shown")
			}
			got.Excerpt = ""
			if !strings.HasPrefix(got.Error(), c.want) {
				t.Errorf("got  %s\nwant %s", got.Error(), c.want)
			}
		})
	}
}

// All that is wrong is said at once, each thing once, in the order of the file; what only follows from it is not.
func TestAllThatIsWrongIsSaidTogether(t *testing.T) {
	src := `node:
  name: N1
  shutdown_timeout: soon
cluster:
  servers:
    - {name: n1, addr: 127.0.0.1}
    - {name: n2, addr: 127.0.0.1:7102}
  lease_ttl: 3
  fast_failover: perhaps
rpc:
  tls: {ca: ca.pem, cert: no.pem}
  listn: 127.0.0.1:7101
admin: {listen: 10.0.0.1:8101}
exec: {isolation: vm, allow: [bin/*]}
log: {level: loud, format: xml}
supervisors:
  - name: pool
    strategy: best
    restart_intensity: {within: 0s, max_restart: 4}
    children: [{id: w1}]
`
	_, err := parse("n1.yaml", []byte(src), "/nowhere")
	var errs yamlfile.Errors
	if !errors.As(err, &errs) {
		t.Fatal(err)
	}
	var got []string
	for _, e := range errs {
		e.Excerpt = ""
		got = append(got, e.Error())
	}
	want := []string{
		`n1.yaml:2:9: node.name: "N1" is not a node name: use 1 to 63 of a-z, 0-9 and -`,
		`n1.yaml:3:21: "soon" is not a duration; write one like "500ms", "3s" or "1m30s"`,
		`n1.yaml:6:5: cluster.servers: has 2 servers: list 1, 3 or 5, the same on every node`,
		`n1.yaml:6:24: addr "127.0.0.1" is not HOST:PORT, like 127.0.0.1:7101`,
		`n1.yaml:8:14: "3" is not a duration; write one like "500ms", "3s" or "1m30s"`,
		`n1.yaml:9:18: cluster.fast_failover: "perhaps" is not one of loopback, refused, off`,
		`n1.yaml:12:3: unknown key "listn" in rpc; did you mean "listen"?`,
		`n1.yaml:13:17: admin.listen 10.0.0.1:8101 is not a loopback address, and anyone who reaches it would control the cluster: listen on 127.0.0.1, give admin.tokens_file, or say admin.insecure: true for a closed test network`,
		`n1.yaml:14:19: exec.isolation: "vm" is not one of group, pid_namespace`,
		`n1.yaml:14:31: "bin/*" can't match: commands are matched by their resolved absolute path; begin with /`,
		`n1.yaml:15:14: "loud" is not a log level: use one of trace, debug, info, warn, error`,
		`n1.yaml:15:28: "xml" is not a log format: use text or json`,
		`n1.yaml:18:15: supervisors[0].strategy: "best" is not a strategy; use one_for_one, one_for_all, rest_for_one or simple_one_for_one`,
		`n1.yaml:19:33: "0s" is not a window; write a duration like "5s"`,
		`n1.yaml:19:37: unknown key "max_restart" in supervisors[0].restart_intensity; did you mean "max_restarts"?`,
		`n1.yaml:20:16: supervisors[0].children[0].behavior: a child needs a behavior; "exec" runs a command`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A part of restart_intensity that is left out has its default.
func TestHalfARestartIntensity(t *testing.T) {
	for half, want := range map[string]sup.Intensity{
		"{max_restarts: 7}": {MaxRestarts: 7, Within: 5e9}, "{max_restarts: 0}": {Within: 5e9},
		"{within: 1m}": {MaxRestarts: 3, Within: 60e9}, "{}": {MaxRestarts: 3, Within: 5e9},
	} {
		c, err := parse("n1.yaml", []byte(strings.Replace(good, "- name: pool\n", "- name: pool\n    restart_intensity: "+half+"\n", 1)), "/nowhere")
		if err != nil {
			t.Errorf("%s: %v", half, err)
		} else if got := *c.Node.Manifests[0].WithDefaults().Intensity; got != want {
			t.Errorf("%s means %+v", half, got)
		}
	}
}

func TestCertificatesMustFit(t *testing.T) {
	dir := t.TempDir()
	cert, key := pair(t, dir, "one")
	_, other := pair(t, dir, "two")
	if err := os.WriteFile(filepath.Join(dir, "empty.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file := func(tls string) string {
		return strings.Replace(strings.Replace(good, "  insecure: false\nadmin", "  tls: "+tls+"\nadmin", 1), "127.0.0.1", "10.0.0.1", 5)
	}
	for _, c := range []struct{ tls, want string }{
		{"{ca: " + cert + ", cert: " + cert + ", key: " + key + "}", ""},
		{"{ca: empty.pem, cert: " + cert + ", key: " + key + "}", "n1.yaml:18:13: rpc.tls.ca: " + dir + "/empty.pem holds no PEM certificate"},
		{"{ca: " + cert + ", cert: " + cert + ", key: " + other + "}", "n1.yaml:18:8: rpc.tls: cert and key do not fit: private key does not match public key"},
	} {
		_, err := parse("n1.yaml", []byte(file(c.tls)), dir)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.tls, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want+"\n") {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

func TestAFileThatIsNotThere(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "no.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// The configuration that supnode's documentation shows.
func TestDocumentedManifestDecodes(t *testing.T) {
	f, err := yamlfile.Parse("m", []byte(`{"name": "pool", "strategy": "one_for_one", "selector": "round_robin",
 "restart_intensity": {"max_restarts": 3, "within": "5s"}, "auto_shutdown": "never",
 "children": [
   {"id": "w1", "behavior": "exec", "args": [{"command": "/bin/sh", "args": ["-c", "sleep 1000"], "env": {"A": "b"}, "dir": "/"}],
    "restart": "permanent", "selector": {"node": "n2"}, "shutdown_timeout": "5s", "significant": false}],
 "child_template": null}`))
	if err != nil {
		t.Fatal(err)
	}
	var s sup.Spec
	if err := f.Decode(&s); err != nil {
		t.Fatal(err)
	}
	if s.ChildTemplate != nil || s.Intensity.MaxRestarts != 3 || s.Children[0].Selector.Node != "n2" || *s.Children[0].ShutdownTimeout != 5e9 {
		t.Errorf("%+v", s)
	}
}

// pair writes a certificate and its key.
func pair(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	ca, err := rpc.NewCA(filepath.Join(dir, "ca-of-"+name), 0)
	if err != nil {
		t.Fatal(err)
	}
	files, err := ca.IssueNode(dir, sup.NodeName(name), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return files.Cert, files.Key
}
