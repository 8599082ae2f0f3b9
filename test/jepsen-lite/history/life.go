package history

import "fmt"

// Key names a child.
type Key struct {
	Supervisor string `json:"supervisor"`
	Child      string `json:"child"`
}

func (k Key) String() string { return k.Supervisor + "/" + k.Child }

// Roles of the processes of one incarnation.
const (
	Main       = "main"       // the command itself
	Grandchild = "grandchild" // what it detached: own session, forked twice
)

// Life is what one process of one incarnation wrote down about itself.
type Life struct {
	Key
	Node        string    `json:"node"`
	Incarnation uint64    `json:"incarnation"`
	PID         int       `json:"pid"`
	Role        string    `json:"role"`
	Start       Instant   `json:"start"`           // 0: the process died before its first record
	Ticks       []Instant `json:"ticks,omitempty"` // of every record: start, ticks, effects, stop
	Effects     int       `json:"effects"`         // fenced writes that the register accepted
	Refused     int       `json:"refused"`         // and those it refused
	Stop        string    `json:"stop,omitempty"`  // what it said at its end; empty: it was killed, or runs
	Torn        bool      `json:"torn,omitempty"`  // its last line is incomplete
}

// Last is the instant of the last record; 0 when there is none.
func (l Life) Last() Instant {
	if len(l.Ticks) == 0 {
		return 0
	}
	return l.Ticks[len(l.Ticks)-1]
}

func (l Life) String() string {
	return fmt.Sprintf("%s incarnation %d (%s, pid %d, on %s)", l.Key, l.Incarnation, l.Role, l.PID, l.Node)
}
