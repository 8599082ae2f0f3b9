package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/supnode/supnode/admin"
)

func writeTokens(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTokensAreGivenPlainOrAsDigests(t *testing.T) {
	digest := admin.NewToken("", "", "another-long-secret").Digest
	file := writeTokens(t, fmt.Sprintf("- {token: a-long-enough-secret, role: viewer}\n- name: ci\n  role: operator\n  sha256: %X\n- {token: short, role: admin, name: boss}\n", digest))
	list, warnings, err := LoadTokens(file)
	if err != nil {
		t.Fatal(err)
	}
	want := []admin.Token{
		admin.NewToken("token 1", admin.Viewer, "a-long-enough-secret"),
		admin.NewToken("ci", admin.Operator, "another-long-secret"),
		admin.NewToken("boss", admin.Admin, "short"),
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{file + `: the token "boss" has less than 16 characters and could be guessed`}, warnings); diff != "" {
		t.Error(diff)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, warnings, _ := LoadTokens(file); len(warnings) != 2 || !strings.Contains(warnings[1], "others may read it (mode 0644)") {
		t.Errorf("%q", warnings)
	}
}

func TestAWrongTokensFileSaysWhere(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "1:1: there is no token in this file: write a list of {sha256, role, name}; `supnode token new` makes one"},
		{"[]\n", "1:1: there is no token in this file"},
		{"tokens: []\n", "1:1: "},
		{"- {token: x, role: root}\n", `1:20: "root" is not a role: write viewer, operator or admin`},
		{"- {token: x}\n", `1:3: "" is not a role: write viewer, operator or admin`},
		{"- {role: viewer}\n", "1:3: give this token's sha256 (64 hexadecimal digits), or the token itself"},
		{"- {role: viewer, token: x, sha256: ab}\n", "1:36: give token or sha256, not both"},
		{"- {role: viewer, sha256: abcd}\n", `1:26: "abcd" is not a SHA-256 digest: write its 64 hexadecimal digits`},
		{"- {role: viewer, token: a b}\n", "1:25: a token has no spaces"},
		{"- {role: viewer, token: x}\n- {role: admin, token: x}\n", "2:3: this is the token of entry 1 again"},
		{"- {role: viewer, tokn: x}\n", `1:18: unknown key "tokn"`},
	} {
		file := writeTokens(t, c.text)
		if _, _, err := LoadTokens(file); err == nil || !strings.HasPrefix(err.Error(), file+":"+c.want) {
			t.Errorf("%q\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestTokensOpenTheAdminAddressToOthers(t *testing.T) {
	file := writeTokens(t, "- {token: a-long-enough-secret, role: viewer}\n")
	src := strings.Replace(good, "  listen: 127.0.0.1:8101\n  insecure: false", "  listen: 0.0.0.0:8101\n  tokens_file: "+file, 1)
	c, err := parse("n1.yaml", []byte(src), "/")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Admin.Tokens) != 1 || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "without admin.tls") {
		t.Errorf("%+v, %q", c.Admin, c.Warnings)
	}
	cert, key := pair(t, t.TempDir(), "n1")
	c, err = parse("n1.yaml", []byte(strings.Replace(src, "exec:\n", "  tls: {cert: "+cert+", key: "+key+"}\nexec:\n", 1)), "/")
	if err != nil || len(c.Warnings) != 0 {
		t.Errorf("%v, %+v", err, c)
	}
	// A wrong file is shown with the place of its own.
	bad := writeTokens(t, "- {token: x, role: root}\n")
	_, err = parse("n1.yaml", []byte(strings.Replace(src, file, bad, 1)), "/")
	if want := "n1.yaml:21:16: " + bad + `:1:20: "root" is not a role`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
