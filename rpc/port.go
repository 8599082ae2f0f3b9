package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	sup "github.com/supnode/supnode/supervisor"
)

// The bounds of a port.
const (
	// MaxConnections bounds the accepted connections, those in their handshake too.
	MaxConnections = 8192
	// MaxHandshakes bounds the accepted connections that are in their handshake.
	MaxHandshakes = 1024
	// MaxHandlers bounds the calls that are being handled; one more is refused with busy.
	MaxHandlers = 256
	// MaxCalls bounds the calls of this node that are under way; one more is refused with busy.
	MaxCalls = 1024
)

// The defaults of Config.
const (
	DefaultHandshakeTimeout = 2 * time.Second
	DefaultWriteTimeout     = 5 * time.Second
	DefaultCallTimeout      = 30 * time.Second
	DefaultBindWait         = 2 * time.Second
)

// Config is what a port needs.
type Config struct {
	Node    sup.NodeName // this node's name: what it claims and, with TLS, what its certificate must name
	Version string       // of the program; told to peers, for their messages

	Listen    string       // host:port
	Listener  net.Listener // in place of Listen; the port closes it
	Advertise string       // what other nodes dial; default: the address that is listened on

	TLS      *TLSFiles // nil = plain text: loopback addresses only, unless Insecure
	Insecure bool      // plain text to and from any address

	// Dial replaces TCP, for tests in memory.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	HandshakeTimeout time.Duration // connect, TLS and greeting together; default 2 s
	WriteTimeout     time.Duration // for 256 KiB to be taken by the peer; default 5 s
	BindWait         time.Duration // how long a port in use is tried again: its former owner may be ending; default 2 s, <0 = once
	Logger           hclog.Logger
}

// Port is the open node port.
type Port struct {
	cfg       Config
	log       hclog.Logger
	listener  net.Listener
	tls       *identity // nil = plain text
	advertise string

	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	tasks    sync.WaitGroup
	maxFrame int           // MaxFrame, less in tests
	handlers chan struct{} // a token per call being handled
	calls    chan struct{} // a token per call under way

	mu         sync.Mutex // guards what follows, and memory only
	closed     bool
	conns      map[*conn]struct{}
	accepted   int
	greeting   int
	cluster    string
	leader     func() (sup.NodeName, string, bool)
	onSync     func(*SyncConn)
	onMessages func(*MessageConn)
	methods    map[string]Handler
	raft       raftSink
	callers    map[target]*caller
	junk       warning
	rejections warning
}

// raftSink takes the connections of class raft.
type raftSink interface{ deliver(*conn) bool }

// Handler answers a call. Its ctx ends with the caller's deadline, when the caller gives up, or with the connection. body is
// the request as Encode made it; the value returned is encoded as the response. An error that is a *supervisor.Problem, a
// *NotLeader or wraps ErrOutcomeUnknown reaches the caller as such; one that wraps an error of ctx means that it was cut short and becomes
// ErrOutcomeUnknown; any other is a *RemoteError.
type Handler func(ctx context.Context, from sup.NodeName, body []byte) (any, error)

