package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/supnode/supnode/cli/yamlfile"
	"github.com/supnode/supnode/node"
	"github.com/supnode/supnode/node/agent/guardian"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

func (l *loader) node() {
	in, n := l.in.Node, &l.out.Node
	if in.Name == "" {
		l.missingf("node.name", "node.name is missing: give this node a name of its own, like n1")
	}
	if in.DataDir == "" {
		l.missingf("node.data_dir", "node.data_dir is missing: name a directory of this node's own, like ./data/%s", orElse(in.Name, "n1"))
	}
	if n := sup.NodeName(in.Name); in.Name != "" && !n.Valid() {
		l.badName("node.name", n)
	}
	n.Name, n.DataDir, n.Tags = sup.NodeName(in.Name), l.abs(in.DataDir), in.Tags
	n.ShutdownTimeout = time.Duration(in.ShutdownTimeout)
	for _, k := range slices.Sorted(maps.Keys(in.Tags)) {
		if k == "" || len(k) > 128 || len(in.Tags[k]) > 256 {
			l.errorf("node.tags."+k, "tag %q is too long or empty: a tag has 1 to 128 bytes, its value at most 256", k)
		}
	}
}

func (l *loader) badName(field string, n sup.NodeName) {
	l.errorf(field, "%s: %q is not a node name: use 1 to %d of a-z, 0-9 and -", field, n, sup.MaxNodeName)
}

func (l *loader) cluster() {
	in, n := l.in.Cluster, &l.out.Node
	for i, s := range in.Servers {
		at := fmt.Sprintf("cluster.servers[%d]", i)
		switch {
		case s.Name == "":
			l.missingf(at, "this server has no name; write {name: n%d, addr: HOST:PORT}", i+1)
		case s.Addr == "":
			l.missingf(at, "server %s has no addr; write {name: %s, addr: HOST:PORT}", s.Name, s.Name)
		default:
			if n := sup.NodeName(s.Name); !n.Valid() {
				l.badName(at+".name", n)
			}
			if wrong := checkAddr(s.Addr, false); wrong != "" {
				l.errorf(at+".addr", "addr %s", wrong)
			}
		}
		n.Servers = append(n.Servers, node.Server{Name: sup.NodeName(s.Name), Addr: s.Addr})
	}
	n.HeartbeatInterval, n.LeaseTTL = time.Duration(in.HeartbeatInterval), time.Duration(in.LeaseTTL)
	n.FastFailover, n.EventHistory = in.FastFailover, int64(in.EventHistory)
	l.notZero("cluster.event_history", n.EventHistory, "at least 64KiB")
}

// rpc settles where the node port listens. A server is reached where cluster.servers says, by every other node.
func (l *loader) rpc() {
	in, out := l.in.RPC, &l.out.Node.RPC
	for _, a := range [][2]string{{"rpc.listen", in.Listen}, {"rpc.advertise", in.Advertise}} {
		field, addr := a[0], a[1]
		if addr == "" {
			continue
		}
		if wrong := checkAddr(addr, field == "rpc.listen"); wrong != "" {
			l.errorf(field, "%s %s", field, wrong)
		}
	}
	unclear := func() bool {
		return slices.ContainsFunc([]string{"node.name", "cluster.servers", "rpc.listen", "rpc.advertise"}, l.within)
	}
	if !unclear() {
		l.listens()
	}
	if unclear() { // who knows where it listens: no more of it
		l.wrong["rpc.listen"], l.wrong["rpc.advertise"] = true, true
	}
	out.Insecure = in.Insecure
	switch {
	case in.TLS != nil:
		out.TLS = &node.TLSFiles{CA: l.abs(in.TLS.CA), Cert: l.abs(in.TLS.Cert), Key: l.abs(in.TLS.Key)}
		l.rpcTLS(in.TLS, out.TLS)
	case in.Insecure:
		l.warn("rpc.insecure: anyone who reaches %s can control this cluster and run what exec allows", out.Listen)
	default:
		for i, s := range l.out.Node.Servers {
			if !rpc.IsLoopback(s.Addr) {
				l.errorf(fmt.Sprintf("cluster.servers[%d].addr", i), "%s is not a loopback address: give rpc.tls {ca, cert, key}, or rpc.insecure: true for a closed test network", s.Addr)
			}
		}
	}
}

