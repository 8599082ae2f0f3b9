package guardian

import (
	"os"

	"github.com/supnode/supnode/node/agent"
	"golang.org/x/sys/unix"
)

// now reads CLOCK_BOOTTIME, the clock of all deadlines here: it counts a suspended machine's sleep too.
func now() agent.Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("guardian: CLOCK_BOOTTIME: " + err.Error())
	}
	return ts.Nano()
}

// newTimer makes a timer descriptor on CLOCK_BOOTTIME.
func newTimer() (int, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	return fd, os.NewSyscallError("timerfd_create", err)
}

// setTimer makes the timer fire at an instant; one that has passed, at once. It says whether the timer was still to fire.
func setTimer(fd int, at agent.Instant) (wasPending bool, err error) {
	var old unix.ItimerSpec
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(at, 1))} // zero would disarm it
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME, &spec, &old); err != nil {
		return false, os.NewSyscallError("timerfd_settime", err)
	}
	return old.Value.Nano() != 0, nil
}

// timerPending says whether the timer is set and has not fired.
func timerPending(fd int) bool {
	var left unix.ItimerSpec
	return unix.TimerfdGettime(fd, &left) == nil && left.Value.Nano() != 0
}

// An alarm is a BOOTTIME timer that a goroutine can wait for.
type alarm struct {
	fd   int
	file *os.File
}

func newAlarm() (*alarm, error) {
	fd, err := newTimer()
	if err != nil {
		return nil, err
	}
	return &alarm{fd: fd, file: os.NewFile(uintptr(fd), "alarm")}, nil
}

// set makes wait return at an instant.
func (a *alarm) set(at agent.Instant) {
	raw, err := a.file.SyscallConn()
	if err != nil {
		return // stopped
	}
	_ = raw.Control(func(fd uintptr) { _, _ = setTimer(int(fd), at) })
}

// wait returns true when the alarm goes off and false when it is stopped.
func (a *alarm) wait() bool {
	var count [8]byte
	_, err := a.file.Read(count[:])
	return err == nil
}

func (a *alarm) stop() { a.file.Close() }
