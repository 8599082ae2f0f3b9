package sim

import (
	"slices"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// mutation takes one clause out: in a machine by its own hook, in the core by rewriting entries before every replica
// applies them, in the world by what a guardian or a host no longer does.
type mutation struct {
	name  string
	specs map[sup.Key]sup.ChildSpec // terminate_without_tombstone: what to bring back
	later []fsm.Report              // exit_applied_twice
}

// is reports whether a clause is out.
func (m *mutation) is(name string) bool { return m.name == name }

// agent is the agent machine's mutant, if it is one of its own.
func (m *mutation) agent() string {
	if slices.Contains(AgentMutants, m.name) {
		return m.name
	}
	return ""
}

// leader is the leader machine's mutant, if it is one of its own.
func (m *mutation) leader() string {
	if slices.Contains(LeaderMutants, m.name) {
		return m.name
	}
	return ""
}

// The mutants by where they sit.
var (
	AgentMutants = []string{"no_self_fence", "lease_from_answer", "spawn_without_session_check", "spawn_without_incarnation_check",
		"stop_does_not_raise_mark", "register_before_stopped", "fence_not_first_on_resume", "register_any_nonce", "register_with_session"}
	LeaderMutants = []string{"answer_before_commit", "no_wait", "grant_before_commit", "wait_one_short", "no_l3", "no_l4",
		"grant_any_session", "proof_after_restore", "smaller_wait"}
	CoreMutants = []string{"exit_applied_twice", "terminate_without_tombstone", "node_down_any_session", "register_any_replaced",
		"report_any_incarnation", "slot_guard_off"}
	WorldMutants = []string{"guardian_no_deadline", "p0_off", "p1_off", "restore_without_bump"}
)

// entry is the entry as the mutated core would carry it out. It depends on the state and the entry alone, so that every
// replica does the same.
func (m *mutation) entry(s *fsm.State, e fsm.Entry) fsm.Entry {
	switch m.name {
	case "node_down_any_session":
		for i, c := range e.Commands {
			if c.NodeDown != nil {
				if n := s.Node(c.NodeDown.Node); n != nil {
					d := *c.NodeDown
					d.Session = n.Session
					e.Commands[i].NodeDown = &d
				}
			}
		}
	case "register_any_replaced":
		for i, c := range e.Commands {
			if c.Register != nil {
				if n := s.Node(c.Register.Node); n != nil {
					r := *c.Register
					r.Replaces = n.Session
					e.Commands[i].Register = &r
				}
			}
		}
	case "report_any_incarnation":
		for i, c := range e.Commands {
			if c.Report != nil {
				if slot := s.Child(c.Report.Key); slot != nil {
					r := *c.Report
					r.Inc = slot.Inc
					e.Commands[i].Report = &r
				}
			}
		}
	case "exit_applied_twice":
		return m.twice(s, e)
	case "terminate_without_tombstone":
		return m.revive(s, e)
	case "slot_guard_off":
		return m.unguard(s, e)
	}
	return e
}

// twice applies an exit once more when the child has run again since.
func (m *mutation) twice(s *fsm.State, e fsm.Entry) fsm.Entry {
	for _, c := range slices.Clone(e.Commands) {
		if c.Report == nil || c.Report.Kind == fsm.ReportRunning {
			continue
		}
		slot := s.Child(c.Report.Key)
		if slot == nil || slot.Inc == c.Report.Inc || slot.Phase != fsm.Running {
			continue
		}
		r := *c.Report
		r.Inc = slot.Inc
		e.Commands = append(e.Commands, fsm.Command{Report: &r})
	}
	return e
}

// revive acknowledges a terminate at once and lets the exit that comes later bring the child back.
func (m *mutation) revive(s *fsm.State, e fsm.Entry) fsm.Entry {
	out := e.Commands[:0:0]
	for _, c := range e.Commands {
		out = append(out, c)
		if t := c.TerminateChild; t != nil {
			if slot := s.Child(t.Key); slot != nil && (slot.Phase == fsm.Running || slot.Phase == fsm.Placed) {
				out = append(out, fsm.Command{Report: &fsm.Report{Key: t.Key, Inc: slot.Inc, Kind: fsm.ReportEnded, Reason: sup.ExitShutdown}})
			}
		}
	}
	e.Commands = out
	return e
}

// unguard lets a placement take a slot that is not free.
func (m *mutation) unguard(s *fsm.State, e fsm.Entry) fsm.Entry {
	for _, p := range e.Placements {
		if slot := s.Child(p.Key); slot != nil && (slot.Phase == fsm.Running || slot.Phase == fsm.Placed) {
			e.Commands = append(slices.Clone(e.Commands), fsm.Command{Report: &fsm.Report{Key: p.Key, Inc: slot.Inc, Kind: fsm.ReportEnded, Reason: sup.ExitError}})
		}
	}
	return e
}
