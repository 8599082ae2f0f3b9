package guardian

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	sup "github.com/supnode/supnode/supervisor"
	"golang.org/x/sys/unix"
)

// The values of the configuration's exec.cgroup beside a path.
const (
	CgroupAuto = "auto" // the one that supnode runs in, where that is its own
	CgroupOff  = "off"
)

const (
	// ownLeaf is the cgroup that supnode itself goes to: one with controllers for its children may hold no process.
	ownLeaf = "supnode"
	// cpuPeriod is the span over which processor time is measured out, in µs.
	cpuPeriod = 100_000
	// clearWithin bounds the removal of cgroups that an earlier process left.
	clearWithin = 5 * time.Second
)

// cgroups makes the cgroups of commands that have limits: one for each incarnation, in which nothing is ever started twice.
type cgroups struct {
	dir         string // in which they are made; empty = none can be
	why         string // none can be
	controllers []string
	last        atomic.Uint64
	log         hclog.Logger
}

// openCgroups makes ready what can be made ready. What can't is told to those who ask for limits.
func openCgroups(where, nodeID string, log hclog.Logger) *cgroups {
	g := &cgroups{log: log}
	err := g.open(where, nodeID)
	if err != nil {
		g.dir, g.why = "", err.Error()
		log.Debug("commands cannot have limits on this node", "why", g.why)
	}
	return g
}

func (g *cgroups) open(where, nodeID string) (err error) {
	base := where
	switch where {
	case CgroupOff:
		return errors.New("exec.cgroup is off")
	case "", CgroupAuto:
		if base, err = ownCgroup(); err != nil {
			return err
		}
	}
	if g.controllers, err = readWords(filepath.Join(base, "cgroup.controllers")); err != nil {
		return fmt.Errorf("%s is not the directory of a cgroup v2: %w", base, err)
	}
	g.controllers = slices.DeleteFunc(g.controllers, func(c string) bool { return c != "memory" && c != "cpu" && c != "pids" })
	g.dir = filepath.Join(base, "supnode-"+nodeID)
	if err := os.Mkdir(g.dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("no cgroup can be made in %s: %w", base, errors.Unwrap(err))
	}
	if where == "" || where == CgroupAuto {
		if err := leaveFor(filepath.Join(base, ownLeaf)); err != nil {
			return err
		}
	}
	g.clear()
	for _, dir := range []string{base, g.dir} {
		for _, c := range g.controllers {
			if err := write(dir, "cgroup.subtree_control", "+"+c); err != nil {
				return fmt.Errorf("the controller %s cannot be used below %s: %w; no process may be in it", c, dir, err)
			}
		}
	}
	return nil
}

// ownCgroup is the cgroup of this process, if it is this process's alone.
func ownCgroup() (string, error) {
	const advice = "; give supnode a cgroup v2 of its own (systemd: Delegate=yes), or name one in exec.cgroup"
	mount, err := cgroupMount()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	path := ""
	for line := range bytes.Lines(text) {
		if p, is := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("0::")); is {
			path = string(p)
		}
	}
	if path == "" || strings.HasPrefix(path, "/..") {
		return "", errors.New("this process is in no cgroup v2 that it can see" + advice)
	}
	base := filepath.Join(mount, path)
	if filepath.Base(base) == ownLeaf { // it has gone there already
		return filepath.Dir(base), nil
	}
	if _, err := os.Stat(filepath.Join(base, "cgroup.type")); err != nil {
		return "", errors.New("this process is in the root cgroup" + advice)
	}
	procs, err := readWords(filepath.Join(base, "cgroup.procs"))
	if err != nil {
		return "", fmt.Errorf("%w%s", err, advice)
	}
	for _, pid := range procs {
		if pid != strconv.Itoa(os.Getpid()) {
			return "", fmt.Errorf("the cgroup %s is not supnode's alone, process %s is in it%s", base, pid, advice)
		}
	}
	if ext := filepath.Ext(base); (ext == ".service" || ext == ".scope") && !delegated(base) {
		return "", fmt.Errorf("systemd has not left the cgroup %s to supnode%s", base, advice)
	}
	return base, nil
}

// delegated reports whether systemd left a unit's cgroup to its processes.
func delegated(dir string) bool {
	var value [8]byte
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		if n, err := unix.Getxattr(dir, name, value[:]); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	return false
}

// cgroupMount is where the cgroup v2 hierarchy is mounted.
func cgroupMount() (string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		if fields := strings.Fields(before); len(fields) > 4 && strings.HasPrefix(after, "cgroup2 ") && fields[3] == "/" {
			return fields[4], nil
		}
	}
	return "", errors.New("this machine has no cgroup v2 mounted")
}

// leaveFor moves this process, with all its threads, to a cgroup, which is made.
func leaveFor(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return write(dir, "cgroup.procs", strconv.Itoa(os.Getpid()))
}

// clear removes what an earlier process left, and kills what is in it.
func (g *cgroups) clear() {
	quit := make(chan struct{})
	t := time.AfterFunc(clearWithin, func() { close(quit) })
	defer t.Stop()
	for _, c := range g.all() {
		c.end(quit)
	}
}

// killAll kills what is in any of the cgroups, until nothing is.
func (g *cgroups) killAll(quit <-chan struct{}) {
	for _, c := range g.all() {
		c.empty(quit)
	}
}

// all are the cgroups that there are.
func (g *cgroups) all() (list []*cgroup) {
	if g.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(g.dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			list = append(list, &cgroup{dir: filepath.Join(g.dir, e.Name()), fd: -1, log: g.log})
		}
	}
	return list
}

