package fsm

import sup "github.com/supnode/supnode/supervisor"

// bootstrap begins the cluster's life.
func (s *State) bootstrap(c *Bootstrap) Result {
	if s.cluster != "" || c.Cluster == "" {
		return stale()
	}
	s.cluster, s.settings = c.Cluster, c.Settings
	return Result{Status: OK}
}

// establish begins a leader's term.
func (s *State) establish(c *Establish) Result {
	if c.Term <= s.term {
		return stale()
	}
	s.leader, s.term = c.Leader, c.Term
	s.emit(sup.Event{Type: sup.EventLeaderChanged, Leader: c.Leader, Term: c.Term})
	return Result{Status: OK}
}

// setTTL changes the lease settings. The larger TTL is kept until a leader has waited it out (protocol.md, Names).
func (s *State) setTTL(c *SetTTL) Result {
	s.retiring = max(s.retiring, s.settings.LeaseTTL)
	s.settings.HeartbeatInterval, s.settings.LeaseTTL = c.HeartbeatInterval, c.LeaseTTL
	if s.retiring <= c.LeaseTTL {
		s.retiring = 0
	}
	return Result{Status: OK}
}

// ttlRetired drops the larger, former TTL.
func (s *State) ttlRetired(c *TTLRetired) Result {
	if s.retiring == 0 || s.retiring != c.LeaseTTL {
		return stale()
	}
	s.retiring = 0
	return Result{Status: OK}
}

// bump raises the generation: every session is over and every slot free (protocol.md, Restore and recovery). What the state
// says of the holders may be old, so nothing is placed and no stop acknowledged before Released.
func (s *State) bump(c *Bump) Result {
	if c.Gen <= s.gen {
		return stale()
	}
	s.gen, s.held, s.forgot = c.Gen, true, nil
	for _, m := range s.members {
		if m.node.Live() {
			s.setNode(m, MemberDown)
			s.loseNode(m, whyNewGeneration, true)
		}
	}
	return Result{Status: OK}
}

// released ends the hold of a bump: the stops that are owed are done, and slots may be placed again.
func (s *State) released(c *Released) Result {
	if !s.held || c.Gen != s.gen {
		return stale()
	}
	s.held = false
	trees := make([]*tree, 0, s.trees.len())
	for t := range s.trees.all() {
		trees = append(trees, t)
	}
	for _, t := range trees {
		var owed []sup.ChildID
		for child := range t.children.all() {
			if child.Why != 0 && child.Phase == Unplaced && (!t.head.stopping() || t.head.simple()) {
				owed = append(owed, child.Key.Child)
			}
		}
		for _, id := range owed {
			s.stoppedSlot(t, t.children.get(id))
		}
		s.stir(t)
		s.advanceAll() // each supervisor goes on before the next, in the order of their creation
	}
	return Result{Status: OK}
}
