package bareraft

import (
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// tcp is a raft.StreamLayer without anything between.
type tcp struct{ net.Listener }

func listen(addr string) (tcp, error) {
	l, err := net.Listen("tcp", addr)
	return tcp{l}, err
}

func (tcp) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", string(addr), timeout)
}
