// Package await is how tests wait: for what they need, with a bound, and never for a time to pass.
package await

import (
	"errors"
	"testing"
	"time"
)

// Patience bounds every wait; nothing takes a tenth of it on an idle machine.
const Patience = 60 * time.Second

// The pace of the looks: each pause is twice the one before.
const (
	firstPause = time.Millisecond
	maxPause   = 20 * time.Millisecond
)

// True waits until ok holds.
func True(t testing.TB, what string, ok func() bool) {
	t.Helper()
	Nil(t, what, func() error {
		if !ok() {
			return errNotYet
		}
		return nil
	})
}

var errNotYet = errors.New("it never came")

// Nil waits until try returns no error; the last one is what the test fails with.
func Nil(t testing.TB, what string, try func() error) {
	t.Helper()
	pause := firstPause
	for deadline := time.Now().Add(Patience); ; pause = min(2*pause, maxPause) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s (%v)", what, err)
		}
		time.Sleep(pause)
	}
}
