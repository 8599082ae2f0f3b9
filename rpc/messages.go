package rpc

import (
	"context"

	sup "github.com/supnode/supnode/supervisor"
)

// The message stream: one per pair of nodes and direction, opened by the node whose actors send, framed CBOR both ways. It is
// a connection of its own, so that leases and Raft never queue behind messages. Order on one stream is kept (S42).

// Messages is what the sending node says.
type Messages struct {
	Messages []Message `cbor:"1,keyasint,omitempty"`
	Cancels  []uint64  `cbor:"2,keyasint,omitempty"` // calls whose callers have given up
}

// Message is a call or a cast.
type Message struct {
	ID    uint64  `cbor:"1,keyasint,omitempty"` // of a call, unique on the stream; 0 = cast
	Key   sup.Key `cbor:"2,keyasint"`
	Inc   uint64  `cbor:"3,keyasint,omitempty"` // the only incarnation that is meant; 0 = whichever runs
	Type  string  `cbor:"4,keyasint"`
	Value []byte  `cbor:"5,keyasint,omitempty"` // JSON
	Left  int64   `cbor:"6,keyasint,omitempty"` // of a call: ns until its caller gives up; clocks are not compared
	Chain []Hop   `cbor:"7,keyasint,omitempty"` // who waits for the caller, nearest first, the caller itself included
}

// Hop is an actor that waits for an answer.
type Hop struct {
	Key sup.Key `cbor:"1,keyasint"`
	Inc uint64  `cbor:"2,keyasint"`
}

// Answers is what the other node says.
type Answers struct {
	Answers []Answer `cbor:"1,keyasint,omitempty"`
	// Missed are the children for which casts came, and which did not run there.
	Missed []sup.Key `cbor:"2,keyasint,omitempty"`
}

// Verdict says how a call ended.
type Verdict uint8

// The verdicts. From VerdictUndelivered up to VerdictStale no handler has seen the call.
const (
	VerdictReply       Verdict = 0
	VerdictUndelivered Verdict = 1 // the child does not run there: look elsewhere
	VerdictBusy        Verdict = 2
	VerdictDeadlock    Verdict = 3
	VerdictMessage     Verdict = 4 // its type or value does not fit: Text says why; Unhandled says that there is no handler
	VerdictClosed      Verdict = 5 // the node runs no actors now
	VerdictStale       Verdict = 6
	VerdictTimeout     Verdict = 7
	VerdictUnknown     Verdict = 8
	VerdictFailed      Verdict = 9  // Text is what the handler returned
	VerdictPanic       Verdict = 10 // Text is the panic's value
	VerdictAnswer      Verdict = 11 // the handler's answer could not be encoded: Text says why
)

// Worked reports whether a handler may have worked on the call.
func (v Verdict) Worked() bool { return v == VerdictReply || v >= VerdictTimeout }

// Answer answers a call.
type Answer struct {
	ID        uint64  `cbor:"1,keyasint"`
	Verdict   Verdict `cbor:"2,keyasint,omitempty"`
	Value     []byte  `cbor:"3,keyasint,omitempty"` // JSON
	Text      string  `cbor:"4,keyasint,omitempty"`
	Stack     string  `cbor:"5,keyasint,omitempty"` // of a panic
	Unhandled bool    `cbor:"6,keyasint,omitempty"`
}

// MessageConn is one message stream. One goroutine at a time may receive, any may send. Any error but ErrFrameTooLarge is the
// end of the stream.
type MessageConn struct {
	f    *framed
	peer sup.NodeName
}

// DialMessages opens a message stream to node to, at addr. ctx bounds the dialling only, as does the handshake time-out.
func (p *Port) DialMessages(ctx context.Context, addr string, to sup.NodeName) (*MessageConn, error) {
	c, err := p.dial(ctx, addr, to, classMessage)
	if err != nil {
		return nil, err
	}
	return &MessageConn{newFramed(c), to}, nil
}

// Peer is the node at the other end, as its handshake proved it.
func (c *MessageConn) Peer() sup.NodeName { return c.peer }

// Send sends messages; it blocks while the peer takes nothing, for the write time-out at most. begun says that some of it
// may have arrived although there is an error.
func (c *MessageConn) Send(m Messages) (begun bool, err error) { return c.send(m) }

// Answer sends answers, with the same bounds. Texts that are no UTF-8 are repaired on the way.
func (c *MessageConn) Answer(a Answers) error {
	for i := range a.Answers {
		a.Answers[i].Text, a.Answers[i].Stack = validText(a.Answers[i].Text), validText(a.Answers[i].Stack)
	}
	_, err := c.send(a)
	return err
}

func (c *MessageConn) send(v any) (begun bool, err error) {
	b, err := encodeFrame(v, c.f.limit)
	if err != nil {
		return false, err
	}
	return c.f.write(b, nil)
}

// Recv waits for the next messages; what it returns is the caller's.
func (c *MessageConn) Recv() (m Messages, err error) {
	err = c.f.read(&m)
	return m, err
}

// RecvAnswers waits for the next answers.
func (c *MessageConn) RecvAnswers() (a Answers, err error) {
	err = c.f.read(&a)
	return a, err
}

// Close ends the stream; Recv and Send return ErrClosed.
func (c *MessageConn) Close() { c.f.close() }
