package guardian

// Health is how a runner does, for people.
type Health struct {
	Alive    bool // there is a guardian; it is started again when it was lost
	Fenced   bool // the session is over: nothing may run
	Commands int  // that have not ended
}

// Health is how the runner does now.
func (r *Runner) Health() Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Health{Alive: r.guardian != nil, Fenced: r.fenced != 0, Commands: len(r.charges)}
}
