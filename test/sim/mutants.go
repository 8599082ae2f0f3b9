package sim

import (
	"slices"
	"strings"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// mutation takes clauses out: in a machine by its own hook, in the core by rewriting entries before every replica applies
// them, in the world by what a guardian, a host or the network no longer does. Names are joined by "+": a layer of defence
// can make a clause unnecessary until it is taken out too.
type mutation struct{ names []string }

func newMutation(names string) mutation {
	if names == "" {
		return mutation{}
	}
	return mutation{strings.Split(names, "+")}
}

// is reports whether a clause is out.
func (m *mutation) is(name string) bool { return slices.Contains(m.names, name) }

// agent is the agent machine's mutant, if there is one.
func (m *mutation) agent() string { return m.among(AgentMutants) }

// leader is the leader machine's mutant, if there is one.
func (m *mutation) leader() string { return m.among(LeaderMutants) }

func (m *mutation) among(known []string) string {
	for _, n := range m.names {
		if slices.Contains(known, n) {
			return n
		}
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
	WorldMutants = []string{"guardian_no_deadline", "p0_off", "p1_off", "restore_without_bump", "refusals_lost", "probe_any_session"}
)

// entry is the entry as the mutated core would carry it out. It depends on the state and the entry alone, so that every
// replica does the same.
func (m *mutation) entry(s *fsm.State, e fsm.Entry) fsm.Entry {
	for _, name := range m.names {
		switch name {
		case "exit_applied_twice":
			e = twice(s, e)
		case "terminate_without_tombstone":
			e = hasty(s, e, func(c fsm.Command) *sup.Key {
				if c.TerminateChild == nil {
					return nil
				}
				return &c.TerminateChild.Key
			})
		case "slot_guard_off":
			e = hasty(s, e, func(c fsm.Command) *sup.Key {
				if c.RestartChild == nil {
					return nil
				}
				return &c.RestartChild.Key
			})
		default:
			for i, c := range e.Commands {
				e.Commands[i] = loose(name, s, c)
			}
		}
	}
	return e
}

// loose makes a command name what the state has, whatever it was meant for.
func loose(name string, s *fsm.State, c fsm.Command) fsm.Command {
	switch {
	case name == "node_down_any_session" && c.NodeDown != nil:
		if n := s.Node(c.NodeDown.Node); n != nil {
			c.NodeDown.Session = n.Session
		}
	case name == "register_any_replaced" && c.Register != nil:
		if n := s.Node(c.Register.Node); n != nil {
			c.Register.Replaces = n.Session
		}
	case name == "report_any_incarnation" && c.Report != nil:
		if slot := s.Child(c.Report.Key); slot != nil {
			c.Report.Inc = slot.Inc
		}
	}
	return c
}

// twice applies an exit once more when the child has run again since.
func twice(s *fsm.State, e fsm.Entry) fsm.Entry {
	for _, c := range slices.Clone(e.Commands) {
		if c.Report == nil || !c.Report.Kind.Final() {
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

// hasty frees a slot as soon as it is asked to stop, without waiting for its agent.
func hasty(s *fsm.State, e fsm.Entry, stops func(fsm.Command) *sup.Key) fsm.Entry {
	out := e.Commands[:0:0]
	for _, c := range e.Commands {
		out = append(out, c)
		if k := stops(c); k != nil {
			if slot := s.Child(*k); slot != nil && (slot.Phase == fsm.Running || slot.Phase == fsm.Placed) {
				out = append(out, fsm.Command{Report: &fsm.Report{Key: *k, Inc: slot.Inc, Kind: fsm.ReportEnded, Reason: sup.ExitShutdown}})
			}
		}
	}
	e.Commands = out
	return e
}
