package supervisor

// Verdict says what becomes of a child whose incarnation has ended.
type Verdict uint8

// The verdicts on an exit.
const (
	RunAgain Verdict = 1 // it is restarted
	StayDown Verdict = 2 // it stays listed as exited (S2)
	Remove   Verdict = 3 // its record goes (S3)
)

// Clean reports whether an exit is an end that a transient child wants (S2).
func (r ExitReason) Clean() bool { return r == ExitNormal || r == ExitShutdown }

// OnExit is what the restart type does with an exit that nobody asked for (S1–S3).
func (r Restart) OnExit(reason ExitReason) Verdict {
	switch {
	case r == Temporary:
		return Remove
	case r == Transient && reason.Clean():
		return StayDown
	}
	return RunAgain
}

// OnNodeLoss is what the restart type does when the child's node is lost, or leaves (S24).
func (r Restart) OnNodeLoss() Verdict {
	if r == Temporary {
		return Remove
	}
	return RunAgain
}

// OnGroupRestart is what the restart type does with a child that is stopped because another one failed (S3, S8, S9).
func (r Restart) OnGroupRestart() Verdict {
	if r == Temporary {
		return Remove
	}
	return RunAgain
}

// Valid reports whether r is one of the three restart types.
func (r Restart) Valid() bool { return r == Permanent || r == Transient || r == Temporary }

// Valid reports whether r is one of the exit reasons of S5.
func (r ExitReason) Valid() bool {
	switch r {
	case ExitNormal, ExitShutdown, ExitKilled, ExitError, ExitNodeDown:
		return true
	}
	return false
}
