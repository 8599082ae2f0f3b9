package clock

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func rung(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestBootClockRingsAtItsInstantsInAnyOrder(t *testing.T) {
	c, err := Boot()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := c.Now()
	late, stopLate := c.After(start + int64(40*time.Millisecond))
	defer stopLate()
	soon, stopSoon := c.After(start + int64(10*time.Millisecond))
	defer stopSoon()
	past, stopPast := c.After(start - 1)
	defer stopPast()
	if !rung(past) {
		t.Error("an alarm in the past did not ring at once")
	}
	<-soon
	if d := c.Now() - start; d < int64(10*time.Millisecond) {
		t.Errorf("rang after %v, too early", time.Duration(d))
	}
	if rung(late) && c.Now()-start < int64(40*time.Millisecond) {
		t.Error("the later alarm rang too early")
	}
	<-late
	if d := c.Now() - start; d < int64(40*time.Millisecond) {
		t.Errorf("rang after %v, too early", time.Duration(d))
	}
}

func TestBootClockGoesOnAfterAStoppedAlarm(t *testing.T) {
	c, err := Boot()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	first, stop := c.After(c.Now() + int64(5*time.Millisecond))
	second, stopSecond := c.After(c.Now() + int64(20*time.Millisecond))
	defer stopSecond()
	stop()
	stop()
	<-second
	if rung(first) {
		t.Error("a stopped alarm rang")
	}
}

func TestBootClockClosesWithAlarmsOutstanding(t *testing.T) {
	c, err := Boot()
	if err != nil {
		t.Fatal(err)
	}
	_, stop := c.After(c.Now() + int64(time.Hour))
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	stop()
	if never, _ := c.After(c.Now() + int64(time.Hour)); rung(never) {
		t.Error("an alarm of a closed clock rang")
	}
}

func TestFakeClockRingsWhenMoved(t *testing.T) {
	c := NewFake(100)
	a, _ := c.After(200)
	b, stop := c.After(150)
	if at, ok := c.Next(); !ok || at != 150 {
		t.Errorf("next is %d %v, want 150", at, ok)
	}
	stop()
	c.Set(199)
	if rung(a) || rung(b) {
		t.Error("rang too early, or although stopped")
	}
	c.Advance(1)
	if !rung(a) {
		t.Error("did not ring")
	}
	c.Set(10)
	if c.Now() != 200 {
		t.Errorf("went back to %d", c.Now())
	}
}

func TestTimedClockFollowsABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewTimed()
		start := c.Now()
		rang, stop := c.After(start + int64(time.Hour))
		defer stop()
		<-rang
		if c.Now() != start+int64(time.Hour) {
			t.Errorf("rang at %d", c.Now())
		}
	})
}
