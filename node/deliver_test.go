package node_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/await"
)

// called is what a call over the API was answered.
type called struct {
	reply string
	err   error
}

// keyed has nodes call a desk under one key, at the same time.
func keyed(ctx context.Context, key, typ, value string, nodes ...*node.Node) <-chan called {
	answers := make(chan called, len(nodes))
	for _, n := range nodes {
		go func() {
			reply, err := n.CallChild(ctx, inPool("w"), jsonCall(typ, value), 30*time.Second, key)
			answers <- called{string(reply), err}
		}()
	}
	return answers
}

// leader is the node that leads, and others that do not.
func (c *cluster) leaderAndOthers() (leader *node.Node, others []*node.Node) {
	c.t.Helper()
	await.True(c.t, "a leader", func() bool {
		leader, others = nil, nil
		for _, n := range c.nodes {
			if s := n.Status(); s.Role == "leader" {
				leader = n
			} else if s.Leader != "" {
				others = append(others, n)
			}
		}
		return leader != nil && len(others) == len(c.nodes)-1
	})
	return leader, others
}

// Calls under one key have one effect and one answer, at whatever nodes they are asked, before, during and after it, although
// the leader changes meanwhile.
func TestRule_S36_CallsUnderOneKeyAreOneCall(t *testing.T) {
	o := newOffice()
	c := o.cluster(t, 3, 1)
	c.start("n1", "n2", "n3", "a1")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	if _, err := c.nodes["n1"].Do(ctx, startSupervisor(deskOn("w", "a1")), ""); err != nil {
		t.Fatal(err)
	}
	leader, others := c.leaderAndOthers()
	first := keyed(ctx, "k", "desk.hold", `"once"`, others[0])
	<-o.held
	again := keyed(ctx, "k", "desk.hold", `"once"`, others[1], others[2], others[0])
	if got := <-keyed(ctx, "k", "desk.hold", `"else"`, others[1]); code(got.err) != sup.CodeIdempotencyKeyReused {
		t.Errorf("another call under the key: %+v", got)
	}
	c.stop(leader.Name())
	_, others = c.leaderAndOthers() // the calls wait on
	close(o.letGo)
	want := <-first
	if lapsed := c.lost(leader.Name()); len(lapsed) == 0 && want != (called{reply: `"a1"`}) ||
		len(lapsed) > 0 && want.err != nil && code(want.err) != sup.CodeOutcomeUnknown {
		t.Errorf("%+v; on a slow machine the leases of %v may have lapsed meanwhile", want, lapsed)
	}
	same := func(when string, got called) {
		t.Helper()
		if got.reply != want.reply || code(got.err) != code(want.err) {
			t.Errorf("asked again %s: %+v, want %+v", when, got, want)
		}
	}
	for range 3 {
		same("meanwhile", <-again)
	}
	for range 2 {
		same("afterwards", <-keyed(ctx, "k", "desk.hold", `"once"`, others...))
	}
	if n := o.count("once"); n != 1 {
		t.Errorf("it was carried out %d times", n)
	}
	if got := <-keyed(ctx, "k2", "desk.effect", `"once"`, others[0]); got.reply != `"a1"` || o.count("once") != 2 {
		t.Errorf("under another key: %+v, carried out %d times", got, o.count("once"))
	}
}

// lost are the nodes other than one that were lost so far.
func (c *cluster) lost(but sup.NodeName) (names []sup.NodeName) {
	c.t.Helper()
	leader, _ := c.leaderAndOthers()
	a, err := leader.Read(context.Background(), node.Query{Kind: node.QueryEvents})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range a.Events {
		if e.Type == sup.EventNodeFailureDetected && e.Node != but {
			names = append(names, e.Node)
		}
	}
	return names
}

