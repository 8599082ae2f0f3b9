package node

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/supnode/supnode/fsm"
	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
)

// maxDeliveries bounds the messages with a key that this node delivers at once; one more is refused with busy.
const maxDeliveries = 4096

// recordEvery is the pause before what came of a message is told to the cluster again.
const recordEvery = 500 * time.Millisecond

// methodDelivered is a method of the node port: fsm.Delivered → deliveredReply, at the leader.
const methodDelivered = "delivered"

// deliveredReply is what is on record under the key of a message; nil = nothing is.
type deliveredReply struct {
	Outcome *Outcome `cbor:"1,keyasint,omitempty"`
}

// deliveries are the messages that this node delivers under their clients' keys. A client that goes does not end one.
type deliveries struct {
	ctx    context.Context // ends with close
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	closed bool
	count  int
}

func newDeliveries() *deliveries {
	d := &deliveries{}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// start runs f on a goroutine that close waits for.
func (d *deliveries) start(f func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return errShuttingDown
	case d.count >= maxDeliveries:
		return &sup.Problem{Code: sup.CodeBusy, Bound: maxDeliveries, Detail: fmt.Sprintf("this node delivers %d messages with a key already; try again later", maxDeliveries)}
	}
	d.count++
	d.tasks.Go(func() {
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.count--
		}()
		f()
	})
	return nil
}

// close ends what is under way. What came of it is unknown then: the cluster says so when the node's session is over.
func (d *deliveries) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	d.tasks.Wait()
}

// message is what a client sends to an actor, as it is known again when it comes again.
type message struct {
	Key     sup.Key       `cbor:"1,keyasint"`
	Cast    bool          `cbor:"2,keyasint"`
	Type    string        `cbor:"3,keyasint"`
	Value   []byte        `cbor:"4,keyasint"`
	Timeout time.Duration `cbor:"5,keyasint"`
}

// claim is the command by which this node asks to deliver a message under a key.
func (n *Node) claim(m message, key string) (fsm.Command, error) {
	cmd := fsm.Command{Deliver: &fsm.Deliver{Key: m.Key, Node: n.cfg.Name, Claim: 1 + rand.Uint64N(1<<63)}}
	if err := validKey(key); err != nil {
		return cmd, err
	}
	b, err := rpc.Encode(cmd)
	if err != nil {
		return cmd, fmt.Errorf("encode the request: %w", err)
	}
	if err := readable(b); err != nil {
		return cmd, err
	}
	if b, err = rpc.Encode(m); err != nil {
		return cmd, fmt.Errorf("encode the message: %w", err)
	}
	sum := sha256.Sum256(b)
	cmd.Request = &fsm.Request{Key: key, Hash: sum[:]}
	return cmd, nil
}

// isClaim reports whether a command is a client's message and nothing else.
func isClaim(c fsm.Command) bool {
	is := c.Deliver != nil && c.Deliver.Claim != 0 && c.Request != nil && c.Request.Key != ""
	c.Deliver, c.Request = nil, nil
	return is && c == fsm.Command{}
}

// came is what came of a message, for the client that waits.
type came struct {
	reply json.RawMessage
	err   error
}

// sender delivers a message once, and says what the child answered.
type sender func(context.Context) (json.RawMessage, error)

// once has a message delivered under its client's key: whoever asks again, at whatever node and whoever leads by then, waits
// for what comes of the one delivery that there is, and is answered that.
func (n *Node) once(ctx context.Context, m message, key string, send sender) (json.RawMessage, error) {
	claim, err := n.claim(m, key)
	if err != nil {
		return nil, err
	}
	client, gone := context.WithCancel(ctx)
	defer gone()
	said := make(chan came, 2)
	err = n.deliveries.start(func() {
		life := WithLeaderTimeout(n.deliveries.ctx, leaderTimeout(ctx))
		n.deliver(life, client, claim, send, func(reply json.RawMessage, err error) { said <- came{reply, err} })
	})
	if err != nil {
		return nil, err
	}
	select {
	case c := <-said:
		return c.reply, c.err
	case <-ctx.Done():
		return nil, unknownOutcome(m.Key, "the wait ended before it was known what comes of the message; ask again with the same Idempotency-Key to learn it")
	}
}

