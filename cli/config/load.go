package config

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/supnode/supnode/cli/yamlfile"
)

// Load reads a config file. Paths in it are relative to the file's directory.
func Load(name string) (*Config, error) {
	src, err := yamlfile.Read(name)
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
	l := loader{file: f, dir: dir, wrong: map[string]bool{}, holes: map[string]bool{}}
	var undecoded yamlfile.Errors
	switch err := f.Decode(&l.in); {
	case errors.As(err, &undecoded):
		l.undecoded(undecoded)
	case err != nil:
		return nil, err
	}
	if l.wrong[""] { // it is no file of fields
		return nil, l.errs
	}
	for _, check := range []func(){l.node, l.cluster, l.rpc, l.admin, l.exec, l.log, l.supervisors, l.valid} {
		check()
	}
	if len(l.errs) > 0 {
		return nil, l.errs.Sorted()
	}
	return &l.out, nil
}

// loader turns the file's blocks into a Config one after another, and keeps all that is wrong with them, each field once.
type loader struct {
	file *yamlfile.File
	dir  string
	in   schema
	out  Config

	errs  yamlfile.Errors
	wrong map[string]bool // fields that are wrong
	holes map[string]bool // blocks with something that was not understood: perhaps what seems to be missing
}

// undecoded keeps what the decoder refused.
func (l *loader) undecoded(errs yamlfile.Errors) {
	for _, e := range errs {
		l.errs = append(l.errs, e)
		l.wrong[e.Field] = true
		l.holes[block(e.Field)] = true
	}
}

// errorf keeps what is wrong with a field, unless it, or what it is part of, is known to be wrong.
func (l *loader) errorf(field, format string, args ...any) {
	if l.isWrong(field) {
		return
	}
	l.errs = append(l.errs, l.file.Errorf(field, format, args...))
	l.wrong[field] = true
}

// missingf keeps that a field is missing.
func (l *loader) missingf(field, format string, args ...any) {
	if !l.holes[block(field)] {
		l.errorf(field, format, args...)
	}
	l.wrong[field] = true
}

// isWrong reports whether a field, or what it is part of, is wrong.
func (l *loader) isWrong(field string) bool {
	for i := range field {
		if (field[i] == '.' || field[i] == '[') && l.wrong[field[:i]] {
			return true
		}
	}
	return l.wrong[field]
}

// notZero refuses a zero that the file says: the node would take it for the default.
func (l *loader) notZero(field string, n int64, hint string) {
	if n == 0 && l.file.Has(field) {
		l.errorf(field, "%s: 0 is too little: use %s", field, hint)
	}
}

// within reports whether anything in a field is wrong.
func (l *loader) within(field string) bool {
	for w := range l.wrong {
		if rest, ok := strings.CutPrefix(w, field); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return l.isWrong(field)
}

// block is the file's block that a field is in.
func block(field string) string { return field[:strings.IndexAny(field+".", ".[")] }

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

// meet reports whether two addresses cannot both be listened at.
func meet(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB {
		return false
	}
	same := func(host string) string { return strings.Replace(host, "localhost", "127.0.0.1", 1) }
	return same(hostA) == same(hostB) || wildcard(a) || wildcard(b)
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
