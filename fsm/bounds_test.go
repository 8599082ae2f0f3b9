package fsm

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	sup "github.com/supnode/supnode/supervisor"
)

// The history keeps the newest events within its size, ids have no gap, and pages join.
func TestHistoryIsBoundedAndGapless(t *testing.T) {
	w := newWorld(t)
	w.s.settings.EventHistory = 2 << 10
	for i := range 500 {
		w.apply(Command{Establish: &Establish{Term: uint64(i + 2), Leader: "n1"}})
		if w.s.history.size > 2<<10 {
			t.Fatalf("%d bytes are kept", w.s.history.size)
		}
	}
	all, oldest, newest := w.s.Events(0, 1000)
	if newest != 501 || oldest <= 1 || len(all) != int(newest-oldest+1) || len(all) < 10 {
		t.Fatalf("%d events from %d to %d", len(all), oldest, newest)
	}
	since, n := oldest-1, 0
	for page, _, _ := w.s.Events(since, 7); len(page) > 0; page, _, _ = w.s.Events(since, 7) {
		for _, e := range page {
			if e.ID != since+1 {
				t.Fatalf("event %d after %d", e.ID, since)
			}
			if e.Time.IsZero() || e.Index == 0 {
				t.Fatalf("event without time or index: %+v", e)
			}
			since = e.ID
			n++
		}
	}
	if n != len(all) {
		t.Fatalf("pages have %d events of %d", n, len(all))
	}
	if events, _, _ := w.s.Events(newest, 10); len(events) != 0 {
		t.Fatalf("there are events after the newest: %v", events)
	}
	if _, oldest, newest := New().Events(0, 10); oldest != 1 || newest != 0 {
		t.Fatalf("an empty history is from %d to %d", oldest, newest)
	}
	w.reboot()
}

// A node whose data_dir was emptied is told what helps: another of its name is the old one's, unless that is forgotten.
func TestANameIsKeptForItsDataDirectory(t *testing.T) {
	w := newWorld(t)
	for name, want := range map[sup.NodeName]string{"server": "put the directory back", "agent": "supnode nodes remove agent"} {
		w.apply(Command{Register: &Register{Node: name, ID: "old", Addr: "127.0.0.1:7101", Voter: name == "server"}})
		res := w.apply(Command{Register: &Register{Node: name, ID: "new", Addr: "127.0.0.1:7101", Voter: name == "server"}}).Results[0]
		if res.Problem == nil || res.Problem.Code != sup.CodeNodeInUse || !strings.Contains(res.Problem.Detail, want) {
			t.Errorf("%s: %+v", name, res.Problem)
		}
	}
}

// Where there are as many supervisors as there may be, a manifest may still be changed, as long as it adds none.
func TestAChangeIsCountedByWhatItAdds(t *testing.T) {
	w := newWorld(t)
	w.register("n1")
	pool := spec("pool", childOf("w1"), childOf("db{;d1}"))
	w.ask(Command{StartSupervisor: &StartSupervisor{Spec: pool, Home: "n1"}})
	w.settle()
	same, more := spec("pool", childOf("w1#2"), childOf("db{;d1,d2}")), spec("pool", childOf("db{;d1}"), childOf("more{;}"))
	w.s.running = MaxSupervisors
	if _, p := w.s.Changes(&same); p != nil {
		t.Error(p)
	}
	if _, p := w.s.Changes(&more); p == nil || p.Code != sup.CodeQuotaExceeded {
		t.Errorf("one more than there may be: %v", p)
	}
}

// A requests table over its bound forgets the oldest outcomes, never a pending request.
func TestKeysAreBounded(t *testing.T) {
	q := newRequests()
	for i := range 10 {
		q.pending.add(&request{Key: fmt.Sprintf("p%d", i)})
		q.keep(&request{Key: fmt.Sprintf("o%d", i), Own: true, Born: int64(2 * i), Outcome: &Outcome{}})
		q.keep(&request{Key: fmt.Sprintf("c%d", i), Born: int64(2*i + 1), Outcome: &Outcome{}})
	}
	q.expire(0, 15)
	if q.len() != 15 || q.pending.len() != 10 {
		t.Fatalf("%d are kept, %d of them pending", q.len(), q.pending.len())
	}
	for _, k := range []string{"c9", "o9", "c8", "o8", "c7", "p0"} {
		if q.get(k) == nil {
			t.Errorf("%s is forgotten", k)
		}
	}
	q.expire(0, 5)
	if q.len() != 10 {
		t.Errorf("pending requests are forgotten: %d are left", q.len())
	}
}

