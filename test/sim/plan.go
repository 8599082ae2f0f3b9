package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/supnode/supnode/fsm"
)

// Plan is what a seed draws before its history begins: the cluster and its swarm of faults. Each seed has a few kinds of
// faults often rather than every kind rarely.
type Plan struct {
	Voters, Plain int // hosts with and without a Raft replica
	Settings      fsm.Settings
	Clients       int
	Until         int64 // faults end, true time

	Every [faultKinds]int64 // mean time between two faults of a kind; 0 = never

	GoShare   int   // percent of children that live inside the process; 100: hosts have no guardian
	Crash     int64 // mean life of a child that ends by itself; 0 = none does
	InitFails int   // percent of inits that fail
	Stubborn  int   // percent of children that ignore a stop until they are killed
	SlowKill  bool  // killing takes up to 300 ms instead of a few
	Delay     int64 // of a frame, at most
	Spike     int   // percent of frames that take up to ten times as long
	Answers   int64 // further delay of what a leader sends, at most: requests are fast, answers are not
	Asks      int64 // the same of what agents send
	Commit    int64 // how long a commit takes, at most
	Stale     int   // percent of frames that come a second time, later, on whatever stream is up then
	AtCommit  int   // percent of commits around which the leader changes
	Jitter    int64 // of timers, at most
	Skew      bool  // clocks run at the extremes of ρ
	Lag       int64 // of a follower's apply, at most
	Busy      int64 // how long a leader's events wait for its driver, at most
	Long      int64 // how long a stop or a cut lasts, about; 0 = drawn anew each time
	Edge      bool  // partitions cut off hosts without a replica only
	Belief    int64 // how long a deposed leader may go on believing, at most
	Rules     rules // of supervision that the clients use
}

// commands reports whether the hosts run commands, and so have guardians.
func (p *Plan) commands() bool { return p.GoShare < 100 }

// behaviors are what every host can run, sorted.
func (p *Plan) behaviors() []string {
	if p.commands() {
		return []string{behaviorCommand, behaviorGo}
	}
	return []string{behaviorGo}
}

// The kinds of faults that strike from outside.
type faultKind int

const (
	faultBreak         faultKind = iota // a stream breaks
	faultPause                          // SIGSTOP of supnode, later CONT
	faultPauseBoth                      // SIGSTOP of supnode and guardian: not promised to fence
	faultPauseGuardian                  // SIGSTOP of the guardian alone
	faultKill                           // kill -9 of supnode
	faultKillBoth                       // kill -9 of supnode and guardian
	faultKillGuardian                   // kill -9 of the guardian
	faultReboot                         // power cut
	faultPartition                      // a set of hosts is cut off, both ways
	faultOneWay                         // one direction between two hosts fails
	faultElect                          // leadership moves
	faultSetTTL                         // the lease settings change
	faultRestore                        // an old backup replaces the state
	faultLeave                          // a node says goodbye and comes back later
	faultDrain                          // an operator drains a node, and undrains it later
	faultRebalance                      // an operator has the children even out
	faultForget                         // an operator removes a node that is gone
	faultKinds
)

// firstOperation is the first of the kinds that are no faults but what operators do meanwhile. They are drawn apart, so that
// a seed without them keeps its history.
const firstOperation = faultDrain

var faultNames = [faultKinds]string{"break", "pause", "pause_both", "pause_guardian", "kill", "kill_both", "kill_guardian",
	"reboot", "partition", "one_way", "elect", "set_ttl", "restore", "leave", "drain", "rebalance", "forget"}