// Open checks the configuration, reads the TLS files, and listens. Connections are answered from then on: a class that
// nobody serves yet is refused, and its dialer tries again.
func Open(cfg Config) (*Port, error) {
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	cfg.HandshakeTimeout = orDefault(cfg.HandshakeTimeout, DefaultHandshakeTimeout)
	cfg.WriteTimeout = orDefault(cfg.WriteTimeout, DefaultWriteTimeout)
	cfg.BindWait = orDefault(cfg.BindWait, DefaultBindWait)
	p := &Port{cfg: cfg, log: cfg.Logger, maxFrame: MaxFrame, conns: map[*conn]struct{}{}, methods: map[string]Handler{},
		callers: map[target]*caller{}, handlers: make(chan struct{}, MaxHandlers), calls: make(chan struct{}, MaxCalls)}
	if !validNode(cfg.Node) {
		return nil, fmt.Errorf("node.name %q: a node name matches [a-z0-9-]{1,63}", cfg.Node)
	}
	if cfg.TLS != nil {
		id, err := loadIdentity(*cfg.TLS, cfg.Node, time.Now())
		if err != nil {
			return nil, err
		}
		p.tls = id
	}
	if cfg.Listener == nil {
		if err := p.allowPlain("rpc.listen", cfg.Listen); err != nil {
			return nil, err
		}
	}
	if cfg.Advertise != "" {
		if err := checkAdvertise(cfg.Advertise); err != nil {
			return nil, err
		}
		if err := p.allowPlain("rpc.advertise", cfg.Advertise); err != nil {
			return nil, err
		}
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.listener = cfg.Listener
	if p.listener == nil {
		l, err := listen(cfg.Listen, cfg.BindWait)
		if err != nil {
			p.cancel()
			return nil, err
		}
		p.listener = l
	}
	if p.advertise = cfg.Advertise; p.advertise == "" {
		p.advertise = p.listener.Addr().String()
	}
	if err := p.allowPlain("rpc.listen", p.listener.Addr().String()); err != nil {
		p.cancel()
		p.listener.Close()
		return nil, err
	}
	if p.tls == nil && cfg.Insecure && !IsLoopback(p.listener.Addr().String()) {
		p.log.Warn("the node port speaks plain text on an address that others may reach: whoever does can change the cluster; set rpc.tls",
			"listen", p.listener.Addr().String())
	}
	p.tasks.Go(p.accept)
	return p, nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// allowPlain refuses plain text on an address that others may reach.
func (p *Port) allowPlain(field, addr string) error {
	if p.tls != nil || p.cfg.Insecure || IsLoopback(addr) {
		return nil
	}
	return fmt.Errorf("%s %s is not a loopback address, and without TLS whoever reaches it can change the cluster: "+
		"set rpc.tls (supnode tls init makes the files), or rpc.insecure: true for a closed test network", field, addr)
}

func checkAdvertise(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("rpc.advertise %q: write host:port: %w", addr, err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() || port == "0" || port == "" {
		return fmt.Errorf("rpc.advertise %q: other nodes cannot dial that; name a host or an address, and a port", addr)
	}
	return nil
}

// listen binds, and tries again for a while when the port is in use: a node that was killed keeps it until its last command
// is gone (P0).
func listen(addr string, wait time.Duration) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	until := time.Now().Add(wait)
	for {
		l, err := lc.Listen(context.Background(), "tcp", addr)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("rpc.listen %q: %w; write host:port with an address of this host", addr, err)
		}
		if time.Now().After(until) {
			return nil, fmt.Errorf("rpc.listen %s is in use by another process: stop it, or choose another port", addr)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Node is this node's name.
func (p *Port) Node() sup.NodeName { return p.cfg.Node }

// Advertise is the address that other nodes dial.
func (p *Port) Advertise() string { return p.advertise }

// Addr is the address that is listened on.
func (p *Port) Addr() net.Addr { return p.listener.Addr() }

// SetCluster makes the port refuse nodes of other clusters, and be refused by them. Until then it says nothing of its cluster.
func (p *Port) SetCluster(uuid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cluster = uuid
}

// SetLeader gives the port the function that says who leads, with its address, and whether that is this node. It is
// called for each sync stream that arrives, and must not block.
func (p *Port) SetLeader(f func() (name sup.NodeName, addr string, isMe bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leader = f
}

// OnSync gives the port the function that serves agents' sync streams. Each stream is served on a goroutine of the port;
// it is closed when f returns. f must return soon after its stream is closed: Close waits for it.
func (p *Port) OnSync(f func(*SyncConn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onSync = f
}

// OnMessages gives the port the function that serves the message streams of other nodes, each on a goroutine of the port; a
// stream is closed when f returns. f must return soon after its stream is closed: Close waits for it.
func (p *Port) OnMessages(f func(*MessageConn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onMessages = f
}

// Handle gives the port the handler of a method. It must return soon after its ctx ends: Close waits for it.
func (p *Port) Handle(method string, h Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.methods[method]; ok {
		panic("rpc: two handlers for method " + method)
	}
	p.methods[method] = h
}

// Close stops listening, breaks every connection and waits for every goroutine of the port. It must not be called from
// a handler.
func (p *Port) Close() error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	var open []*conn
	for c := range p.conns {
		open = append(open, c)
	}
	p.mu.Unlock()
	var err error
	if first {
		p.cancel()
		err = p.listener.Close()
		for _, c := range open {
			c.Close()
		}
	}
	p.tasks.Wait()
	return err
}

// start runs f on a goroutine that Close waits for; false when the port is closed.
func (p *Port) start(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.tasks.Go(f)
	return true
}

// track registers a dialled connection with Close; false when the port is closed.
func (p *Port) track(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Port) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.conns[c]; !ok {
		return
	}
	delete(p.conns, c)
	if c.accepted {
		p.accepted--
	}
}