// The node that was asked is lost while the child works on the call: whoever asks again learns that nobody knows, at once,
// and for good. One whose client alone is gone finishes what it was asked.
func TestRule_S36_ACallWhoseNodeIsLostIsNotRepeated(t *testing.T) {
	o := newOffice()
	c := o.cluster(t, 3, 2)
	c.start("n1", "n2", "n3", "a1", "a2")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	if _, err := c.nodes["n1"].Do(ctx, startSupervisor(deskOn("w", "a1")), ""); err != nil {
		t.Fatal(err)
	}
	away, leave := context.WithCancel(ctx)
	left := keyed(away, "left", "desk.hold", `"left"`, c.nodes["n2"])
	<-o.held
	leave()
	if got := <-left; code(got.err) != sup.CodeOutcomeUnknown {
		t.Errorf("a client that leaves: %+v", got)
	}
	o.letGo <- struct{}{}
	if got := <-keyed(ctx, "left", "desk.hold", `"left"`, c.nodes["n3"]); got != (called{reply: `"a1"`}) || o.count("left") != 1 {
		t.Errorf("asked again: %+v, carried out %d times", got, o.count("left"))
	}
	keyed(ctx, "lost", "desk.hold", `"lost"`, c.nodes["a2"])
	<-o.held
	again := keyed(ctx, "lost", "desk.hold", `"lost"`, c.nodes["n1"], c.nodes["n3"])
	c.stop("a2")
	for range 2 {
		if got := <-again; code(got.err) != sup.CodeOutcomeUnknown || !strings.Contains(got.err.Error(), "node a2, which was to deliver") {
			t.Errorf("asked again: %+v", got)
		}
	}
	close(o.letGo)
	c.start("a2")
	if got := <-keyed(ctx, "lost", "desk.hold", `"lost"`, c.nodes["a2"]); code(got.err) != sup.CodeOutcomeUnknown {
		t.Errorf("asked again afterwards: %+v", got)
	}
	if n := o.count("lost"); n != 1 {
		t.Errorf("it was carried out %d times", n)
	}
}

// What came of a message is answered again in its own words; a long answer is given once. A message that could not be tried
// leaves its key free.
func TestRule_S36_WhatCameOfAMessageIsAnsweredAgain(t *testing.T) {
	c := newOffice().cluster(t, 1, 0)
	c.start("n1")
	c.ready()
	ctx := bounded(t, 60*time.Second)
	n := c.nodes["n1"]
	if _, err := n.Do(ctx, startSupervisor(deskOn("w", "n1")), ""); err != nil {
		t.Fatal(err)
	}
	for i, call := range []struct {
		typ, value string
		code       sup.Code
	}{
		{"desk.fail", `"no ink \ufffd"`, sup.CodeCallFailed},
		{"desk.none", `1`, sup.CodeInvalidSpec},
		{"desk.add", `"x"`, sup.CodeInvalidSpec},
		{"desk.panic", `"oh"`, sup.CodeCallFailed},
	} {
		key := fmt.Sprintf("refused %d", i)
		first, second := <-keyed(ctx, key, call.typ, call.value, n), <-keyed(ctx, key, call.typ, call.value, n)
		if code(first.err) != call.code || first.err.Error() != second.err.Error() {
			t.Errorf("%s: %v, then %v", call.typ, first.err, second.err)
		}
	}
	await.True(t, "the child after its panic", func() bool { return c.child("w").Status == sup.StatusRunning })
	if child := c.child("w"); child.RestartCount != 1 {
		t.Errorf("it panicked %d times", child.RestartCount)
	}
	for _, size := range []int{fsm.MaxReply - 2, fsm.MaxReply - 1} {
		key, value := fmt.Sprintf("long %d", size), fmt.Sprint(size)
		if got := <-keyed(ctx, key, "desk.long", value, n); len(got.reply) != size+2 {
			t.Errorf("an answer of %d bytes: %d, %v", size, len(got.reply), got.err)
		}
		got := <-keyed(ctx, key, "desk.long", value, n)
		if kept := size+2 <= fsm.MaxReply; kept && len(got.reply) != size+2 ||
			!kept && (code(got.err) != sup.CodeOutcomeUnknown || !strings.Contains(got.err.Error(), "was carried out, and its answer of 65537 bytes is not kept")) {
			t.Errorf("an answer of %d bytes again: %d, %v", size+2, len(got.reply), got.err)
		}
	}
	for range 3 {
		if err := n.CastChild(ctx, inPool("w"), jsonCall("desk.note", "7"), "note"); err != nil {
			t.Error(err)
		}
	}
	if got := <-keyed(ctx, "", "desk.notes", "{}", n); got.reply != "[7]" {
		t.Errorf("notes: %+v", got)
	}
	if err := n.CastChild(ctx, inPool("w"), jsonCall("desk.note", "8"), "note"); code(err) != sup.CodeIdempotencyKeyReused {
		t.Errorf("another cast under the key: %v", err)
	}
	if _, err := n.Do(ctx, fsm.Command{TerminateChild: &fsm.TerminateChild{Key: inPool("w")}}, "note"); code(err) != sup.CodeIdempotencyKeyReused {
		t.Errorf("another request under the key: %v", err)
	}
	if _, err := n.CallChild(ctx, sup.Key{Supervisor: "pool", Child: "\xff"}, jsonCall("desk.add", "1"), 0, "text"); code(err) != sup.CodeInvalidSpec {
		t.Errorf("a name that is no text: %v", err)
	}
	if _, err := n.CallChild(ctx, inPool("w"), jsonCall("desk.fail", "\"\xff\""), 0, "text"); code(err) == "" {
		t.Errorf("a value that is no text: %v", err)
	}
}
