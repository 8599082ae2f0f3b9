package guardian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockRetry is the pause between two tries for a lock.
const lockRetry = 5 * time.Millisecond

// A Lock is the guardian's file, locked. [Start] hands it to the guardian, which lets go of it when nothing that it started
// is left: who holds it knows that the guardian of an earlier process and its commands are gone (P1).
type Lock struct {
	path string
	file *os.File // nil while the guardian alone holds it
}

// Acquire locks the file, which it creates, and waits for an earlier guardian to let go of it, until ctx ends at most. The
// error says which process holds it.
func Acquire(ctx context.Context, path string, wait time.Duration) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("guardian lock: %w", err)
	}
	l := &Lock{path: path}
	if err := l.acquire(ctx, wait); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Lock) acquire(ctx context.Context, wait time.Duration) error {
	file, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("guardian lock: %w", err)
	}
	for began := time.Now(); ; time.Sleep(lockRetry) {
		err = flock(file)
		if err == nil {
			l.file = file
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Since(began) > wait || ctx.Err() != nil {
			wait = min(wait, time.Since(began).Round(time.Millisecond))
			break
		}
	}
	defer file.Close()
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("guardian lock: flock %s: %w", l.path, err)
	}
	return fmt.Errorf("%s is still locked after %v by %s: either supnode runs with this data directory, "+
		"or commands of an earlier one cannot be killed; look for them with ps -ef, end them, and start again", l.path, wait, holder(file))
}

func flock(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return err
	}
	return failed
}

// holder names the process that wrote itself into the lock file.
func holder(file *os.File) string {
	text := make([]byte, 32)
	n, _ := file.ReadAt(text, 0)
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n]))); err == nil {
		return fmt.Sprintf("process %d (%s)", pid, guardianName)
	}
	return "another process"
}

// inscribe writes the guardian's pid into the file, for people.
func (l *Lock) inscribe(pid int) {
	if l.file.Truncate(0) == nil {
		_, _ = l.file.WriteAt([]byte(strconv.Itoa(pid)+"\n"), 0)
	}
}

// Release lets go of this process's hold. Once a guardian has it, the lock is free only when the guardian has ended.
func (l *Lock) Release() {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}
