package edges

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/supnode/supnode/test/await"
)

// certificates are what `supnode tls init` makes, in a folder, and what it would not make.
type certificates struct {
	t   *testing.T
	dir string
}

func newCertificates(t *testing.T, nodes ...string) certificates {
	t.Helper()
	dir := t.TempDir()
	if status, _, said := supnode(t, append([]string{"tls", "init", "--dir", dir}, nodes...)...); status != 0 {
		t.Fatal(said)
	}
	return certificates{t, dir}
}

func (c certificates) file(name string) string { return filepath.Join(c.dir, name) }

// block is the rpc.tls of a node.
func (c certificates) block(cert string) string {
	return fmt.Sprintf("tls: {ca: %s, cert: %s, key: %s}", c.file("ca.pem"), c.file(cert+".pem"), c.file(cert+"-key.pem"))
}

// expired signs a certificate for a node that was good until an hour ago, and names its files.
func (c certificates) expired(node, as string) {
	c.t.Helper()
	read := func(name string) []byte {
		b, _ := pem.Decode([]byte(mustRead(c.t, c.file(name))))
		return b.Bytes
	}
	ca, err := x509.ParseCertificate(read("ca.pem"))
	if err != nil {
		c.t.Fatal(err)
	}
	caKey, err := parseKey(read("ca-key.pem"))
	if err != nil {
		c.t.Fatal(err)
	}
	old, err := x509.ParseCertificate(read(node + ".pem"))
	if err != nil {
		c.t.Fatal(err)
	}
	old.SerialNumber, old.NotBefore, old.NotAfter = big.NewInt(77), time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	der, err := x509.CreateCertificate(nil, old, ca, old.PublicKey, caKey)
	if err != nil {
		c.t.Fatal(err)
	}
	put(c.t, c.file(as+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	put(c.t, c.file(as+"-key.pem"), mustRead(c.t, c.file(node+"-key.pem")))
}

func parseKey(der []byte) (*ecdsa.PrivateKey, error) {
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return k, nil
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	return k.(*ecdsa.PrivateKey), nil
}

// A certificate that is not the right one keeps a node out: both sides say why, the one that is kept out in its /readyz too, and
// the cluster goes on.
func TestAPeerWithTheWrongCertificate(t *testing.T) {
	t.Parallel()
	good, strangers := newCertificates(t, "n1", "n2", "n3", "a1", "a2"), newCertificates(t, "a1")
	w := startTown(t, func(name, text string) string {
		return strings.Replace(text, "rpc:\n", "rpc:\n  "+good.block(name)+"\n", 1)
	})
	unharmed := w.undisturbed(t)
	t.Cleanup(unharmed)
	for what, c := range map[string]struct {
		tls    string
		itself []string // what the node says
		others []string // what a server logs
	}{
		"of another CA":    {strangers.block("a1"), []string{"its certificate is not signed by the CA in " + strangers.file("ca.pem"), "is it of another cluster?"}, []string{"refused a TLS connection"}},
		"of another node":  {good.block("a2"), []string{"rpc.tls.cert", "is the certificate of a2, not of node a1"}, nil},
		"and none at all":  {"insecure: false", []string{"TLS", "give both rpc.tls, or neither"}, []string{"plain text"}},
		"the right one":    {good.block("a1"), nil, nil},
		"half a wrong one": {strings.Replace(strangers.block("a1"), strangers.file("ca.pem"), good.file("ca.pem"), 1), []string{"rpc.tls.c"}, nil},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			file, admin := agentOf(t, w, "a1", filepath.Join(t.TempDir(), "a1"))
			name := "a1"
			if what == "the right one" {
				name = "a2"
				c.tls = good.block("a2")
			}
			text := strings.Replace(mustRead(t, file), "name: a1", "name: "+name, 1)
			put(t, file, strings.Replace(text, "rpc: {", "rpc: {"+c.tls+", ", 1))
			if what == "of another node" || what == "half a wrong one" { // seen before anything is sent
				refused(t, file, 1, c.itself...)
				return
			}
			p := start(t, file)
			if c.itself == nil {
				p.Ready(admin)
				p.Leaves(syscall.SIGTERM)
				return
			}
			await.Nil(t, "the node to say why it is kept out", func() error {
				a, err := try(t.Context(), "GET", "http://"+admin+"/readyz", "")
				if err != nil {
					return err
				}
				for _, word := range c.itself {
					if !strings.Contains(a.body, word) || a.status != 503 {
						return fmt.Errorf("no %q in %s\n%s", word, a.body, p.Said())
					}
				}
				return nil
			})
			wantWords(t, p.Said(), append(c.itself, "no leader is known")...)
			logs := ""
			for _, n := range w.Names() {
				logs += mustRead(t, w.Node(n).LogFile)
			}
			wantWords(t, logs, c.others...)
			p.Leaves(syscall.SIGTERM)
		})
	}
}

