package agent

import sup "github.com/supnode/supnode/supervisor"

// Status is an agent's own view of itself, for readyz and for tests. Instants are BOOTTIME of this host.
type Status struct {
	Session  sup.Session  // zero = none
	Gen      uint64       // the highest generation seen
	Deadline Instant      // of the lease; 0 = no grant
	Live     bool         // children may run
	Leader   sup.NodeName // that has welcomed us and knows the present; empty = none
	Leaving  bool
	Over     bool // Exit, Left or Rejected was said

	Children                    int // all that are here, in whatever phase
	Starting, Running, Stopping int
	Fenced                      int // children of a session that is over, not confirmed to have ended
	Unacknowledged              int // reports that no leader has acknowledged

	Lapses        uint64
	LastLapse     string // why, for a person
	RefusedSpawns uint64 // orders to start that were not for this session, not news, or came while leaving
	MinLeft       int64  // the least that was left of a lease when it was renewed, ns; -1 = never renewed
}

// Status is the agent's view as of the last step.
func (m *Machine) Status() Status {
	s := Status{
		Session: m.session, Gen: m.gen, Deadline: m.deadline, Live: m.left() > 0,
		Leaving: m.leave.on, Over: m.over,
		Children: len(m.children), Starting: m.phases[starting], Running: m.phases[running], Stopping: m.phases[stopping],
		Fenced: m.fenced, Unacknowledged: len(m.reports.open),
		Lapses: m.lapses, LastLapse: m.lapsedFor, RefusedSpawns: m.refused, MinLeft: -1,
	}
	if m.minLeft != never {
		s.MinLeft = m.minLeft
	}
	if m.usable() {
		s.Leader = m.stream.leader
	}
	return s
}
