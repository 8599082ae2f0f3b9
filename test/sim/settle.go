package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// settle waits until the cluster is what it should be (I4): by T after the faults, the set that runs is the set wanted, no
// request is open, and from then on nothing starts any more.
func (w *World) settle() {
	l := w.longest()
	began := w.now
	limit := began + w.patience(l)
	quiet := int64(0) // since when all is well
	var spawns int
	w.every(50*millisecond, tagWatch, func() bool {
		why := w.unsettled()
		switch {
		case why != "":
			if quiet > 0 && w.tracing() {
				w.tell("not settled any more: %s", why)
			}
			quiet = 0
			if w.now > limit {
				w.fail("I4", "%.1fs after the last fault: %s%s", float64(w.now-began)/1e9, why, w.open())
			}
		case quiet == 0:
			quiet, spawns = w.now, w.stats.Spawns
		case w.stats.Spawns != spawns:
			quiet, spawns = w.now, w.stats.Spawns
			if w.now > limit {
				w.fail("I4", "something still starts %.1fs after the last fault", float64(w.now-began)/1e9)
			}
		case w.now-quiet >= l.Wait()+l.TTL && w.now-began >= 2*l.Wait():
			w.done = true
			return false
		}
		return true
	})
}

// longest is the lease arithmetic of the longest TTL that this history may have seen.
func (w *World) longest() fsm.Lease {
	l := w.plan.Settings.Lease()
	if w.plan.Every[faultSetTTL] > 0 || w.plan.Every[faultRestore] > 0 {
		l.TTL = w.plan.longestTTL()
	}
	return l
}

// patience is T of I4: what is down boots (4 s), a leader is elected, leases run out once, after a restore W once more or
// twice, and the open requests of each client's children are carried out.
func (w *World) patience(l fsm.Lease) int64 {
	t := 4*second + 2*l.Election() + 3*l.Wait() + 6*second
	if w.plan.Rules != (rules{}) { // children that stop and start one after another
		t += 12 * second
	}
	if w.plan.Rules.Custom > 0 { // a refusal is asked for again after 5 s
		t += 6 * second
	}
	if w.stats.Restores > 0 {
		t += 3 * l.Wait()
	}
	return t
}

// unsettled says what is not yet as it should be; empty when all is.
func (w *World) unsettled() string {
	for _, c := range w.people {
		if c.open > 0 {
			return fmt.Sprintf("client %d has %d requests open", c.i, c.open)
		}
	}
	chief := w.raft.chief
	if chief == nil || chief.over || chief.shell == nil {
		return "there is no leader"
	}
	for _, h := range w.hosts {
		if h.proc == nil {
			return fmt.Sprintf("%s is down", h.name)
		}
	}
	st := chief.p.rep.state
	var bad []string
	note := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	for n := range st.Nodes() {
		if n.Status != fsm.MemberUp {
			note("member %s is %s", n.Name, n.Status)
		}
	}
	if st.Held() {
		note("the state is held")
	}
	for c := range slots(st) {
		if c.Phase != fsm.Running && !w.crowded(c) {
			note("%s is %s, wants a node: %v", c.Key, c.Phase, c.Wants)
		}
	}
	for s := range st.Supervisors() {
		switch {
		case s.Op != nil:
			note("supervisor %s is %s and about something: %s", s.Name, s.Status, show(s.Op))
		case s.Status == sup.StatusRunning || s.Status == sup.StatusStopped:
		default:
			note("supervisor %s is %s", s.Name, s.Status)
		}
	}
	for _, f := range w.ledger.order {
		c := st.Child(f.key)
		if c == nil {
			if len(f.live) > 0 {
				note("%s %s runs on %s and is no child", f.key, f.live[0].inc, f.live[0].h.name)
			}
			w.checkLost(f, st, note)
			continue
		}
		switch {
		case c.IsSupervisor():
		case c.Phase == fsm.Running && (len(f.live) != 1 || f.live[0].inc != c.Inc || f.live[0].h.name != c.Node || !f.live[0].inited):
			note("%s should run as %s on %s, %d lives", f.key, c.Inc, c.Node, len(f.live))
		case c.Phase == fsm.Unplaced && !c.Wants:
			if len(f.live) > 0 {
				note("%s %s runs on %s though it is not wanted", f.key, f.live[0].inc, f.live[0].h.name)
			}
			if s := st.Supervisor(f.key.Supervisor); s.Status == sup.StatusRunning && (c.Spec.Restart == sup.Permanent || c.Due || !f.cleanEnd && w.raft.epoch == 0) {
				note("%s does not run and is not wanted", f.key)
			}
		}
		if k := f.kid; k != nil && w.raft.epoch == 0 && k.belief == present && c.Phase == fsm.Running && len(f.live) == 1 && !c.IsSupervisor() && !sameArgs(f.live[0].args, k.args) {
			note("%s %s runs with args %s, its client gave it %s", f.key, c.Inc, f.live[0].args, k.args)
		}
		if f.gone {
			w.fail("I2", "%s is in the state after its end was acknowledged", f.key)
		}
	}
	for _, b := range w.ledger.branches {
		for _, k := range b.kids {
			if s := st.Supervisor(b.name); s != nil && s.Status == sup.StatusRunning && st.Child(k.key) == nil {
				note("I1: %s is not there, and its supervisor runs", k.key)
			}
		}
	}
	if len(bad) > 8 {
		bad = append(bad[:8], "…")
	}
	return strings.Join(bad, "; ")
}

