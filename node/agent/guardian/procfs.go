package guardian

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What a command finds in its environment, and by which its descendants are known.
const (
	envSupervisor  = "SUPNODE_SUPERVISOR"
	envChild       = "SUPNODE_CHILD"
	envNode        = "SUPNODE_NODE"
	envIncarnation = "SUPNODE_INCARNATION"
	envNodeID      = "SUPNODE_NODE_ID"
	envProbe       = "SUPNODE_PROBE"
)

// maxEnviron bounds what is read of a process's environment; the kernel lets it be no larger.
const maxEnviron = 8 << 20

// A tag says to which incarnation a process belongs. The zero tag is that of a process that does not say.
type tag struct{ nodeID, supervisor, child, incarnation, probe string }

func (t *tag) note(entry string) {
	name, value, _ := strings.Cut(entry, "=")
	set := func(field *string) {
		if *field == "" { // as getenv, the first one counts
			*field = value
		}
	}
	switch name {
	case envNodeID:
		set(&t.nodeID)
	case envSupervisor:
		set(&t.supervisor)
	case envChild:
		set(&t.child)
	case envProbe:
		set(&t.probe)
	case envIncarnation:
		set(&t.incarnation)
	}
}

// tagOf reads the tag of an environment.
func tagOf(env []string) (t tag) {
	for _, entry := range env {
		t.note(entry)
	}
	return t
}

// readTag reads the tag of a process. A process that is gone, is becoming another program, has wiped its environment or is
// not ours to read has the zero tag.
func readTag(pid int) tag { return readTagAt("/proc/" + strconv.Itoa(pid) + "/environ") }

func readTagAt(path string) (t tag) {
	f, err := os.Open(path)
	if err != nil {
		return t
	}
	defer f.Close()
	env, err := io.ReadAll(io.LimitReader(f, maxEnviron))
	if err != nil || !bytes.Contains(env, []byte(envNodeID+"=")) {
		return t
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if bytes.HasPrefix(entry, []byte("SUPNODE_")) {
			t.note(string(entry))
		}
	}
	return t
}

// tick is the unit of a process's start in /proc/PID/stat: USER_HZ is 100 wherever Go runs.
const tick = 10 * time.Millisecond

// A stat is what /proc/PID/stat says of a process.
type stat struct {
	state   byte
	parent  int
	session int
	start   uint64 // clock ticks since boot
}

// readStat reads a process's stat; false when the process is gone.
func readStat(pid int) (stat, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, false
	}
	_, rest, found := bytes.Cut(text[max(0, bytes.LastIndexByte(text, ')')):], []byte(") "))
	f := bytes.Fields(rest)
	if !found || len(f) < 20 {
		return stat{}, false
	}
	number := func(i int) uint64 {
		n, _ := strconv.ParseUint(string(f[i]), 10, 64)
		return n
	}
	return stat{state: f[0][0], parent: int(number(1)), session: int(number(3)), start: number(19)}, true
}

// pids lists the processes that /proc shows.
func pids() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	list := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

// childrenOf lists the children of a process, zombies too. The list is exact only for a caller that asks for its own
// children and reaps none meanwhile: others may be missed.
func childrenOf(pid int) []int {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	var list []int
	for _, thread := range threads {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, thread.Name()))
		if err != nil {
			continue
		}
		list = appendPIDs(list, text)
	}
	return list
}

func appendPIDs(list []int, text []byte) []int {
	for field := range bytes.FieldsSeq(text) {
		if pid, err := strconv.Atoi(string(field)); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

// maxDepth bounds how deep killTree looks; deeper ones come up when those above them die.
const maxDepth = 64

// killTree kills the descendants of a process and not the process itself. It is not exact: it is there for trees whose upper
// part takes long to die.
func killTree(pid, depth int) {
	if depth == maxDepth {
		return
	}
	for _, child := range childrenOf(pid) {
		killTree(child, depth+1)
		_ = unix.Kill(child, unix.SIGKILL)
	}
}

// ownChildren lists the children of the thread that opened it, which is how a single-threaded forker and subreaper learns
// its own without being able to run out of descriptors.
type ownChildren struct {
	fd     int
	buffer []byte
}

func openOwnChildren() (*ownChildren, error) {
	path := fmt.Sprintf("/proc/self/task/%d/children", unix.Gettid())
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s (the kernel needs CONFIG_PROC_CHILDREN, and /proc must be mounted): %w", path, err)
	}
	return &ownChildren{fd: fd, buffer: make([]byte, 64<<10)}, nil
}

func (o *ownChildren) list() ([]int, error) {
	length := 0
	for {
		n, err := unix.Pread(o.fd, o.buffer[length:], int64(length))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return appendPIDs(nil, o.buffer[:length]), nil
		}
		if length += n; length == len(o.buffer) {
			o.buffer = append(o.buffer, make([]byte, len(o.buffer))...)
		}
	}
}
