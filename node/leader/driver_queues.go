package leader

// Queues are the lengths of a driver's queues, for people.
type Queues struct {
	Inputs   int // events that wait for the machine; at most 1,024
	Entries  int // proposed, not yet handed to the log; at most MaxInFlight
	InFlight int // handed to the log, not yet applied; at most MaxInFlight
}

// Queues are the queues' lengths now.
func (d *Driver) Queues() Queues {
	return Queues{Inputs: len(d.in), Entries: len(d.entries), InFlight: len(d.futures)}
}
