package guardian

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/supnode/supnode/node/agent"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"golang.org/x/sys/unix"
)

// A Program is the argument of the behavior exec.
type Program sup.ExecArgs

// ParseProgram reads the args of a child spec. They were looked at before they came into the log, by a version of supnode
// that may be another one.
func ParseProgram(args []json.RawMessage) (Program, error) {
	a, wrong := sup.ParseExecArgs(args)
	if len(wrong) > 0 {
		return Program{}, fmt.Errorf("%s: %s", wrong[0].Location, wrong[0].Message)
	}
	return Program(a), nil
}

// notInherited are variables that speak of the supnode process and would mislead a command.
var notInherited = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "INVOCATION_ID", "JOURNAL_STREAM", marker}

// environment is a command's: who it is, then its own variables, then those of its files, then supnode's but SUPNODE_*.
func (p Program) environment(s rpc.Spawn, node, nodeID string, files, own []string) []string {
	env := []string{
		envNodeID + "=" + nodeID, // first, so that it is the one that counts
		envSupervisor + "=" + string(s.Key.Supervisor),
		envChild + "=" + string(s.Key.Child),
		envNode + "=" + node,
		envIncarnation + "=" + strconv.FormatUint(s.Inc.Token(), 10),
	}
	set := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		env = append(env, name+"="+p.Env[name])
		set[name] = true
	}
	for _, entry := range slices.Backward(files) { // of two settings the later counts
		if name, _, _ := strings.Cut(entry, "="); !set[name] {
			env = append(env, entry)
			set[name] = true
		}
	}
	for _, entry := range own {
		name, _, _ := strings.Cut(entry, "=")
		if name == "" || set[name] || strings.HasPrefix(name, "SUPNODE_") || slices.Contains(notInherited, name) {
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

// order turns a spawn into what the guardian is told, and what it is told for a probe that is a command, or into the text of
// its init failure.
func (p Program) order(c Config, a agent.Spawn) (runs, asks spawn, err error) {
	var files []string
	for _, path := range p.EnvFile {
		more, err := readEnvFile(path)
		if err != nil {
			return runs, asks, err
		}
		files = append(files, more...)
	}
	env := p.environment(a.Spawn, string(c.Node), c.NodeID, files, os.Environ())
	file, err := p.resolve(c.Allow, env)
	if err != nil {
		return runs, asks, err
	}
	dir := p.Dir
	if dir == "" {
		dir = "/"
	}
	runs = spawn{Session: a.Session, Path: file, Args: append([]string{p.Command}, p.Args...), Env: env, Dir: dir}
	if p.Liveness == nil || p.Liveness.Command == nil {
		return runs, asks, nil
	}
	asker := Program{Command: p.Liveness.Command[0]}
	if file, err = asker.resolve(c.Allow, env); err != nil {
		return runs, asks, fmt.Errorf("liveness: %w", err)
	}
	env = append([]string{envProbe + "=liveness"}, env...)
	asks = spawn{Session: a.Session, Path: file, Args: p.Liveness.Command, Env: env, Dir: dir}
	return runs, asks, nil
}

// asker is the signal that asks the program to stop.
func (p Program) asker() unix.Signal {
	if s := unix.SignalNum(string(p.StopSignal)); s != 0 {
		return s
	}
	return unix.SIGTERM
}