// listens compares rpc.listen and rpc.advertise with where the other nodes dial this one.
func (l *loader) listens() {
	in, out, name := l.in.RPC, &l.out.Node.RPC, l.out.Node.Name
	own := ""
	for _, s := range l.out.Node.Servers {
		if s.Name == name {
			own = s.Addr
		}
	}
	switch {
	case own == "" && in.Listen == "":
		l.missingf("rpc.listen", "rpc.listen is missing: %s is not among cluster.servers, so name HOST:PORT where it listens for the other nodes", name)
	case own == "":
		out.Listen, out.Advertise = in.Listen, orElse(in.Advertise, in.Listen)
		if wildcard(out.Advertise) {
			l.errorf("rpc.listen", "rpc.listen %s names no address that other nodes could dial: give rpc.advertise: HOST:PORT", in.Listen)
		}
	case in.Advertise != "" && in.Advertise != own:
		l.errorf("rpc.advertise", "rpc.advertise %s differs from the addr %s of %s in cluster.servers, where the other nodes dial it: make them equal", in.Advertise, own, name)
	case in.Advertise == "" && in.Listen != "" && in.Listen != own && !wildcard(in.Listen):
		l.errorf("rpc.listen", "rpc.listen %s differs from the addr %s of %s in cluster.servers, where the other nodes dial it: make them equal, or say rpc.advertise: %s if that address leads here", in.Listen, own, name, own)
	default:
		out.Listen, out.Advertise = orElse(in.Listen, own), own
	}
}

func (l *loader) rpcTLS(in *rpcTLSPart, files *node.TLSFiles) {
	for _, a := range [][2]string{{"ca", in.CA}, {"cert", in.Cert}, {"key", in.Key}} {
		if field, value := a[0], a[1]; value == "" {
			l.missingf("rpc.tls", "rpc.tls.%s is missing: mutual TLS needs ca, cert and key", field)
			return
		}
	}
	switch pem, err := os.ReadFile(files.CA); {
	case err != nil:
		l.errorf("rpc.tls.ca", "rpc.tls.ca can't be read: %s", err)
	case !x509.NewCertPool().AppendCertsFromPEM(pem):
		l.errorf("rpc.tls.ca", "rpc.tls.ca: %s holds no PEM certificate", files.CA)
	}
	l.keyPair("rpc.tls", files.Cert, files.Key)
}

// keyPair checks that a certificate and its key can be read and belong together.
func (l *loader) keyPair(block, cert, key string) {
	for _, a := range [][2]string{{"cert", cert}, {"key", key}} {
		field, name := a[0], a[1]
		if _, err := os.ReadFile(name); err != nil {
			l.errorf(block+"."+field, "%s.%s can't be read: %s", block, field, err)
		}
	}
	if l.within(block+".cert") || l.within(block+".key") {
		return
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		l.errorf(block, "%s: cert and key do not fit: %s", block, strings.TrimPrefix(err.Error(), "tls: "))
	}
}

func (l *loader) admin() {
	in := l.in.Admin
	listen := orElse(in.Listen, DefaultAdmin)
	if wrong := checkAddr(listen, true); wrong != "" {
		l.errorf("admin.listen", "admin.listen %s", wrong)
	}
	if in.TokensFile != "" {
		l.tokens(l.abs(in.TokensFile))
	}
	switch guarded := in.TokensFile != ""; {
	case rpc.IsLoopback(listen) || (guarded && in.TLS != nil):
	case guarded:
		l.warn("admin.listen %s without admin.tls: tokens, args and env can be read on the way", listen)
	case !in.Insecure:
		l.errorf("admin.listen", "admin.listen %s is not a loopback address, and anyone who reaches it would control the cluster: listen on 127.0.0.1, give admin.tokens_file, or say admin.insecure: true for a closed test network", listen)
	default:
		l.warn("admin.insecure: anyone who reaches %s can control this cluster and run what exec allows", listen)
	}
	if port := l.out.Node.RPC.Listen; meet(listen, port) {
		l.errorf("admin.listen", "admin.listen %s meets the node port, %s: give it a port of its own", listen, port)
	}
	l.out.Admin.Listen, l.out.Node.Admin = listen, listen
	if in.TLS == nil {
		return
	}
	for _, a := range [][2]string{{"cert", in.TLS.Cert}, {"key", in.TLS.Key}} {
		if field, value := a[0], a[1]; value == "" {
			l.missingf("admin.tls", "admin.tls.%s is missing: HTTPS needs cert and key", field)
			return
		}
	}
	l.out.Admin.TLS = &TLS{Cert: l.abs(in.TLS.Cert), Key: l.abs(in.TLS.Key)}
	l.keyPair("admin.tls", l.out.Admin.TLS.Cert, l.out.Admin.TLS.Key)
}

