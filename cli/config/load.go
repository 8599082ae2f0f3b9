package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/supnode/supnode/cli/yamlfile"
	"github.com/supnode/supnode/node"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// Load reads a config file. Paths in it are relative to the file's directory.
func Load(name string) (*Config, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the config file: %w", err)
	}
	dir, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("find the config file's directory: %w", err)
	}
	return parse(name, src, dir)
}

func parse(name string, src []byte, dir string) (*Config, error) {
	f, err := yamlfile.Parse(name, src)
	if err != nil {
		return nil, err
	}
	l := loader{file: f, dir: dir}
	if err := f.Decode(&l.in); err != nil {
		return nil, err
	}
	for _, check := range []func() *yamlfile.Error{l.node, l.cluster, l.rpc, l.admin, l.exec, l.log, l.supervisors, l.valid} {
		if wrong := check(); wrong != nil {
			return nil, yamlfile.Errors{wrong}
		}
	}
	return &l.out, nil
}

// loader turns the file's blocks into a Config one after another; each step returns what is wrong with its block.
type loader struct {
	file *yamlfile.File
	dir  string
	in   schema
	out  Config
}

func (l *loader) warn(format string, args ...any) {
	l.out.Warnings = append(l.out.Warnings, fmt.Sprintf(format, args...))
}

// abs is a path of the file, seen from anywhere.
func (l *loader) abs(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(l.dir, p)
}

func (l *loader) node() *yamlfile.Error {
	in, n := l.in.Node, &l.out.Node
	if in.Name == "" {
		return l.file.Errorf("node.name", "node.name is missing: give this node a name of its own, like n1")
	}
	if in.DataDir == "" {
		return l.file.Errorf("node.data_dir", "node.data_dir is missing: name a directory of this node's own, like ./data/%s", in.Name)
	}
	n.Name, n.DataDir, n.Tags = sup.NodeName(in.Name), l.abs(in.DataDir), in.Tags
	n.ShutdownTimeout = time.Duration(in.ShutdownTimeout)
	for _, k := range slices.Sorted(maps.Keys(in.Tags)) {
		if k == "" || len(k) > 128 || len(in.Tags[k]) > 256 {
			return l.file.Errorf("node.tags."+k, "tag %q is too long or empty: a tag has 1 to 128 bytes, its value at most 256", k)
		}
	}
	return nil
}

func (l *loader) cluster() *yamlfile.Error {
	in, n := l.in.Cluster, &l.out.Node
	for i, s := range in.Servers {
		at := fmt.Sprintf("cluster.servers[%d]", i)
		if s.Name == "" {
			return l.file.Errorf(at, "this server has no name; write {name: n%d, addr: HOST:PORT}", i+1)
		}
		if s.Addr == "" {
			return l.file.Errorf(at, "server %s has no addr; write {name: %s, addr: HOST:PORT}", s.Name, s.Name)
		}
		if wrong := checkAddr(s.Addr, false); wrong != "" {
			return l.file.Errorf(at+".addr", "addr %s", wrong)
		}
		n.Servers = append(n.Servers, node.Server{Name: sup.NodeName(s.Name), Addr: s.Addr})
	}
	n.HeartbeatInterval, n.LeaseTTL = time.Duration(in.HeartbeatInterval), time.Duration(in.LeaseTTL)
	n.FastFailover, n.EventHistory = in.FastFailover, int64(in.EventHistory)
	return nil
}

