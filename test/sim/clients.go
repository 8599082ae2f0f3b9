package sim

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/node/leader"
	sup "github.com/supnode/supnode/supervisor"
)

// client asks for things and keeps count of what it was told. It owns its supervisors, so what it was told last of a child
// is the truth about it; it retries each request across leaders until it is answered.
type client struct {
	w    *World
	i    int
	sups []*family
	made int // supervisors so far
	keys int
	open int // requests
}

// family is a supervisor as its client knows it.
type family struct {
	name     sup.Name
	spec     sup.Spec
	kids     []*kid
	made     int
	busy     bool // a request about the supervisor itself is open
	limit    int  // the smallest max_restarts that it had
	over     bool // its stop was asked for, or it stopped by itself
	finished bool // and that was acknowledged
	changing bool // a manifest is applied to it
	w        *World
	starts   int    // starts from its template that are not answered
	anew     uint64 // the entry of the change that made it anew, after it had stopped by itself
	changed  uint64 // the newest index when the newest change was answered; 0 = never changed
}

// kid is a child as its client knows it.
type kid struct {
	f      *family
	key    sup.Key
	spec   sup.ChildSpec
	busy   bool // its start or restart is asked for
	ending bool // its end is asked for
	doomed bool // its end was ever asked for
	place  place
	args   []json.RawMessage // what it runs with
	hands  int               // restarts and ends of it that are asked for
	handed uint64            // the newest index when one was answered last: what was placed before may have ended by hand
	belief belief
}

// belief is what a client may count on.
type belief uint8

const (
	unknown belief = iota // the answer is out, or was lost by a restore
	present
	absent
)

func newClient(w *World, i int) *client {
	c := &client{w: w, i: i}
	c.later()
	return c
}

func (c *client) later() {
	c.w.after(c.w.between(20*millisecond, 400*millisecond), tagClient, func() {
		if c.w.calm {
			return
		}
		if c.open < 3 {
			c.act()
		}
		c.later()
	})
}

// act asks for something.
func (c *client) act() {
	w := c.w
	if w.odds(w.plan.Rules.Reads) {
		newAsk(c, fsm.Command{}, nil).send()
		return
	}
	var live []*family
	for _, f := range c.sups {
		if !f.over && !f.busy {
			live = append(live, f)
		}
	}
	if len(live) == 0 || len(live) < 2 && w.percent(10) {
		if len(c.sups) < 6 {
			c.startSupervisor()
		}
		return
	}
	f := pick(w, live)
	if w.odds(w.plan.Rules.Changes) && f.idle() {
		c.change(f)
		return
	}
	var free []*kid
	for _, k := range f.kids {
		if !k.busy && !k.ending && k.belief == present {
			free = append(free, k)
		}
	}
	switch n := w.rng.IntN(100); {
	case n < 3:
		c.stopSupervisor(f)
	case n < 12:
		newAsk(c, fsm.Command{}, nil).send()
	case n < 45 && f.made < 12 || len(free) == 0:
		if f.made < 12 {
			c.startChild(f)
		}
	case n < 65:
		c.terminate(pick(w, free))
	case n < 75:
		c.terminate(pick(w, f.kids)) // perhaps while it starts or restarts (S32)
	default:
		c.restart(pick(w, free))
	}
}

// childSpec draws a child.
func (c *client) childSpec(f *family) *kid {
	w := c.w
	f.made++
	timeout, init := sup.Duration(w.between(20, 400)*millisecond), sup.Duration(5*second)
	switch n := w.rng.IntN(100); {
	case n < 20:
		timeout = 0
	case n < 25:
		timeout = sup.Infinity
	}
	spec := sup.ChildSpec{
		ID: sup.ChildID(fmt.Sprintf("c%d", f.made)), Behavior: behaviorCommand, Restart: sup.Permanent,
		ShutdownTimeout: &timeout, InitTimeout: &init,
	}
	if w.percent(w.plan.GoShare) {
		spec.Behavior = behaviorGo
	}
	switch {
	case w.percent(10):
		spec.Restart = sup.Transient
	case w.percent(10):
		spec.Restart = sup.Temporary
	}
	if w.percent(10) {
		spec.Selector = sup.OnNode(pick(w, w.hosts).name)
	}
	w.dressChild(f, &spec)
	return &kid{f: f, key: sup.Key{Supervisor: f.name, Child: spec.ID}, spec: spec}
}

func (c *client) startSupervisor() {
	w := c.w
	c.made++
	f := &family{w: w, name: sup.Name(fmt.Sprintf("s%d_%d", c.i, c.made)), busy: true, limit: 1_000_000}
	if w.percent(15) {
		f.limit = w.rng.IntN(4)
	}
	f.spec = sup.Spec{Name: f.name, Strategy: sup.OneForOne, AutoShutdown: sup.NeverShutdown,
		Selector:  pick(w, []*sup.Selector{sup.LocalFirst, sup.RoundRobin, sup.LeastLoaded, sup.Random}),
		Intensity: &sup.Intensity{MaxRestarts: f.limit, Within: sup.Duration(5 * second)}}
	w.dressSupervisor(f)
	initial := w.rng.IntN(5)
	if f.simple() {
		c.template(f)
		initial = 0
	}
	for i := range initial {
		k := c.childSpec(f)
		k.busy, k.place = true, place{known: true, nth: i}
		f.kids = append(f.kids, k)
		f.spec.Children = append(f.spec.Children, k.spec)
	}
	c.sups = append(c.sups, f)
	w.ledger.families[f.name] = f
	kids := append([]*kid(nil), f.kids...)
	newAsk(c, fsm.Command{StartSupervisor: &fsm.StartSupervisor{Spec: f.spec, Home: pick(w, w.hosts).name}}, func(r fsm.Result, at int64) {
		f.busy = false
		for _, k := range kids {
			k.busy = false
		}
		if r.Problem != nil {
			f.over, f.finished = true, true
			w.ledger.refusedSupervisor(f, kids, r.Problem)
			return
		}
		w.ledger.startedSupervisor(f, kids, r.Outcome)
	}).send()
}

