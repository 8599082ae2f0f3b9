package guardian

import "golang.org/x/sys/unix"

// beUrgent puts the main thread, which does all of the guardian's work, before ordinary processes, so that a busy machine
// does not delay the fence. Nothing that it forks inherits that. It needs the right to (root has it), and leaves a process
// alone whose owner gave it a priority, which commands are to inherit.
func beUrgent() {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL || attr.Nice != 0 {
		return
	}
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0)
}