// close removes the directory.
func (g *cgroups) close() {
	if g.dir != "" {
		_ = unix.Rmdir(g.dir)
	}
}

// of makes the cgroup of an incarnation; nil when it has no limits.
func (g *cgroups) of(l *sup.Limits, inc sup.Incarnation) (*cgroup, error) {
	if l == nil || *l == (sup.Limits{}) {
		return nil, nil
	}
	for _, c := range []struct {
		name  string
		asked bool
	}{{"memory", l.Memory > 0}, {"cpu", l.CPUs > 0}, {"pids", l.PIDs > 0}} {
		switch {
		case g.dir == "":
			return nil, fmt.Errorf("limits cannot be kept on this node: %s", g.why)
		case c.asked && !slices.Contains(g.controllers, c.name):
			return nil, fmt.Errorf("limits cannot be kept on this node: its cgroup v2 has no controller %s; leave cgroup v1 (systemd.unified_cgroup_hierarchy=1), or have it delegated", c.name)
		}
	}
	return g.make(*l, inc)
}

// make makes a cgroup that no incarnation has had: one that was killed kills what is started in it.
func (g *cgroups) make(l sup.Limits, inc sup.Incarnation) (*cgroup, error) {
	c := &cgroup{dir: filepath.Join(g.dir, fmt.Sprintf("%d-%d", inc.Token(), g.last.Add(1))), limits: l, fd: -1, log: g.log}
	if err := unix.Mkdir(c.dir, 0o755); err != nil {
		return nil, fmt.Errorf("limits: no cgroup can be made in %s: %w", g.dir, err)
	}
	if err := c.limit(); err != nil {
		_ = unix.Rmdir(c.dir)
		return nil, fmt.Errorf("limits: %w", err)
	}
	return c, nil
}

// A cgroup holds one incarnation.
type cgroup struct {
	dir    string
	limits sup.Limits
	fd     int // of dir
	log    hclog.Logger
}

// descriptor is what goes with the order to start a command in the cgroup; -1 when there is none.
func (c *cgroup) descriptor(s *spawn) int {
	if c == nil {
		return -1
	}
	s.InCgroup = true
	return c.fd
}

func (c *cgroup) limit() error {
	type setting struct {
		file, value string
		optional    bool
	}
	var list []setting
	if m := c.limits.Memory; m > 0 {
		// A part of a command killed is no clean crash: all of it goes. Swap would only make it slow before.
		list = append(list, setting{"memory.max", strconv.FormatInt(int64(m), 10), false}, setting{"memory.swap.max", "0", true}, setting{"memory.oom.group", "1", false})
	}
	if n := c.limits.CPUs; n > 0 {
		list = append(list, setting{"cpu.max", fmt.Sprintf("%d %d", int64(n*cpuPeriod), cpuPeriod), false})
	}
	if n := c.limits.PIDs; n > 0 {
		list = append(list, setting{"pids.max", strconv.Itoa(n), false})
	}
	for _, s := range list {
		if err := write(c.dir, s.file, s.value); err != nil && !(s.optional && errors.Is(err, os.ErrNotExist)) {
			return err
		}
	}
	fd, err := unix.Open(c.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	c.fd = fd
	return os.NewSyscallError("open "+c.dir, err)
}

// end kills what is in the cgroup until nothing is, and removes it. It says what the kernel did for its limits, for people.
func (c *cgroup) end(quit <-chan struct{}) (note string) {
	c.empty(quit)
	note = c.note()
	if c.fd >= 0 {
		unix.Close(c.fd)
	}
	for {
		err := unix.Rmdir(c.dir)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return note
		}
		if !errors.Is(err, unix.EBUSY) || !pauseUnless(quit) {
			c.log.Warn("the cgroup of a command that has ended is left", "cgroup", c.dir, "error", err)
			return note
		}
	}
}

// empty kills until no process is there.
func (c *cgroup) empty(quit <-chan struct{}) {
	for c.populated() {
		if err := write(c.dir, "cgroup.kill", "1"); errors.Is(err, os.ErrNotExist) { // Linux before 5.14
			procs, _ := readWords(filepath.Join(c.dir, "cgroup.procs"))
			for _, p := range procs {
				if pid, err := strconv.Atoi(p); err == nil {
					_ = unix.Kill(pid, unix.SIGKILL)
				}
			}
		}
		if !pauseUnless(quit) {
			return
		}
	}
}

// pauseUnless pauses for a round; false when quit is closed first.
func pauseUnless(quit <-chan struct{}) bool {
	select {
	case <-quit:
		return false
	case <-time.After(roundEvery):
		return true
	}
}

func (c *cgroup) populated() bool { return c.count("cgroup.events", "populated") > 0 }

// note says what the kernel did for the limits.
func (c *cgroup) note() string {
	switch {
	case c.limits.Memory > 0 && c.count("memory.events", "oom_kill") > 0:
		return fmt.Sprintf("killed by the kernel: it used more memory than its limit of %s", c.limits.Memory)
	case c.limits.PIDs > 0 && c.count("pids.events", "max") > 0:
		return fmt.Sprintf("it was at its limit of %d processes", c.limits.PIDs)
	}
	return ""
}

// count reads a number of a file of names and numbers; 0 when it is not there.
func (c *cgroup) count(file, name string) (n int) {
	words, err := readWords(filepath.Join(c.dir, file))
	if i := slices.Index(words, name); err == nil && i >= 0 && i+1 < len(words) {
		n, _ = strconv.Atoi(words[i+1])
	}
	return n
}

func readWords(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	return strings.Fields(string(text)), err
}

// write sets a file of a cgroup.
func write(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(value)
	return err
}
