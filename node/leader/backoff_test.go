package leader

import (
	"testing"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// waiting is a leader with a child, "x", that waits a second before it is started again.
func waiting(t *testing.T) *world {
	w := three(t)
	w.ready("n1", "n2", "n3")
	c := start("a", nil, "x", "y")
	c.StartSupervisor.Spec.Children[0].Backoff = &sup.Backoff{Initial: 1e9, Max: 1e9, Factor: 1, ResetAfter: 60e9}
	w.ask(c)
	w.settle()
	w.running()
	w.report(key("a", "x"), fsm.ReportEnded, sup.ExitError)
	w.settle()
	return w
}

// S20: the leader places a child as soon as its wait is over, and does nothing about it before.
func TestS20AChildIsPlacedWhenItsWaitIsOver(t *testing.T) {
	w := waiting(t)
	x := w.st.Child(key("a", "x"))
	w.want(x.Wants && x.Status(w.st.Clock()) == sup.StatusBackoff, "%+v", x)
	w.want(w.m.wake <= w.m.instantOf(x.NotBefore), "it wakes at %d for %d", w.m.wake, w.m.instantOf(x.NotBefore))
	for w.m.clusterTime() < x.NotBefore-10*ms {
		w.run(10 * ms)
		for _, n := range []sup.NodeName{"n1", "n2", "n3"} {
			w.renew(n, second)
		}
		w.settle()
		w.want(w.st.Child(key("a", "x")).Wants, "placed too early")
	}
	w.run(11 * ms)
	w.settle()
	w.want(w.node(key("a", "x")) != "", "it is placed: %+v", w.st.Child(key("a", "x")))
}

// A new leader waits for the rest of it.
func TestS20ANewLeaderWaitsForTheRest(t *testing.T) {
	w := waiting(t)
	at := w.st.Child(key("a", "x")).NotBefore
	w.run(400 * ms)
	w.apply(fsm.Entry{Clock: at - 600*ms}) // the last that the old leader wrote
	w.lead()
	w.ready("n1", "n2", "n3")
	w.settle()
	w.want(w.st.Child(key("a", "x")).NotBefore == at, "the wait was changed")
	w.want(w.m.wake <= w.m.instantOf(at) && w.m.instantOf(at) == w.now+600*ms, "it wakes at %d for %d, now %d", w.m.wake, w.m.instantOf(at), w.now)
	w.run(w.m.instantOf(at) - w.now + ms)
	w.settle()
	w.want(w.node(key("a", "x")) != "", "placed: %+v", w.st.Child(key("a", "x")))
}
