package node

import (
	"errors"
	"testing"
	"time"
)

// L5: with long renewal periods it is the silence of a host that is gone, not the election, that a lease must outlast.
func TestL5ALeaseOutlastsTheSilenceOfALostLeader(t *testing.T) {
	cfg := Config{Name: "n1", DataDir: "d", LeaseTTL: 30 * time.Second, RPC: RPCConfig{Listen: "127.0.0.1:7101"},
		Servers: []Server{{Name: "n1", Addr: "127.0.0.1:7101"}}}
	for _, at := range []struct {
		h     time.Duration
		wrong string
	}{{6500 * time.Millisecond, ""}, {7 * time.Second, "cluster.lease_ttl"}} {
		cfg.HeartbeatInterval = at.h
		err := cfg.WithDefaults().Validate()
		var field *FieldError
		if errors.As(err, &field); (err != nil) != (at.wrong != "") || err != nil && field.Field != at.wrong {
			t.Errorf("with renewals every %s: %v", at.h, err)
		}
	}
}

// P2: a refusal at a loopback address proves a death only to those on the same host.
func TestP2AnAddressOfThisHostAloneIsRefusedInAClusterOfManyHosts(t *testing.T) {
	cfg := Config{Name: "a1", DataDir: "d", RPC: RPCConfig{Listen: "localhost:7100", Insecure: true}}
	for _, at := range []struct{ server, wrong string }{{"127.0.0.1:7101", ""}, {"10.0.0.1:7101", "rpc.advertise"}} {
		cfg.Servers = []Server{{Name: "n1", Addr: at.server}}
		err := cfg.WithDefaults().Validate()
		var field *FieldError
		if errors.As(err, &field); (err != nil) != (at.wrong != "") || err != nil && field.Field != at.wrong {
			t.Errorf("with a server at %s: %v", at.server, err)
		}
	}
}
