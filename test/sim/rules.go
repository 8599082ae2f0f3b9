package sim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// rules are how many in a hundred supervisors, children and acts of clients use more of the rules of supervision than
// one_for_one. All are drawn apart from everything else, so that a seed without them keeps its history.
type rules struct {
	Groups      int // supervisors with one_for_all or rest_for_one
	Simple      int // with simple_one_for_one
	Significant int // with auto_shutdown; about every second child of theirs is significant
	Tight       int // with an intensity that a few crashes exceed
	Gentle      int // children that are transient or temporary, beyond those of every seed
	Backoff     int // that wait before a restart
	Changes     int // acts that apply a manifest
	Trees       int // children that are supervisors
	Bound       int // that require a tag, or have max_per_node; supervisors that spread theirs
	Custom      int // children with a custom selector
	Reads       int // acts that read, at whichever leader believes in itself
}

// drawRules adds to a plan how its clients supervise.
func (p *Plan) drawRules(seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0x72756c6573))
	if r.IntN(100) < 30 {
		return
	}
	some := func(percent, most int) int {
		if r.IntN(100) >= percent {
			return 0
		}
		return 1 + r.IntN(most)
	}
	p.Rules = rules{Groups: some(80, 80), Simple: some(40, 20), Significant: some(40, 50), Tight: some(50, 60), Gentle: some(40, 40),
		Backoff: some(40, 50), Changes: some(50, 15), Trees: some(40, 40),
		Bound: some(30, 50), Custom: some(30, 50), Reads: some(30, 50)}
}

// odds is true p times in a hundred, by the draws of supervision alone.
func (w *World) odds(p int) bool { return p > 0 && w.style.IntN(100) < p }

// dressSupervisor draws how a supervisor keeps its children.
func (w *World) dressSupervisor(f *family) {
	r, s := w.plan.Rules, &f.spec
	switch {
	case w.odds(r.Groups):
		s.Strategy = []sup.Strategy{sup.OneForAll, sup.RestForOne}[w.style.IntN(2)]
	case w.odds(r.Simple):
		s.Strategy = sup.SimpleOneForOne
	}
	if !f.simple() && w.odds(r.Significant) {
		s.AutoShutdown = []sup.AutoShutdown{sup.AnySignificant, sup.AllSignificant}[w.style.IntN(2)]
	}
	if w.odds(r.Bound) {
		s.Spread = zone
	}
	if w.odds(r.Tight) {
		f.limit = w.style.IntN(6)
		s.Intensity = w.intensity(f.limit)
	}
}

// intensity draws a window for so many restarts.
func (w *World) intensity(limit int) *sup.Intensity {
	return &sup.Intensity{MaxRestarts: limit, Within: sup.Duration(300*millisecond + w.style.Int64N(5*second))}
}

// dressChild draws how a child is kept.
func (w *World) dressChild(f *family, c *sup.ChildSpec) {
	r := w.plan.Rules
	if w.odds(r.Gentle) {
		c.Restart = []sup.Restart{sup.Transient, sup.Temporary}[w.style.IntN(2)]
	}
	if c.Restart != sup.Temporary && w.odds(r.Backoff) {
		c.Backoff = &sup.Backoff{Initial: sup.Duration(10*millisecond + w.style.Int64N(300*millisecond)), Max: sup.Duration(second),
			Factor: 2, Jitter: 0.2, ResetAfter: sup.Duration(2 * second)}
	}
	if !f.simple() && w.odds(r.Trees) {
		f.branch(c)
		return
	}
	c.Significant = f.spec.AutoShutdown != sup.NeverShutdown && w.odds(50)
	w.dressPlaces(f, c)
}

// simple reports whether the children are made from a template (S34).
func (f *family) simple() bool { return f.spec.Strategy == sup.SimpleOneForOne }

// idle reports whether nothing is asked of the supervisor or its children that is not answered.
func (f *family) idle() bool {
	for _, k := range f.kids {
		if k.busy || k.ending {
			return false
		}
	}
	return f.starts == 0
}

