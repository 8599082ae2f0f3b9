package bareraft

import (
	"net"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// transportConfig is that of supnode's Raft transport, over bare TCP.
func transportConfig(layer raft.StreamLayer, log hclog.Logger) *raft.NetworkTransportConfig {
	return &raft.NetworkTransportConfig{
		Stream: layer, MaxPool: 3, MaxRPCsInFlight: 1, Timeout: raftIOTimeout, Logger: log,
	}
}

type tcp struct{ net.Listener }

func listen(addr string) (tcp, error) {
	l, err := net.Listen("tcp", addr)
	return tcp{l}, err
}

func (tcp) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", string(addr), timeout)
}
