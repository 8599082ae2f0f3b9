package rpc_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/rpc"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/expect"
)

func newCA(t *testing.T) *rpc.CA {
	t.Helper()
	ca, err := rpc.NewCA(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *rpc.CA, node sup.NodeName) *rpc.TLSFiles {
	t.Helper()
	f, err := ca.IssueNode(t.TempDir(), node, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return &f
}

func TestMutualTLS(t *testing.T) {
	ca := newCA(t)
	p := open(t, rpc.Config{Node: "n1", TLS: issue(t, ca, "n1")})
	echo(p)
	for _, name := range []sup.NodeName{"n2", "-", "123", "a-b"} {
		q := open(t, rpc.Config{Node: name, TLS: issue(t, ca, name)})
		echo(q)
		mustEcho(t, q, p)
		mustEcho(t, p, q)
	}
}

func TestTLSLetsAPortServeAnyAddress(t *testing.T) {
	open(t, rpc.Config{Node: "n1", Listen: "0.0.0.0:0", Advertise: "192.0.2.1:7101", TLS: issue(t, newCA(t), "n1")})
}

func TestACertificateSpeaksForItsNodeAlone(t *testing.T) {
	ca := newCA(t)
	p := open(t, rpc.Config{Node: "n1", TLS: issue(t, ca, "n1")})
	q := open(t, rpc.Config{Node: "n2", TLS: issue(t, ca, "n2")})
	// The node that answers has another name than the one meant.
	expect.Error(t, q.Call(t.Context(), p.Advertise(), "n3", "echo", "x", nil),
		"its certificate is that of n1, not of n3", "cluster.servers")
	// A node that claims a name which its certificate has not is refused, even by one that a wildcard would fool.
	f, err := ca.IssueNode(t.TempDir(), "n9", []string{"*", "127.0.0.1"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	liar := open(t, rpc.Config{Node: "n9", TLS: &f})
	rpc.Rename(liar, "n2")
	expect.Error(t, liar.Call(t.Context(), p.Advertise(), "n1", "echo", "x", nil), "refused", "your certificate does not name n2")
	expect.Error(t, p.Call(t.Context(), liar.Advertise(), "n2", "echo", "x", nil), "not of n2")
}

func TestAnotherCAIsRefusedByBothEnds(t *testing.T) {
	var log lines
	p := open(t, rpc.Config{Node: "n1", TLS: issue(t, newCA(t), "n1"), Logger: log.logger()})
	q := open(t, rpc.Config{Node: "n2", TLS: issue(t, newCA(t), "n2")})
	err := q.Call(t.Context(), p.Advertise(), "n1", "echo", "x", nil)
	expect.Error(t, err, "n1", "not signed by the CA in", "ca.pem", "another cluster")

	// A client that trusts the server, and is not trusted by it.
	ca, other := newCA(t), newCA(t)
	mixed := issue(t, other, "n4")
	both := filepath.Join(t.TempDir(), "both.pem")
	var pems []byte
	for _, f := range []*rpc.TLSFiles{issue(t, ca, "x"), mixed} {
		b, err := os.ReadFile(f.CA)
		if err != nil {
			t.Fatal(err)
		}
		pems = append(pems, b...)
	}
	if err := os.WriteFile(both, pems, 0o600); err != nil {
		t.Fatal(err)
	}
	mixed.CA = both
	var log3 lines
	r := open(t, rpc.Config{Node: "n3", TLS: issue(t, ca, "n3"), Logger: log3.logger()})
	s := open(t, rpc.Config{Node: "n4", TLS: mixed})
	err = s.Call(t.Context(), r.Advertise(), "n3", "echo", "x", nil)
	expect.Error(t, err, "n3", "does not accept this node's certificate", "n4.pem", "rpc.tls.ca")
	log3.await(t, "not signed by the CA in")
}

func TestPlainTextAndTLSExplainThemselves(t *testing.T) {
	var log lines
	withTLS := open(t, rpc.Config{Node: "n1", TLS: issue(t, newCA(t), "n1"), Logger: log.logger()})
	plain := open(t, rpc.Config{Node: "n2", Logger: log.logger()})
	const why = "give both rpc.tls, or neither"
	expect.Error(t, plain.Call(t.Context(), withTLS.Advertise(), "n1", "echo", "x", nil), "n1", "speaks TLS", why)
	expect.Error(t, withTLS.Call(t.Context(), plain.Advertise(), "n2", "echo", "x", nil), "n2", "speaks plain text", why)
	log.await(t, "this node has rpc.tls")
	log.await(t, "this node has no rpc.tls")
}

func TestTLSFilesSayWhatIsWrongWithThem(t *testing.T) {
	ca := newCA(t)
	good, other := issue(t, ca, "n1"), issue(t, ca, "n1")
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	expired, err := ca.IssueNode(t.TempDir(), "n1", nil, -time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		files rpc.TLSFiles
		words []string
	}{
		{"no CA", rpc.TLSFiles{Cert: good.Cert, Key: good.Key}, []string{"rpc.tls.ca is not set", "supnode tls init"}},
		{"missing", rpc.TLSFiles{CA: good.CA, Cert: "/nowhere/n1.pem", Key: good.Key}, []string{"rpc.tls.cert", "/nowhere/n1.pem", "supnode tls init"}},
		{"missing key", rpc.TLSFiles{CA: good.CA, Cert: good.Cert, Key: "/nowhere/n1-key.pem"}, []string{"rpc.tls.key", "/nowhere/n1-key.pem"}},
		{"garbage CA", rpc.TLSFiles{CA: garbage, Cert: good.Cert, Key: good.Key}, []string{"rpc.tls.ca", garbage, "no PEM certificate"}},
		{"garbage key", rpc.TLSFiles{CA: good.CA, Cert: good.Cert, Key: garbage}, []string{"rpc.tls.key", garbage}},
		{"key of another pair", rpc.TLSFiles{CA: good.CA, Cert: good.Cert, Key: other.Key}, []string{other.Key, "is not the key of", good.Cert}},
		{"node as CA", rpc.TLSFiles{CA: good.Cert, Cert: good.Cert, Key: good.Key}, []string{"rpc.tls.ca", good.Cert, "not a CA"}},
		{"CA of another cluster", rpc.TLSFiles{CA: issue(t, newCA(t), "n1").CA, Cert: good.Cert, Key: good.Key}, []string{good.Cert, "not signed by the CA in"}},
		{"expired", expired, []string{expired.Cert, "expired on", "issue a new one"}},
		{"another node's", *issue(t, ca, "n7"), []string{"the certificate of n7, not of node n1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := rpc.Open(rpc.Config{Node: "n1", Listen: "127.0.0.1:0", TLS: &c.files})
			expect.Error(t, err, c.words...)
		})
	}
}

func TestCAMakesFilesThatKeepTheirSecrets(t *testing.T) {
	dir := t.TempDir()
	if _, err := rpc.NewCA(dir, 0); err != nil {
		t.Fatal(err)
	}
	_, err := rpc.NewCA(dir, 0)
	expect.Error(t, err, "ca-key.pem exists already")
	ca, err := rpc.LoadCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ca.IssueNode(dir, "n1", []string{"host1", "127.0.0.1"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = ca.IssueNode(dir, "n1", nil, 0)
	expect.Error(t, err, "n1-key.pem exists already")
	_, err = ca.IssueNode(dir, "../n1", nil, 0)
	expect.Error(t, err, "[a-z0-9-]{1,63}")
	if want := (rpc.TLSFiles{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "n1.pem"), Key: filepath.Join(dir, "n1-key.pem")}); f != want {
		t.Errorf("files %v, want %v", f, want)
	}
	for path, mode := range map[string]os.FileMode{f.Key: 0o600, filepath.Join(dir, "ca-key.pem"): 0o600, f.CA: 0o644, f.Cert: 0o644} {
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: mode %v, %v; want %v", path, st.Mode(), err, mode)
		}
	}
	open(t, rpc.Config{Node: "n1", TLS: &f})
	if err := os.Remove(filepath.Join(dir, "ca-key.pem")); err != nil {
		t.Fatal(err)
	}
	_, err = rpc.LoadCA(dir)
	expect.Error(t, err, "the CA's key is needed")
	if strings.Contains(err.Error(), "PRIVATE") {
		t.Error("the error tells a secret")
	}
}

// A slip in a list of hosts is told, rather than signed.
func TestACertificateIsForHostNamesAndAddresses(t *testing.T) {
	dir := t.TempDir()
	ca, err := rpc.NewCA(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"a b", "http://a", "10.0.0.3:7101", "a..b", "../a", "ä"} {
		if _, err := ca.IssueNode(t.TempDir(), "n1", []string{"a.example", host}, 0); err == nil || !strings.Contains(err.Error(), "is neither an IP address nor a host name") {
			t.Errorf("%q: %v", host, err)
		}
	}
	if _, err := ca.IssueNode(dir, "n1", []string{"a.example", "*.b.example", "host_1", "::1", "10.0.0.3"}, 0); err != nil {
		t.Error(err)
	}
}
