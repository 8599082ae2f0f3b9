package rpc

import (
	"net"
	"net/netip"
	"strings"
)

// IsLoopback reports whether an address (host or host:port) reaches this host alone: a loopback IP or "localhost".
// An empty host means every interface and is not loopback.
func IsLoopback(addr string) bool {
	host := addr
	if h, _, err := net.SplitHostPort(addr); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}
