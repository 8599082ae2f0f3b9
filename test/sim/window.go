package sim

import (
	"slices"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// windows counts restarts as a user could, from what the state tells: the counts of each supervisor, the events, and the
// cluster time of the entry. It keeps windows of its own, which know nothing of leaders, replicas and snapshots (I5).
type windows struct {
	all    []*window // by first mention
	newest uint64    // id of the newest event seen
}

// window is what one life of a supervisor had of counted restarts.
type window struct {
	name    sup.Name
	created uint64
	in      sup.Intensity
	status  sup.Status
	total   uint64  // counted restarts, as the state says
	stamps  []stamp // of those that may be within the window
	up      bool    // it has started
	over    mark    // when it exceeded its intensity; zero: it did not
}

// stamp is a counted restart.
type stamp struct {
	clock int64
	at    mark
}

func (v *windows) find(name sup.Name, created uint64) *window {
	for _, x := range v.all {
		if x.name == name && x.created == created {
			return x
		}
	}
	return nil
}

// newestOf is the newest window of a supervisor, or nil.
func (v *windows) newestOf(name sup.Name) *window {
	var newest *window
	for _, x := range v.all {
		if x.name == name {
			newest = x
		}
	}
	return newest
}

// lives is how many lives of a supervisor there were.
func (v *windows) lives(name sup.Name) (n int) {
	for _, x := range v.all {
		if x.name == name {
			n++
		}
	}
	return n
}

// counted is how many restarts of a supervisor were for crashes (S16, S22).
func counted(h *fsm.Supervisor) uint64 { return h.TotalRestarts - h.NodeFailureRestarts }

// prune drops the stamps that a window ending now does not reach (S15).
func (x *window) prune(now int64) {
	for len(x.stamps) > 0 && now-x.stamps[0].clock > int64(x.in.Within) {
		x.stamps = x.stamps[1:]
	}
}

// watchWindows checks what an entry did to restarts (I5) and to the events (I8).
func (g *ledger) watchWindows(st *fsm.State, a fsm.Applied) {
	w, v := g.w, &g.windows
	var events []sup.Event
	if a.LastEvent > v.newest {
		events, _, _ = st.Events(v.newest, int(a.LastEvent-v.newest))
		if len(events) == 0 || events[0].ID != v.newest+1 || events[len(events)-1].ID != a.LastEvent {
			w.fail("I8", "of the events %d to %d of index %d there are %d", v.newest+1, a.LastEvent, a.Index, len(events))
		}
		v.newest = a.LastEvent
	}
	for h := range st.Supervisors() {
		g.watchWindow(st, h, a, events)
	}
}

func (g *ledger) watchWindow(st *fsm.State, h *fsm.Supervisor, a fsm.Applied, events []sup.Event) {
	w := g.w
	at := mark{w.raft.epoch, a.Index}
	x, former := g.windows.find(h.Name, h.Created), g.windows.newestOf(h.Name)
	if x == nil {
		x = &window{name: h.Name, created: h.Created, in: *h.Spec.Intensity}
		g.windows.all = append(g.windows.all, x)
	}
	if in := *h.Spec.Intensity; in != x.in { // a manifest was applied: the newest count
		x.in = in
		x.stamps = x.stamps[max(0, len(x.stamps)-in.MaxRestarts):]
	}
	n := counted(h) - x.total
	x.total += n
	was := x.status
	x.status, x.up = h.Status, x.up || h.Status == sup.StatusRunning
	exceeded, ends := false, 0
	for _, e := range events {
		if e.Supervisor != h.Name {
			continue
		}
		switch e.Type {
		case sup.EventRestartIntensityExceeded:
			exceeded = true
		case sup.EventChildStopped:
			if e.Reason != string(sup.ExitNodeDown) {
				ends++
			}
		}
	}
	if exceeded && h.Created == a.Index && former != nil && former != x { // its parent has started it again in the same entry
		former.prune(st.Clock())
		if len(former.stamps)+ends-1 < former.in.MaxRestarts {
			w.fail("I5", "%s exceeds its intensity at index %d after %d restarts within %s, %d are allowed", h.Name, a.Index, len(former.stamps), former.in.Within, former.in.MaxRestarts)
		}
		w.stats.Exceeded++
		return
	}
	if n > 0 || exceeded {
		x.prune(st.Clock())
	}
	if int(n) > ends {
		w.fail("I5", "%s counts %d restarts by index %d, which tells of %d ends", h.Name, n, a.Index, ends)
	}
	for range n {
		x.stamps = append(x.stamps, stamp{st.Clock(), at})
	}
	w.stats.Counted += int(n)
	if h.Spec.Strategy.InOrder() {
		w.stats.Groups += int(n)
	}
	if len(x.stamps) > x.in.MaxRestarts {
		w.fail("I5", "%s restarts for the %d. time within %s at index %d, %d are allowed", h.Name, len(x.stamps), x.in.Within, a.Index, x.in.MaxRestarts)
	}
	switch {
	case !exceeded:
		g.uncounted(st, h, was, n, events)
		return
	case len(x.stamps) < x.in.MaxRestarts:
		w.fail("I5", "%s exceeds its intensity at index %d after %d restarts within %s, %d are allowed", h.Name, a.Index, len(x.stamps), x.in.Within, x.in.MaxRestarts)
	case h.Status != sup.StatusStopping && h.Status != sup.StatusStopped:
		w.fail("I5", "%s exceeded its intensity at index %d and is %s", h.Name, a.Index, h.Status)
	}
	w.stats.Exceeded++
	x.over = at
}

// uncounted checks that a crash counts: the end of a permanent child of one_for_one with which nobody had to do.
func (g *ledger) uncounted(st *fsm.State, h *fsm.Supervisor, was sup.Status, n uint64, events []sup.Event) {
	f := g.family(h.Name)
	if n > 0 || f == nil || f.changing || h.Spec.Strategy.InOrder() || was != sup.StatusRunning || h.Status != sup.StatusRunning {
		return
	}
	for _, e := range events {
		if e.Type != sup.EventChildStopped || e.Supervisor != h.Name || e.Reason != string(sup.ExitError) {
			continue
		}
		key := sup.Key{Supervisor: e.Supervisor, Child: e.Child}
		k, c, own := g.kid(key), st.Child(key), g.fact(key)
		if k == nil || c == nil || c.Spec.Restart != sup.Permanent || k.hands > 0 || own.moved[sup.IncarnationOf(e.Incarnation)] || g.w.operated() {
			continue
		}
		if l := own.last; l != nil && l.inc.Token() == e.Incarnation && l.inc.Index > k.handed && l.inc.Index > f.changed && !l.stopping {
			g.w.fail("I5", "the crash of %s %s on %s is not counted", key, l.inc, l.h.name)
		}
	}
}

// operated reports whether operators may move children.
func (w *World) operated() bool { return w.plan.Every[faultLeave] > 0 }

// startsAllowed checks a birth: nothing of a supervisor that exceeded its intensity is started any more (I5).
func (g *ledger) startsAllowed(l *life) {
	x := g.windows.newestOf(l.key.Supervisor)
	if x != nil && x.over != (mark{}) && x.over.epoch == g.w.raft.epoch && l.inc.Index > x.over.index {
		g.w.fail("I5", "%s %s starts on %s, its supervisor exceeded its intensity at index %d", l.key, l.inc, l.h.name, x.over.index)
	}
}

// restored forgets what a restore from b forgets; st is what was restored.
func (v *windows) restored(b backup, st *fsm.State) {
	_, _, v.newest = st.Events(0, 0)
	var lost, back []*window
	for _, x := range v.all {
		x.stamps = slices.DeleteFunc(x.stamps, func(s stamp) bool { return s.at.undone(b) })
		if x.over.undone(b) {
			x.over = mark{}
		}
		h := st.Supervisor(x.name)
		if h == nil || h.Created != x.created {
			x.total, x.stamps = 0, nil
			lost = append(lost, x)
			continue
		}
		x.total, x.status, x.in = counted(h), h.Status, *h.Spec.Intensity
		back = append(back, x)
	}
	v.all = append(lost, back...) // what is there again is the newest of its name
}
