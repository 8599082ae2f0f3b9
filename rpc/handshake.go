package rpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// magic and protocolVersion open both directions of every connection. What follows them in a reply is the same in every
// version, so that an older or newer node can read why it was refused.
const (
	magic           = "SUPN"
	protocolVersion = 1
	preambleLen     = len(magic) + 1
)

// class is what a connection is for.
type class uint8

const (
	classRaft    class = 1
	classSync    class = 2
	classCall    class = 3
	classMessage class = 4
)

func (c class) String() string {
	switch c {
	case classRaft:
		return "raft"
	case classSync:
		return "sync"
	case classCall:
		return "call"
	case classMessage:
		return "message"
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// greeting is what the dialer says first.
type greeting struct {
	Class   class        `cbor:"1,keyasint"`
	Version string       `cbor:"2,keyasint,omitempty"` // of the program
	Cluster string       `cbor:"3,keyasint,omitempty"` // UUID; empty until known
	From    sup.NodeName `cbor:"4,keyasint"`
	To      sup.NodeName `cbor:"5,keyasint"` // the node meant
}

// reply answers a greeting.
type reply struct {
	OK        bool         `cbor:"1,keyasint"`
	From      sup.NodeName `cbor:"2,keyasint"` // the node that answers
	Version   string       `cbor:"3,keyasint,omitempty"`
	Refused   string       `cbor:"4,keyasint,omitempty"` // why not, and what would be right
	NotLeader bool         `cbor:"5,keyasint,omitempty"`
	Leader    sup.NodeName `cbor:"6,keyasint,omitempty"` // with NotLeader
	Addr      string       `cbor:"7,keyasint,omitempty"` // with NotLeader
	Cluster   string       `cbor:"8,keyasint,omitempty"` // with Refused, when it is for this cluster's sake
}

func preamble() []byte { return append([]byte(magic), protocolVersion) }

// opening is the preamble and a frame.
func opening(v any) ([]byte, error) {
	f, err := encodeFrame(v, maxGreeting)
	if err != nil {
		return nil, err
	}
	return append(preamble(), f...), nil
}

// welcome is the server's side of the handshake; false means that the connection is over and that it has been logged.
func (p *Port) welcome(c *conn) (greeting, bool) {
	tune(c.raw)
	deadline := time.Now().Add(p.cfg.HandshakeTimeout)
	if err := c.raw.SetDeadline(deadline); err != nil {
		return greeting{}, false
	}
	ctx, cancel := context.WithDeadline(p.ctx, deadline)
	defer cancel()
	from := c.raw.RemoteAddr().String()
	if p.tls != nil {
		if err := c.tlsServer(ctx, p.tls.server); err != nil {
			p.tlsFailed(c, from, err)
			return greeting{}, false
		}
	}
	var head [preambleLen]byte
	if n, err := io.ReadFull(c, head[:]); err != nil {
		switch {
		case n > 0 || p.tls != nil && errors.Is(err, os.ErrDeadlineExceeded):
			p.junk.log(p.log, "closed a connection that did not finish its handshake", "from", from, "error", err)
		default:
			p.log.Debug("a connection said nothing", "from", from, "error", err)
		}
		return greeting{}, false
	}
	switch {
	case p.tls == nil && head[0] == 0x16 && head[1] == 0x03:
		p.rejections.log(p.log, "refused a node that speaks TLS: this node has no rpc.tls", "from", from)
		p.refuse(c, reply{Refused: fmt.Sprintf("node %s speaks plain text and this one TLS: give both rpc.tls, or neither", p.cfg.Node)})
		return greeting{}, false
	case string(head[:len(magic)]) != magic:
		p.junk.log(p.log, "closed a connection that does not speak the node protocol", "from", from, "began_with", fmt.Sprintf("%q", head[:]))
		return greeting{}, false
	case head[len(magic)] != protocolVersion:
		p.rejections.log(p.log, "refused a node of another protocol version", "from", from, "its_version", head[len(magic)], "ours", protocolVersion)
		p.refuse(c, reply{Refused: fmt.Sprintf("node %s (supnode %s) speaks protocol version %d, not %d: run versions that speak the same",
			p.cfg.Node, p.cfg.Version, protocolVersion, head[len(magic)])})
		return greeting{}, false
	}
	var buf bytes.Buffer
	var g greeting
	b, err := readFrame(c, &buf, maxGreeting)
	if err == nil {
		err = lenient.Unmarshal(b, &g)
	}
	if err == nil && (!validNode(g.From) || g.Class < classRaft || g.Class > classMessage) {
		err = fmt.Errorf("it calls itself %.80q and wants %v", g.From, g.Class)
	}
	if err != nil {
		p.junk.log(p.log, "closed a connection with a greeting that cannot be read", "from", from, "error", err)
		return greeting{}, false
	}
	c.peer = g.From
	r := p.judge(c, g)
	if !r.OK {
		if !r.NotLeader {
			p.rejections.log(p.log, "refused a connection", "node", g.From, "from", from, "for", g.Class.String(), "why", r.Refused)
		}
		p.refuse(c, r)
		return greeting{}, false
	}
	out, err := opening(r)
	if err == nil {
		_, err = c.Write(out)
	}
	if err == nil {
		err = c.raw.SetDeadline(time.Time{})
	}
	if err != nil {
		p.log.Debug("a handshake broke", "node", g.From, "from", from, "error", err)
		return greeting{}, false
	}
	return g, true
}

// judge decides whether a greeting is welcome.
func (p *Port) judge(c *conn, g greeting) reply {
	p.mu.Lock()
	cluster, leader, served := p.cluster, p.leader, p.serves(g.Class)
	p.mu.Unlock()
	r := reply{From: p.cfg.Node, Version: p.cfg.Version}
	switch {
	case p.tls != nil && !p.tls.names(c.Conn.(*tls.Conn).ConnectionState(), g.From):
		r.Refused = fmt.Sprintf("your certificate does not name %s: rpc.tls.cert must be the certificate of node.name", g.From)
	case g.To != p.cfg.Node:
		r.Refused = fmt.Sprintf("this is node %s, not %s: an address in cluster.servers leads to the wrong node", p.cfg.Node, g.To)
	case cluster != "" && g.Cluster != "" && cluster != g.Cluster:
		r.Cluster = cluster
		r.Refused = fmt.Sprintf("node %s belongs to cluster %s, yours is %s: an address in cluster.servers leads to another cluster, or node.data_dir is another's",
			p.cfg.Node, cluster, g.Cluster)
	case !served && g.Class == classSync:
		r.NotLeader, r.Refused = true, "not the leader"
	case !served:
		r.Refused = fmt.Sprintf("node %s does not serve %v (yet)", p.cfg.Node, g.Class)
	case g.Class == classSync:
		name, addr, isMe := leader()
		if !isMe {
			r.NotLeader, r.Leader, r.Addr, r.Refused = true, name, addr, "not the leader"
			break
		}
		r.OK = true
	default:
		r.OK = true
	}
	return r
}

// serves says whether a class has somebody to serve it. p.mu is held.
func (p *Port) serves(c class) bool {
	switch c {
	case classRaft:
		return p.raft != nil
	case classSync:
		return p.onSync != nil && p.leader != nil
	case classMessage:
		return p.onMessages != nil
	}
	return true
}

// refuse says why, and closes so that it can be read.
func (p *Port) refuse(c *conn, r reply) {
	r.OK, r.From = false, p.cfg.Node
	out, err := opening(r)
	if err != nil {
		return
	}
	if _, err := c.Write(out); err != nil {
		return
	}
	linger(c.raw)
}

// tlsFailed explains a TLS handshake that failed. A node without rpc.tls is told so in its own tongue.
func (p *Port) tlsFailed(c *conn, from string, err error) {
	var rec tls.RecordHeaderError
	switch {
	case p.ctx.Err() != nil: // the port closes
	case errors.As(err, &rec) && rec.Conn != nil && string(rec.RecordHeader[:len(magic)]) == magic:
		p.rejections.log(p.log, "refused a node that speaks plain text: this node has rpc.tls", "from", from)
		c.Conn = c.raw
		p.refuse(c, reply{Refused: fmt.Sprintf("node %s speaks TLS and this one plain text: give both rpc.tls, or neither", p.cfg.Node)})
	case errors.As(err, &rec):
		p.junk.log(p.log, "closed a connection that does not speak TLS", "from", from, "began_with", fmt.Sprintf("%q", rec.RecordHeader[:]))
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		p.log.Debug("a connection said nothing", "from", from)
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		p.log.Debug("a connection did not finish its TLS handshake", "from", from, "error", err)
	default:
		p.rejections.log(p.log, "refused a TLS connection", "from", from, "error", explainPeer(err, p.tls.files))
	}
}

// dial connects to a node for a class. addr is where it is, to is who must answer there.
func (p *Port) dial(ctx context.Context, addr string, to sup.NodeName, cl class) (*conn, error) {
	if err := p.allowPlain("the address of node "+string(to), addr); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.HandshakeTimeout)
	defer cancel()
	stop := context.AfterFunc(p.ctx, cancel)
	defer stop()
	dial := p.cfg.Dial
	if dial == nil {
		dial = dialTCP
	}
	raw, err := dial(ctx, "tcp", addr)
	if err != nil {
		if p.ctx.Err() != nil {
			return nil, ErrClosed
		}
		return nil, fmt.Errorf("cannot reach node %s: %w", to, err)
	}
	tune(raw)
	c := &conn{Conn: raw, raw: raw, port: p, peer: to}
	if !p.track(c) {
		raw.Close()
		return nil, ErrClosed
	}
	if err := p.greet(ctx, c, addr, to, cl); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// greet is the dialer's side of the handshake.
func (p *Port) greet(ctx context.Context, c *conn, addr string, to sup.NodeName, cl class) (err error) {
	unhook := context.AfterFunc(ctx, func() { _ = c.raw.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !unhook() && err == nil {
			err = context.Cause(ctx)
		}
		switch {
		case err == nil:
		case p.ctx.Err() != nil:
			err = ErrClosed
		case ctx.Err() == context.Canceled:
			err = context.Canceled
		case ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded):
			err = fmt.Errorf("node %s at %s took the connection but did not finish the handshake in time: %w", to, addr, context.DeadlineExceeded)
		}
	}()
	if p.tls != nil {
		if err := c.tlsClient(ctx, p.tls.client(to)); err != nil {
			return p.tlsRefused(addr, to, err)
		}
		if !p.tls.names(c.Conn.(*tls.Conn).ConnectionState(), to) {
			return fmt.Errorf("the certificate of the node at %s does not name %s: its address in cluster.servers leads elsewhere, or its rpc.tls.cert is another node's", addr, to)
		}
	}
	p.mu.Lock()
	g := greeting{Class: cl, Version: p.cfg.Version, Cluster: p.cluster, From: p.cfg.Node, To: to}
	p.mu.Unlock()
	out, err := opening(g)
	if err != nil {
		return err
	}
	if _, err := c.Write(out); err != nil {
		return fmt.Errorf("greet node %s at %s: %w", to, addr, err)
	}
	r, err := readReply(c)
	if err != nil {
		return p.replyFailed(addr, to, err)
	}
	switch {
	case r.NotLeader:
		return &NotLeader{Leader: r.Leader, Addr: r.Addr}
	case !r.OK:
		return &RefusedError{Node: to, Addr: addr, Why: r.Refused, Cluster: r.Cluster}
	case r.From != to:
		return fmt.Errorf("node %s answers at %s, not %s: its address in cluster.servers leads to the wrong node", r.From, addr, to)
	}
	return nil
}

// errNotOurs is an answer in another protocol.
var errNotOurs = errors.New("what answers is not a supnode node port")

func readReply(r io.Reader) (reply, error) {
	var head [preambleLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return reply{}, err
	}
	if head[0] == 0x15 && head[1] == 0x03 { // a TLS alert
		return reply{}, errAlert
	}
	if string(head[:len(magic)]) != magic {
		return reply{}, errNotOurs
	}
	var buf bytes.Buffer
	var rep reply
	b, err := readFrame(r, &buf, maxGreeting)
	if err == nil {
		err = lenient.Unmarshal(b, &rep)
	}
	if err == nil && rep.OK && head[len(magic)] != protocolVersion {
		err = fmt.Errorf("it answers in protocol version %d, not %d", head[len(magic)], protocolVersion)
	}
	return rep, err
}

// errAlert is a TLS alert where plain text was expected.
var errAlert = errors.New("it speaks TLS and this node plain text: give both rpc.tls, or neither")

func (p *Port) replyFailed(addr string, to sup.NodeName, err error) error {
	var oe *net.OpError
	if p.tls != nil && errors.As(err, &oe) && oe.Op == "remote error" {
		return p.tlsRefused(addr, to, err)
	}
	return fmt.Errorf("handshake with node %s at %s: %w", to, addr, err)
}

// tlsRefused explains to the dialer why TLS failed.
func (p *Port) tlsRefused(addr string, to sup.NodeName, err error) error {
	var rec tls.RecordHeaderError
	if errors.As(err, &rec) {
		if string(rec.RecordHeader[:len(magic)]) == magic {
			return &RefusedError{Node: to, Addr: addr, Why: "it speaks plain text and this node TLS: give both rpc.tls, or neither"}
		}
		return fmt.Errorf("node %s at %s: %w", to, addr, errNotOurs)
	}
	return fmt.Errorf("TLS with node %s at %s: %w", to, addr, explainPeer(err, p.tls.files))
}

// validNode is the rule for node names: [a-z0-9-]{1,63}.
func validNode(n sup.NodeName) bool {
	if len(n) < 1 || len(n) > 63 {
		return false
	}
	for _, c := range []byte(n) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
