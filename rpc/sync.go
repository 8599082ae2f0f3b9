package rpc

import (
	"encoding/json"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// The sync stream: one per agent, opened by the agent to the leader, framed CBOR both ways. A frame is one FromAgent or one
// ToAgent; any of their fields may be set together. Order on one stream is kept; nothing is promised across streams.

// FromAgent is what an agent tells the leader.
type FromAgent struct {
	Hello    *Hello        `cbor:"1,keyasint,omitempty"`
	Register *fsm.Register `cbor:"2,keyasint,omitempty"`
	Renew    *Renew        `cbor:"3,keyasint,omitempty"`
	Reports  []fsm.Report  `cbor:"4,keyasint,omitempty"` // repeated until acknowledged; at most MaxBatch
	Goodbye  *Goodbye      `cbor:"5,keyasint,omitempty"`
}

// MaxBatch bounds the reports, acknowledgements and orders of one frame.
const MaxBatch = 512

// Hello is the first frame on a stream.
type Hello struct {
	Node    sup.NodeName `cbor:"1,keyasint"`
	ID      string       `cbor:"2,keyasint"` // UUID of its state.db
	Gen     uint64       `cbor:"3,keyasint"` // the highest generation it has seen; ≥ the leader's forces a bump to Gen+1
	Session sup.Session  `cbor:"4,keyasint"` // the one it holds; zero = none
	Holding []Held       `cbor:"5,keyasint,omitempty"`
	// Settings as its file has them: refused when they differ from the replicated ones (Welcome.Refused).
	Settings fsm.Settings `cbor:"6,keyasint"`
}

// Held is one incarnation that an agent has: starting, running or stopping.
type Held struct {
	Key     sup.Key         `cbor:"1,keyasint"`
	Inc     sup.Incarnation `cbor:"2,keyasint"`
	Running bool            `cbor:"3,keyasint,omitempty"` // its init has returned
}

// Renew asks for a grant (A1). The agent remembers when it sent Seq.
type Renew struct {
	Session sup.Session `cbor:"1,keyasint"`
	Seq     uint64      `cbor:"2,keyasint"`
	Left    int64       `cbor:"3,keyasint"` // ns left of its lease, 0 = none: less than TTL/2 is urgent (L1)
}

// Goodbye says that the node leaves (P3). First Leave: move my children. Then, with everything stopped and reported, Done.
type Goodbye struct {
	Session sup.Session `cbor:"1,keyasint"`
	Done    bool        `cbor:"2,keyasint,omitempty"`
	Why     string      `cbor:"3,keyasint,omitempty"` // with Done: why some were stopped in place
}

// ToAgent is what the leader tells an agent.
type ToAgent struct {
	Welcome    *Welcome    `cbor:"1,keyasint,omitempty"`
	Registered *Registered `cbor:"2,keyasint,omitempty"`
	Grant      *Grant      `cbor:"3,keyasint,omitempty"`
	Refused    *Refused    `cbor:"4,keyasint,omitempty"`
	Spawns     []Spawn     `cbor:"5,keyasint,omitempty"`
	Stops      []Stop      `cbor:"6,keyasint,omitempty"`
	Acks       []Ack       `cbor:"7,keyasint,omitempty"`
	// Farewell answers Goodbye: Left is committed (Done), or the leader can't move anything and the node is to stop in place.
	Farewell *Farewell `cbor:"8,keyasint,omitempty"`
}

// Welcome answers Hello.
type Welcome struct {
	Term    uint64       `cbor:"1,keyasint"`
	Leader  sup.NodeName `cbor:"2,keyasint"`
	Gen     uint64       `cbor:"3,keyasint"`
	Current sup.Session  `cbor:"4,keyasint"` // the node's session in the replicated state: what Register is to name
	Live    bool         `cbor:"5,keyasint"` // whether Current is live
	TTL     int64        `cbor:"6,keyasint"`
	H       int64        `cbor:"7,keyasint"`
	// Refused is set when this node may not join; the text says what to do. The stream is closed after it.
	Refused string `cbor:"8,keyasint,omitempty"`
}

// Registered answers Register once it is committed.
type Registered struct {
	Nonce   uint64      `cbor:"1,keyasint"`
	Session sup.Session `cbor:"2,keyasint"` // zero: stale, Current has the session to name in the next attempt
	Current sup.Session `cbor:"3,keyasint"`
	Refused string      `cbor:"4,keyasint,omitempty"`
}

// Grant answers one Renew after a Tick's commit (L1). It carries all an agent uses: TTL and F.
type Grant struct {
	Session sup.Session `cbor:"1,keyasint"`
	Seq     uint64      `cbor:"2,keyasint"`
	TTL     int64       `cbor:"3,keyasint"`
	Fence   int64       `cbor:"4,keyasint"`
	H       int64       `cbor:"5,keyasint"`
}

// Refused says that Session is not the node's live session, or that Gen is newer: a lapse (A4).
type Refused struct {
	Session sup.Session `cbor:"1,keyasint"`
	Gen     uint64      `cbor:"2,keyasint"`
}

// Spawn orders an incarnation to be started.
type Spawn struct {
	Session         sup.Session       `cbor:"1,keyasint"`
	Key             sup.Key           `cbor:"2,keyasint"`
	Inc             sup.Incarnation   `cbor:"3,keyasint"`
	Behavior        string            `cbor:"4,keyasint"`
	Args            []json.RawMessage `cbor:"5,keyasint,omitempty"`
	InitTimeout     int64             `cbor:"6,keyasint"` // ns (S14a)
	ShutdownTimeout int64             `cbor:"7,keyasint"` // ns, -1 = infinity; used when the node stops it by itself
}

// Stop orders an incarnation to be stopped: asked to, waited for, then killed (S14).
type Stop struct {
	Session sup.Session     `cbor:"1,keyasint"`
	Key     sup.Key         `cbor:"2,keyasint"`
	Inc     sup.Incarnation `cbor:"3,keyasint"`
	Timeout int64           `cbor:"4,keyasint"`           // ns, 0 = kill at once, -1 = infinity
	Move    bool            `cbor:"5,keyasint,omitempty"` // its Move is proposed; its end is reported as ReportMoved
}

// Ack says that a report of Inc of that kind is committed or was stale: it need not be repeated.
type Ack struct {
	Key  sup.Key         `cbor:"1,keyasint"`
	Inc  sup.Incarnation `cbor:"2,keyasint"`
	Kind fsm.ReportKind  `cbor:"3,keyasint"`
}

// Farewell answers Goodbye.
type Farewell struct {
	Done        bool   `cbor:"1,keyasint,omitempty"` // Left is committed: the process may exit
	StopInPlace string `cbor:"2,keyasint,omitempty"` // why nothing can be moved
}
