package leader

import (
	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// Instant is a reading of CLOCK_BOOTTIME in nanoseconds.
type Instant = int64

// Event is what happens to the leader of one term. A machine lives for one leadership, from after the barrier to its loss.
type Event interface{ leaderEvent() }

// The events of the leader machine.
type (
	// StreamUp: an agent opened a sync stream. Its first frame is a Hello.
	StreamUp struct{ Stream uint64 }
	// StreamDown: a stream broke (not a proof of death).
	StreamDown struct{ Stream uint64 }
	// Received: a frame came.
	Received struct {
		Stream uint64
		Frame  rpc.FromAgent
	}
	// Asked: a client's request. Answer follows when its outcome is known or it is pending.
	Asked struct {
		ID      uint64
		Command fsm.Command // with Request set
	}
	// ReadAsked: a linearizable read (R1). ReadReady follows.
	ReadAsked struct{ ID uint64 }
	// Committed: a proposal of this machine was applied here; in order of proposal.
	Committed struct {
		Proposal uint64
		Applied  fsm.Applied
	}
	// Failed: a proposal's outcome is unknown or it failed: not the leader any more (L4).
	Failed struct {
		Proposal uint64
		Why      string
	}
	// Probed: the result of a Probe.
	Probed struct {
		Node    sup.NodeName
		Session sup.Session
		Refused bool // the kernel said that nothing listens (P2); anything else is no proof
	}
	// Selected: a custom selector's answer to a Select: a node, or why there is none.
	Selected struct {
		ID   uint64
		Key  sup.Key
		Node sup.NodeName
		Why  string
	}
	// Tick: a timer fired.
	Tick struct{}
)

func (StreamUp) leaderEvent()   {}
func (StreamDown) leaderEvent() {}
func (Received) leaderEvent()   {}
func (Asked) leaderEvent()      {}
func (ReadAsked) leaderEvent()  {}
func (Committed) leaderEvent()  {}
func (Failed) leaderEvent()     {}
func (Probed) leaderEvent()     {}
func (Selected) leaderEvent()   {}
func (Tick) leaderEvent()       {}

// Action is what the leader machine wants done.
type Action interface{ leaderAction() }

// The actions of the leader machine.
type (
	// Propose an entry to the log. Committed or Failed follows.
	Propose struct {
		Proposal uint64
		Entry    fsm.Entry
	}
	// Send a frame on an agent's stream; dropped when the stream is gone.
	Send struct {
		Stream uint64
		Frame  rpc.ToAgent
	}
	// CloseStream after what was sent on it.
	CloseStream struct{ Stream uint64 }
	// Answer a request: its result at the commit (OK, Stale, Refused or Pending).
	Answer struct {
		ID     uint64
		Result fsm.Result
	}
	// ReadReady: the state as of Index is recent enough for the read.
	ReadReady struct {
		ID    uint64
		Index uint64
	}
	// Probe dials a node's port afresh (P2); Probed follows. The driver re-dials while the dial succeeds and is held,
	// until Refused, or the machine stops asking.
	Probe struct {
		Node    sup.NodeName
		Session sup.Session
		Addr    string
	}
	// ProbeStop ends the probe of that session: its node is heard of again, or the session is over.
	ProbeStop struct {
		Node    sup.NodeName
		Session sup.Session
	}
	// Transfer leadership: this leader commits nothing (L6); the driver makes the process exit when that fails.
	Transfer struct{ Why string }
	// HandOver offers leadership to a server; when that fails this one goes on leading.
	HandOver struct {
		To  sup.NodeName
		Why string
	}
	// Resign: drop everything, this machine is over. Stalled says that nothing commits and the transfer changed nothing
	// (L6): the process has to end.
	Resign struct {
		Why     string
		Stalled bool
	}
	// Select calls a custom selector (S29). Selected follows, in bounded time.
	Select struct {
		ID       uint64
		Selector string
		Key      sup.Key
		Nodes    []sup.SelectorNode
		Child    sup.SelectorChild
	}
	// Wake asks for a Tick at At; it replaces the former one.
	Wake struct{ At Instant }
)

func (Propose) leaderAction()     {}
func (Send) leaderAction()        {}
func (CloseStream) leaderAction() {}
func (Answer) leaderAction()      {}
func (ReadReady) leaderAction()   {}
func (Probe) leaderAction()       {}
func (ProbeStop) leaderAction()   {}
func (Transfer) leaderAction()    {}
func (HandOver) leaderAction()    {}
func (Resign) leaderAction()      {}
func (Select) leaderAction()      {}
func (Wake) leaderAction()        {}
