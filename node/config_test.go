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
// A message that does not pass in its time is sent anew for ever: the server that lags would never catch up.
func TestWhatIsSentToAServerThatLagsPassesASlowLink(t *testing.T) {
	const largest, perSecond = 1 << 20, 4 << 20 // a request, a link
	got := Config{HeartbeatInterval: time.Second, LeaseTTL: 10 * time.Second}.raftConfig(nil, nil)
	if takes := time.Duration(got.MaxAppendEntries) * largest * time.Second / perSecond; takes > raftIOTimeout {
		t.Errorf("%d entries take %v, within %v", got.MaxAppendEntries, takes, raftIOTimeout)
	}
}

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