// The oldest replies go when all of them are too many bytes, or with their keys; that their calls were answered stays known.
func TestRepliesAreBounded(t *testing.T) {
	q := newRequests()
	for i := range 10 {
		q.keep(&request{Key: fmt.Sprintf("r%d", i), Born: int64(i), Outcome: &Outcome{Reply: make([]byte, 10)}})
	}
	q.forgetReplies(35)
	for i := range 10 {
		o := q.get(fmt.Sprintf("r%d", i)).Outcome
		if kept := len(o.Reply) == 10; kept != (i >= 7) || !kept && o.Unkept != 10 {
			t.Errorf("reply %d: %d bytes, %d not kept", i, len(o.Reply), o.Unkept)
		}
	}
	q.expire(0, 2)
	if q.len() != 2 || q.replies != 20 || q.replying.len() != 2 {
		t.Errorf("%d requests, %d replies of %d bytes are left", q.len(), q.replying.len(), q.replies)
	}
	if o := (Outcome{Reply: make([]byte, MaxReply+1)}).Kept(); o.Reply != nil || o.Unkept != MaxReply+1 {
		t.Errorf("a reply of %d bytes is kept: %d, not kept: %d", MaxReply+1, len(o.Reply), o.Unkept)
	}
}

// A full queue answers busy, which is no outcome: the same key may be used again.
func TestFullQueueIsBusy(t *testing.T) {
	w := newWorld(t)
	w.register("n1")
	w.ask(Command{StartSupervisor: &StartSupervisor{Spec: spec("pool", child("w0", sup.Permanent))}})
	for i := range MaxQueue {
		cs := child(sup.ChildID(fmt.Sprintf("x%d", i)), sup.Permanent)
		w.s.Apply(w.s.index+1, Entry{Commands: []Command{{StartChild: &StartChild{Supervisor: "pool", Spec: &cs}}}})
	}
	cs := child("one-more", sup.Permanent)
	c := Command{Request: &Request{Key: "more", Hash: []byte("h")}, StartChild: &StartChild{Supervisor: "pool", Spec: &cs}}
	a := w.apply(c)
	if r := a.Results[0]; r.Status != Refused || r.Problem.Code != sup.CodeBusy || r.Problem.Bound != MaxQueue {
		t.Fatalf("result is %+v", r)
	}
	w.settle()
	a = w.apply(c)
	if a.Results[0].Status != Pending {
		t.Fatalf("result is %+v", a.Results[0])
	}
	w.settle()
	if n := w.s.Counts("pool").Active; n != MaxQueue+2 {
		t.Fatalf("%d children run", n)
	}
}

// A change of too many children is refused, also when it is only to be shown, and changes nothing.
func TestChangesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.ask(Command{StartSupervisor: &StartSupervisor{Spec: spec("pool")}})
	var children []sup.ChildSpec
	for i := range MaxChanges + 1 {
		children = append(children, child(sup.ChildID(fmt.Sprintf("w%d", i)), sup.Permanent))
	}
	next := spec("pool", children...)
	if _, p := w.s.Changes(&next); p == nil || p.Code != sup.CodeQuotaExceeded || p.Bound != MaxChanges {
		t.Errorf("shown: %v", p)
	}
	if r := w.apply(Command{ApplyManifest: &ApplyManifest{Spec: next}}).Results[0]; r.Status != Refused || r.Problem.Code != sup.CodeQuotaExceeded || r.Problem.Bound != MaxChanges {
		t.Errorf("applied: %+v", r)
	}
	if n := w.s.Counts("pool").Specs; n != 0 {
		t.Errorf("%d children are there", n)
	}
}

