package fsm

// Phase is the slot guard's state of a child (protocol.md, Replicated state).
type Phase uint8

// The phases of a slot: Unplaced → Placed → Running → Stopping → Unplaced; Placed may go to Stopping.
const (
	Unplaced Phase = iota
	Placed
	Running
	Stopping
)

// NodeStatus is a member's state (api.md §3).
type NodeStatus string

// The states of a member. Up and Draining members have a live session.
const (
	MemberUp       NodeStatus = "up"
	MemberDown     NodeStatus = "down"
	MemberDraining NodeStatus = "draining"
	MemberLeft     NodeStatus = "left"
)

func (p Phase) String() string {
	switch p {
	case Unplaced:
		return "unplaced"
	case Placed:
		return "placed"
	case Running:
		return "running"
	case Stopping:
		return "stopping"
	}
	return "unknown"
}

// Why says what follows when a slot that is to be stopped is free.
type Why uint8

// The reasons for which a slot is stopped. Zero: nobody asked it to stop.
const (
	WhyTerminate Why = 1 // it is removed (S32)
	WhyRestart   Why = 2 // it is started again, by hand (S33)
	WhyMove      Why = 3 // it is started again elsewhere, its node leaves (P3)
	WhyShutdown  Why = 4 // it is removed, its supervisor stops (S13)
	WhyGroup     Why = 5 // it is started again in its turn, its group restarts (S8, S9)
	WhyChange    Why = 6 // what follows is its Part in a change of its supervisor's manifest
)

func (w Why) String() string {
	switch w {
	case 0:
		return "none"
	case WhyTerminate:
		return "terminate"
	case WhyRestart:
		return "restart"
	case WhyMove:
		return "move"
	case WhyShutdown:
		return "shutdown"
	case WhyGroup:
		return "group"
	case WhyChange:
		return "change"
	}
	return "unknown"
}

// Part is what a change of a supervisor's manifest does to a child.
type Part uint8

// The parts of children in a change. A Gone or Replaced one is to be down before the change goes on; how it ends makes no
// difference.
const (
	PartGone     Part = 1 // the manifest does not name it, or somebody else terminates it
	PartReplaced Part = 2 // it is started again, with another spec
	PartStarts   Part = 3 // it is due by the change, or by the one that this one cut in on, and its init has not returned
)
