package guardian

import "time"

const (
	// lookEvery is how often a guardian is asked whether it turns.
	lookEvery = 5 * time.Second
	// looksUnanswered is how many looks in a row a guardian may leave unanswered. They are counted by this process's own
	// turns: one that was stopped itself takes in what was said meanwhile before it counts on.
	looksUnanswered = 3
)

// look asks the guardian whether it turns, and kills one that does not answer. A guardian that hangs or that somebody has
// stopped, its own command for instance, tells no exit and kills nothing: a crash would go unseen, a stop would never end.
// While it owes the start of a command the init_timeout counts instead: it starts one after the other, and a slow disk is no
// hang.
func (r *Runner) look() {
	l := &r.loop
	switch {
	case r.guardian == nil || l.leaving || l.owesStart():
		l.unanswered = 0
		return
	case l.heard.After(l.asked) || len(r.guardian.reports) > 0:
		l.unanswered = 0
	default:
		l.unanswered++
	}
	if l.unanswered == looksUnanswered {
		r.config.Logger.Error("the guardian hangs; killing it", "pid", r.guardian.pid, "silent", time.Since(l.heard))
		r.guardian.kill()
		return
	}
	l.asked = time.Now()
	r.send(order{Look: true}, -1)
}

// owesStart reports whether the guardian was told to start a command and has not answered.
func (l *loop) owesStart() bool {
	for _, c := range l.numbers {
		if c.phase == sent {
			return true
		}
	}
	return false
}
