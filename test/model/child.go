package model

import sup "github.com/supnode/supnode/supervisor"

// State is where a child is.
type State string

// Down is a child without a run that does not ask for one: it has exited, or its turn has not come. Wanted asks for a node.
const (
	Down     State = "down"
	Wanted   State = "wanted"
	Placed   State = "placed"
	Running  State = "running"
	Stopping State = "stopping"
)

// then is what follows a stop.
type then string

const (
	terminate then = "terminate" // it is removed (S32)
	restart   then = "restart"   // by hand, it is to run again (S33)
	move      then = "move"      // its node leaves (P3)
	change    then = "change"    // by a manifest that does not name it, or has another spec for it
	group     then = "group"     // it waits for its turn in a group restart (S8, S9)
	shutdown  then = "shutdown"  // its supervisor stops (S13)
)

// Child is a child's record.
type Child struct {
	sup  *Sup
	own  *Sup // of a child that is a supervisor, while its tree is up
	Spec sup.ChildSpec

	State       State
	Node        sup.NodeName // of Placed, Running, Stopping
	Inc         uint64       // the entry that placed it
	Unplaceable bool         // Wanted, and the leader has said that no node can take it (S19)
	Avoid       sup.NodeName // the node that this decision excludes (S18, S25)

	Started  bool         // an init of it has returned once
	LastNode sup.NodeName // where
	Restarts uint64       // S22
	Lost     int          // placements that its first start lost to nodes (S12)
	Exit     sup.ExitReason

	crashes   int   // since its waits began anew (S20)
	notBefore int64 // cluster time before which it is not placed
	since     int64 // cluster time at which its init returned

	then      then
	toward    sup.NodeName // where a rebalance will have it
	part      part
	owed      bool   // Stopping, and nothing of it is left: its stop is not acknowledged yet
	farewell  string // the reason that its supervisor is to be stopped with
	halt, due bool
	runs      []string // requests that wait for it to run
	waiters   []string // requests that wait for it to be gone
}

// part is what a change of the manifest does to a child.
type part string

const (
	gone     part = "gone"     // it is stopped and removed
	replaced part = "replaced" // it is stopped, and then started with another spec
	begins   part = "begins"   // it is starting; the change waits for its init
)

func (ch *Child) leaves() bool { return ch.part == gone || ch.part == replaced }

// Key names the child.
func (ch *Child) Key() sup.Key { return sup.Key{Supervisor: ch.sup.Name, Child: ch.Spec.ID} }

func (ch *Child) pin() sup.NodeName {
	if s := ch.Spec.Selector; s != nil && s.Kind == sup.SelectNode && s.Fallback == "" {
		return s.Node
	}
	return ""
}

func (ch *Child) temporary() bool { return ch.Spec.Restart == sup.Temporary }
func (ch *Child) held() bool {
	return ch.State == Placed || ch.State == Running || ch.State == Stopping
}

// restartedAfter (S1, S2, S3): permanent always, transient unless the end was clean, temporary never.
func (ch *Child) restartedAfter(reason sup.ExitReason) bool {
	switch ch.Spec.Restart {
	case sup.Transient:
		return reason != sup.ExitNormal && reason != sup.ExitShutdown
	case sup.Temporary:
		return false
	}
	return true
}

// Status is what users see (api.md §5).
func (ch *Child) Status() sup.Status {
	switch ch.State {
	case Running:
		return sup.StatusRunning
	case Stopping:
		return sup.StatusStopping
	case Wanted:
		if ch.waits() {
			return sup.StatusBackoff
		}
		if ch.Unplaceable {
			return sup.StatusPending
		}
	case Down:
		if !ch.due && ch.part != replaced {
			return sup.StatusExited
		}
	}
	if ch.Started {
		return sup.StatusRestarting
	}
	return sup.StatusStarting
}

// answer ends the requests that wait for the child to run.
func (ch *Child) answer(code sup.Code) {
	for _, key := range ch.runs {
		ch.sup.c.end(key, code)
	}
	ch.runs = nil
}

// again makes a child that is down run again when its turn comes; every run after its first one is a restart (S22).
func (ch *Child) again(avoid sup.NodeName) {
	ch.due, ch.Avoid, ch.notBefore = true, avoid, 0
	if ch.Started {
		ch.Restarts++
	}
}

// backOff (S20): after a crash the child waits, after each further one longer, up to a bound.
func (ch *Child) backOff() {
	b := ch.Spec.Backoff
	if b == nil {
		return
	}
	wait := float64(b.Initial)
	for range ch.crashes {
		wait *= b.Factor
	}
	ch.crashes++
	ch.notBefore = ch.sup.c.Clock + int64(min(wait, float64(b.Max)))
}

func (ch *Child) waits() bool { return ch.notBefore > ch.sup.c.Clock }

// want makes a child that is due ask for a node; one that is a supervisor starts its tree.
func (ch *Child) want() {
	if ch.isSup() {
		ch.raise()
		return
	}
	ch.State, ch.due, ch.Unplaceable = Wanted, false, false
}

// stop asks for the end of the child's run.
func (ch *Child) stop(t then) {
	ch.State, ch.then = Stopping, t
	if ch.isSup() {
		ch.fell()
	}
}

// ran (S44): the first run is child_started, each later one child_restarted, and child_migrated when the node differs.
func (ch *Child) ran() {
	c, k := ch.sup.c, ch.Key()
	e := sup.Event{Type: sup.EventChildStarted, Supervisor: k.Supervisor, Child: k.Child, Node: ch.Node, Incarnation: ch.token()}
	if ch.Started {
		e.Type, e.Attempt = sup.EventChildRestarted, ch.Restarts
	}
	c.emit(e)
	if ch.Started && ch.LastNode != ch.Node {
		c.emit(sup.Event{
			Type: sup.EventChildMigrated, Supervisor: k.Supervisor, Child: k.Child,
			FromNode: ch.LastNode, ToNode: ch.Node, Incarnation: ch.token(),
		})
	}
	ch.State, ch.Started, ch.LastNode, ch.since = Running, true, ch.Node, c.Clock
	ch.answer("")
	ch.sup.doneWith(ch, "")
}

// ended (S44): the end of every incarnation is child_stopped. What follows is the caller's to say.
func (ch *Child) ended(reason sup.ExitReason) {
	k := ch.Key()
	ch.sup.c.emit(sup.Event{
		Type: sup.EventChildStopped, Supervisor: k.Supervisor, Child: k.Child, Node: ch.Node, Incarnation: ch.token(), Reason: string(reason),
	})
	if b := ch.Spec.Backoff; b != nil && ch.since != 0 && ch.sup.c.Clock-ch.since >= int64(b.ResetAfter) {
		ch.crashes = 0 // S20: a long run begins anew
	}
	ch.State, ch.Node, ch.Inc, ch.then, ch.Exit, ch.since, ch.toward = Down, "", 0, "", reason, 0, ""
}

// token is zero for a child that is a supervisor: it has no incarnation.
func (ch *Child) token() uint64 {
	if ch.Inc == 0 {
		return 0
	}
	return ch.sup.c.Gen<<40 + ch.Inc
}