func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "voters=%d plain=%d ttl=%dms h=%dms ff=%s until=%.1fs go=%d%% crash=%dms initfail=%d%% stubborn=%d%% slowkill=%v delay=%dms spike=%d%% answers=%dms asks=%dms commit=%dms stale=%d%% atcommit=%d%% jitter=%dms skew=%v lag=%dms busy=%dms belief=%dms",
		p.Voters, p.Plain, p.Settings.LeaseTTL/millisecond, p.Settings.HeartbeatInterval/millisecond, p.Settings.FastFailover,
		float64(p.Until)/1e9, p.GoShare, p.Crash/millisecond, p.InitFails, p.Stubborn, p.SlowKill, p.Delay/millisecond, p.Spike,
		p.Answers/millisecond, p.Asks/millisecond, p.Commit/millisecond, p.Stale, p.AtCommit, p.Jitter/millisecond, p.Skew, p.Lag/millisecond, p.Busy/millisecond, p.Belief/millisecond)
	for k, every := range p.Every {
		if every > 0 {
			fmt.Fprintf(&b, " %s/%dms", faultNames[k], every/millisecond)
		}
	}
	if p.Rules != (rules{}) {
		fmt.Fprintf(&b, " rules=%+v", p.Rules)
	}
	return b.String()
}

// draw makes a plan.
func draw(r *rand.Rand) Plan {
	chance := func(percent int) bool { return r.IntN(100) < percent }
	span := func(lo, hi int64) int64 { return lo + r.Int64N(hi-lo+1) }
	p := Plan{
		Voters:  3,
		Clients: 2 + r.IntN(3),
		Settings: fsm.Settings{
			HeartbeatInterval: 100 * millisecond, LeaseTTL: second, FastFailover: "loopback", EventHistory: 64 << 10,
		},
		Until:  span(6, 12) * second,
		Delay:  2 * millisecond,
		Jitter: millisecond,
		Commit: 4 * millisecond,
		Lag:    20 * millisecond,
		Busy:   200 * microsecond,
		Belief: 20 * millisecond,
	}
	switch n := r.IntN(100); {
	case n < 15:
		p.Voters = 5
	case n < 22:
		p.Voters = 1
	}
	if chance(40) {
		p.Plain = 1 + r.IntN(2)
	}
	if chance(10) {
		p.Settings.HeartbeatInterval, p.Settings.LeaseTTL = 500*millisecond, 3*second
	}
	if chance(50) {
		p.Settings.FastFailover = "off"
	}
	p.GoShare = []int{0, 30, 50, 100}[r.IntN(4)]
	if chance(50) {
		p.Crash = span(300, 3000) * millisecond
	}
	if chance(30) {
		p.InitFails = 1 + r.IntN(25)
	}
	if chance(40) {
		p.Stubborn = 5 + r.IntN(60)
	}
	p.SlowKill = chance(20)
	if chance(40) {
		p.Delay = span(5, 60) * millisecond
	}
	if chance(30) {
		p.Spike = 1 + r.IntN(10)
	}
	if chance(25) {
		p.Answers = span(100, p.Settings.LeaseTTL*45/100/millisecond) * millisecond
	}
	if chance(15) {
		p.Asks = span(100, p.Settings.LeaseTTL*45/100/millisecond) * millisecond
	}
	if chance(20) {
		p.Commit = span(20, p.Settings.LeaseTTL/4/millisecond) * millisecond
	}
	if chance(40) {
		p.Stale = 1 + r.IntN(20)
	}
	if chance(25) {
		p.AtCommit = 1 + r.IntN(4)
	}
	if chance(30) {
		p.Jitter = p.Settings.Lease().TimerDelay() * 98 / 100
	}
	p.Skew = chance(60)
	if chance(30) {
		p.Lag = span(50, 500) * millisecond
	}
	if chance(15) {
		p.Busy = span(5, 60) * millisecond
	}
	if chance(50) {
		p.Belief = span(50, 2000) * millisecond
	}
	for k := range firstOperation {
		if chance(usual[k]) {
			p.Every[k] = span(400, 4000) * millisecond
		}
	}
	return p
}

// drawOperations adds to a plan what operators do.
func (p *Plan) drawOperations(seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0x6f70657261746f72))
	for k := firstOperation; k < faultKinds; k++ {
		if r.IntN(100) < usual[k] {
			p.Every[k] = (400 + r.Int64N(2600)) * millisecond
		}
	}
}

// usual is how many seeds in a hundred have a kind of fault.
var usual = [faultKinds]int{30, 40, 6, 15, 40, 15, 20, 15, 35, 25, 30, 8, 7, 12, 20, 15, 8}