// rpc settles where the node port listens. A server is reached where cluster.servers says, by every other node.
func (l *loader) rpc() *yamlfile.Error {
	in, out := l.in.RPC, &l.out.Node.RPC
	own := ""
	for _, s := range l.out.Node.Servers {
		if s.Name == l.out.Node.Name {
			own = s.Addr
		}
	}
	for _, a := range [][2]string{{"rpc.listen", in.Listen}, {"rpc.advertise", in.Advertise}} {
		field, addr := a[0], a[1]
		if addr == "" {
			continue
		}
		if wrong := checkAddr(addr, field == "rpc.listen"); wrong != "" {
			return l.file.Errorf(field, "%s %s", field, wrong)
		}
	}
	switch {
	case own == "" && in.Listen == "":
		return l.file.Errorf("rpc.listen", "rpc.listen is missing: %s is not among cluster.servers, so name HOST:PORT where it listens for the other nodes", l.in.Node.Name)
	case own == "":
		out.Listen, out.Advertise = in.Listen, orElse(in.Advertise, in.Listen)
		if wildcard(out.Advertise) {
			return l.file.Errorf("rpc.listen", "rpc.listen %s names no address that other nodes could dial: give rpc.advertise: HOST:PORT", in.Listen)
		}
	case in.Advertise != "" && in.Advertise != own:
		return l.file.Errorf("rpc.advertise", "rpc.advertise %s differs from the addr %s of %s in cluster.servers, where the other nodes dial it: make them equal", in.Advertise, own, l.in.Node.Name)
	case in.Advertise == "" && in.Listen != "" && in.Listen != own && !wildcard(in.Listen):
		return l.file.Errorf("rpc.listen", "rpc.listen %s differs from the addr %s of %s in cluster.servers, where the other nodes dial it: make them equal, or say rpc.advertise: %s if that address leads here", in.Listen, own, l.in.Node.Name, own)
	default:
		out.Listen, out.Advertise = orElse(in.Listen, own), own
	}
	out.Insecure = in.Insecure
	if in.TLS != nil {
		return l.rpcTLS(in.TLS)
	}
	if !in.Insecure {
		for i, s := range l.out.Node.Servers {
			if !rpc.IsLoopback(s.Addr) {
				return l.file.Errorf(fmt.Sprintf("cluster.servers[%d].addr", i), "%s is not a loopback address: give rpc.tls {ca, cert, key}, or rpc.insecure: true for a closed test network", s.Addr)
			}
		}
		return nil
	}
	l.warn("rpc.insecure: anyone who reaches %s can control this cluster and run what exec allows", out.Listen)
	return nil
}

