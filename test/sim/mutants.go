package sim

import (
	"slices"
	"strings"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
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
		"grant_any_session", "proof_after_restore", "smaller_wait", "read_without_index", "spawns_not_resent"}
	CoreMutants = []string{"exit_applied_twice", "terminate_without_tombstone", "node_down_any_session", "register_any_replaced",
		"report_any_incarnation", "slot_guard_off", "window_lost", "group_forgotten", "start_before_init", "stops_not_awaited",
		"own_clock", "bounds_ignored", "choice_ignored"}
	WorldMutants = []string{"guardian_no_deadline", "p0_off", "p1_off", "restore_without_bump", "refusals_lost", "probe_any_session",
		"stops_at_once", "levels_at_once", "tags_of_others"}
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
		case "window_lost":
			e = atEstablish(e, func() []fsm.Command { return emptied(s) })
		case "group_forgotten":
			e = atEstablish(e, func() []fsm.Command { return forgotten(s) })
		case "start_before_init":
			e = presumed(s, e, fsm.Placed, fsm.Report{Kind: fsm.ReportRunning})
		case "bounds_ignored":
			e = unbound(e)
		case "choice_ignored":
			e = elsewhere(s, e)
		case "stops_not_awaited":
			e = presumed(s, e, fsm.Stopping, fsm.Report{Kind: fsm.ReportEnded, Reason: sup.ExitShutdown})
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

// atEstablish adds to what a new leader's first entry does.
func atEstablish(e fsm.Entry, more func() []fsm.Command) fsm.Entry {
	for _, c := range e.Commands {
		if c.Establish != nil {
			e.Commands = append(slices.Clone(e.Commands), more()...)
			return e
		}
	}
	return e
}

// children are those of a supervisor, in start order.
func children(s *fsm.State, of sup.Name) (all []*fsm.Child) {
	infos, _ := s.Children(of, "", 1000, nil)
	for _, i := range infos {
		all = append(all, s.Child(sup.Key{Supervisor: of, Child: i.ID}))
	}
	return all
}

// emptied takes every window back to its beginning, as if leaders kept them in their memory: an intensity of none, and then
// the former one again.
func emptied(s *fsm.State) (do []fsm.Command) {
	for h := range s.Supervisors() {
		if h.Status != sup.StatusRunning || h.Op != nil || len(h.Queue) > 0 || len(h.Stamps) == 0 {
			continue
		}
		spec := *h.Spec
		if spec.Strategy != sup.SimpleOneForOne {
			for _, c := range children(s, h.Name) {
				spec.Children = append(spec.Children, *c.Spec)
			}
		}
		none := spec
		none.Intensity = &sup.Intensity{Within: spec.Intensity.Within}
		do = append(do, fsm.Command{ApplyManifest: &fsm.ApplyManifest{Spec: none}}, fsm.Command{ApplyManifest: &fsm.ApplyManifest{Spec: spec}})
	}
	return do
}

// forgotten drops the children that wait for their turn in a group.
func forgotten(s *fsm.State) (do []fsm.Command) {
	for h := range s.Supervisors() {
		for _, c := range children(s, h.Name) {
			if c.Due && h.Op != nil && h.Op.Kind == fsm.OpGroup {
				do = append(do, fsm.Command{TerminateChild: &fsm.TerminateChild{Key: c.Key}})
			}
		}
	}
	return do
}

// presumed takes a report of every slot in a phase for granted, where children start in order.
func presumed(s *fsm.State, e fsm.Entry, p fsm.Phase, r fsm.Report) fsm.Entry {
	e.Commands = slices.Clone(e.Commands)
	for h := range s.Supervisors() {
		if !h.Spec.Strategy.InOrder() {
			continue
		}
		for _, c := range children(s, h.Name) {
			if c.Phase == p {
				r := r
				r.Key, r.Inc = c.Key, c.Inc
				e.Commands = append(e.Commands, fsm.Command{Report: &r})
			}
		}
	}
	return e
}

// unbound takes max_per_node off every child that is started by call.
func unbound(e fsm.Entry) fsm.Entry {
	e.Commands = slices.Clone(e.Commands)
	for i, c := range e.Commands {
		if c.StartChild != nil && c.StartChild.Spec != nil {
			start, spec := *c.StartChild, *c.StartChild.Spec
			spec.MaxPerNode = 0
			start.Spec = &spec
			e.Commands[i].StartChild = &start
		}
	}
	return e
}

// elsewhere takes another node than the one that a custom selector chose, when there is one.
func elsewhere(s *fsm.State, e fsm.Entry) fsm.Entry {
	e.Placements = slices.Clone(e.Placements)
	for i, p := range e.Placements {
		c := s.Child(p.Key)
		if c == nil || s.Selector(c).Kind != sup.SelectCustom {
			continue
		}
		for n := range s.Nodes() {
			if n.Name != p.Node && s.Ineligible(c, n) == "" {
				e.Placements[i].Node, e.Placements[i].Session = n.Name, n.Session
			}
		}
	}
	return e
}

// levelsAtOnce adds to the stops that a leader sends to the children of a supervisor that stops those of the trees beside them.
func levelsAtOnce(s *fsm.State, stops []rpc.Stop) []rpc.Stop {
	for _, stop := range stops {
		h, asked := s.Supervisor(stop.Key.Supervisor), s.Child(stop.Key)
		if h == nil || h.Status != sup.StatusStopping || asked == nil {
			continue
		}
		for _, tree := range children(s, h.Name) {
			if !tree.IsSupervisor() {
				continue
			}
			for _, c := range children(s, h.Name.Sub(tree.Key.Child)) {
				if c.Phase == fsm.Running && c.Node == asked.Node {
					stops = append(stops, rpc.Stop{Session: c.Session, Key: c.Key, Inc: c.Inc, Timeout: int64(c.ShutdownTimeout())})
				}
			}
		}
	}
	return stops
}

// allAtOnce adds to the stops that a leader sends those of every other child, on the same node, of a supervisor that stops.
func allAtOnce(s *fsm.State, stops []rpc.Stop) []rpc.Stop {
	for _, stop := range stops {
		h, asked := s.Supervisor(stop.Key.Supervisor), s.Child(stop.Key)
		if h == nil || h.Status != sup.StatusStopping || asked == nil {
			continue
		}
		for _, c := range children(s, h.Name) {
			if c.Phase == fsm.Running && c.Node == asked.Node {
				stops = append(stops, rpc.Stop{Session: c.Session, Key: c.Key, Inc: c.Inc, Timeout: int64(c.ShutdownTimeout())})
			}
		}
	}
	return stops
}