// arg is an argument that tells one spec from another.
func arg(n int) json.RawMessage { return json.RawMessage(fmt.Sprintf("%q", fmt.Sprint("v", n))) }

// template draws what the children of simple_one_for_one are made from.
func (c *client) template(f *family) {
	t := c.childSpec(f).spec
	t.ID, t.Significant, t.Args = "", false, []json.RawMessage{arg(0)}
	f.spec.ChildTemplate = &t
	if c.w.odds(30) {
		f.spec.MaxChildren = 2 + c.w.style.IntN(5)
	}
}

// startFromTemplate asks for one more child of simple_one_for_one, whose id the answer tells (S34).
func (c *client) startFromTemplate(f *family) {
	w := c.w
	f.made++
	f.starts++
	own := arg(f.made)
	k := &kid{f: f, spec: *f.spec.ChildTemplate, args: append(slices.Clone(f.spec.ChildTemplate.Args), own)}
	epoch := w.raft.epoch
	newAsk(c, fsm.Command{StartChild: &fsm.StartChild{Supervisor: f.name, Args: [][]byte{own}}}, func(r fsm.Result, at int64) {
		f.starts--
		if r.Outcome != nil {
			k.key = sup.Key{Supervisor: f.name, Child: r.Outcome.Child}
			k.spec.ID = k.key.Child
		}
		if r.Problem != nil {
			w.ledger.refusedChild(k, r.Problem)
			return
		}
		if k.key.Child == "" {
			w.fail("S34", "a start under %s was acknowledged without an id", f.name)
		}
		for _, o := range f.kids {
			if o.key != k.key {
				continue
			}
			if w.raft.epoch == 0 && f.anew <= w.ledger.fact(k.key).since.index {
				w.fail("S34", "%s was given twice", k.key)
			}
			k.busy, k.doomed = true, true // a restore forgot the former one, of which requests may still be out: nothing is known of either
			o.busy, o.belief = true, unknown
		}
		f.kids = append(f.kids, k)
		w.ledger.startedChild(k, r.Outcome)
		if k.busy || w.raft.epoch != epoch {
			k.belief = unknown
		}
	}).send()
}

// answered notes the answer to a request for the stop of a child.
func (k *kid) answered() {
	k.hands--
	k.handed = max(k.handed, k.f.w.raft.index)
}

// branch makes a child a supervisor. Its client asks nothing of the children there: they come and go with it.
func (f *family) branch(c *sup.ChildSpec) {
	w := f.w
	b := &family{w: w, name: f.name.Sub(c.ID), limit: 1 + w.style.IntN(5)}
	b.spec = sup.Spec{Strategy: []sup.Strategy{sup.OneForOne, sup.OneForAll, sup.RestForOne}[w.style.IntN(3)],
		AutoShutdown: sup.NeverShutdown, Selector: sup.RoundRobin, Intensity: w.intensity(b.limit)}
	for i := range 1 + w.style.IntN(3) {
		leaf := *c
		leaf.ID, leaf.Restart, leaf.Backoff, leaf.Selector = sup.ChildID(fmt.Sprint("l", i)), sup.Permanent, nil, nil
		b.spec.Children = append(b.spec.Children, leaf)
		b.kids = append(b.kids, &kid{f: b, key: sup.Key{Supervisor: b.name, Child: leaf.ID}, spec: leaf, place: place{known: true, nth: i}})
	}
	spec := b.spec
	*c = sup.ChildSpec{ID: c.ID, Restart: c.Restart, Supervisor: &spec}
	w.ledger.families[b.name] = b
	w.ledger.branches = append(w.ledger.branches, b)
}

// below are the children of a child that is a supervisor.
func (g *ledger) below(k *kid) []*fact {
	if k.spec.Supervisor == nil {
		return nil
	}
	return g.kin[k.key.Supervisor.Sub(k.key.Child)]
}
