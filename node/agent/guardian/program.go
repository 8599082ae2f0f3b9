package guardian

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/supnode/supnode/node/agent"
	"github.com/supnode/supnode/rpc"
)

// A Program is the argument of the behavior exec.
type Program struct {
	Command string            `json:"command"` // an absolute path, or a name looked up in PATH
	Args    []string          `json:"args,omitempty"`
	Env     map[string]string `json:"env,omitempty"` // beside and before supnode's own environment
	Dir     string            `json:"dir,omitempty"` // absolute; default /
}

// ParseProgram reads the args of a child spec: exactly one object, without fields unknown here.
func ParseProgram(args []json.RawMessage) (Program, error) {
	var p Program
	if len(args) != 1 {
		return p, fmt.Errorf(`exec takes one object as its args, like [{"command": "/bin/sleep", "args": ["1000"]}], and has %d`, len(args))
	}
	d := json.NewDecoder(bytes.NewReader(args[0]))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, fmt.Errorf(`args of exec: %w; the object has the fields command, args, env and dir`, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return p, errors.New("args of exec: there is something after the object")
	}
	return p, p.check()
}

func (p Program) check() error {
	switch {
	case p.Command == "":
		return errors.New("args of exec: command is missing; give an absolute path or a name to look up in PATH")
	case strings.Contains(p.Command, "/") && !filepath.IsAbs(p.Command):
		return fmt.Errorf("command %q is a relative path; give an absolute one or a name to look up in PATH", p.Command)
	case p.Dir != "" && !filepath.IsAbs(p.Dir):
		return fmt.Errorf("dir %q is a relative path; give an absolute one", p.Dir)
	}
	for _, text := range append([]string{p.Command, p.Dir}, p.Args...) {
		if strings.ContainsRune(text, 0) {
			return fmt.Errorf("%q has a zero byte in it", text)
		}
	}
	for name, value := range p.Env {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0):
			return fmt.Errorf("env: %q is not the name of a variable, or its value has a zero byte in it", name)
		case slices.Contains(reserved, name):
			return fmt.Errorf("env: %s is set by supnode; use another name", name)
		}
	}
	return nil
}

var reserved = []string{envSupervisor, envChild, envNode, envIncarnation, envNodeID}

// notInherited are variables that speak of the supnode process and would mislead a command.
var notInherited = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "INVOCATION_ID", "JOURNAL_STREAM", marker}

// environment is a command's: who it is, then its own variables, then supnode's but SUPNODE_*.
func (p Program) environment(s rpc.Spawn, node, nodeID string, own []string) []string {
	env := []string{
		envNodeID + "=" + nodeID, // first, so that it is the one that counts
		envSupervisor + "=" + string(s.Key.Supervisor),
		envChild + "=" + string(s.Key.Child),
		envNode + "=" + node,
		envIncarnation + "=" + strconv.FormatUint(s.Inc.Token(), 10),
	}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		env = append(env, name+"="+p.Env[name])
	}
	for _, entry := range own {
		name, _, _ := strings.Cut(entry, "=")
		_, replaced := p.Env[name]
		if name == "" || replaced || strings.HasPrefix(name, "SUPNODE_") || slices.Contains(notInherited, name) {
			continue
		}
		env = append(env, entry)
	}
	return env
}

// resolve finds the program's file: absolute, without symbolic links, and allowed.
func (p Program) resolve(allow Allow, env []string) (string, error) {
	found := p.Command
	if !filepath.IsAbs(found) {
		var err error
		if found, err = lookUp(found, env); err != nil {
			return "", err
		}
	}
	file, err := filepath.EvalSymlinks(found)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("command %q does not exist on this node; install it, or pin the child to a node that has it", p.Command)
	case err != nil:
		return "", fmt.Errorf("command %q cannot be found: %w", p.Command, err)
	}
	if !allow.Permits(file) {
		is := ""
		if file != p.Command {
			is = fmt.Sprintf(", which is %s,", file)
		}
		return "", fmt.Errorf("command %q%s is not allowed on this node; add %s or a glob that matches it to exec.allow (now: %s)", p.Command, is, file, allow)
	}
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return "", fmt.Errorf("command %q: %w", p.Command, err)
	case info.IsDir():
		return "", fmt.Errorf("command %q is a directory; give the path of a program", p.Command)
	case info.Mode()&0o111 == 0:
		return "", fmt.Errorf("command %q is not executable; chmod +x %s", p.Command, file)
	}
	return file, p.checkDir()
}

func (p Program) checkDir() error {
	if p.Dir == "" {
		return nil
	}
	info, err := os.Stat(p.Dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("dir %q does not exist on this node; create it or name another", p.Dir)
	case err != nil:
		return fmt.Errorf("dir %q cannot be entered: %w", p.Dir, err)
	case !info.IsDir():
		return fmt.Errorf("dir %q is not a directory", p.Dir)
	}
	return nil
}

// lookUp finds a name in the PATH of an environment. Elements that are not absolute don't count.
func lookUp(name string, env []string) (string, error) {
	list := ""
	for _, entry := range env {
		if value, is := strings.CutPrefix(entry, "PATH="); is {
			list = value
			break
		}
	}
	for _, dir := range filepath.SplitList(list) {
		if !filepath.IsAbs(dir) {
			continue
		}
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("command %q is not in PATH (%s) on this node; give its absolute path", name, list)
}

// order turns a spawn into what the guardian is told, or into the text of its init failure.
func (p Program) order(c Config, a agent.Spawn) (spawn, error) {
	env := p.environment(a.Spawn, string(c.Node), c.NodeID, os.Environ())
	file, err := p.resolve(c.Allow, env)
	if err != nil {
		return spawn{}, err
	}
	dir := p.Dir
	if dir == "" {
		dir = "/"
	}
	return spawn{Session: a.Session, Path: file, Args: append([]string{p.Command}, p.Args...), Env: env, Dir: dir}, nil
}
