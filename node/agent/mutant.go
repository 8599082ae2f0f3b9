package agent

// Mutant names one clause of the protocol that the machine is to break, so that the simulation can prove that it would
// notice. It is for that proof only: in production it is empty, and the machine breaks none.
type Mutant string

// The mutants of the agent.
const (
	NoSelfFence             Mutant = "no_self_fence"                   // A3: the deadline passes unheeded
	LeaseFromAnswer         Mutant = "lease_from_answer"               // A1: counted from when the answer came
	SpawnWithoutSession     Mutant = "spawn_without_session_check"     // A5: σ of a spawn is not looked at
	SpawnWithoutIncarnation Mutant = "spawn_without_incarnation_check" // A5: a lower or ended e is started
	StopWithoutMark         Mutant = "stop_does_not_raise_mark"        // A5: a stop of what does not run leaves no trace
	RegisterBeforeStopped   Mutant = "register_before_stopped"         // A4: while something of the former session is left
	FenceNotFirst           Mutant = "fence_not_first_on_resume"       // A3: only the timer fences, other turns go before it
	RegisterAnyNonce        Mutant = "register_any_nonce"              // A4: the answer to any attempt is taken
	RegisterWithSession     Mutant = "register_with_session"           // A4: registers while it holds a session
)

// mutant reports whether this machine is to break x.
func (m *Machine) mutant(x Mutant) bool { return m.cfg.Mutant == x }
