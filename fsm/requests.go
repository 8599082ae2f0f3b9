package fsm

import (
	"bytes"
	"fmt"

	sup "github.com/supnode/supnode/supervisor"
)

// request is what is kept of a client's request under its key (S36). Records are immutable.
type request struct {
	Key     string   `cbor:"1,keyasint"`
	Hash    []byte   `cbor:"2,keyasint"`
	Own     bool     `cbor:"3,keyasint,omitempty"`
	Born    int64    `cbor:"4,keyasint"`           // cluster time of its outcome, of a pending one of its beginning
	Outcome *Outcome `cbor:"5,keyasint,omitempty"` // nil = pending
	Deliver *Deliver `cbor:"6,keyasint,omitempty"` // of a pending one that is a message
}

// requests is the table of idempotency keys: pending ones, and the outcomes of others in the order in which they ended.
// Keys made by nodes live for minutes, clients' keys for a day; pending ones until they end.
type requests struct {
	pending, delivering roll[string, request] // delivering: the messages
	own, client         roll[string, request]
	replying            roll[string, request] // those of client whose outcome has a reply
	replies             int                   // bytes of these
}

func newRequests() requests {
	key := func(r *request) string { return r.Key }
	return requests{pending: newRoll(key), delivering: newRoll(key), own: newRoll(key), client: newRoll(key), replying: newRoll(key)}
}

func (q *requests) get(key string) *request {
	if r := q.pending.get(key); r != nil {
		return r
	}
	if r := q.delivering.get(key); r != nil {
		return r
	}
	if r := q.own.get(key); r != nil {
		return r
	}
	return q.client.get(key)
}

func (q *requests) len() int { return q.waiting() + q.own.len() + q.client.len() }

// waiting is how many are pending.
func (q *requests) waiting() int { return q.pending.len() + q.delivering.len() }

// begin records a pending request.
func (q *requests) begin(r *request) {
	if r.Deliver != nil {
		q.delivering.add(r)
	} else {
		q.pending.add(r)
	}
}

// end takes a pending request out; nil = none is pending under key.
func (q *requests) end(key string) *request {
	for _, in := range []*roll[string, request]{&q.pending, &q.delivering} {
		if r := in.get(key); r != nil {
			in.drop(key)
			return r
		}
	}
	return nil
}

// keep records an outcome.
func (q *requests) keep(r *request) {
	if r.Own {
		q.own.add(r)
		return
	}
	q.client.add(r)
	if n := len(r.Outcome.Reply); n > 0 {
		q.replying.add(r)
		q.replies += n
	}
}

// forget drops the outcome of a client's request.
func (q *requests) forget(key string) {
	q.client.drop(key)
	if r := q.replying.get(key); r != nil {
		q.replying.drop(key)
		q.replies -= len(r.Outcome.Reply)
	}
}

// forgetReplies takes the oldest replies out of their outcomes until limit bytes are left.
func (q *requests) forgetReplies(limit int) {
	for q.replies > limit {
		r := *q.replying.first()
		o := *r.Outcome
		o.Reply, o.Unkept = nil, len(o.Reply)
		r.Outcome = &o
		q.replying.drop(r.Key)
		q.replies -= o.Unkept
		q.client.set(&r)
	}
}

// expire forgets outcomes that are too old at cluster time now, and the oldest ones beyond limit.
func (q *requests) expire(now int64, limit int) {
	for r := q.own.first(); r != nil && now-r.Born > ownKeyLife; r = q.own.first() {
		q.own.drop(r.Key)
	}
	for r := q.client.first(); r != nil && now-r.Born > keyLife; r = q.client.first() {
		q.forget(r.Key)
	}
	q.forgetReplies(MaxReplies)
	for q.len() > limit {
		own, client := q.own.first(), q.client.first()
		switch {
		case own != nil && (client == nil || own.Born <= client.Born):
			q.own.drop(own.Key)
		case client != nil:
			q.forget(client.Key)
		default:
			return
		}
	}
}

// begin looks a request up. A known one is answered: with its outcome, as pending, or refused when its key was used for
// something else. An unknown one is to be carried out.
func (s *State) begin(r *Request) (Result, bool) {
	if r == nil || r.Key == "" {
		return Result{}, false
	}
	if len(r.Key) > MaxKey {
		return refused(&sup.Problem{
			Code: sup.CodeInvalidSpec, Bound: MaxKey,
			Detail: fmt.Sprintf("an idempotency key may have %d bytes, this one has %d; use a shorter one, a UUID for instance", MaxKey, len(r.Key)),
		}), true
	}
	known := s.requests.get(r.Key)
	switch {
	case known == nil && s.requests.waiting() >= MaxPending:
		return refused(busy(fmt.Sprintf("%d requests are waiting for their outcome; try again later", MaxPending), MaxPending)), true
	case known == nil:
		return Result{}, false
	case !bytes.Equal(known.Hash, r.Hash):
		return refused(&sup.Problem{
			Code:   sup.CodeIdempotencyKeyReused,
			Detail: "this idempotency key was used for another request; use a new key for a new request",
		}), true
	case known.Outcome == nil:
		return Result{Status: Pending}, true
	}
	return ended(known.Outcome), true
}

// ask carries out a client's request, once (S36). It is pending before anything can end it.
func (s *State) ask(i int, c *Command) Result {
	if res, known := s.begin(c.Request); known {
		return res
	}
	key := ""
	if r := c.Request; r != nil && r.Key != "" {
		key = r.Key
		s.requests.begin(&request{Key: key, Hash: r.Hash, Own: r.Own, Born: s.clock, Deliver: c.Deliver})
		s.turn.open[key] = i
	}
	res := s.request(key, c)
	_, open := s.turn.open[key]
	switch {
	case res.Status == Pending && key != "" && !open:
		return s.turn.applied.Results[i]
	case res.Status == Pending:
		return res
	}
	return s.settle(key, res)
}

// settle ends a request whose result is known at once. One that is busy or stale had no effect and is forgotten: its key
// may be used again for the same request.
func (s *State) settle(key string, res Result) Result {
	if res.Status == Stale || res.Problem != nil && res.Problem.Code == sup.CodeBusy {
		if key != "" {
			s.requests.end(key)
			delete(s.turn.open, key)
		}
		return res
	}
	if res.Outcome == nil {
		res.Outcome = &Outcome{Problem: res.Problem}
	}
	res.Outcome.Index = s.index
	s.complete(key, res.Outcome)
	return res
}

// complete ends a pending request. An empty key is a request without one.
func (s *State) complete(key string, o *Outcome) {
	if key == "" {
		return
	}
	r := s.requests.end(key)
	if r == nil {
		panic("fsm: requests: a request that is not pending is completed")
	}
	o.Index = s.index
	s.requests.keep(&request{Key: r.Key, Hash: r.Hash, Own: r.Own, Born: s.clock, Outcome: o})
	s.turn.applied.Completed = append(s.turn.applied.Completed, Completion{Key: key, Outcome: o})
	if i, ok := s.turn.open[key]; ok {
		s.turn.applied.Results[i] = ended(o)
		delete(s.turn.open, key)
	}
}

// ended is the result of a request that is over.
func ended(o *Outcome) Result {
	if o.Problem != nil {
		return Result{Status: Refused, Outcome: o, Problem: o.Problem}
	}
	return Result{Status: OK, Outcome: o}
}

func refused(p *sup.Problem) Result { return Result{Status: Refused, Problem: p} }
