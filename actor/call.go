package actor

import (
	"sync"
	"sync/atomic"
	"time"
)

// call is a caller's wait for an answer. Whoever moves its state on from queued or started owns what follows.
type call struct {
	state    atomic.Uint32
	answered chan struct{} // one value, when state is answered
	reply    any
	err      error
	handlers bool      // err is what the handler returned
	deadline time.Time // zero = none but the timer
	chain    *chain
	timer    *time.Timer // of calls without a deadline of their own; made once
}

const (
	queued uint32 = iota
	started
	answered
	abandoned // by its caller
)

// calls keeps those that were answered: nobody else knows them any more. Each System has its own, as tests that fake time
// must not share channels.
type calls struct{ pool sync.Pool }

func (p *calls) get(deadline time.Time, ch *chain) *call {
	k, _ := p.pool.Get().(*call)
	if k == nil {
		k = &call{answered: make(chan struct{}, 1)}
	}
	k.state.Store(queued)
	k.deadline, k.chain = deadline, ch
	return k
}

func (p *calls) put(k *call) {
	k.reply, k.err, k.chain, k.handlers = nil, nil, nil, false
	p.pool.Put(k)
}

// begin reports whether a handler may start on the call: its caller still waits and its deadline is not over.
func (k *call) begin() bool {
	if !k.deadline.IsZero() && !time.Now().Before(k.deadline) {
		k.refuse(ErrTimeout)
		return false
	}
	return k.state.CompareAndSwap(queued, started)
}

// refuse answers a call that no handler has seen.
func (k *call) refuse(err error) {
	if k.state.CompareAndSwap(queued, answered) {
		k.err = err
		k.answered <- struct{}{}
	}
}

// answer answers a call on which a handler has worked.
func (k *call) answer(reply any, err error) {
	if k.state.CompareAndSwap(started, answered) {
		k.reply, k.err = reply, err
		k.answered <- struct{}{}
	}
}

// abandon gives up waiting. It reports false when the answer is there.
func (k *call) abandon() bool {
	return k.state.CompareAndSwap(queued, abandoned) || k.state.CompareAndSwap(started, abandoned)
}

// chain is who waits for a handler's answer, nearest first. Chains are immutable.
type chain struct {
	Hop
	up *chain
}

// Hop is one waiting caller in the chain of a call.
type Hop struct {
	Key
	Incarnation Incarnation `json:"incarnation"`
}

// chain is who would wait for the answer to a call that c makes; nil for a caller that is no actor.
func (c *cell) chain() *chain {
	if c == nil {
		return nil
	}
	return &chain{Hop{c.slot.key, c.inc}, c.waiting.Load()}
}

// waits reports whether a child is among those that wait: this incarnation of it, or, when none runs, any.
func (ch *chain) waits(k Key, inc Incarnation) bool {
	for ; ch != nil; ch = ch.up {
		if (inc == 0 || ch.Incarnation == inc) && ch.Key == k {
			return true
		}
	}
	return false
}

func (ch *chain) hops() (all []Hop) {
	for ; ch != nil; ch = ch.up {
		all = append(all, ch.Hop)
	}
	return all
}

func chainOf(hops []Hop) (ch *chain) {
	for i := len(hops) - 1; i >= 0; i-- {
		ch = &chain{hops[i], ch}
	}
	return ch
}
