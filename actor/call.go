package actor

import (
	"sync"
	"sync/atomic"
	"time"
)

// call is a caller's wait for an answer. Whoever moves its state on from queued or started owns what follows.
type call struct {
	state    atomic.Uint64 // a callState below the number of the wait: a call is used for many, one after another
	answered chan struct{} // one value, when state is answered
	reply    any
	err      error
	json     bool      // the answer goes elsewhere: it is to be JSON
	deadline time.Time // zero = none but expires
	chain    *chain

	// Of calls without a deadline of their own: when they end by themselves, as time since epoch, and the timer that sees to it.
	// The timer is left to run from one wait to the next: to set it anew for each would cost more than a mailbox does.
	expires atomic.Int64 // 0 = never
	due     atomic.Int64 // when the timer fires; 0 = it does not
	timer   *time.Timer
}

type callState = uint64

const (
	queued callState = iota
	started
	answered
	abandoned // by its caller
	stateBits = 2
	stateMask = 1<<stateBits - 1
)

// epoch is the zero of call.expires.
var epoch = time.Now()

// calls keeps those that were answered: nobody else knows them any more. Each System has its own, as tests that fake time
// must not share channels.
type calls struct{ pool sync.Pool }

func (p *calls) get(deadline time.Time, ch *chain) *call {
	k, _ := p.pool.Get().(*call)
	if k == nil {
		k = &call{answered: make(chan struct{}, 1)}
	}
	k.state.Store((k.state.Load()>>stateBits + 1) << stateBits) // queued
	k.deadline, k.chain = deadline, ch
	return k
}

func (p *calls) put(k *call) {
	k.expires.Store(0)
	k.reply, k.err, k.chain, k.json = nil, nil, nil, false
	p.pool.Put(k)
}

// move moves the state of this wait on, if it is from.
func (k *call) move(from, to callState) bool {
	s := k.state.Load()
	return s&stateMask == from && k.state.CompareAndSwap(s, s&^stateMask|to)
}

// begin reports whether a handler may start on the call: its caller still waits and its deadline is not over.
func (k *call) begin() bool {
	if !k.deadline.IsZero() && !time.Now().Before(k.deadline) {
		k.refuse(ErrTimeout)
		return false
	}
	return k.move(queued, started)
}

// refuse answers a call that no handler has seen.
func (k *call) refuse(err error) {
	if k.move(queued, answered) {
		k.err = err
		k.answered <- struct{}{}
	}
}

// answer answers a call on which a handler has worked.
func (k *call) answer(reply any, err error) {
	if k.move(started, answered) {
		k.reply, k.err = reply, err
		k.answered <- struct{}{}
	}
}

// abandon gives up waiting. It reports false when the answer is there.
func (k *call) abandon() bool { return k.move(queued, abandoned) || k.move(started, abandoned) }

// expireIn has the call end by itself after d.
func (k *call) expireIn(d time.Duration) {
	at := int64(time.Since(epoch) + d)
	k.expires.Store(at)
	if due := k.due.Load(); due != 0 && due <= at {
		return // the timer will look
	}
	k.due.Store(at)
	if k.timer == nil {
		k.timer = time.AfterFunc(time.Hour, k.expire) // which uses it, so it must not fire before it is known
		k.timer.Stop()
	}
	k.timer.Reset(d)
}

// expire ends the wait of now if it is over, and looks again when it, or the next, may be.
func (k *call) expire() {
	s, at := k.state.Load(), k.expires.Load()
	k.due.Store(0)
	if at != 0 && time.Since(epoch) >= time.Duration(at) && s&stateMask <= started && k.state.CompareAndSwap(s, s&^stateMask|answered) {
		k.err = ErrTimeout // of that very wait: its number says so
		k.answered <- struct{}{}
		return
	}
	at = k.expires.Load() // of a wait that goes on, or that has begun meanwhile and found the timer running
	if at != 0 && k.state.Load()&stateMask <= started && k.due.CompareAndSwap(0, at) {
		k.timer.Reset(max(0, time.Duration(at)-time.Since(epoch)))
	}
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
