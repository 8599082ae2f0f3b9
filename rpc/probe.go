package rpc

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

const (
	// probeFirst and probeMost bound the pause between two dials of a probe.
	probeFirst = 5 * time.Millisecond
	probeMost  = 250 * time.Millisecond
	// probeDial bounds one dial of a probe.
	probeDial = 2 * time.Second
)

type (
	dialFunc    = func(ctx context.Context, network, addr string) (net.Conn, error)
	resolveFunc = func(ctx context.Context, addr string) ([]string, error)
)

// Probe dials addr afresh, over plain TCP, until the kernel there says that nothing listens (P2): then it returns true.
// A connection that succeeds is held until the other end closes it, then dialled again; a time-out or any other error is
// no proof and is tried again. It returns false when ctx ends. A name is resolved, and every address of it must refuse.
func Probe(ctx context.Context, addr string) (refused bool) {
	return probe(ctx, addr, (&net.Dialer{KeepAliveConfig: keepAlive}).DialContext, resolve)
}

// Probe is the function Probe, over the port's own Dial where it has one.
func (p *Port) Probe(ctx context.Context, addr string) (refused bool) {
	if p.cfg.Dial != nil {
		return probe(ctx, addr, p.cfg.Dial, func(context.Context, string) ([]string, error) { return []string{addr}, nil })
	}
	return Probe(ctx, addr)
}

func probe(ctx context.Context, addr string, dial dialFunc, resolve resolveFunc) bool {
	pause := probeFirst
	for ctx.Err() == nil {
		began := time.Now()
		if probeOnce(ctx, addr, dial, resolve) {
			return ctx.Err() == nil
		}
		if time.Since(began) > probeMost {
			pause = probeFirst // it held: what ended it is news
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, probeMost)
	}
	return false
}

// probeOnce dials every address that addr stands for; true when all of them refused.
func probeOnce(ctx context.Context, addr string, dial dialFunc, resolve resolveFunc) bool {
	targets, err := resolve(ctx, addr)
	if err != nil || len(targets) == 0 {
		return false
	}
	for _, t := range targets {
		dctx, cancel := context.WithTimeout(ctx, probeDial)
		c, err := dial(dctx, "tcp", t)
		cancel()
		if err == nil {
			hold(ctx, c)
			return false
		}
		if !connectRefused(err) {
			return false
		}
	}
	return true
}

// hold keeps a connection until the other end closes it or ctx ends. While a guardian cleans up, the backlog takes
// connections that nobody answers; the kernel resets them when the last listener closes (P0).
func hold(ctx context.Context, c net.Conn) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var b [64]byte
	for {
		if _, err := c.Read(b[:]); err != nil {
			return
		}
	}
}

// connectRefused says whether connect(2) itself was refused: the one proof there is.
func connectRefused(err error) bool {
	var op *net.OpError
	var sys *os.SyscallError
	return errors.As(err, &op) && op.Op == "dial" &&
		errors.As(op.Err, &sys) && sys.Syscall == "connect" && sys.Err == syscall.ECONNREFUSED
}

// resolve makes a name's addresses; dialling a name would tell of one of them only.
func resolve(ctx context.Context, addr string) ([]string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{addr}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, ip := range ips {
		out = append(out, net.JoinHostPort(ip.Unmap().String(), port))
	}
	return out, nil
}
