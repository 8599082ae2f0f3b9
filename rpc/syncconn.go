package rpc

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/supnode/supnode/fsm"
	sup "github.com/supnode/supnode/supervisor"
)

// SyncConn is one sync stream. One goroutine at a time may receive; any may send. An error of Send or Recv other than
// ErrFrameTooLarge is the end of the stream.
type SyncConn struct {
	f    *framed
	port *Port
	peer sup.NodeName
}

func newSyncConn(p *Port, c *conn, peer sup.NodeName) *SyncConn {
	return &SyncConn{f: newFramed(c), port: p, peer: peer}
}

// DialSync opens a sync stream to node to, at addr. When that node is not the leader the error is a *NotLeader, which
// may name the node to try next. ctx bounds the dialling only, as does the handshake time-out.
func (p *Port) DialSync(ctx context.Context, addr string, to sup.NodeName) (*SyncConn, error) {
	c, err := p.dial(ctx, addr, to, classSync)
	if err != nil {
		return nil, err
	}
	return newSyncConn(p, c, to), nil
}

// Peer is the node at the other end, as its handshake proved it.
func (s *SyncConn) Peer() sup.NodeName { return s.peer }

// SendFromAgent sends a frame to the leader. It blocks while the leader takes nothing, for the write time-out at most.
// Details of reports that are no UTF-8, as a cut or a command's output makes them, are repaired on the way.
func (s *SyncConn) SendFromAgent(m FromAgent) error {
	m.Reports = validDetails(m.Reports)
	return s.send(m)
}

// SendToAgent sends a frame to the agent, with the same bounds. A frame that is too large because of its spawns goes as
// several, in order.
func (s *SyncConn) SendToAgent(m ToAgent) error {
	err := s.send(m)
	if !errors.Is(err, ErrFrameTooLarge) || len(m.Spawns) < 2 {
		return err
	}
	half := len(m.Spawns) / 2
	rest := ToAgent{Spawns: m.Spawns[half:]}
	m.Spawns = m.Spawns[:half]
	if err := s.SendToAgent(m); err != nil {
		return err
	}
	return s.SendToAgent(rest)
}

func (s *SyncConn) send(m any) error {
	b, err := encodeFrame(m, s.f.limit)
	if err != nil {
		return err
	}
	_, err = s.f.write(b, nil)
	return err
}

// RecvFromAgent waits for the agent's next frame. io.EOF: the agent closed the stream.
func (s *SyncConn) RecvFromAgent() (FromAgent, error) {
	var m FromAgent
	err := s.recv(&m)
	return m, err
}

// RecvToAgent waits for the leader's next frame. io.EOF: the leader closed the stream.
func (s *SyncConn) RecvToAgent() (ToAgent, error) {
	var m ToAgent
	err := s.recv(&m)
	return m, err
}

func (s *SyncConn) recv(m any) error {
	err := s.f.read(m)
	if err != nil && !errors.Is(err, io.EOF) {
		s.Close()
	}
	return err
}

// Close ends the stream; Recv and Send return ErrClosed. What was sent before still reaches the peer when this node
// accepted the stream.
func (s *SyncConn) Close() error {
	if !s.f.conn.accepted {
		s.f.close()
		return nil
	}
	// The port closes an accepted stream once its server has returned (finish).
	s.f.closeOnce.Do(func() {
		close(s.f.closed)
		past := time.Unix(1, 0)
		_ = s.f.conn.raw.SetReadDeadline(past)
		_ = s.f.conn.raw.SetWriteDeadline(time.Now().Add(lingerFor))
	})
	return nil
}

// finish closes an accepted stream so that the last words sent on it can be read.
func (s *SyncConn) finish() {
	s.Close()
	if s.port.ctx.Err() == nil {
		linger(s.f.conn.raw)
	}
	s.f.conn.Close()
}

// validDetails repairs details that are no UTF-8; the reports given are left as they are.
func validDetails(in []fsm.Report) []fsm.Report {
	out := in
	for i := range in {
		if utf8.ValidString(in[i].Detail) {
			continue
		}
		if &out[0] == &in[0] {
			out = append([]fsm.Report(nil), in...)
		}
		out[i].Detail = validText(in[i].Detail)
	}
	return out
}

// validText is text with what is not UTF-8 replaced; the wire refuses other text. It never grows.
func validText(s string) string { return strings.ToValidUTF8(s, "?") }
