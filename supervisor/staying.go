package supervisor

// Staying is a child of a draining node that nothing moves, and why.
type Staying struct {
	Supervisor Name    `json:"supervisor"`
	Child      ChildID `json:"child"`
	Reason     string  `json:"reason"`
}