// deliver claims a message, sends it when the claim is this node's, and records what came of it. It answers once, or twice
// when that could not be recorded at first. A client that goes before the message is claimed has asked for nothing.
func (n *Node) deliver(life, client context.Context, claim fsm.Command, send sender, answer func(json.RawMessage, error)) {
	d := fsm.Delivered{Request: claim.Request.Key, Claim: claim.Deliver.Claim}
	o, err := n.claimed(life, client, claim)
	var refused *sup.Problem
	switch {
	case errors.As(err, &refused) && !unsent(err):
		answer(nil, err)
		return
	case err != nil: // an answer may have been lost: it may be claimed all the same
		answer(nil, err)
		n.record(life, d, func() {})
		return
	case o.Claim == 0: // it was sent under another claim
		answer(replyOf(claim.Deliver.Key, o))
		return
	}
	reply, err := send(life)
	switch {
	case life.Err() != nil:
		answer(nil, unknownOutcome(claim.Deliver.Key, "this node is shutting down"))
		return
	case unsent(err):
		answer(nil, err)
		n.record(life, d, func() {})
		return
	}
	d.Outcome = outcomeOf(reply, err)
	kept := n.record(life, d, func() {
		answer(nil, unknownOutcome(claim.Deliver.Key, "the message was delivered, and no leader was reached to record what came of it; ask again with the same Idempotency-Key"))
	})
	if kept != nil && kept.Problem != nil {
		err = kept.Problem
	}
	answer(reply, err)
}

// claimed asks for a claim, and waits while another one is under way.
func (n *Node) claimed(life, client context.Context, claim fsm.Command) (Outcome, error) {
	ctx, stop := context.WithCancel(life)
	defer stop()
	defer context.AfterFunc(client, stop)()
	o, err := n.request(ctx, doRequest{Command: claim})
	if life.Err() != nil {
		err = errShuttingDown
	}
	return o, err
}

var errShuttingDown = &sup.Problem{Code: sup.CodeNoLeader, Detail: "this node is shutting down"}

// record tells the cluster what came of a message until it knows, or life ends, and returns what is on record then.
// unreached is called when no leader was reached at first.
func (n *Node) record(life context.Context, d fsm.Delivered, unreached func()) (kept *Outcome) {
	for ; life.Err() == nil; pause(life, recordEvery) {
		var r deliveredReply
		err := n.atLeader(life, func(ctx context.Context, at leaderAddr) (err error) {
			if at.here {
				r, err = n.recordHere(ctx, d)
				return err
			}
			return n.port.Call(ctx, at.addr, at.name, methodDelivered, d, &r)
		})
		if err == nil {
			return r.Outcome
		}
		unreached()
		unreached = func() {}
	}
	return nil
}

// recordHere records what came of a message at this node as the leader.
func (n *Node) recordHere(ctx context.Context, d fsm.Delivered) (r deliveredReply, err error) {
	lead := n.lead.Load()
	if lead == nil {
		return r, n.notLeader()
	}
	if _, err := lead.driver.Ask(ctx, fsm.Command{Delivered: &d}); err != nil {
		return r, err
	}
	n.fsm.View(func(s *fsm.State) { r.Outcome, _, _ = s.Outcome(d.Request) })
	return r, nil
}

func (n *Node) serveDelivered() {
	n.port.Handle(methodDelivered, func(ctx context.Context, _ sup.NodeName, body []byte) (any, error) {
		var d fsm.Delivered
		if err := rpc.Decode(body, &d); err != nil {
			return nil, err
		}
		r, err := n.recordHere(ctx, d)
		return r, err
	})
}

// unsent reports whether a message had no effect for a reason that may soon be over: it is worth sending again, so nothing is
// recorded of it.
func unsent(err error) bool {
	var p *sup.Problem
	return errors.As(err, &p) && (p.Code == sup.CodeBusy || p.Code == sup.CodeNoLeader)
}

// outcomeOf is what is recorded of a message that was sent, or refused.
func outcomeOf(reply json.RawMessage, err error) *Outcome {
	o := Outcome{Reply: reply}
	if err != nil {
		p := &sup.Problem{Code: sup.CodeCallFailed, Detail: err.Error()}
		errors.As(err, &p)
		o = Outcome{Problem: p}
	}
	o = o.Kept()
	return &o
}

// replyOf is what whoever repeats a message is answered.
func replyOf(k sup.Key, o Outcome) (json.RawMessage, error) {
	switch {
	case o.Problem != nil:
		return nil, o.Problem
	case o.Unkept > 0:
		return nil, unknownOutcome(k, fmt.Sprintf("the call was carried out, and its answer of %d bytes is not kept: there is room for %d bytes of one, and %d of all",
			o.Unkept, fsm.MaxReply, fsm.MaxReplies))
	}
	return o.Reply, nil
}

func unknownOutcome(k sup.Key, why string) *sup.Problem {
	return &sup.Problem{Code: sup.CodeOutcomeUnknown, Supervisor: k.Supervisor, Child: k.Child, Detail: why}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
