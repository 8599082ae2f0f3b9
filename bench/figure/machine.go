package figure

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is where a report was made.
type Machine struct {
	Cores      int    `json:"cores"`
	CPU        string `json:"cpu"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	Filesystem string `json:"filesystem"`  // of the folder that the logs are written to
	LoadBefore string `json:"load_before"` // load averages over 1, 5 and 15 minutes
	LoadAfter  string `json:"load_after"`
	Seconds    int    `json:"seconds"` // that the run took
}

func (m Machine) String() string {
	return fmt.Sprintf("%d cores (%s), Linux %s, %s, loopback, logs on %s; load before %s, after %s; the run took %d s",
		m.Cores, m.CPU, m.Kernel, m.Go, m.Filesystem, m.LoadBefore, m.LoadAfter, m.Seconds)
}

// ThisMachine looks at the machine; dir is where logs are written.
func ThisMachine(dir string) Machine {
	return Machine{Cores: runtime.NumCPU(), CPU: cpu(), Kernel: kernel(), Go: runtime.Version(), Filesystem: filesystem(dir), LoadBefore: Load()}
}

// Load is the load averages of this moment.
func Load() string {
	b, _ := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(b))
	return strings.Join(f[:min(3, len(f))], " ")
}

func cpu() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "?"
	}
	// The version number alone: what follows names whoever built it.
	v, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
	return v
}

func filesystem(dir string) string {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return "?"
	}
	switch s.Type {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs (memory: its fsync is free, no disk is measured)"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	}
	return fmt.Sprintf("a file system of type %#x", s.Type)
}
