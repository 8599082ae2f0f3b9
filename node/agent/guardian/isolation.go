package guardian

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Isolation says by what commands are held together.
type Isolation string

// The isolations of the configuration's exec.isolation.
const (
	// Group holds a command by its process group and what descends from it.
	Group Isolation = "group"
	// PIDNamespace makes the guardian the first process of a PID namespace: the kernel kills all commands with it, however
	// it dies. It needs root. Commands see their own pids and /proc.
	PIDNamespace Isolation = "pid_namespace"
)

// check says whether this process may use the isolation.
func (i Isolation) check() error {
	switch i {
	case Group:
		return nil
	case PIDNamespace:
		if os.Geteuid() != 0 {
			return fmt.Errorf("exec.isolation: pid_namespace needs root; run supnode as root or set it to group")
		}
		return nil
	}
	return fmt.Errorf("exec.isolation: %q is not known; use group or pid_namespace", string(i))
}

// cloneFlags are the namespaces that the guardian is started in.
func (i Isolation) cloneFlags() uintptr {
	if i == PIDNamespace {
		return syscall.CLONE_NEWPID | syscall.CLONE_NEWNS
	}
	return 0
}

// enter finishes the isolation from within the guardian: a /proc that shows the new namespace, invisible outside.
func (i Isolation) enter() error {
	if i != PIDNamespace {
		return nil
	}
	if os.Getpid() != 1 {
		return fmt.Errorf("the guardian is not the first process of its namespace")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount private", err)
	}
	return os.NewSyscallError("mount /proc", unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""))
}
