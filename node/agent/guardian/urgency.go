package guardian

import (
	"time"

	"golang.org/x/sys/unix"
)

// beUrgent gives the main thread, which does all of the guardian's work, as large and early a share of the processors as
// ordinary processes can have, so that a busy machine does not delay the fence. Not a real-time one: the threads of Go's
// runtime wait for each other, and one that nothing outruns would keep the one that it waits for from running.
//
// Nothing that it forks inherits that. It needs the right to (root has it), and leaves a process alone whose owner gave it a
// priority, which commands are to inherit.
func beUrgent() {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL || attr.Nice != 0 {
		return
	}
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{
		Policy: unix.SCHED_NORMAL, Nice: -20, Runtime: uint64(100 * time.Microsecond), Flags: unix.SCHED_FLAG_RESET_ON_FORK,
	}, 0)
}
