package leader

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"
	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

func selectors(names ...string) func(*Config) {
	return func(c *Config) {
		c.HasSelector = func(name string) bool {
			for _, n := range names {
				if n == name {
					return true
				}
			}
			return false
		}
	}
}

// questions are those since the last look.
func (w *world) questions() []Select { return of[Select](w.seen()) }

func (w *world) answer(q Select, n sup.NodeName, why string) {
	w.t.Helper()
	w.step(Selected{ID: q.ID, Key: q.Key, Node: n, Why: why})
	w.settle()
}

func TestS29CustomSelectorsAreAskedOneChildAfterTheOther(t *testing.T) {
	w := three(t, selectors("gpu"))
	w.ready("n1", "n2", "n3")
	w.seen()
	w.ask(start("a", sup.Custom("gpu"), "x", "y"))
	w.ask(start("b", sup.Custom("gpu"), "z"))
	w.want(len(w.log[0].Entry.Placements) == 0, "no prediction: %+v", w.log[0].Entry)
	w.settle()
	qs := w.questions()
	w.want(len(qs) == 2 && qs[0].Key == key("a", "x") && qs[1].Key == key("b", "z"), "one a supervisor: %+v", qs)
	q := qs[0]
	w.want(q.Selector == "gpu" && len(q.Nodes) == 3 && q.Nodes[1].Name == "n2" && q.Nodes[1].Children == 0 && q.Nodes[1].Behaviors[0] == "job" &&
		q.Child.Supervisor == "a" && q.Child.Spec.ID == "x", "%+v", q)
	w.want(w.st.Child(q.Key).Wants, "the slot waits")
	*q.Child.Spec.ShutdownTimeout, q.Nodes[0].Behaviors[0] = 0, "scribbled"
	w.want(w.st.Child(q.Key).ShutdownTimeout() > 0 && w.st.Node("n1").Behaviors[0] == "job", "what a selector is given is its own")
	w.answer(q, "n2", "")
	w.want(w.node(key("a", "x")) == "n2", "placed on %s", w.node(key("a", "x")))
	next := w.questions()
	w.want(len(next) == 1 && next[0].Key == key("a", "y") && next[0].Nodes[1].Children == 1, "the next one sees it: %+v", next)
	w.answer(qs[1], "n3", "")
	w.answer(next[0], "n1", "")
	w.running()
	w.want(w.node(key("b", "z")) == "n3" && w.node(key("a", "y")) == "n1" && w.st.Supervisor("a").Status == sup.StatusRunning, "all run")
	w.answer(qs[0], "n3", "") // an answer that comes twice
	w.want(w.node(key("a", "x")) == "n2" && len(w.questions()) == 0, "answered once")
}