func (l *loader) tokens(name string) {
	tokens, warnings, err := LoadTokens(name)
	var wrong yamlfile.Errors
	switch {
	case errors.As(err, &wrong):
		at := wrong[0]
		l.errorf("admin.tokens_file", "%s:%d:%d: %s", at.File, at.Line, at.Column, at.Message)
	case err != nil:
		l.errorf("admin.tokens_file", "%s", err)
	}
	l.out.Admin.Tokens = tokens
	l.out.Warnings = append(l.out.Warnings, warnings...)
}

func (l *loader) exec() {
	in := l.in.Exec
	for i, glob := range in.Allow {
		at := fmt.Sprintf("exec.allow[%d]", i)
		if !strings.HasPrefix(glob, "/") {
			l.errorf(at, "%q can't match: commands are matched by their resolved absolute path; begin with /", glob)
		}
		if _, err := path.Match(glob, "/"); err != nil {
			l.errorf(at, "%q is not a glob: %s; * stands for anything within one element, ** across elements", glob, err)
		}
	}
	l.notZero("exec.logs.max_size", int64(in.Logs.MaxSize), "64KiB to 1TiB")
	l.notZero("exec.logs.max_files", int64(in.Logs.MaxFiles), "1 to 1000")
	l.out.Node.Exec = node.ExecConfig{Enabled: in.Enabled, Isolation: in.Isolation, Allow: in.Allow, Cgroup: in.Cgroup,
		Logs: guardian.LogConfig{MaxSize: int64(in.Logs.MaxSize), MaxFiles: in.Logs.MaxFiles}}
	if in.Enabled && len(in.Allow) == 0 {
		l.warn("exec.enabled without exec.allow: no command may run")
	}
}

func (l *loader) log() {
	in := l.in.Log
	levels, formats := []string{"trace", "debug", "info", "warn", "error"}, []string{"text", "json"}
	level, format := orElse(in.Level, "info"), orElse(in.Format, "text")
	if !slices.Contains(levels, level) {
		l.errorf("log.level", "%q is not a log level: use one of %s", level, strings.Join(levels, ", "))
	}
	if !slices.Contains(formats, format) {
		l.errorf("log.format", "%q is not a log format: use text or json", format)
	}
	l.out.Log = Log{Level: level, JSON: format == "json"}
}

func (l *loader) supervisors() {
	names := map[sup.Name]bool{}
	for i, m := range l.in.Supervisors {
		at := fmt.Sprintf("supervisors[%d]", i)
		if m.Name == "" {
			l.missingf(at, "this supervisor has no name; without one a cluster couldn't know that it has been created")
		}
		if names[m.Name] {
			l.errorf(at+".name", "supervisor %q is listed twice", m.Name)
		}
		names[m.Name] = true
	}
	l.out.Node.Manifests = l.in.Supervisors
}

// valid asks the node itself: the inequalities of the lease and whatever else it requires.
func (l *loader) valid() {
	if heartbeat, ttl := "cluster.heartbeat_interval", "cluster.lease_ttl"; l.within(heartbeat) || l.within(ttl) {
		l.wrong[heartbeat], l.wrong[ttl] = true, true // they are compared with each other
	}
	l.out.Node = l.out.Node.WithDefaults()
	for _, wrong := range l.out.Node.Wrong() {
		l.errorf(wrong.Field, "%s", wrong)
	}
}
