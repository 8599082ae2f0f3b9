package guardian

import (
	"os"
	"runtime"
	"sync/atomic"
)

// marker is the environment variable that makes a process the guardian. Its value is the isolation.
const marker = "EXEC_GUARDIAN"

// The guardian's name in process lists. A pkill for the product's name must not hit both processes.
const guardianName = "exec-guardian"

// comm is that name as the kernel takes it: at most 15 bytes and a zero.
var comm = [16]byte([]byte(guardianName + "\x00\x00\x00"))

// entered says that main called RunIfGuardian, so that a guardian started from this binary will be one.
var entered atomic.Bool

func init() {
	if os.Getenv(marker) != "" {
		// PDEATHSIG fires when the forking thread ends, so all forks come from the main thread, which ends last.
		runtime.LockOSThread()
	}
}

// RunIfGuardian turns the process into the guardian if that is what it was started as, and then never returns. Every program
// that uses [Start] calls it first thing in main.
func RunIfGuardian() {
	entered.Store(true)
	isolation := os.Getenv(marker)
	if isolation == "" {
		return
	}
	os.Exit(stand(Isolation(isolation)))
}
