package fsm

// Bounds of the replicated state. What would pass one is refused with quota_exceeded or busy and changes nothing.
const (
	MaxDetail       = 4096      // bytes of an exit's detail
	MaxReason       = 1024      // bytes of the reason of a stop
	MaxNodes        = 10_000    // members ever seen
	MaxSupervisors  = 100_000   // supervisors that are not stopped
	MaxChildren     = 1_000_000 // children of one supervisor
	MaxChanges      = 50_000    // children that one change of a manifest concerns
	MaxQueue        = 1_000     // requests that wait for one supervisor's operation
	MaxStopped      = 1_000     // stopped supervisors kept readable (S37)
	MaxKeys         = 1_000_000 // requests whose outcome is kept (S36)
	MaxPending      = 100_000   // requests that wait for their outcome
	MaxKey          = 255       // bytes of a request's key
	MaxReply        = 64 << 10  // bytes of a call's answer that is kept for who repeats the call
	MaxReplies      = 64 << 20  // bytes of all answers that are kept; beyond it the oldest go
	MaxMoves        = 1_000     // children that one Rebalance may move
	MaxLostAtStart  = 3         // placements that a first start may lose to nodes (S12)
	maxNested       = 128       // levels of CBOR; a manifest takes three for each level of supervisors
	defaultHistory  = 64 << 20  // bytes of events kept when the settings do not say
	keyLife         = 24 * 3600e9
	ownKeyLife      = 1800e9
	deliverLife     = 1800e9 // of a Deliver whose node does not say what came of it
	maxHistoryChunk = 64 << 10
)