func TestS29WithoutAChoiceNothingIsPlaced(t *testing.T) {
	for _, c := range []struct {
		name      string
		selector  string
		node, why string
		code      sup.Code
		words     string
	}{
		{"an error", "gpu", "", "all are busy", sup.CodeNoAvailableNode, `selector "gpu" chose no node: all are busy`},
		{"no such node", "gpu", "n9", "", sup.CodeNoAvailableNode, `selector "gpu" chose node "n9", which is not among those that it was given`},
		{"no node", "gpu", "", "", sup.CodeNoAvailableNode, `selector "gpu" chose node ""`},
		{"words that are no text", "gpu", "", "all \xff busy", sup.CodeNoAvailableNode, "chose no node: all \uFFFD busy"},
		{"words without end", "gpu", "", strings.Repeat("é", fsm.MaxDetail), sup.CodeNoAvailableNode, "chose no node: ééé"},
		{"a name without end", "gpu", strings.Repeat("\x00", fsm.MaxDetail), "", sup.CodeNoAvailableNode, `chose node "\x00\x00`},
		{"it is not there", "best", "", "", sup.CodeSelectorNotRegistered, `the leader, n1, has no selector "best"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := three(t, selectors("gpu"))
			w.ready("n1", "n2", "n3")
			w.ask(start("a", nil))
			w.settle()
			w.seen()
			spec := child("x")
			spec.Selector = sup.Custom(c.selector)
			w.ask(fsm.Command{StartChild: &fsm.StartChild{Supervisor: "a", Spec: spec}})
			w.settle()
			for _, q := range w.questions() {
				w.answer(q, sup.NodeName(c.node), c.why)
			}
			o, _, _ := w.st.Outcome("key-" + itoa(w.serial))
			w.want(o != nil && o.Problem != nil && o.Problem.Code == c.code && strings.Contains(o.Problem.Detail, c.words), "%+v", o)
			w.want(c.code != sup.CodeSelectorNotRegistered || o.Problem.Selector == c.selector, "%+v", o.Problem)
			w.want(utf8.ValidString(o.Problem.Detail) && len(o.Problem.Detail) <= fsm.MaxDetail, "%d bytes, which no log may take", len(o.Problem.Detail))
			w.want(w.st.Child(key("a", "x")) == nil, "nothing is kept")
		})
	}
}

// alive is run, with all nodes that are up renewing their leases.
func (w *world) alive(d int64) {
	w.t.Helper()
	for end := w.now + d; w.now < end; {
		for n := range w.st.Nodes() {
			if n.Live() {
				w.renew(n.Name, second)
			}
		}
		w.run(min(second, end-w.now))
	}
}

func itoa(n uint64) string {
	const digits = "0123456789"
	if n < 10 {
		return digits[n : n+1]
	}
	return itoa(n/10) + digits[n%10:n%10+1]
}

func TestS29AWaitingChildIsAskedForAgain(t *testing.T) {
	w := three(t, selectors("gpu"))
	w.ready("n1", "n2", "n3")
	w.ask(start("a", sup.Custom("gpu"), "x"))
	w.settle()
	w.answer(w.questions()[0], "n1", "")
	w.running()
	w.seen()
	w.report(key("a", "x"), fsm.ReportEnded, sup.ExitError)
	w.settle()
	q := w.questions()
	w.want(len(q) == 1 && q[0].Child.LastNode == "n1" && q[0].Child.RestartCount == 1, "%+v", q)
	w.answer(q[0], "", "not now")
	x := w.st.Child(key("a", "x"))
	w.want(x.Wants && x.PendingReason == `no_available_node: selector "gpu" chose no node: not now`, "%+v", x)
	entries := len(w.entries)
	w.alive(selectAgain)
	q = w.questions()
	w.want(len(q) == 1, "asked again: %+v", q)
	w.answer(q[0], "", "not now")
	said := 0
	for _, e := range w.entries[entries:] {
		said += len(e.Unplaced)
	}
	w.want(said == 0, "the same words are proposed once")
	w.alive(selectAgain)
	q = w.questions()
	w.want(len(q) == 1, "and again: %+v", q)

	// What has happened since overtakes the answer: the node that it names is lost, so it is asked anew.
	w.apply(fsm.Entry{Commands: []fsm.Command{{NodeDown: &fsm.NodeDown{Node: "n3", Session: w.session["n3"]}}}})
	w.answer(q[0], "n3", "")
	w.want(w.st.Child(key("a", "x")).Wants, "not placed on a node that is down")
	q = w.questions()
	w.want(len(q) == 1 && len(q[0].Nodes) == 2, "%+v", q)
	w.ask(fsm.Command{TerminateChild: &fsm.TerminateChild{Key: key("a", "x")}})
	w.settle()
	w.answer(q[0], "n2", "")
	w.want(w.st.Child(key("a", "x")) == nil && len(w.m.placer.customs.asking)+len(w.m.placer.customs.chosen) == 0, "nothing is left of it")
}

// Behaviors of programs hang, panic and are slow; the leader's loop is not concerned.
func TestS29ADriverCallsSelectorsBesideItsLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		all := sup.NewSelectors()
		all.Register("first", func(nodes []sup.SelectorNode, _ sup.SelectorChild) (sup.NodeName, error) {
			nodes[0].Tags["mine"] = "now"
			return nodes[0].Name, nil
		})
		all.Register("error", func([]sup.SelectorNode, sup.SelectorChild) (sup.NodeName, error) { return "n1", errors.New("no") })
		all.Register("panic", func([]sup.SelectorNode, sup.SelectorChild) (sup.NodeName, error) { panic("ouch") })
		all.Register("hang", func([]sup.SelectorNode, sup.SelectorChild) (sup.NodeName, error) { <-hang; return "n1", nil })
		d := NewDriver(Options{Selectors: all, Logger: hclog.NewNullLogger()})
		for name, want := range map[string]Selected{
			"first": {ID: 1, Node: "n1"}, "error": {ID: 1, Why: "no"}, "panic": {ID: 1, Why: "it panicked: ouch"},
			"hang": {ID: 1, Why: "it did not answer within 100ms"}, "none": {ID: 1, Why: "it is not registered"},
		} {
			began := time.Now()
			d.selectNode(Select{ID: 1, Selector: name, Nodes: []sup.SelectorNode{{Name: "n1", Tags: map[string]string{}}}})
			if in := <-d.in; in.ev != want {
				t.Errorf("%s: %+v", name, in.ev)
			}
			if took := time.Since(began); took > 100*time.Millisecond {
				t.Errorf("%s took %s", name, took)
			}
		}
		for i := range maxSelectors { // one hangs already
			d.selectNode(Select{ID: uint64(i), Selector: "hang"})
		}
		refused := 0
		for range maxSelectors {
			if ev := (<-d.in).ev.(Selected); strings.Contains(ev.Why, "have not returned") {
				refused++
			}
		}
		if refused != 1 {
			t.Errorf("%d were refused", refused)
		}
		d.end() // what hangs does not hold it up
		close(hang)
	})
}
