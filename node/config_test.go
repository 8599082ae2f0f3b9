package node

import (
	"errors"
	"testing"
)

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
