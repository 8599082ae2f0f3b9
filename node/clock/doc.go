// Package clock reads CLOCK_BOOTTIME, the only clock that leases are measured with: it never jumps, and it goes on while
// the host sleeps. Its readings are instants of one host and are never compared with those of another.
//
//	c, err := clock.Boot()
//	defer c.Close()
//	rang, stop := c.After(c.Now() + int64(time.Second))
//	defer stop()
//	<-rang
//
// A timer of package time stands still while the host sleeps, and so would a fence that relied on it; these do not: one
// whose instant passed during the sleep rings at once on resume. Those who are woken check the clock all the same.
package clock
