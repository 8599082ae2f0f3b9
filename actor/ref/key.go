package ref

// Key names a child of a supervisor, whichever incarnation of it runs.
type Key struct {
	Supervisor string `json:"supervisor"`
	Child      string `json:"child"`
}

func (k Key) String() string { return k.Supervisor + "/" + k.Child }

// Incarnation is the fencing token of one start of a child: larger at every start, below 2^53. A resource that remembers
// the largest one it has seen, and refuses lower ones, is safe from a paused predecessor.
type Incarnation uint64
