package rpc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// The files of a CA, and how long what it issues is in force unless told otherwise.
const (
	CAFile    = "ca.pem"
	CAKeyFile = "ca-key.pem"

	DefaultCAValidity   = 10 * 365 * 24 * time.Hour
	DefaultNodeValidity = 2 * 365 * 24 * time.Hour
	// backdate lets a certificate be used at once on hosts whose clocks are behind.
	backdate = time.Hour
)

// CA is a cluster's certificate authority. Whoever has its key can be any node: ca-key.pem belongs on no node.
type CA struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes a CA, in dir: ca.pem for every node, and ca-key.pem (0600) for whoever issues. It overwrites nothing.
// valid 0 is DefaultCAValidity.
func NewCA(dir string, valid time.Duration) (*CA, error) {
	if valid == 0 {
		valid = DefaultCAValidity
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	t, err := template("supnode cluster CA", valid)
	if err != nil {
		return nil, err
	}
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	if err := writePair(filepath.Join(dir, CAFile), filepath.Join(dir, CAKeyFile), der, key); err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	return &CA{dir: dir, cert: cert, key: key}, nil
}

// LoadCA reads a CA that NewCA made.
func LoadCA(dir string) (*CA, error) {
	certPath, keyPath := filepath.Join(dir, CAFile), filepath.Join(dir, CAKeyFile)
	certPEM, err := os.ReadFile(certPath)
	if err != nil {
		return nil, fmt.Errorf("no CA in %s: %w", dir, err)
	}
	certs, err := parseCertificates("CA", certPath, certPEM)
	if err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(keyPath)
	if err != nil {
		return nil, fmt.Errorf("the CA's key is needed to issue certificates: %w", err)
	}
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM key", keyPath)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyPath, err)
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(certs[0].PublicKey) {
		return nil, fmt.Errorf("%s is not the key of %s", keyPath, certPath)
	}
	return &CA{dir: dir, cert: certs[0], key: key}, nil
}

// hostName is what a name in a certificate looks like; a star may stand for its first label.
var hostName = regexp.MustCompile(`^(\*|[A-Za-z0-9_-]{1,63})(\.[A-Za-z0-9_-]{1,63})*$`)

// IssueNode makes a node's certificate and key, in dir: NAME.pem and NAME-key.pem (0600), good for serving and for
// dialling. Its DNS names have the node's name, which is what other nodes check, and those of hosts; IP addresses among hosts become IP names.
// It overwrites nothing. valid 0 is DefaultNodeValidity; no certificate outlives the CA.
func (ca *CA) IssueNode(dir string, node sup.NodeName, hosts []string, valid time.Duration) (TLSFiles, error) {
	if !validNode(node) {
		return TLSFiles{}, fmt.Errorf("node name %q: a node name matches [a-z0-9-]{1,63}", node)
	}
	if valid == 0 {
		valid = DefaultNodeValidity
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return TLSFiles{}, fmt.Errorf("issue %s: %w", node, err)
	}
	t, err := template(string(node), valid)
	if err != nil {
		return TLSFiles{}, err
	}
	if t.NotAfter.After(ca.cert.NotAfter) {
		t.NotAfter = ca.cert.NotAfter
	}
	t.BasicConstraintsValid = true
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	t.DNSNames = []string{string(node)}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else if !hostName.MatchString(h) {
			return TLSFiles{}, fmt.Errorf("issue %s: %q is neither an IP address nor a host name", node, h)
		} else if !hostName.MatchString(h) {
			return TLSFiles{}, fmt.Errorf("issue %s: %q is neither an IP address nor a host name", node, h)
		} else if h != string(node) {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, ca.cert, key.Public(), ca.key)
	if err != nil {
		return TLSFiles{}, fmt.Errorf("issue %s: %w", node, err)
	}
	f := TLSFiles{
		CA:   filepath.Join(ca.dir, CAFile),
		Cert: filepath.Join(dir, string(node)+".pem"),
		Key:  filepath.Join(dir, string(node)+"-key.pem"),
	}
	return f, writePair(f.Cert, f.Key, der, key)
}

func template(name string, valid time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(valid)}, nil
}

// writePair writes a certificate (0644) and its key (0600), neither of which may exist.
func writePair(certPath, keyPath string, der []byte, key *ecdsa.PrivateKey) error {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode the key %s: %w", keyPath, err)
	}
	if err := os.MkdirAll(filepath.Dir(certPath), 0o755); err != nil {
		return err
	}
	if err := writeNew(keyPath, 0o600, &pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}); err != nil {
		return err
	}
	if err := writeNew(certPath, 0o644, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
		return errors.Join(err, os.Remove(keyPath))
	}
	return nil
}

func writeNew(path string, mode fs.FileMode, b *pem.Block) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: move it away first, or choose another directory", path)
	}
	if err != nil {
		return err
	}
	return errors.Join(pem.Encode(f, b), f.Close())
}
