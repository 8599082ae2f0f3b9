package identity

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Holder is a process that has the directory open.
type Holder struct {
	PID     int
	Command string
}

// InUseError says that another process is this node.
type InUseError struct {
	Dir     string
	Holders []Holder // as far as this process may see them
	waited  time.Duration
}

func (e *InUseError) Error() string {
	who := "another process"
	if len(e.Holders) > 0 {
		var all []string
		for _, h := range e.Holders {
			if h.PID == os.Getpid() {
				all = append(all, "this very process")
				continue
			}
			all = append(all, fmt.Sprintf("process %d (%s)", h.PID, h.Command))
		}
		who = strings.Join(all, " and ")
	}
	still := ""
	if waited := e.waited.Round(time.Second); waited > 0 {
		still = fmt.Sprintf(", after %v still", waited)
	}
	return fmt.Sprintf("the data directory %s is in use by %s%s: a data directory serves one node; stop that one, or give this node a node.data_dir of its own",
		e.Dir, who, still)
}

// holders finds the processes that have a file open.
func holders(path string) (out []Holder) {
	var want unix.Stat_t
	if unix.Stat(path, &want) != nil {
		return nil
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	seen := map[int]bool{}
	for _, fd := range fds {
		pid, err := strconv.Atoi(strings.Split(fd, "/")[2])
		if err != nil || seen[pid] {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(fd, &st) != nil || st.Dev != want.Dev || st.Ino != want.Ino {
			continue
		}
		seen[pid] = true
		comm, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
		out = append(out, Holder{PID: pid, Command: strings.TrimSpace(string(comm))})
	}
	return out
}
