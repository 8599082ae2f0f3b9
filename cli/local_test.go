package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTLSInitMakesWhatAConfigNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	for _, line := range []string{"tls init --dir " + dir + " n1 n2=10.0.0.2,n2.example.com", "tls init --dir " + dir + " n3"} {
		status, out, errs := run(t, line, "")
		if status != 0 || !strings.Contains(out, "cert: "+dir) {
			t.Fatalf("%s: status %d, %q, %q", line, status, out, errs)
		}
	}
	for _, c := range []struct {
		line, want string
		status     int
	}{
		{"tls init --dir " + dir + " n1", "n1", 1}, // nothing is overwritten
		{"tls init --dir " + dir + " n4 N_4", `"N_4" is not a node name`, 2},
	} {
		if status, _, errs := run(t, c.line, ""); status != c.status || !strings.Contains(errs, c.want) {
			t.Errorf("%s: status %d, %q", c.line, status, errs)
		}
	}
	if status, _, errs := run(t, "tls init", ""); status != 2 || !strings.Contains(errs, "name the nodes") {
		t.Errorf("status %d, %q", status, errs)
	}
}

func TestNodeAdoptRefusesWhatIsNoDataDir(t *testing.T) {
	if status, _, errs := run(t, "node adopt "+t.TempDir(), ""); status != 1 || !strings.Contains(errs, "no data directory") {
		t.Errorf("status %d, %q", status, errs)
	}
}