func (c *client) startChild(f *family) {
	if f.simple() {
		c.startFromTemplate(f)
		return
	}
	k := c.childSpec(f)
	k.busy = true
	f.kids = append(f.kids, k)
	ask := newAsk(c, fsm.Command{StartChild: &fsm.StartChild{Supervisor: f.name, Spec: &k.spec}}, func(r fsm.Result, at int64) {
		k.busy = false
		if r.Problem != nil {
			c.w.ledger.refusedChild(k, r.Problem)
			return
		}
		c.w.ledger.startedChild(k, r.Outcome)
	})
	c.w.ledger.starts[ask.key] = k
	ask.send()
}

func (c *client) terminate(k *kid) {
	if k.ending {
		return
	}
	k.ending, k.doomed, k.belief = true, true, unknown
	k.hands++
	newAsk(c, fsm.Command{TerminateChild: &fsm.TerminateChild{Key: k.key}}, func(r fsm.Result, at int64) {
		k.ending = false
		k.answered()
		c.w.ledger.terminated(k, r)
	}).send()
}

func (c *client) restart(k *kid) {
	k.busy = true
	k.hands++
	newAsk(c, fsm.Command{RestartChild: &fsm.RestartChild{Key: k.key}}, func(r fsm.Result, at int64) {
		k.busy = false
		k.answered()
		c.w.ledger.restarted(k, r)
	}).send()
}

func (c *client) stopSupervisor(f *family) {
	f.busy, f.over = true, true
	newAsk(c, fsm.Command{StopSupervisor: &fsm.StopSupervisor{Name: f.name}}, func(r fsm.Result, at int64) {
		f.busy, f.finished = false, true
		c.w.ledger.stoppedSupervisor(f, r)
	}).send()
}

// ask is one request until its answer; all its retries carry one key.
type ask struct {
	c     *client
	key   string
	cmd   fsm.Command
	then  func(r fsm.Result, at int64)
	done  bool
	try   int
	since int64  // first sent
	floor uint64 // of a read: the newest index acknowledged to anybody when it was asked
	epoch int
	reads bool
}

// newAsk makes a request; without an answer to take it is a linearizable read (R1).
func newAsk(c *client, cmd fsm.Command, then func(r fsm.Result, at int64)) *ask {
	w := c.w
	k := &ask{c: c, cmd: cmd, then: then, since: w.now, reads: then == nil}
	if k.reads {
		k.floor, k.epoch = w.ledger.told, w.raft.epoch
	} else {
		c.keys++
		c.open++
		w.asks = append(w.asks, k)
		k.key = fmt.Sprintf("k%d_%d", c.i, c.keys)
		sum := sha256.Sum256([]byte(k.key)) // a key is never used for something else
		k.cmd.Request = &fsm.Request{Key: k.key, Hash: sum[:], Own: w.percent(50)}
	}
	return k
}

// send asks whoever seems to lead; without an answer in time it asks again.
func (k *ask) send() {
	w := k.c.w
	if k.done {
		return
	}
	k.try++
	mine := k.try
	w.after(w.between(300*millisecond, 2*second), tagClient, func() {
		if !k.done && k.try == mine {
			k.send()
		}
	})
	l := w.believed()
	if l == nil {
		return
	}
	for _, h := range w.hosts {
		if k.reads && h.proc != nil && h.proc.lead != nil && h.proc.lead.shell != nil && w.odds(w.plan.Rules.Reads) {
			l = h.proc.lead
		}
	}
	l.p.post(w.net.delay(), tagClient, sourceClient, func() {
		if l.over || l.shell == nil {
			k.lost()
			return
		}
		id := w.id()
		l.asks[id] = k
		if k.reads {
			l.event(leader.ReadAsked{ID: id})
		} else {
			l.event(leader.Asked{ID: id, Command: k.cmd})
		}
	})
}

// lost is an attempt without an outcome.
func (k *ask) lost() {
	k.try++
	mine := k.try
	w := k.c.w
	w.after(w.between(10*millisecond, 200*millisecond), tagClient, func() {
		if !k.done && k.try == mine {
			k.send()
		}
	})
}

// answer is the instant at which the outcome is released to the client: from here on it counts as acknowledged.
func (k *ask) answer(r fsm.Result) {
	w := k.c.w
	if k.done {
		return
	}
	if r.Status == fsm.Stale || r.Problem != nil && (r.Problem.Code == sup.CodeBusy || r.Problem.Code == sup.CodeNoLeader) {
		k.lost()
		return
	}
	k.done = true
	k.c.open--
	w.stats.Acked++
	if w.tracing() {
		w.tell("client: %s %s -> %s", k.key, show(k.cmd), show(r))
	}
	if r.Outcome != nil {
		w.ledger.told = max(w.ledger.told, r.Outcome.Index)
	}
	k.then(r, k.since)
}

// read is the answer to a linearizable read: its state may not be older than what anybody was told before it was asked.
func (k *ask) read(index uint64) {
	w := k.c.w
	if k.done {
		return
	}
	k.done = true
	w.stats.Reads++
	if k.epoch == w.raft.epoch && index < k.floor {
		w.fail("R1", "a read saw index %d after somebody was told of index %d", index, k.floor)
	}
}
