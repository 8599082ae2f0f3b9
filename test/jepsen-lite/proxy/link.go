package proxy

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/supnode/supnode/test/machine"
)

// Mode is what happens to a link's connections.
type Mode int

// The modes of a link.
const (
	Pass   Mode = iota // connections are made and bytes pass
	Reset              // connections are reset as soon as they are made
	Refuse             // nobody listens
)

// bounds of one direction of one connection
const (
	chunkSize = 32 << 10
	chunks    = 256 // chunks on their way; a full pipe blocks its sender, as TCP does
)

// gate lets bytes of one direction through, late or not at all.
type gate struct {
	mu    sync.Mutex // guards all below
	held  bool
	delay time.Duration
	turn  chan struct{} // closed and replaced at every change
}

func newGate() *gate { return &gate{turn: make(chan struct{})} }

func (g *gate) set(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
	close(g.turn)
	g.turn = make(chan struct{})
}

// pass waits until what was sent at sent may go on; false: the connection is over.
func (g *gate) pass(sent time.Time, over <-chan struct{}) bool {
	for {
		g.mu.Lock()
		held, wait, turn := g.held, time.Until(sent.Add(g.delay)), g.turn
		g.mu.Unlock()
		if !held && wait <= 0 {
			return true
		}
		var due <-chan time.Time
		if !held {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			due = timer.C
		}
		select {
		case <-over:
			return false
		case <-turn:
		case <-due:
		}
	}
}

// link is one directed link: what one node dials to reach another.
type link struct {
	from, to     string
	addr, target string     // where it listens; where the other node does
	there, back  *gate      // bytes to the node that was dialled, and its answers
	mu           sync.Mutex // guards all below
	mode         Mode
	listener     net.Listener // nil in mode Refuse
	conns        map[*pair]bool
	made         int // connections so far
	closed       bool
	served       sync.WaitGroup
}

// pair is a connection that a node made and the one made for it.
type pair struct {
	near, far net.Conn
	once      sync.Once
	over      chan struct{}
}

// end closes both sides; with a reset when hard.
func (p *pair) end(hard bool) {
	p.once.Do(func() {
		for _, c := range []net.Conn{p.near, p.far} {
			if c == nil {
				continue
			}
			if tcp, ok := c.(*net.TCPConn); ok && hard {
				tcp.SetLinger(0)
			}
			c.Close()
		}
		close(p.over)
	})
}

func newLink(from, to, target string) (*link, error) {
	l := &link{from: from, to: to, target: target, addr: machine.Addr(), there: newGate(), back: newGate(), conns: make(map[*pair]bool)}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l, l.listen()
}

// listen is called with mu held.
func (l *link) listen() error {
	listener, err := net.Listen("tcp", l.addr)
	if err != nil {
		return err
	}
	l.listener = listener
	l.served.Go(func() { l.accept(listener) })
	return nil
}

func (l *link) accept(listener net.Listener) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		p := &pair{near: c, over: make(chan struct{})}
		l.mu.Lock()
		if l.closed || l.mode != Pass {
			p.end(true)
		} else {
			l.made++
			l.conns[p] = true
			l.served.Go(func() { l.serve(p) })
		}
		l.mu.Unlock()
	}
}

// serve connects a pair and pumps both ways until both are at their end or one is broken.
func (l *link) serve(p *pair) {
	defer func() {
		p.end(false)
		l.mu.Lock()
		delete(l.conns, p)
		l.mu.Unlock()
	}()
	// A connection attempt goes there before its answer comes back: a cut of either direction holds it.
	if !l.there.pass(time.Now(), p.over) || !l.back.pass(time.Now(), p.over) {
		return
	}
	far, err := net.DialTimeout("tcp", l.target, time.Second)
	if err != nil {
		p.end(true)
		return
	}
	l.mu.Lock()
	p.far = far
	l.mu.Unlock()
	select {
	case <-p.over: // it was ended while it was made
		far.Close()
		return
	default:
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { p.pump(far, p.near, l.there, l.back) })
	pumps.Go(func() { p.pump(p.near, far, l.back, l.there) })
	pumps.Wait()
}

type chunk struct {
	bytes []byte
	sent  time.Time
}

// pump copies src to dst through g. The end of src is passed on as bytes are; that dst is gone is news for src, and takes
// the way back.
func (p *pair) pump(dst, src net.Conn, g, back *gate) {
	queue := make(chan chunk, chunks)
	var reader sync.WaitGroup
	broken := false
	reader.Go(func() {
		defer close(queue)
		for {
			b := make([]byte, chunkSize)
			n, err := src.Read(b)
			if n > 0 {
				select {
				case queue <- chunk{b[:n], time.Now()}:
				case <-p.over:
					return
				}
			}
			if err != nil {
				broken = err != io.EOF
				return
			}
		}
	})
	for c := range queue {
		if !g.pass(c.sent, p.over) {
			break
		}
		if _, err := dst.Write(c.bytes); err != nil {
			if back.pass(time.Now(), p.over) {
				p.end(true)
			}
			break
		}
	}
	for range queue { // the reader must not block for ever
	}
	reader.Wait()
	if !g.pass(time.Now(), p.over) {
		return
	}
	if broken { // src was reset: so is dst, once the news may pass
		p.end(true)
	} else if tcp, ok := dst.(*net.TCPConn); ok {
		tcp.CloseWrite()
	}
}

// set changes the mode; anything but Pass ends the connections there are with a reset.
func (l *link) set(m Mode) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.mode == m {
		return nil
	}
	l.mode = m
	if m != Pass {
		l.drop()
	}
	switch {
	case m == Refuse && l.listener != nil:
		l.listener.Close()
		l.listener = nil
	case m != Refuse && l.listener == nil:
		return l.listen()
	}
	return nil
}

// drop resets all connections; mu is held.
func (l *link) drop() {
	for p := range l.conns {
		p.end(true)
	}
}

func (l *link) close() {
	l.mu.Lock()
	l.closed = true
	if l.listener != nil {
		l.listener.Close()
	}
	l.drop()
	l.mu.Unlock()
	l.served.Wait()
}
