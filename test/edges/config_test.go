package edges

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// goodConfig has every field of the file that needs no other file.
const goodConfig = `node:
  name: n1
  data_dir: ./data
  tags: {zone: a}
  shutdown_timeout: 20s
cluster:
  servers:
    - {name: n1, addr: 127.0.0.1:29101}
    - {name: n2, addr: 127.0.0.1:29102}
    - {name: n3, addr: 127.0.0.1:29103}
  heartbeat_interval: 500ms
  lease_ttl: 3s
  fast_failover: loopback
  event_history: 64MiB
rpc:
  listen: 127.0.0.1:29101
  advertise: 127.0.0.1:29101
  insecure: false
admin:
  listen: 127.0.0.1:29201
  insecure: false
exec:
  enabled: true
  isolation: group
  allow: [/bin/*]
log: {level: info, format: text}
supervisors:
  - name: pool
    strategy: one_for_one
    selector: round_robin
    restart_intensity: {max_restarts: 3, within: 5s}
    auto_shutdown: never
    children:
      - {id: w1, behavior: exec, args: [{command: /bin/sleep, args: ["9"]}], restart: permanent, selector: {node: n2}, shutdown_timeout: 5s, init_timeout: 9s, significant: false}
`

// Each field of the config file, wrong in turn: `start` and `config check` say the same, with file, line and column; the
// status is 2 and nothing is started, not even the data directory is made.
func TestEachFieldOfTheConfigWrongInTurn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for field, c := range map[string]struct {
		old, wrong string
		line       string
		words      []string // what is wrong, what would be right
	}{
		"node":                    {"node:\n", "node: 7\nnodes:\n", "1", []string{"node must be a mapping", "the number 7"}},
		"node.name":               {"name: n1\n", "name: N 1\n", "2:9", []string{`"N 1"`, "1 to 63 of a-z, 0-9 and -"}},
		"node.data_dir":           {"data_dir: ./data", "data_dir: [a]", "3:13", []string{"node.data_dir must be text", "a list"}},
		"node.tags":               {"{zone: a}", "zone", "4:9", []string{"node.tags must be a mapping"}},
		"node.tags.zone":          {"{zone: a}", "{zone: 7}", "4:16", []string{"put it in quotes"}},
		"node.shutdown_timeout":   {"20s", "20", "5:21", []string{`"20" is not a duration`, `"500ms"`}},
		"cluster.servers":         {"    - {name: n3, addr: 127.0.0.1:29103}\n", "", "8:5", []string{"has 2 servers", "1, 3 or 5"}},
		"cluster.servers[].name":  {"name: n3", "name: n2", "10:14", []string{`"n2" is listed twice`}},
		"cluster.servers[].addr":  {"addr: 127.0.0.1:29103", "addr: 127.0.0.1", "10:24", []string{"is not HOST:PORT"}},
		"heartbeat_interval":      {"500ms", "2s", "11:23", []string{"more than a third of lease_ttl", "lower it, or raise lease_ttl"}},
		"lease_ttl":               {"lease_ttl: 3s", "lease_ttl: 2m", "12:14", []string{"too long", "at most 1m0s"}},
		"fast_failover":           {"fast_failover: loopback", "fast_failover: yes", "13:18", []string{"loopback, refused, off"}},
		"event_history":           {"64MiB", "64M", "14:18", []string{`"64M" is not a size`, `"64MiB"`}},
		"rpc.listen":              {"listen: 127.0.0.1:29101", "listen: 127.0.0.1:0", "16:11", []string{"no port between 1 and 65535"}},
		"rpc.advertise":           {"advertise: 127.0.0.1:29101", "advertise: 127.0.0.1:29109", "17:14", []string{"differs from the addr 127.0.0.1:29101", "make them equal"}},
		"rpc.insecure":            {"  insecure: false\nadmin", "  insecure: maybe\nadmin", "18:13", []string{"rpc.insecure must be true or false", `"maybe"`}},
		"rpc.tls":                 {"  insecure: false\nadmin", "  tls: {ca: no.pem, cert: no.pem, key: no.pem}\nadmin", "18:", []string{"rpc.tls.ca can't be read", "no such file"}},
		"admin.listen":            {"listen: 127.0.0.1:29201", "listen: 0.0.0.0:29201", "20:11", []string{"not a loopback address", "admin.tokens_file", "admin.insecure: true"}},
		"admin.insecure":          {"  insecure: false\nexec", "  insecure: 1\nexec", "21:13", []string{"admin.insecure must be true or false"}},
		"admin.tls":               {"  insecure: false\nexec", "  tls: {cert: a.pem}\nexec", "21:8", []string{"admin.tls.key is missing"}},
		"admin.tokens_file":       {"  insecure: false\nexec", "  tokens_file: no.yaml\nexec", "21:16", []string{"read the tokens file", "no such file"}},
		"exec.enabled":            {"enabled: true", "enabled: on-demand", "23:12", []string{"exec.enabled must be true or false"}},
		"exec.isolation":          {"isolation: group", "isolation: vm", "24:14", []string{"group, pid_namespace"}},
		"exec.allow":              {"[/bin/*]", "[bin/*]", "25:11", []string{"begin with /"}},
		"log.level":               {"level: info", "level: loud", "26:14", []string{"trace, debug, info, warn, error"}},
		"log.format":              {"format: text", "format: xml", "26:28", []string{"text or json"}},
		"supervisors":             {"- name: pool\n", "- name: pool\n  - name: pool\n", "29:11", []string{`supervisor "pool" is listed twice`}},
		"supervisors.name":        {"- name: pool\n", "- name: a/b\n", "28:11", []string{"is not a supervisor name", "letters, digits, _ or -"}},
		"supervisors.strategy":    {"strategy: one_for_one", "strategy: best", "29:15", []string{`"best" is not a strategy`}},
		"supervisors.selector":    {"selector: round_robin", "selector: nearest", "30:15", []string{`"nearest"`, "round_robin"}},
		"restart_intensity":       {"max_restarts: 3, within: 5s", "max_restarts: -1, within: 5s", "31:39", []string{"is not between 0 and"}},
		"restart_intensity.key":   {"max_restarts: 3, within: 5s", "max_restart: 3, within: 5s", "31:25", []string{`did you mean "max_restarts"?`}},
		"auto_shutdown":           {"auto_shutdown: never", "auto_shutdown: always", "32:20", []string{`"always" is not known`}},
		"child.id":                {"id: w1", "id: .w1", "34:14", []string{"is not a child id", "not beginning with a dot"}},
		"child.behavior":          {"behavior: exec", "behavior: ''", "34:28", []string{"a child needs a behavior"}},
		"child.args":              {"command: /bin/sleep, ", "", "34:", []string{"command"}},
		"child.restart":           {"restart: permanent", "restart: always", "34:", []string{"permanent, transient or temporary"}},
		"child.selector":          {"{node: n2}", "{node: N2}", "34:", []string{"is not a node name"}},
		"child.shutdown_timeout":  {"shutdown_timeout: 5s, init", "shutdown_timeout: 5, init", "34:", []string{"is not a duration", `"infinity"`}},
		"child.init_timeout":      {"init_timeout: 9s", "init_timeout: 0s", "34:", []string{"does not bound an init"}},
		"child.significant":       {"significant: false", "significant: 7", "34:", []string{"must be true or false"}},
		"an unknown block":        {"log:", "logs:", "26:1", []string{`unknown key "logs"`, `did you mean "log"?`}},
		"an unknown key":          {"data_dir:", "datadir:", "3:3", []string{`unknown key "datadir" in node`, `did you mean "data_dir"?`}},
		"not YAML":                {"admin:\n", "admin: }\n", "", []string{"this is not valid YAML"}},
		"an empty file":           {goodConfig, "", "1:1", []string{"node.name is missing"}},
		"a file that is no file":  {goodConfig, "\x00\xff\x80", "", []string{"not"}},
		"an agent without listen": {"  name: n1\n", "  name: a9\n", "", []string{"one of the two names is mistyped"}},
	} {
		t.Run(field, func(t *testing.T) {
			if !strings.Contains(goodConfig, c.old) {
				t.Fatalf("%q is not in the file", c.old)
			}
			file := filepath.Join(dir, strings.NewReplacer("[", "", "]", "", " ", "-").Replace(field)+".yaml")
			put(t, file, strings.Replace(goodConfig, c.old, c.wrong, 1))
			status, out, said := supnode(t, "config", "check", file)
			if status != 2 || out != "" {
				t.Errorf("check: status %d, stdout %q", status, out)
			}
			wantWords(t, said, append(c.words, file+":"+c.line)...)
			if again := refused(t, file, 2); again != said {
				t.Errorf("start says otherwise:\n%s\ncheck said:\n%s", again, said)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); !os.IsNotExist(err) {
		t.Errorf("a data directory was made: %v", err)
	}
}

func TestTheGoodConfigIsGood(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "n1.yaml")
	put(t, file, goodConfig)
	status, out, said := supnode(t, "config", "check", file)
	if status != 0 || said != "" {
		t.Errorf("status %d: %s", status, said)
	}
	wantWords(t, out, file+" is right: node n1, server 1 of 3")
}

// Errors of several kinds are said together, each with its place.
func TestAllThatIsWrongWithAConfigIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "n1.yaml")
	put(t, file, strings.NewReplacer("name: n1\n", "name: N1\n", "lease_ttl: 3s", "lease_ttl: 3", "exec:\n", "exec:\n  enable: true\n",
		"level: info", "level: loud", "id: w1", "id: w 1", "event_history: 64MiB", "event_history: 1KiB").Replace(goodConfig))
	said := refused(t, file, 2)
	var places []string
	for _, m := range regexp.MustCompile(`n1\.yaml:(\d+:\d+): `).FindAllStringSubmatch(said, -1) {
		places = append(places, m[1])
	}
	if got := strings.Join(places, " "); got != "2:9 12:14 14:18 23:3 27:14 35:14" {
		t.Errorf("errors at %s:\n%s", got, said)
	}
}

func TestAConfigThatCannotBeRead(t *testing.T) {
	t.Parallel()
	refused(t, filepath.Join(t.TempDir(), "no.yaml"), 2, "read the config file", "no.yaml: no such file or directory")
	refused(t, t.TempDir(), 2, "read the config file", "is a directory")
	status, _, said := supnode(t, "start")
	if status != 2 {
		t.Errorf("status %d", status)
	}
	wantWords(t, said, "name the node's config file: supnode start --config n1.yaml")
}
