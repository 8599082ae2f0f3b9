package clock

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// BootClock is CLOCK_BOOTTIME. All its alarms share one timerfd, which rings on resume when its instant passed while the
// host slept.
type BootClock struct {
	fd    int
	timer *os.File // owns fd
	done  chan struct{}

	mu     sync.Mutex // guards alarms, armed and closed
	alarms alarms
	armed  int64 // the instant that the timerfd is set to; 0 = none
	closed bool
}

// Boot opens the clock. Close releases it.
func Boot() (*BootClock, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("timer on CLOCK_BOOTTIME: %w", err)
	}
	c := &BootClock{fd: fd, timer: os.NewFile(uintptr(fd), "timerfd"), done: make(chan struct{})}
	go c.run()
	return c, nil
}

// Close stops the clock's goroutine and waits for it. Alarms that have not rung never will; Now goes on working.
func (c *BootClock) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	err := c.timer.Close()
	<-c.done
	return err
}

// Now implements Clock.
func (c *BootClock) Now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("clock: CLOCK_BOOTTIME cannot be read: " + err.Error())
	}
	return t.Nano()
}

// After implements Clock.
func (c *BootClock) After(at int64) (<-chan struct{}, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.alarms.add(at)
	c.arm()
	return a.rang, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.alarms.remove(a)
	}
}

// arm rings what is due and sets the timerfd to the earliest alarm. An alarm that was removed leaves it set too early:
// it then rings for nobody and is set again.
func (c *BootClock) arm() {
	c.alarms.ring(c.Now())
	at, ok := c.alarms.next()
	if !ok || c.closed || c.armed == at {
		return
	}
	c.armed = at
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(at)}
	if err := unix.TimerfdSettime(c.fd, unix.TFD_TIMER_ABSTIME, &spec, nil); err != nil {
		panic("clock: the timer cannot be set: " + err.Error())
	}
}

func (c *BootClock) run() {
	defer close(c.done)
	var ticks [8]byte
	for {
		n, err := c.timer.Read(ticks[:])
		if err != nil {
			return // closed
		}
		if n != len(ticks) || binary.NativeEndian.Uint64(ticks[:]) == 0 {
			continue
		}
		c.mu.Lock()
		c.armed = 0
		c.arm()
		c.mu.Unlock()
	}
}
