package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// TLSFiles are PEM files for mutual TLS: the cluster's CA, and this node's certificate and key.
type TLSFiles struct{ CA, Cert, Key string }

// identity is what a node proves its name with, and checks others' by.
type identity struct {
	files  TLSFiles
	cert   tls.Certificate
	roots  *x509.CertPool
	server *tls.Config
}

const makeFiles = "`supnode tls init` makes the files"

// loadIdentity reads the TLS files and checks all that can be checked before a peer would find out.
func loadIdentity(f TLSFiles, node sup.NodeName, now time.Time) (*identity, error) {
	caPEM, err := readTLS("rpc.tls.ca", f.CA)
	if err != nil {
		return nil, err
	}
	certPEM, err := readTLS("rpc.tls.cert", f.Cert)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readTLS("rpc.tls.key", f.Key)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	cas, err := parseCertificates("rpc.tls.ca", f.CA, caPEM)
	if err != nil {
		return nil, err
	}
	for _, ca := range cas {
		if !ca.IsCA {
			return nil, fmt.Errorf("rpc.tls.ca %s: the certificate of %q is not a CA's; name the cluster's CA certificate", f.CA, ca.Subject.CommonName)
		}
		if err := inForce("rpc.tls.ca", f.CA, ca, now); err != nil {
			return nil, err
		}
		roots.AddCert(ca)
	}
	chain, err := parseCertificates("rpc.tls.cert", f.Cert, certPEM)
	if err != nil {
		return nil, err
	}
	leaf := chain[0]
	if err := inForce("rpc.tls.cert", f.Cert, leaf, now); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("rpc.tls.key %s is not the key of rpc.tls.cert %s (%w): name the pair that was made together", f.Key, f.Cert, err)
	}
	if !slices.Contains(leaf.DNSNames, string(node)) {
		return nil, fmt.Errorf("rpc.tls.cert %s is the certificate of %s, not of node %s: name the one whose DNS names have %s",
			f.Cert, namesOf(leaf), node, node)
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	for _, use := range []struct {
		usage x509.ExtKeyUsage
		name  string
	}{{x509.ExtKeyUsageServerAuth, "server"}, {x509.ExtKeyUsageClientAuth, "client"}} {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{use.usage}})
		var unknown x509.UnknownAuthorityError
		switch {
		case errors.As(err, &unknown):
			return nil, fmt.Errorf("rpc.tls.cert %s is not signed by the CA in rpc.tls.ca %s: use the files of one cluster; %s", f.Cert, f.CA, makeFiles)
		case err != nil:
			return nil, fmt.Errorf("rpc.tls.cert %s cannot be used as a %s certificate (%w); a node's must allow both server and client use", f.Cert, use.name, err)
		}
	}
	id := &identity{files: f, cert: pair, roots: roots}
	id.server = &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{pair},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              roots,
		SessionTicketsDisabled: true,
	}
	return id, nil
}

// client is the configuration to dial a node by name.
func (id *identity) client(to sup.NodeName) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{id.cert},
		RootCAs:      id.roots,
		ServerName:   string(to),
	}
}

// names says whether the peer's verified certificate names exactly this node; wildcards name nobody.
func (id *identity) names(s tls.ConnectionState, node sup.NodeName) bool {
	return len(s.VerifiedChains) > 0 && slices.Contains(s.PeerCertificates[0].DNSNames, string(node))
}

func readTLS(field, path string) ([]byte, error) {
	if path == "" {
		return nil, fmt.Errorf("%s is not set: mutual TLS needs ca, cert and key; %s", field, makeFiles)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w; correct the path, or make it readable; %s", field, err, makeFiles)
	}
	return b, nil
}

func parseCertificates(field, path string, b []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s %s holds a damaged certificate: %w", field, path, err)
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%s %s holds no PEM certificate (-----BEGIN CERTIFICATE-----); %s", field, path, makeFiles)
	}
	return certs, nil
}

func inForce(field, path string, c *x509.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("%s %s expired on %s (now %s): issue a new one; %s", field, path, stamp(c.NotAfter), stamp(now), makeFiles)
	case now.Before(c.NotBefore):
		return fmt.Errorf("%s %s is valid from %s on (now %s): is this host's clock right?", field, path, stamp(c.NotBefore), stamp(now))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func namesOf(c *x509.Certificate) string {
	if len(c.DNSNames) == 0 {
		return fmt.Sprintf("%q, which has no DNS names", c.Subject.CommonName)
	}
	return strings.Join(c.DNSNames, ", ")
}

// explainPeer says in words what went wrong between two certificates.
func explainPeer(err error, f TLSFiles) error {
	var (
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		remote  *net.OpError
	)
	switch {
	case errors.As(err, &host):
		return fmt.Errorf("its certificate is that of %s, not of %s: its address in cluster.servers leads elsewhere, or its rpc.tls.cert is another node's", namesOf(host.Certificate), host.Host)
	case errors.As(err, &unknown):
		return fmt.Errorf("its certificate is not signed by the CA in %s: is it of another cluster? (%w)", f.CA, err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("its certificate is not in force, or a clock is wrong: issue a new one; %s (%w)", makeFiles, err)
	case errors.As(err, &remote) && remote.Op == "remote error":
		return fmt.Errorf("it does not accept this node's certificate %s: is that signed by the CA in its rpc.tls.ca, and in force by its clock? (%w)", f.Cert, err)
	}
	return err
}
