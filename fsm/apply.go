package fsm

import (
	"fmt"

	sup "github.com/supnode/supnode/supervisor"
)

// Apply changes the state by one log entry: its commands in order, then its placements, then its words on what cannot be
// placed. It is a pure function of the state and the entry. It panics when an invariant is broken or when a command is
// empty: a replica that cannot follow the log must stop. The entry is kept in part and may not be changed afterwards.
func (s *State) Apply(index uint64, e Entry) Applied {
	if index <= s.index {
		panic(fmt.Sprintf("fsm: apply: entry %d after entry %d", index, s.index))
	}
	s.index, s.wall, s.clock = index, e.Wall, max(s.clock, e.Clock)
	s.turn = turn{
		rev:     s.turn.rev + 1,
		applied: Applied{Index: index, Results: make([]Result, len(e.Commands))},
		open:    map[string]int{},
	}
	s.requests.expire(s.clock, MaxKeys)
	s.overdue()
	for i := range e.Commands {
		s.turn.applied.Results[i] = s.command(i, &e.Commands[i])
		s.advanceAll()
	}
	for _, p := range e.Placements {
		s.place(p)
	}
	for _, u := range e.Unplaced {
		s.unplaced(u)
		s.advanceAll() // what fails with it does not fail a second time
	}
	s.advanceAll()
	s.requests.expire(s.clock, MaxKeys)
	a := s.turn.applied
	a.LastEvent = s.history.newest
	s.turn = turn{rev: s.turn.rev}
	return a
}

// command applies one command and answers its result as it stands then; a request that ends later in the entry has its
// result replaced by complete.
func (s *State) command(i int, c *Command) Result {
	switch {
	case c.Bootstrap != nil:
		return s.bootstrap(c.Bootstrap)
	case c.Establish != nil:
		return s.establish(c.Establish)
	case c.Tick != nil:
		return Result{Status: OK}
	case c.Register != nil:
		return s.register(c.Register)
	case c.NodeDown != nil:
		return s.nodeDown(c.NodeDown)
	case c.Leave != nil:
		return s.leave(c.Leave)
	case c.Left != nil:
		return s.left(c.Left)
	case c.Report != nil:
		return s.report(c.Report)
	case c.Move != nil:
		return s.move(c.Move)
	case c.SetTTL != nil:
		return s.setTTL(c.SetTTL)
	case c.TTLRetired != nil:
		return s.ttlRetired(c.TTLRetired)
	case c.Bump != nil:
		return s.bump(c.Bump)
	case c.Released != nil:
		return s.released(c.Released)
	case c.Delivered != nil:
		return s.delivered(c.Delivered)
	}
	return s.ask(i, c)
}

// request carries out what a client asked for under key. A Pending one waits under its key until complete ends it.
func (s *State) request(key string, c *Command) Result {
	switch {
	case c.StartSupervisor != nil:
		return s.startSupervisor(key, c.StartSupervisor)
	case c.StopSupervisor != nil:
		return s.stopSupervisor(key, c.StopSupervisor)
	case c.StartChild != nil:
		return s.askChild(key, c.StartChild.Supervisor, Queued{Key: key, StartChild: c.StartChild})
	case c.TerminateChild != nil:
		return s.terminateChild(key, c.TerminateChild)
	case c.ApplyManifest != nil:
		return s.applyManifest(key, c.ApplyManifest)
	case c.RestartChild != nil:
		return s.askChild(key, c.RestartChild.Key.Supervisor, Queued{Key: key, RestartChild: c.RestartChild})
	case c.Drain != nil:
		return s.drainNode(c.Drain)
	case c.ForgetNode != nil:
		return s.forgetNode(c.ForgetNode)
	case c.Rebalance != nil:
		return s.rebalance(c.Rebalance)
	case c.Deliver != nil:
		return s.deliver(key, c.Deliver)
	}
	panic(fmt.Sprintf("fsm: apply: entry %d has an empty command", s.index))
}

// stale is the result of a command whose precondition does not hold; it changed nothing.
func stale() Result { return Result{Status: Stale} }

func done(n sup.Name, id sup.ChildID) Result {
	return Result{Status: OK, Outcome: &Outcome{Supervisor: n, Child: id}}
}
