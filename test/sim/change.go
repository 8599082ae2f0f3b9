package sim

import (
	"encoding/json"
	"slices"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// change applies another manifest to a supervisor of which nothing else is asked meanwhile: some children go, some come, some
// change, its intensity may, and under one_for_one their order.
func (c *client) change(f *family) {
	w := c.w
	next := f.spec
	if w.odds(50) {
		limit := 1_000_000
		if w.odds(w.plan.Rules.Tight) {
			limit = w.style.IntN(6)
		}
		next.Intensity = w.intensity(limit)
	}
	ch := &change{f: f, spec: next}
	if f.simple() {
		ch.template(w)
	} else {
		ch.children(c)
	}
	f.limit = min(f.limit, next.Intensity.MaxRestarts)
	f.busy, f.changing = true, true
	epoch := w.raft.epoch
	newAsk(c, fsm.Command{ApplyManifest: &fsm.ApplyManifest{Spec: ch.spec, Home: pick(w, w.hosts).name}}, func(r fsm.Result, at int64) {
		w.stats.Changes++
		f.busy, f.changing, f.changed = false, false, max(f.changed, w.raft.index)
		ch.answered(r, epoch)
	}).send()
}

// change is a manifest that is applied.
type change struct {
	f     *family
	spec  sup.Spec
	named []*kid // in the order of the manifest
	fresh int    // the last of them, which are new
	gone  []*kid
}

// template draws another template.
func (ch *change) template(w *World) {
	if !w.odds(50) {
		return
	}
	t := *ch.spec.ChildTemplate
	ch.f.made++
	t.Args = []json.RawMessage{arg(ch.f.made)}
	ch.spec.ChildTemplate = &t
}

// children draws who stays, who changes and who comes.
func (ch *change) children(c *client) {
	w, f := c.w, ch.f
	for _, k := range f.kids {
		if k.belief != present || w.odds(15) {
			ch.gone = append(ch.gone, k)
			continue
		}
		ch.named = append(ch.named, k)
	}
	slices.SortStableFunc(ch.named, func(a, b *kid) int {
		if a.place.known && b.place.known && a.place.before(b.place) {
			return -1
		}
		return 0
	})
	if f.spec.Strategy == sup.OneForOne && w.odds(30) {
		w.style.Shuffle(len(ch.named), func(i, j int) { ch.named[i], ch.named[j] = ch.named[j], ch.named[i] })
	}
	for w.odds(40) && f.made < 12 {
		k := c.childSpec(f)
		f.kids = append(f.kids, k)
		ch.named = append(ch.named, k)
		ch.fresh++
	}
	ch.spec.Children = nil
	for i, k := range ch.named {
		spec := k.spec
		if i < len(ch.named)-ch.fresh && w.odds(25) && spec.Supervisor == nil {
			f.made++
			spec.Args = []json.RawMessage{arg(f.made)}
		}
		k.busy = true
		ch.spec.Children = append(ch.spec.Children, spec)
	}
	for _, k := range ch.gone {
		k.ending, k.doomed, k.belief = true, true, unknown
	}
}

// answered is the outcome of the change.
func (ch *change) answered(r fsm.Result, epoch int) {
	f := ch.f
	w := f.w
	for _, k := range ch.named {
		k.busy = false
	}
	for _, k := range ch.gone {
		k.ending = false
	}
	f.spec = ch.spec
	f.spec.Children = nil
	if r.Problem != nil {
		for _, k := range ch.named {
			k.belief, k.place = unknown, place{}
		}
		for _, k := range f.kids {
			k.belief = unknown
		}
		switch r.Problem.Code {
		case sup.CodeSupervisorStopped, sup.CodeMaxRestartsExceeded, sup.CodeSupervisorNotFound:
			w.ledger.stoppedByItself(f, r.Problem)
		case sup.CodeInitFailed, sup.CodeNoAvailableNode:
			for _, k := range ch.gone {
				w.ledger.buried(k, mark{w.raft.epoch, w.raft.index}, "a manifest without it was applied")
			}
		default:
			w.fail("S36", "a manifest for %s was refused: %s", f.name, r.Problem.Detail)
		}
		return
	}
	if len(r.Outcome.Changes) > 0 && r.Outcome.Changes[0].Action == sup.ChangeCreate {
		f.anew = r.Outcome.Index
		if f.simple() { // those of before are gone
			for _, k := range f.kids {
				k.belief = unknown
			}
		}
	}
	for _, k := range ch.gone {
		w.ledger.buried(k, w.ledger.mark(r.Outcome), "a manifest without it was applied")
	}
	for i, k := range ch.named {
		k.spec = ch.spec.Children[i]
		k.args = k.spec.Args
		k.place = place{known: epoch == w.raft.epoch, epoch: epoch, index: r.Outcome.Index, nth: i}
		w.ledger.holds(k, r.Outcome)
		if k.spec.Supervisor == nil && len(w.ledger.fact(k.key).ran) == 0 {
			w.fail("I1", "the change of %s was acknowledged, %s never ran", f.name, k.key)
		}
	}
	if t := f.spec.ChildTemplate; t != nil {
		for _, k := range f.kids {
			if len(k.args) > 0 {
				k.args = append(slices.Clone(t.Args), k.args[len(k.args)-1])
			}
		}
	}
}
