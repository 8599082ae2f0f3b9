package node

import (
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/supnode/supnode/node/agent/guardian"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// validation collects what is wrong with a Config.
type validation struct {
	Config
	errs []*FieldError
}

func (v *validation) wrong(field, format string, args ...any) {
	v.errs = append(v.errs, &FieldError{field, fmt.Sprintf(format, args...)})
}

func (v *validation) node() {
	if !nodeName.MatchString(string(v.Name)) {
		v.wrong("node.name", "%q is not a node name: use 1 to 63 of a-z, 0-9 and -", v.Name)
	}
	if v.DataDir == "" {
		v.wrong("node.data_dir", "is missing: name a directory of this node's own")
	}
	for _, k := range slices.Sorted(maps.Keys(v.Tags)) {
		if why := sup.BadTag(k, v.Tags[k]); why != "" {
			v.wrong("node.tags", "%s", why)
		}
	}
	if v.ShutdownTimeout < 0 {
		v.wrong("node.shutdown_timeout", "%s is negative", v.ShutdownTimeout)
	}
}

func (v *validation) servers() {
	if !slices.Contains([]int{1, 3, 5}, len(v.Servers)) {
		v.wrong("cluster.servers", "has %d servers: list 1, 3 or 5, the same on every node", len(v.Servers))
	}
	names, addrs := map[sup.NodeName]bool{}, map[string]bool{}
	for i, s := range v.Servers {
		at := fmt.Sprintf("cluster.servers[%d]", i)
		if !nodeName.MatchString(string(s.Name)) {
			v.wrong(at+".name", "%q is not a node name: use 1 to 63 of a-z, 0-9 and -", s.Name)
		} else if names[s.Name] {
			v.wrong(at+".name", "%q is listed twice", s.Name)
		}
		if _, _, err := net.SplitHostPort(s.Addr); err != nil {
			v.wrong(at+".addr", "%q is not host:port", s.Addr)
		} else if addrs[s.Addr] {
			v.wrong(at+".addr", "%s is listed twice", s.Addr)
		}
		names[s.Name], addrs[s.Addr] = true, true
	}
}

// reach checks the node port's addresses against those of the servers.
func (v *validation) reach() {
	if v.RPC.Listen == "" && v.RPC.Listener == nil {
		v.wrong("rpc.listen", "is missing: name host:port of the node port")
	}
	if rpc.IsLoopback(v.RPC.Advertise) {
		// Others take a refusal there for this node's death (P2), and would ask their own host.
		for i, s := range v.Servers {
			if !rpc.IsLoopback(s.Addr) {
				v.wrong("rpc.advertise", "%s reaches this host alone, but cluster.servers[%d] is at %s: give the address at which other hosts reach this node",
					v.RPC.Advertise, i, s.Addr)
				break
			}
		}
	}
	if !v.voter() {
		for i, s := range v.Servers {
			if s.Addr != "" && (s.Addr == v.RPC.Listen || s.Addr == v.RPC.Advertise) {
				v.wrong("node.name", "%q is not among cluster.servers, but the node port %s is that of cluster.servers[%d], %q: one of the two names is mistyped",
					v.Name, s.Addr, i, s.Name)
			}
		}
	}
	if v.RPC.TLS == nil && !v.RPC.Insecure {
		for _, a := range []struct{ field, addr string }{{"rpc.listen", v.RPC.Listen}, {"rpc.advertise", v.RPC.Advertise}} {
			if a.addr != "" && !rpc.IsLoopback(a.addr) {
				v.wrong(a.field, "%s is not a loopback address: give rpc.tls {ca, cert, key}, or rpc.insecure: true for a closed test network", a.addr)
				break
			}
		}
	}
}

// lease checks the inequalities of the lease (L5); the first that does not hold says enough.
func (v *validation) lease() {
	l := v.settings().Lease()
	switch {
	case v.HeartbeatInterval < MinHeartbeat:
		v.wrong("cluster.heartbeat_interval", "%s is too short: use at least %s", v.HeartbeatInterval, MinHeartbeat)
	case v.LeaseTTL < MinLeaseTTL:
		v.wrong("cluster.lease_ttl", "%s is too short: use at least %s", v.LeaseTTL, MinLeaseTTL)
	case v.LeaseTTL > MaxLeaseTTL:
		v.wrong("cluster.lease_ttl", "%s is too long: use at most %s", v.LeaseTTL, MaxLeaseTTL)
	case 3*l.H > l.TTL:
		v.wrong("cluster.heartbeat_interval", "%s is more than a third of lease_ttl %s (L5): lower it, or raise lease_ttl", v.HeartbeatInterval, v.LeaseTTL)
	case l.TTL <= l.Survives():
		v.wrong("cluster.lease_ttl", "%s does not outlast an election (L5): with heartbeat_interval %s use at least %s",
			v.LeaseTTL, v.HeartbeatInterval, time.Duration(l.Survives()).Truncate(time.Millisecond)+time.Millisecond)
	}
}

func (v *validation) rest() {
	if !slices.Contains([]string{"loopback", "refused", "off"}, v.FastFailover) {
		v.wrong("cluster.fast_failover", "%q is not one of loopback, refused, off", v.FastFailover)
	}
	if v.EventHistory < 64<<10 {
		v.wrong("cluster.event_history", "%d bytes is too little: use at least 64KiB", v.EventHistory)
	}
	if !slices.Contains([]string{"group", "pid_namespace"}, v.Exec.Isolation) {
		v.wrong("exec.isolation", "%q is not one of group, pid_namespace", v.Exec.Isolation)
	}
	if c := v.Exec.Cgroup; c != guardian.CgroupAuto && c != guardian.CgroupOff && !filepath.IsAbs(c) {
		v.wrong("exec.cgroup", "%q is neither auto, nor off, nor the absolute path of a cgroup v2", c)
	}
	if n := v.Exec.Logs.MaxSize; n < guardian.MinLogSize || n > guardian.MaxLogSize {
		v.wrong("exec.logs.max_size", "%d bytes is not between 64KiB and 1TiB", n)
	}
	if n := v.Exec.Logs.MaxFiles; n < 1 || n > guardian.MaxLogFiles {
		v.wrong("exec.logs.max_files", "%d is not between 1 and %d", n, guardian.MaxLogFiles)
	}
	for i, m := range v.Manifests {
		for _, e := range m.WithDefaults().Validate() {
			v.wrong(fmt.Sprintf("supervisors[%d].%s", i, e.Location), "%s", e.Message)
		}
	}
}