func (l *loader) rpcTLS(in *rpcTLSPart) *yamlfile.Error {
	for _, a := range [][2]string{{"ca", in.CA}, {"cert", in.Cert}, {"key", in.Key}} {
		field, value := a[0], a[1]
		if value == "" {
			return l.file.Errorf("rpc.tls", "rpc.tls.%s is missing: mutual TLS needs ca, cert and key", field)
		}
	}
	files := &node.TLSFiles{CA: l.abs(in.CA), Cert: l.abs(in.Cert), Key: l.abs(in.Key)}
	pem, err := os.ReadFile(files.CA)
	if err != nil {
		return l.file.Errorf("rpc.tls.ca", "rpc.tls.ca can't be read: %s", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return l.file.Errorf("rpc.tls.ca", "rpc.tls.ca: %s holds no PEM certificate", files.CA)
	}
	l.out.Node.RPC.TLS = files
	return l.keyPair("rpc.tls", files.Cert, files.Key)
}

// keyPair checks that a certificate and its key can be read and belong together.
func (l *loader) keyPair(block, cert, key string) *yamlfile.Error {
	for _, a := range [][2]string{{"cert", cert}, {"key", key}} {
		field, name := a[0], a[1]
		if _, err := os.ReadFile(name); err != nil {
			return l.file.Errorf(block+"."+field, "%s.%s can't be read: %s", block, field, err)
		}
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		return l.file.Errorf(block, "%s: cert and key do not fit: %s", block, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return nil
}

func (l *loader) admin() *yamlfile.Error {
	in := l.in.Admin
	listen := orElse(in.Listen, DefaultAdmin)
	if wrong := checkAddr(listen, true); wrong != "" {
		return l.file.Errorf("admin.listen", "admin.listen %s", wrong)
	}
	if in.TokensFile != "" {
		var err error
		var warnings []string
		l.out.Admin.Tokens, warnings, err = LoadTokens(l.abs(in.TokensFile))
		var wrong yamlfile.Errors
		switch {
		case errors.As(err, &wrong):
			at := wrong[0]
			return l.file.Errorf("admin.tokens_file", "%s:%d:%d: %s", at.File, at.Line, at.Column, at.Message)
		case err != nil:
			return l.file.Errorf("admin.tokens_file", "%s", err)
		}
		l.out.Warnings = append(l.out.Warnings, warnings...)
	}
	switch guarded := len(l.out.Admin.Tokens) > 0; {
	case rpc.IsLoopback(listen) || (guarded && in.TLS != nil):
	case guarded:
		l.warn("admin.listen %s without admin.tls: tokens, args and env can be read on the way", listen)
	case !in.Insecure:
		return l.file.Errorf("admin.listen", "admin.listen %s is not a loopback address, and anyone who reaches it would control the cluster: listen on 127.0.0.1, give admin.tokens_file, or say admin.insecure: true for a closed test network", listen)
	default:
		l.warn("admin.insecure: anyone who reaches %s can control this cluster and run what exec allows", listen)
	}
	if listen == l.out.Node.RPC.Listen {
		return l.file.Errorf("admin.listen", "admin.listen %s is the node port's address too: give it a port of its own", listen)
	}
	l.out.Admin.Listen, l.out.Node.Admin = listen, listen
	if in.TLS == nil {
		return nil
	}
	for _, a := range [][2]string{{"cert", in.TLS.Cert}, {"key", in.TLS.Key}} {
		field, value := a[0], a[1]
		if value == "" {
			return l.file.Errorf("admin.tls", "admin.tls.%s is missing: HTTPS needs cert and key", field)
		}
	}
	l.out.Admin.TLS = &TLS{Cert: l.abs(in.TLS.Cert), Key: l.abs(in.TLS.Key)}
	return l.keyPair("admin.tls", l.out.Admin.TLS.Cert, l.out.Admin.TLS.Key)
}

func (l *loader) exec() *yamlfile.Error {
	in := l.in.Exec
	for i, glob := range in.Allow {
		at := fmt.Sprintf("exec.allow[%d]", i)
		if !strings.HasPrefix(glob, "/") {
			return l.file.Errorf(at, "%q can't match: commands are matched by their resolved absolute path; begin with /", glob)
		}
		if _, err := path.Match(glob, "/"); err != nil {
			return l.file.Errorf(at, "%q is not a glob: %s; * stands for anything within one element, ** across elements", glob, err)
		}
	}
	l.out.Node.Exec = node.ExecConfig{Enabled: in.Enabled, Isolation: in.Isolation, Allow: in.Allow}
	if in.Enabled && len(in.Allow) == 0 {
		l.warn("exec.enabled without exec.allow: no command may run")
	}
	return nil
}

func (l *loader) log() *yamlfile.Error {
	in := l.in.Log
	levels, formats := []string{"trace", "debug", "info", "warn", "error"}, []string{"text", "json"}
	level, format := orElse(in.Level, "info"), orElse(in.Format, "text")
	if !slices.Contains(levels, level) {
		return l.file.Errorf("log.level", "%q is not a log level: use one of %s", level, strings.Join(levels, ", "))
	}
	if !slices.Contains(formats, format) {
		return l.file.Errorf("log.format", "%q is not a log format: use text or json", format)
	}
	l.out.Log = Log{Level: level, JSON: format == "json"}
	return nil
}

func (l *loader) supervisors() *yamlfile.Error {
	names := map[sup.Name]bool{}
	for i, m := range l.in.Supervisors {
		at := fmt.Sprintf("supervisors[%d]", i)
		if m.Name == "" {
			return l.file.Errorf(at, "this supervisor has no name; without one a cluster couldn't know that it has been created")
		}
		if names[m.Name] {
			return l.file.Errorf(at+".name", "supervisor %q is listed twice", m.Name)
		}
		names[m.Name] = true
	}
	l.out.Node.Manifests = l.in.Supervisors
	return nil
}

// valid asks the node itself: the inequalities of the lease and whatever else it requires.
func (l *loader) valid() *yamlfile.Error {
	l.out.Node = l.out.Node.WithDefaults()
	err := l.out.Node.Validate()
	var wrong *node.FieldError
	if errors.As(err, &wrong) {
		return l.file.Errorf(wrong.Field, "%s", wrong.Error())
	}
	if err != nil {
		return l.file.Errorf("", "%s", err)
	}
	return nil
}

// checkAddr says what is wrong with HOST:PORT; "" when nothing is.
func checkAddr(addr string, mayBeWildcard bool) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Sprintf("%q is not HOST:PORT, like 127.0.0.1:7101", addr)
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n < 1 || strings.TrimLeft(port, "0123456789") != "" {
		return fmt.Sprintf("%q has no port between 1 and 65535", addr)
	}
	if !mayBeWildcard && wildcard(net.JoinHostPort(host, port)) {
		return fmt.Sprintf("%q names no address that other nodes could dial; write its own, like 10.0.0.1:%s", addr, port)
	}
	return ""
}

func wildcard(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "" || (ip != nil && ip.IsUnspecified()))
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