// What is wrong with the files of rpc.tls or admin.tls is said at the start, with the place in the config file.
func TestTLSFilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	good := newCertificates(t, "n1", "n2")
	good.expired("n1", "old")
	put(t, good.file("empty.pem"), "")
	put(t, good.file("junk.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	use := func(ca, cert, key string) string {
		return fmt.Sprintf("{ca: %s, cert: %s, key: %s}", good.file(ca), good.file(cert), good.file(key))
	}
	for what, c := range map[string]struct {
		tls    string
		status int
		words  []string
	}{
		"no CA":                  {use("no.pem", "n1.pem", "n1-key.pem"), 2, []string{"rpc.tls.ca can't be read", "no such file"}},
		"a CA without content":   {use("empty.pem", "n1.pem", "n1-key.pem"), 2, []string{"rpc.tls.ca", "empty.pem holds no PEM certificate"}},
		"a CA that is junk":      {use("junk.pem", "n1.pem", "n1-key.pem"), 2, []string{"rpc.tls.ca", "junk.pem holds no PEM certificate"}},
		"a cert that is junk":    {use("ca.pem", "junk.pem", "n1-key.pem"), 2, []string{"rpc.tls: cert and key do not fit"}},
		"a key of another cert":  {use("ca.pem", "n1.pem", "n2-key.pem"), 2, []string{"rpc.tls: cert and key do not fit", "private key does not match public key"}},
		"a folder for a key":     {use("ca.pem", "n1.pem", "."), 2, []string{"rpc.tls.key can't be read", "is a directory"}},
		"a cert that is over":    {use("ca.pem", "old.pem", "old-key.pem"), 1, []string{"rpc.tls.cert", "old.pem", "expired"}},
		"a cert of another node": {use("ca.pem", "n2.pem", "n2-key.pem"), 1, []string{"rpc.tls.cert", "n1", "n2"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l := newLone(t, "rpc: {tls: "+c.tls+"}\n")
			said := refused(t, l.file, c.status, c.words...)
			if c.status == 2 && !strings.Contains(said, l.file+":5:") {
				t.Errorf("no place in the file: %s", said)
			}
			if _, err := os.Stat(filepath.Join(l.data, "raft", "raft.db")); err == nil {
				t.Error("a Raft log was begun")
			}
		})
	}
	t.Run("a key that may not be read", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() == 0 {
			t.Skip("root may read every file")
		}
		if err := os.Chmod(good.file("n2-key.pem"), 0); err != nil {
			t.Fatal(err)
		}
		refused(t, newLone(t, "rpc: {tls: "+use("ca.pem", "n2.pem", "n2-key.pem")+"}\n").file, 2, "rpc.tls.key can't be read", "permission denied")
	})
	t.Run("HTTPS", func(t *testing.T) {
		t.Parallel()
		l := newLone(t, "")
		text := mustRead(t, l.file)
		put(t, l.file, strings.Replace(text, "admin: {", fmt.Sprintf("admin: {tls: {cert: %s, key: %s}, ", good.file("n1.pem"), good.file("n2-key.pem")), 1))
		refused(t, l.file, 2, "admin.tls: cert and key do not fit", l.file+":3:")
		put(t, l.file, strings.Replace(text, "admin: {", fmt.Sprintf("admin: {tls: {cert: %s, key: %s}, ", good.file("n1.pem"), good.file("n1-key.pem")), 1))
		p := start(t, l.file)
		await.Nil(t, "HTTPS", func() error {
			if !strings.Contains(p.Said(), "n1 runs") {
				return errors.New(p.Said())
			}
			c, err := tls.Dial("tcp", l.admin, &tls.Config{InsecureSkipVerify: true})
			if err == nil {
				c.Close()
			}
			return err
		})
		if a, err := try(within(t), "GET", "http://"+l.admin+"/v1/status", ""); err == nil && a.status != 400 {
			t.Errorf("plain HTTP is answered: %d %s", a.status, a.body)
		}
		p.Leaves(syscall.SIGTERM)
	})
}
