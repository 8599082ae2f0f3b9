package proc

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// Waited is for how long, since the kernel was started, some process that could run was kept waiting for a processor; ok is false
// where the kernel does not count it (no pressure stall information).
func Waited() (total time.Duration, ok bool) {
	b, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return 0, false
	}
	_, text, found := strings.Cut(string(b), "total=")
	var us int64
	if _, err := fmt.Sscan(text, &us); err != nil || !found || !strings.HasPrefix(string(b), "some") {
		return 0, false
	}
	return time.Duration(us) * time.Microsecond, true
}
