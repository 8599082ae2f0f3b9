// Package machine lets test packages have the machine to themselves, one after another: `go test ./...` runs packages side
// by side, and a package that keeps every core busy would make leases lapse in one that runs real clusters. Which is what
// leases are for, but not what those tests are about. And it gives out the addresses that their nodes listen on.
package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Alone waits until no other package holds the machine, and holds it until the returned function is called or the process
// ends. It is meant for TestMain.
func Alone() (release func()) {
	path := filepath.Join(os.TempDir(), "supnode-test-machine.lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		panic(fmt.Sprintf("the lock of the machine: %v", err))
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		panic(fmt.Sprintf("lock %s: %v", path, err))
	}
	return func() { f.Close() }
}

// Run is a TestMain: it runs a package's tests alone.
func Run(m *testing.M) (code int) {
	defer Alone()()
	return m.Run()
}
