package fsm

import (
	"hash/fnv"

	sup "github.com/supnode/supnode/supervisor"
)

// waits makes a child that crashed, and wants to run again, wait (S20); c is this turn's copy. The chance in the wait is a hash of the child and of the
// entry in which it crashed: replicas that apply the entry agree on it, and nothing about it needs to be proposed, which
// would fail for crashes that the leader does not foresee.
func (s *State) waits(c *Child) {
	b := c.Spec.Backoff
	if b == nil || c.IsSupervisor() {
		return
	}
	c.Crashes++
	h := fnv.New64a()
	_, _ = h.Write([]byte(c.Key.String()))
	draw := (h.Sum64() ^ s.index) * 0x9E3779B97F4A7C15 // spreads the index over the high bits
	if wait := b.Wait(c.Crashes, draw>>32); wait > 0 {
		c.NotBefore = s.clock + int64(wait)
	}
}

// ran notes how long an incarnation ran that has ended: after a long run the waits begin anew.
func (s *State) ran(c *Child) {
	if b := c.Spec.Backoff; b != nil && c.Since != 0 && b.RanLong(sup.Duration(s.clock-c.Since)) {
		c.Crashes = 0
	}
	c.Since = 0
}
