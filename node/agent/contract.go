package agent

import (
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// Instant is a reading of CLOCK_BOOTTIME in nanoseconds. Instants of different hosts are never compared.
type Instant = int64

// Event is what happens to an agent. Exactly these types are events.
type Event interface{ agentEvent() }

// The events of the agent machine.
type (
	// StreamUp: a sync stream to a leader is open; Stream numbers rise.
	StreamUp struct{ Stream uint64 }
	// StreamDown: the stream is gone.
	StreamDown struct{ Stream uint64 }
	// Received: a frame came on a stream.
	Received struct {
		Stream uint64
		Frame  rpc.ToAgent
	}
	// Started: the init of an incarnation has returned.
	Started struct {
		Key sup.Key
		Inc sup.Incarnation
	}
	// Ended: nothing of an incarnation is left. InitFailed: its init did not succeed; the machine also takes it so when no
	// Started came before and nobody asked for its end.
	Ended struct {
		Key        sup.Key
		Inc        sup.Incarnation
		Reason     sup.ExitReason
		Detail     string
		InitFailed bool
	}
	// Hanging: an incarnation is to be gone, and its code has not returned (S14). Ended follows if it ever does.
	Hanging struct {
		Key sup.Key
		Inc sup.Incarnation
	}
	// GuardianLapsed: the guardian's timer fired before a renewal reached it (A6). Session is the one whose lease it held;
	// zero = not known. It concerns no later session.
	GuardianLapsed struct{ Session sup.Session }
	// GuardianLost: the guardian died, and its children are dead. Each one's own Ended follows: the loss is one event, not
	// so many crashes (A6).
	GuardianLost struct{}
	// Leave: the process was asked to leave gracefully; everything must be over at By.
	Leave struct{ By Instant }
	// Tick: a timer fired (the last Wake), or the driver turned for another reason.
	Tick struct{}
)

func (StreamUp) agentEvent()       {}
func (StreamDown) agentEvent()     {}
func (Received) agentEvent()       {}
func (Started) agentEvent()        {}
func (Ended) agentEvent()          {}
func (Hanging) agentEvent()        {}
func (GuardianLapsed) agentEvent() {}
func (GuardianLost) agentEvent()   {}
func (Leave) agentEvent()          {}
func (Tick) agentEvent()           {}

// Action is what the agent machine wants done. The driver carries actions out in order.
type Action interface{ agentAction() }

// The actions of the agent machine.
type (
	// Send a frame on a stream; dropped when that stream is gone.
	Send struct {
		Stream uint64
		Frame  rpc.FromAgent
	}
	// Hangup: nothing is to be hoped for from this stream; close it, find the leader anew. StreamDown follows.
	Hangup struct{ Stream uint64 }
	// Spawn starts an incarnation; Started or Ended follows.
	Spawn struct{ rpc.Spawn }
	// Stop asks an incarnation to stop; after Timeout (0 at once, -1 never) it is killed. Ended follows.
	Stop struct {
		Key     sup.Key
		Inc     sup.Incarnation
		Timeout int64
	}
	// Kill kills an incarnation at once. Ended follows.
	Kill struct {
		Key sup.Key
		Inc sup.Incarnation
	}
	// Lease tells those who dispatch (guardian timer, Go children) until when they may, and F.
	Lease struct {
		Session  sup.Session
		Deadline Instant
		Fence    int64
	}
	// Fence: kill everything at once, and take no message; each child's Ended follows.
	Fence struct{}
	// Exit ends the process: something did not stop by its deadline + F (A3).
	Exit struct{ Why string }
	// Left: the goodbye is over, the process may end. Kept says what was not handed over.
	Left struct {
		Kept []sup.Key
		Why  string // why they were not
	}
	// Rejected: the cluster refuses this node for good; the process ends with this text.
	Rejected struct{ Why string }
	// Remember asks for the highest generation to be kept on disk (state.db).
	Remember struct{ Gen uint64 }
	// Wake asks for a Tick at At; it replaces the former one.
	Wake struct{ At Instant }
)

func (Send) agentAction()     {}
func (Hangup) agentAction()   {}
func (Spawn) agentAction()    {}
func (Stop) agentAction()     {}
func (Kill) agentAction()     {}
func (Lease) agentAction()    {}
func (Fence) agentAction()    {}
func (Exit) agentAction()     {}
func (Left) agentAction()     {}
func (Rejected) agentAction() {}
func (Remember) agentAction() {}
func (Wake) agentAction()     {}

// Runner runs the incarnations of some behaviors on this node. Its methods do not block; what comes of them arrives as
// Started, Ended, Hanging, GuardianLapsed and GuardianLost through the sink that its maker was given. A Stop or Kill of an
// incarnation that it does not have is ignored; of two Stops the nearer end counts. Lease, Spawn and Fence come one at a
// time, Stop and Kill may come beside them. The sink does not block either, and may be called from within.
type Runner interface {
	Spawn(Spawn)
	Stop(Stop)
	Kill(Kill)
	Lease(Lease)
	Fence()
	// Close kills everything, waits until nothing is left, and ends the runner.
	Close()
}
