package rpc

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// accept answers the listener until Close.
func (p *Port) accept() {
	const firstDelay, maxDelay = 5 * time.Millisecond, time.Second
	delay := firstDelay
	for {
		raw, err := p.listener.Accept()
		if err != nil {
			if p.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			p.log.Error("cannot accept connections on the node port, trying again", "error", err, "in", delay)
			select {
			case <-p.ctx.Done():
				return
			case <-time.After(delay):
			}
			delay = min(2*delay, maxDelay)
			continue
		}
		delay = firstDelay
		c := &conn{Conn: raw, raw: raw, port: p, accepted: true}
		if why := p.admit(c); why != "" {
			raw.Close()
			p.rejections.log(p.log, "closed a connection on arrival", "from", raw.RemoteAddr().String(), "why", why)
			continue
		}
		if !p.start(func() { p.serve(c) }) {
			c.Close()
			return
		}
	}
}

// admit counts an accepted connection; a text says why it is one too many.
func (p *Port) admit(c *conn) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return "the port is closed"
	case p.accepted >= MaxConnections:
		return fmt.Sprintf("%d connections are open", MaxConnections)
	case p.greeting >= MaxHandshakes:
		return fmt.Sprintf("%d connections are in their handshake", MaxHandshakes)
	}
	p.accepted++
	p.greeting++
	p.conns[c] = struct{}{}
	return ""
}

// serve answers one accepted connection: handshake, then what its class asks for.
func (p *Port) serve(c *conn) {
	g, ok := p.welcome(c)
	p.mu.Lock()
	p.greeting--
	p.mu.Unlock()
	if !ok {
		c.Close()
		return
	}
	switch g.Class {
	case classRaft:
		p.mu.Lock()
		sink := p.raft
		p.mu.Unlock()
		if sink == nil || !sink.deliver(c) {
			c.Close()
		}
	case classSync:
		p.mu.Lock()
		f := p.onSync
		p.mu.Unlock()
		s := newSyncConn(p, c, g.From)
		f(s)
		s.finish()
	case classCall:
		p.serveCalls(c, g.From)
	case classMessage:
		p.mu.Lock()
		f := p.onMessages
		p.mu.Unlock()
		m := &MessageConn{newFramed(c), g.From}
		f(m)
		m.Close()
	}
}
