package guardian

import (
	"fmt"
	"syscall"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// reasonOf is the exit reason of a command (S5): asked says that it was asked to stop or killed, forced that it was killed.
func reasonOf(status syscall.WaitStatus, asked, forced bool) sup.ExitReason {
	switch {
	case forced && status.Signaled() && status.Signal() == syscall.SIGKILL:
		return sup.ExitKilled
	case asked || forced:
		return sup.ExitShutdown
	case status.Exited() && status.ExitStatus() == 0:
		return sup.ExitNormal
	}
	return sup.ExitError
}

// describe says how a command ended, for people.
func describe(status syscall.WaitStatus) string {
	switch {
	case status.Signaled() && status.CoreDump():
		return "signal: " + status.Signal().String() + " (core dumped)"
	case status.Signaled():
		return "signal: " + status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}

// detailOf is the detail of a command's exit.
func detailOf(status syscall.WaitStatus, reason sup.ExitReason, forcedBecause string) string {
	switch reason {
	case sup.ExitNormal:
		return ""
	case sup.ExitKilled:
		return forcedBecause
	}
	return describe(status)
}

// cannotStart says why the kernel did not start a program, and what to do.
func cannotStart(errno syscall.Errno, file, dir string) string {
	does := map[syscall.Errno]string{
		syscall.ENOENT:  fmt.Sprintf("its interpreter (the #! line of a script, the loader of a program) or dir %s does not exist on this node", dir),
		syscall.EACCES:  fmt.Sprintf("this process's user may not execute it or enter dir %s", dir),
		syscall.EPERM:   "this process's user may not execute it",
		syscall.ENOEXEC: "it is neither a program of this machine nor a script with a #! line",
		syscall.E2BIG:   "its arguments and environment are too long",
		syscall.EAGAIN:  "the node has too many processes or commands; raise the process limit or run fewer",
		syscall.ENOMEM:  "the node has no memory for it",
		syscall.ETXTBSY: "its file is open for writing",
		syscall.EMFILE:  "the node has too many open files; raise the limit of open files",
		syscall.ENFILE:  "the machine has too many open files",
	}
	why := errno.Error()
	if d, known := does[errno]; known {
		why = d + " (" + why + ")"
	}
	return fmt.Sprintf("%s cannot be started: %s", file, why)
}

// untimely says that a command was killed for not stopping.
func untimely(timeout time.Duration) string {
	if timeout == 0 {
		return "killed at once, as its shutdown_timeout is 0s"
	}
	return "did not stop within " + timeout.String()
}