// Only the last 1,000 stopped supervisors stay readable (S37).
func TestStoppedSupervisorsAreForgotten(t *testing.T) {
	w := newWorld(t)
	for i := range MaxStopped + 10 {
		n := sup.Name(fmt.Sprintf("s%d", i))
		w.s.Apply(w.s.index+1, Entry{Commands: []Command{
			{StartSupervisor: &StartSupervisor{Spec: spec(n)}}, {StopSupervisor: &StopSupervisor{Name: n}},
		}})
	}
	if err := w.s.Check(); err != nil {
		t.Fatal(err)
	}
	if w.s.trees.len() != MaxStopped || w.s.Supervisor("s9") != nil || w.s.Supervisor("s10") == nil {
		t.Fatalf("%d supervisors are kept", w.s.trees.len())
	}
	w.reboot()
}

// Details are cut at the start of a rune.
func TestDetailsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.register("n1")
	w.ask(Command{StartSupervisor: &StartSupervisor{Spec: spec("pool", child("w0", sup.Transient))}})
	w.settle()
	w.report(key("pool", "w0"), ReportEnded, sup.ExitShutdown, "x"+strings.Repeat("ü", MaxDetail))
	d := w.s.Child(key("pool", "w0")).LastExit.Detail
	if len(d) != MaxDetail-1 || !utf8.ValidString(d) {
		t.Fatalf("detail has %d bytes, valid=%t", len(d), utf8.ValidString(d))
	}
}

// Lists of children come in pages that join, also when what a page ended with is gone.
func TestChildrenArePaged(t *testing.T) {
	w := newWorld(t)
	w.register("n1")
	var specs []sup.ChildSpec
	for i := range 200 {
		specs = append(specs, child(sup.ChildID(fmt.Sprintf("w%d", i)), sup.Temporary))
	}
	w.ask(Command{StartSupervisor: &StartSupervisor{Spec: spec("pool", specs...)}})
	w.settle()
	for i := 30; i < 100; i++ { // holes
		w.report(key("pool", specs[i].ID), ReportEnded, sup.ExitNormal, "")
	}
	var ids []sup.ChildID
	after, pages := "", 0
	for {
		page, next := w.s.Children("pool", after, 7, nil)
		for _, c := range page {
			ids = append(ids, c.ID)
		}
		if pages++; next == "" {
			break
		}
		if after = next; pages == 2 {
			w.report(key("pool", page[len(page)-1].ID), ReportEnded, sup.ExitNormal, "")
		}
	}
	if len(ids) != 130 || ids[0] != "w0" || ids[29] != "w29" || ids[30] != "w100" || ids[129] != "w199" {
		t.Fatalf("%d children in %d pages: %v", len(ids), pages, ids)
	}
	some, next := w.s.Children("pool", "", 3, func(c *sup.ChildInfo) bool { return strings.HasSuffix(string(c.ID), "5") })
	if len(some) != 3 || some[2].ID != "w25" || next == "" {
		t.Fatalf("filtered: %v, next %q", some, next)
	}
}

// An image stays as it was captured while the state goes on.
func TestImageIsImmutable(t *testing.T) {
	w := newWorld(t)
	w.register("n1")
	w.ask(Command{StartSupervisor: &StartSupervisor{Spec: spec("pool", child("w0", sup.Permanent), child("w1", sup.Temporary))}})
	w.settle()
	image, want := w.s.Capture(), snapshot(t, w.s)
	w.report(key("pool", "w0"), ReportEnded, sup.ExitError, "boom")
	w.report(key("pool", "w1"), ReportEnded, sup.ExitError, "boom")
	w.register("n2")
	w.apply(Command{Bump: &Bump{Gen: 7}})
	w.ask(Command{StopSupervisor: &StopSupervisor{Name: "pool"}})
	var got strings.Builder
	if _, err := image.WriteTo(&got); err != nil || got.String() != string(want) {
		t.Fatalf("the image changed with the state (%v)", err)
	}
}
