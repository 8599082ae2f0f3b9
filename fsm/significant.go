package fsm

import sup "github.com/supnode/supnode/supervisor"

// end removes a child that has ended for good, or that somebody terminated; p is for those who wait for it to run.
func (s *State) end(t *tree, c *Child, p *sup.Problem) {
	s.remove(t, c, p)
	s.significantEnds(t, c)
}

// significantEnds stops the supervisor when the end of a child is what its auto_shutdown waits for (S38). How a child goes down with
// its group is no end.
func (s *State) significantEnds(t *tree, c *Child) {
	if !c.Spec.Significant || t.head.stopping() || !t.head.Spec.AutoShutdown.Stops(t.significant()) {
		return
	}
	s.stop(t, sup.ReasonShutdown, nil)
}

// significant reports whether a significant child has not ended: it runs, is on its way up or down, or waits. It looks from where
// it found one last: each end in a supervisor of many children would pass over all that ended before, else.
func (t *tree) significant() bool {
	if t.head.Spec.AutoShutdown != sup.AllSignificant {
		return false
	}
	rows := t.children.rows[t.children.head:]
	at := len(rows) - len(t.from(t.unended))
	for i := range rows {
		c := rows[(at-1-i+len(rows))%len(rows)]
		if c != nil && c.Spec.Significant && (c.Phase != Unplaced || c.Wants || c.Due || c.Why != 0 || c.Part == PartReplaced) {
			t.unended = c.Order
			return true
		}
	}
	return false
}