// checkLost looks at a child that is not in the state: one whose start was acknowledged and whose end nobody asked for may
// only be gone if it ended for good by itself, or its supervisor did (I1).
func (w *World) checkLost(f *fact, st *fsm.State, note func(string, ...any)) {
	if f.kid == nil || f.kid.belief != present || f.kid.busy || f.kid.ending || f.kid.f.over {
		return
	}
	s := st.Supervisor(f.key.Supervisor)
	switch {
	case s == nil && w.raft.epoch == 0:
		note("I1: supervisor %s is lost", f.key.Supervisor)
	case s == nil:
	case s.Status == sup.StatusStopped || s.Status == sup.StatusStopping:
		if s.Reason == sup.ReasonMaxRestartsExceeded {
			w.ledger.stoppedByItself(f.kid.f, &sup.Problem{Code: sup.CodeMaxRestartsExceeded})
			return
		}
		if f.kid.f.spec.AutoShutdown != sup.NeverShutdown && s.Reason == sup.ReasonShutdown {
			w.ledger.stoppedByItself(f.kid.f, &sup.Problem{Code: sup.CodeSupervisorStopped})
			return
		}
		note("I1: supervisor %s is %s (%s), nobody asked for it", s.Name, s.Status, s.Reason)
	case f.kid.spec.Restart == sup.Transient && f.kid.f.simple() && f.clean: // S34
	case f.kid.spec.Restart == sup.Permanent || f.kid.spec.Restart == sup.Transient:
		note("I1: the acknowledged child %s is lost", f.key)
	}
}

// open names the open requests, and what the leader's state says of their supervisors.
func (w *World) open() (out string) {
	for _, k := range w.asks {
		if !k.done {
			out += "\n" + k.key + " " + show(k.cmd) + w.about(k.cmd)
		}
	}
	return out
}

// slots yields the children that want a node or have one.
func slots(st *fsm.State) iter.Seq[*fsm.Child] {
	return func(yield func(*fsm.Child) bool) {
		for c := range st.Wanting() {
			if !yield(c) {
				return
			}
		}
		for n := range st.Nodes() {
			for c := range st.On(n.Name) {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// about is what the leader's state says of the supervisor that a command is for.
func (w *World) about(c fsm.Command) string {
	var name sup.Name
	switch {
	case c.StartSupervisor != nil:
		name = c.StartSupervisor.Spec.Name
	case c.StopSupervisor != nil:
		name = c.StopSupervisor.Name
	case c.StartChild != nil:
		name = c.StartChild.Supervisor
	case c.TerminateChild != nil:
		name = c.TerminateChild.Key.Supervisor
	case c.RestartChild != nil:
		name = c.RestartChild.Key.Supervisor
	case c.ApplyManifest != nil:
		name = c.ApplyManifest.Spec.Name
	}
	chief := w.raft.chief
	if chief == nil || chief.p.dead {
		return ""
	}
	st := chief.p.rep.state
	out := "\n  " + show(st.Supervisor(name))
	for c := range slots(st) {
		if n := len(w.ledger.fact(c.Key).live); c.Key.Supervisor == name && (c.Phase != fsm.Running || n != 1) {
			out += fmt.Sprintf("\n  %d lives of %s", n, show(c))
		}
	}
	return out
}

// sameArgs reports whether two children were given the same.
func sameArgs(a, b []json.RawMessage) bool {
	return slices.EqualFunc(a, b, func(x, y json.RawMessage) bool { return bytes.Equal(x, y) })
}
